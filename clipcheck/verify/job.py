"""What the child process is asked to do."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.verify.claim import Claim


class Job(Struct, frozen=True):
    """One run of a script under watch.

    script: the path of the script as the user gave it. code: the text to run in its place (a fixed version), None for
    the file itself; tracebacks, `__file__` and imports are those of the script either way.
    arguments: the script's own. updates: the run ends after so many updates of what is watched (0: no limit).
    fake_data: the loaders of standard datasets return random data. seed: of that data.
    device: the device that the weights must be on ("cuda", "cpu"), None for any.
    reload: models that the script saves are kept, to be loaded in a fresh process.
    folder: where the child writes its record, its progress and what it keeps.
    """

    script: str
    arguments: tuple[str, ...]
    claims: tuple[Claim, ...]
    folder: str
    code: str | None = None
    updates: int = 200
    fake_data: bool = False
    seed: int = 0
    device: str | None = None
    reload: bool = False
