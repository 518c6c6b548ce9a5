"""One verification from a file to its verdict: its claims are found, it is run, what was seen is judged."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from clipcheck.diagnostic import Position
from clipcheck.settings import Settings
from clipcheck.source.document import Document
from clipcheck.source.errors import SourceError
from clipcheck.verify.claim import Claim
from clipcheck.verify.claims import claims_of, saves_models
from clipcheck.verify.job import Job
from clipcheck.verify.record import Ended, Record
from clipcheck.verify.reload import with_reloads
from clipcheck.verify.run import Outcome, run
from clipcheck.verify.sources import sources_of
from clipcheck.verify.verdict import Verdict, judge, line_of
from clipcheck.verify.watch import Wish, claims_for


class Options(Struct, frozen=True):
    """How a script is to be run, and what is to be watched.

    arguments, updates, fake_data, seed, device: as in `Job`. timeout: in seconds, None for none. nproc: how many
    processes `torchrun` starts, None to do without it. wishes: claims from the command line, in place of the script's.
    """

    arguments: tuple[str, ...] = ()
    updates: int = 200
    timeout: float | None = None
    fake_data: bool = False
    seed: int = 0
    device: str | None = None
    nproc: int | None = None
    wishes: tuple[Wish, ...] = ()


class Trial(Struct, frozen=True):
    """What came of one verification. Line numbers of claims are those of `document.code`."""

    document: Document
    job: Job
    outcome: Outcome
    verdict: Verdict

    def position(self, claim: Claim) -> tuple[str, Position]:
        """The file and the place in it (of a notebook: in a cell) where a claim stands."""
        return claim.path, _position(self.document, claim.path, claim.line)


def claims_in(document: Document, options: Options, settings: Settings) -> list[Claim]:
    """What is to be verified. Raises WatchError, and SourceError where the code is no Python."""
    _check_syntax(document)
    path = Path(document.path)
    if options.wishes:
        return claims_for(options.wishes, document.path, sources_of(path, document.code))
    return claims_of(path, document.code, settings)


def try_out(
    document: Document,
    claims: list[Claim],
    options: Options,
    told: Callable[[int], None] = lambda updates: None,
) -> Trial:
    """Runs the code of a document, edited or not, in the place of its file; not at all where nothing is claimed.

    told: called now and then with the number of updates so far.
    """
    job = Job(
        document.path,
        options.arguments,
        tuple(claims),
        folder="",
        code=_code(document),
        updates=options.updates,
        fake_data=options.fake_data,
        seed=options.seed,
        device=options.device,
        reload=bool(claims) and saves_models(Path(document.path), document.code),
    )
    if not claims:
        nothing = Outcome((Record(Ended.NOT_STARTED),))
        return Trial(document, job, nothing, judge(job, nothing))
    with tempfile.TemporaryDirectory(prefix="clipcheck-") as folder:
        job = replace(job, folder=folder)
        outcome = run(job, timeout=options.timeout, nproc=options.nproc, told=told)
        job, outcome = with_reloads(job, outcome)
    verdict = judge(job, outcome, lambda path, line: _place(document, path, line))
    told(verdict.updates)
    return Trial(document, job, outcome, verdict)


def _position(document: Document, path: str, line: int) -> Position:
    is_own = Path(path) == Path(document.path)
    return document.position(line, 0) if is_own else Position(line, 1)


def _place(document: Document, path: str, line: int) -> str:
    """What to call a line: of another file, of a cell."""
    position = _position(document, path, line)
    if position.cell is not None:
        return f"line {position.row} of cell {position.cell}"
    return f"line {line}" if Path(path) == Path(document.path) else line_of(path, line)


def _check_syntax(document: Document) -> None:
    try:
        compile(document.code, document.path, "exec", dont_inherit=True)
    except SyntaxError as error:
        line, column = error.lineno or 1, max((error.offset or 1) - 1, 0)
        raise SourceError(error.msg, document.position(line, column)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise SourceError(str(error)) from None


def _code(document: Document) -> str | None:
    """What to run in the place of the file; None for the file itself."""
    if document.notebook is not None:
        return _without_magics(document)
    is_edited = document.code != document.data.decode(document.encoding)
    return document.code if is_edited else None


def _without_magics(document: Document) -> str:
    """A notebook's code. What is IPython's own is hidden behind names of underscores, which nobody has defined."""
    lines = document.code.split("\n")
    for node in ast.walk(ast.parse(document.code)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Name) and set(node.value.id) == {"_"}:
            line, width = node.lineno - 1, len(node.value.id)
            lines[line] = lines[line].replace("_" * width, "0".ljust(width), 1)
    return "\n".join(lines)
