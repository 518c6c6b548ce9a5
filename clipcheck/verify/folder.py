"""The files by which the tool and its child speak, in the folder of a job."""

from __future__ import annotations

from pathlib import Path

JOB = "job.json"
OUTPUT = "output.txt"
"""What the script printed, on either stream."""
RELOADED = "reloaded.json"
"""A record of the models that were saved and then loaded."""


def of_rank(folder: Path, name: str, rank: int) -> Path:
    """The file of one process of the run: its "record", its "progress" (a number of updates), its "pid"."""
    return folder / f"{name}.{rank}"


def all_of(folder: Path, name: str) -> list[Path]:
    """The files of that name, by rank."""
    found = (path for path in folder.glob(f"{name}.*") if path.suffix[1:].isdecimal())
    return sorted(found, key=lambda path: int(path.suffix[1:]))
