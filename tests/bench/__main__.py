"""How long clipcheck takes, beside its peers: `python -m tests.bench --help`.

Runs of different tools take turns, so that a busy machine is busy for all of them; what is told is the median. The
files lie in the page cache, as they do for somebody who works on them.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import corpus as files
from tests.bench.corpus import Target
from tests.bench.measure import Cost, measured, median
from tests.bench.peers import CORES, TOOLS, Tool, command, install

PARTS: dict[str, Callable[[Path, Path], list[Target]]] = {
    "corpus": lambda workdir, corpus: [files.whole(corpus)],
    "sample": lambda workdir, corpus: [files.sample(workdir, corpus, 1_000)],
    "one-file": lambda workdir, corpus: [files.clean_file(workdir, corpus), files.finding_file(workdir, corpus)],
    "many-files": lambda workdir, corpus: [files.sample(workdir, corpus, n) for n in (1_000, 5_000, 15_000)],
    "long-file": lambda workdir, corpus: [files.grown_file(workdir, n) for n in (1_250, 5_000, 20_000)],
}
SERIES = ("many-files", "long-file")
"""How our own cost grows; the peers are not asked."""


def main() -> None:
    options = _options()
    workdir: Path = options.workdir.resolve()
    workdir.mkdir(parents=True, exist_ok=True)
    tools = [tool for tool in TOOLS if tool.peer in ("clipcheck", *options.peers)]
    install(tools, workdir)
    corpus = files.build_corpus(workdir)
    print(f"{_processor()}, {CORES} cores, Python {platform.python_version()}\n")
    samples: dict[str, tuple[Target, Cost]] = {}
    for part in options.only:
        own = [tool for tool in tools if tool.peer == "clipcheck"] if part in SERIES else tools
        for target in PARTS[part](workdir, corpus):
            costs = _costs(own, target, workdir, options)
            if part == "sample":
                samples = {tool.name: (target, cost) for tool, cost in costs.items()}
            _tell(target, _completed(own, costs, target, samples))


def _options() -> argparse.Namespace:
    peers = sorted({tool.peer for tool in TOOLS} - {"clipcheck"})
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--workdir", type=Path, default=Path(tempfile.gettempdir()) / "clipcheck-bench")
    parser.add_argument("--runs", type=int, default=5, help="how often each tool runs (default: 5; slow tools: once)")
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=peers,
        default=peers,
        metavar="PEER",
        help=f"which tools to compare with: {', '.join(peers)} (default: all)",
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=["sample", "corpus", "one-file", *SERIES], help="which parts to run"
    )
    parser.add_argument("--limit", type=float, default=900, help="end a run after so many seconds (default: 900)")
    parser.add_argument("--all", action="store_true", help="run the slow tools on the whole corpus too")
    return parser.parse_args()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _costs(tools: Sequence[Tool], target: Target, workdir: Path, options: argparse.Namespace) -> dict[Tool, Cost]:
    chosen = [tool for tool in tools if options.all or not (tool.is_slow and target.name == "corpus")]
    with tempfile.TemporaryDirectory(dir=workdir) as caches:
        cache = {tool: Path(caches) / str(number) for number, tool in enumerate(chosen)}
        for tool in chosen:
            if tool.is_warm:
                _run(tool, target, workdir, cache[tool], options.limit)
        costs: dict[Tool, list[Cost]] = {tool: [] for tool in chosen}
        for turn in range(options.runs):
            for tool in chosen:
                if turn == 0 or not tool.is_slow or target.is_file:
                    costs[tool].append(_run(tool, target, workdir, cache[tool], options.limit))
                    _progress(f"{target.name}, run {turn + 1}: {tool.name} {costs[tool][-1].wall:.2f} s")
    _progress("")
    return {tool: median(runs) for tool, runs in costs.items()}


def _run(tool: Tool, target: Target, workdir: Path, cache: Path, limit: float) -> Cost:
    return measured(command(tool, workdir, target.path, cache), workdir, tool.accepted, limit)


def _completed(
    tools: Sequence[Tool], costs: dict[Tool, Cost], target: Target, samples: dict[str, tuple[Target, Cost]]
) -> dict[Tool, Cost]:
    """With what the tools that did not run would have cost, going by the lines of the sample."""
    completed = {}
    for tool in tools:
        if tool in costs:
            completed[tool] = costs[tool]
        elif tool.name in samples:
            sample, cost = samples[tool.name]
            factor = target.lines / sample.lines
            note = ", ".join(filter(None, [f"extrapolated by lines from {sample.name}", cost.note]))
            completed[tool] = Cost(cost.wall * factor, cost.cpu * factor, cost.peak, note)
    return completed


def _tell(target: Target, costs: dict[Tool, Cost]) -> None:
    """A table in Markdown. The ratio is our time for the time of the peer, warm for warm."""
    print(f"**{target.name}**: {target.files:,} files, {target.lines:,} lines\n")
    print("| tool | wall s | CPU s | peak MB | clipcheck takes | |")
    print("|---|---:|---:|---:|---:|---|")
    ours = {tool.is_warm: cost for tool, cost in costs.items() if tool.peer == "clipcheck"}
    for tool, cost in costs.items():
        own = ours[tool.is_warm]
        is_comparable = tool.peer != "clipcheck" and not own.note and "limit" not in cost.note
        ratio = f"{own.wall / cost.wall:.3f} ×" if is_comparable else ""
        print(f"| {tool.name} | {cost.wall:.3f} | {cost.cpu:.3f} | {cost.peak:.0f} | {ratio} | {cost.note} |")
    print(flush=True)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text[: shutil.get_terminal_size().columns - 1]}\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
