"""What is measured on: the files of many training libraries, samples of them, and files made for the purpose."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

PACKAGES = Path(__file__).with_name("packages.txt")
SUFFIXES = (".py", ".pyw", ".ipynb")

_FINDING = """

def keep_small(values: th.Tensor, bound: float) -> th.Tensor:
    th.clamp(values, -bound, bound)
    return values
"""
_STEP = '''
def train_{number}(model, loader, optimizer, max_norm={number}.0):
    """One epoch of the stage {number}."""
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad(set_to_none=True)
        outputs = model(inputs)
        loss = torch.nn.functional.cross_entropy(outputs, targets)
        if not torch.isfinite(loss):
            continue
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.clamp_(-1.0, 1.0)
        total += loss.item()
        count += 1
    return total / max(count, 1)

'''


@dataclass(frozen=True)
class Target:
    """A folder or a file to run the tools on."""

    name: str
    path: Path
    files: int
    lines: int

    @property
    def is_file(self) -> bool:
        return self.path.is_file()


def build_corpus(workdir: Path) -> Path:
    """The folder with the files of all packages; downloads and unpacks what is not there."""
    corpus = workdir / "corpus"
    if corpus.is_dir():
        return corpus
    wheels = workdir / "wheels"
    only = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", *only, "--dest", str(wheels), "-r", str(PACKAGES)], check=True
    )
    new = workdir / "corpus.new"
    shutil.rmtree(new, ignore_errors=True)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(SUFFIXES)]
            archive.extractall(new, names)
    new.rename(corpus)
    return corpus


def whole(corpus: Path) -> Target:
    return _target("corpus", corpus)


def sample(workdir: Path, corpus: Path, count: int) -> Target:
    """So many files of the corpus, always the same ones, each in its folder."""
    folder = workdir / f"sample-{count}"
    if not folder.is_dir():
        names = sorted(path.relative_to(corpus).as_posix() for path in _files(corpus))
        for name in sorted(names, key=lambda name: sha256(name.encode()).digest())[:count]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(corpus / name, folder / name)
    return _target(f"{count:,} files", folder)


def clean_file(workdir: Path, corpus: Path) -> Target:
    """A file of 300 lines that clips, and rightly."""
    return _made(workdir, "clean_file.py", "one file, clean", _trainer(corpus))


def finding_file(workdir: Path, corpus: Path) -> Target:
    return _made(workdir, "finding_file.py", "one file, 1 finding", _trainer(corpus) + _FINDING)


def grown_file(workdir: Path, lines: int) -> Target:
    """Training steps that are right, again and again."""
    steps = lines // _STEP.count("\n")
    text = "import torch\n" + "".join(_STEP.format(number=number) for number in range(1, steps + 1))
    return _made(workdir, f"grown_{lines}.py", f"{lines:,} lines", text)


def _trainer(corpus: Path) -> str:
    return (corpus / "stable_baselines3" / "ppo" / "ppo.py").read_text(encoding="utf-8")


def _made(workdir: Path, name: str, title: str, text: str) -> Target:
    path = workdir / "made" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return _target(title, path)


def _target(name: str, path: Path) -> Target:
    files = _files(path) if path.is_dir() else [path]
    return Target(name, path, len(files), sum(file.read_bytes().count(b"\n") for file in files))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()]
