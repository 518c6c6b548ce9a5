"""Looks for findings that the conditions of rules would lose, and for crashes: `python -m tests.mutants --help`.

Files are changed near their clips, a line or an argument at a time, and judged without screens. A mutant is kept in
which a rule finds something that its screen or its candidate does not let pass: some are absurd, the others belong into
`tests/test_conditions.py`.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from clipcheck.engine.lint import lint_bytes
from clipcheck.engine.registry import load_cards
from clipcheck.engine.screen import Screens
from clipcheck.outline import Outline
from clipcheck.settings import Settings

CARDS = tuple(card for card in load_cards() if card.default and card.code != "CLP001")
BLIND = tuple(card.without_screens() for card in CARDS)
SCREENS = Screens(CARDS)
MOST_BYTES = 30_000
"""Longer files take their time, and show nothing else."""

_CLIP = re.compile(rb"(?:clip|clamp)\w*\s*\(")
_NEAR = re.compile(
    rb"(?:clip|clamp)\w*\s*\(|m(?:in|ax)imum\(|backward\(|\.step\(|zero_grad|apply_gradients|unscale_|_constraint"
    rb"|get_config|log\(|GradientTape"
)
_ARGUMENTS = re.compile(rb"((?:clip|clamp)\w*\s*\()(.*)(\))")
_NUMBER = re.compile(rb"(?<![\w.])\d+\.?\d*(?:e-?\d+)?(?![\w.])")
_NUMBERS = (b"0", b"0.0", b"1", b"1.0", b"-1", b"1e-12", b"1e-8", b"1e-7", b"0.5", b"10", b"100")
_CLIPPED = re.compile(rb"[\w.]+\.(?:clip|clamp)\w*\([^()]*\)")
_USES = (b"torch.log(%s)", b"torch.log(1 - %s)", b"(%s - 1) ** 2", b"%s.detach()", b"%s.item()", b"torch.sqrt(%s)")
_AROUND = (b"for step in range(3):", b"if i % 2 == 0:", b"with torch.no_grad():")
_OTHER_WORDS = (
    (rb"\.parameters\(\)", b".parameters"),
    (rb"clip_grad_norm_", b"clip_grad_norm"),
    (rb"clip_grad_norm_", b"clip_grad_value_"),
    (rb"torch\.clamp\(", b"torch.minimum("),
    (rb"torch\.clamp\(", b"np.clip("),
    (rb"clamp\(", b"clamp_("),
    (rb"clamp_\(", b"clamp("),
    (rb"min=", b"max="),
    (rb"max=", b"min="),
    (rb"\.data\b", b""),
)


def main() -> None:
    options = _options()
    files = [path for root in options.paths for path in ([root] if root.is_file() else sorted(root.rglob("*.py")))]
    chance = random.Random(options.seed)
    chance.shuffle(files)
    found: Counter[str] = Counter()
    end, checked = time.monotonic() + options.seconds, 0
    for path in files:
        for source in _versions(path, options.mutants, chance):
            if time.monotonic() > end:
                break
            checked += 1
            found.update(_look_at(path, source, options.keep))
    print(f"{checked} versions checked, findings: {dict(sorted(found.items()))}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("fixtures")], help="files and folders")
    parser.add_argument("--mutants", type=int, default=20, help="how many of each file (default: 20)")
    parser.add_argument("--seconds", type=float, default=300, help="end after so long (default: 300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("mutants"), help="the folder for what is lost")
    return parser.parse_args()


def _versions(path: Path, count: int, chance: random.Random) -> Iterator[bytes]:
    """The file as it is, and its mutants that parse."""
    source = path.read_bytes()
    if len(source) > MOST_BYTES or not _NEAR.search(source):
        return
    yield source
    for _ in range(count):
        lines = source.split(b"\n")
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            near = [index for index, line in enumerate(lines) if _NEAR.search(line)]
            clips = [index for index in near if _CLIP.search(lines[index])]
            if near:
                place = chance.choice(clips if clips and chance.random() < 0.7 else near)
                chance.choice(MUTATIONS)(lines, place, chance)
        mutant = b"\n".join(lines)
        if mutant != source and _parses(mutant):
            yield mutant


def _parses(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def _look_at(path: Path, source: bytes, keep: Path) -> set[str]:
    """The codes of what is found; tells what the conditions would lose, and what could not be judged."""
    result = lint_bytes(str(path), source, BLIND, Settings())
    codes = {found.code for found in result.diagnostics}
    lost = codes - {card.code for card in SCREENS.passed(Outline(source))} if codes else codes
    for problem in result.problems:
        print(f"{path}: {problem.message}")
    if lost or result.problems:
        keep.mkdir(exist_ok=True)
        copy = keep / f"{path.stem}_{len(list(keep.iterdir()))}_{'_'.join(sorted(lost)) or 'problem'}.py"
        copy.write_bytes(source)
        print(f"{copy}: {', '.join(sorted(lost)) or 'could not be judged'} (from {path})")
    return codes


def _indent(line: bytes) -> bytes:
    return line[: len(line) - len(line.lstrip())]


def _is_whole(line: bytes) -> bool:
    return line.count(b"(") == line.count(b")") and not line.rstrip().endswith(b":")


def _drop_assignment(lines: list[bytes], at: int, chance: random.Random) -> None:
    lines[at] = re.sub(rb"^(\s*)[\w.\[\], ]+=(?!=)\s*", rb"\1", lines[at])


def _drop_line(lines: list[bytes], at: int, chance: random.Random) -> None:
    if _is_whole(lines[at]):
        lines[at] = _indent(lines[at]) + b"pass"


def _move_line(lines: list[bytes], at: int, chance: random.Random) -> None:
    """To the block of another line near it."""
    if _is_whole(lines[at]):
        line = lines.pop(at)
        there = [index for index in range(max(0, at - 12), min(len(lines), at + 12)) if lines[index].strip()]
        if there:
            place = chance.choice(there)
            lines.insert(place + chance.randrange(2), _indent(lines[place]) + line.strip())


def _change_arguments(lines: list[bytes], at: int, chance: random.Random) -> None:
    """Swap two, or drop one."""
    found = _ARGUMENTS.search(lines[at])
    arguments = found[2].split(b",") if found else []
    if found is None or len(arguments) < 2:
        return
    one, other = chance.sample(range(len(arguments)), 2)
    if chance.random() < 0.5:
        arguments[one], arguments[other] = arguments[other], arguments[one]
    else:
        del arguments[one]
    lines[at] = lines[at][: found.start(2)] + b",".join(arguments) + lines[at][found.end(2) :]


def _change_number(lines: list[bytes], at: int, chance: random.Random) -> None:
    numbers = list(_NUMBER.finditer(lines[at]))
    if numbers:
        found = chance.choice(numbers)
        lines[at] = lines[at][: found.start()] + chance.choice(_NUMBERS) + lines[at][found.end() :]


def _name_number(lines: list[bytes], at: int, chance: random.Random) -> None:
    found = _NUMBER.search(lines[at])
    if found and _is_whole(lines[at]):
        line = lines[at][: found.start()] + b"bound_value" + lines[at][found.end() :]
        lines[at : at + 1] = [_indent(line) + b"bound_value = " + found[0], line]


def _use_otherwise(lines: list[bytes], at: int, chance: random.Random) -> None:
    use = chance.choice(_USES)
    lines[at] = _CLIPPED.sub(lambda found: use % found[0], lines[at], count=1)


def _wrap(lines: list[bytes], at: int, chance: random.Random) -> None:
    if _is_whole(lines[at]):
        indent = _indent(lines[at])
        lines[at : at + 1] = [indent + chance.choice(_AROUND), indent + b"    " + lines[at].strip()]


def _rename(lines: list[bytes], at: int, chance: random.Random) -> None:
    old, new = chance.choice(_OTHER_WORDS)
    lines[at] = re.sub(old, new, lines[at], count=1)


MUTATIONS: list[Callable[[list[bytes], int, random.Random], None]] = [
    _drop_assignment,
    _drop_line,
    _move_line,
    _move_line,
    _change_arguments,
    _change_arguments,
    _change_number,
    _name_number,
    _use_otherwise,
    _wrap,
    _rename,
]

if __name__ == "__main__":
    main()
