"""The options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec import Struct

Decorator = TypeVar("Decorator", bound=Callable[..., Any])

STDIN = "-"
FORMAT_NAMES = ["full", "concise", "json", "github"]
"""The keys of `clipcheck.report.FORMATS`, without importing it for `--help`."""


class Choices(Struct, frozen=True):
    """Which files, which settings, which rules: what the user said on the command line."""

    paths: tuple[str, ...] = (".",)
    stdin_filename: str | None = None
    config: Path | None = None
    isolated: bool = False
    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @property
    def from_stdin(self) -> bool:
        return self.paths == (STDIN,)

    def __post_init__(self) -> None:
        if STDIN in self.paths and len(self.paths) > 1:
            raise click.UsageError("'-' (standard input) cannot be combined with other paths.")
        if self.stdin_filename is not None and not self.from_stdin:
            raise click.UsageError("'--stdin-filename' needs '-' as the path.")
        if self.config is not None and self.isolated:
            raise click.UsageError("'--config' and '--isolated' contradict each other.")


def choices(command: Callable[..., None]) -> Callable[..., None]:
    """Hands the command a `Choices` as its first argument, made of the options that this adds."""

    @functools.wraps(command)
    def collected(
        paths: tuple[str, ...],
        stdin_filename: str | None,
        config: Path | None,
        isolated: bool,
        select: tuple[str, ...] | None,
        extend_select: tuple[str, ...] | None,
        ignore: tuple[str, ...] | None,
        **others: Any,
    ) -> None:
        chosen = Choices(paths or (".",), stdin_filename, config, isolated, select, extend_select or (), ignore or ())
        command(chosen, **others)

    for option in reversed(_CHOICES):
        collected = option(collected)
    return collected


output_format = click.option(
    "--output-format",
    "output_format",
    type=click.Choice(FORMAT_NAMES),
    default="full",
    show_default=True,
    help="How findings are printed.",
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Print findings and errors, and nothing else.")


class Effort(Struct, frozen=True):
    """How the work is done. What is found does not depend on it."""

    jobs: int | None = None
    """None: as many processes as there are cores."""
    uses_cache: bool = True
    cache_dir: Path | None = None
    screens: bool = True
    """Whether files are passed over that no rule can concern, as far as their bytes and their outline tell."""


def effort(command: Callable[..., None]) -> Callable[..., None]:
    """Hands the command an `effort`, made of the options that this adds."""

    @functools.wraps(command)
    def collected(
        *arguments: Any, jobs: int | None, no_cache: bool, cache_dir: Path | None, no_screen: bool, **others: Any
    ) -> None:
        uses_cache = not (no_cache or no_screen)
        command(*arguments, effort=Effort(jobs, uses_cache, cache_dir, screens=not no_screen), **others)

    for option in reversed((*_EFFORT, cache_dir)):
        collected = option(collected)
    return collected


cache_dir = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where results are kept. Default: .clipcheck_cache beside the settings file, else in the working directory.",
)
_EFFORT: list[Callable[..., Any]] = [
    click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Start at most so many processes, and none for a few files. Default: the cores there are.",
    ),
    click.option("--no-cache", is_flag=True, help="Neither use nor keep results of earlier runs."),
    click.option(
        "--no-screen",
        is_flag=True,
        help="Ask every rule about every file, also where the file cannot concern it: for tests, and for doubt. Slow.",
    ),
]
settings_file = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The settings file, instead of the nearest pyproject.toml or clipcheck.toml.",
)
isolated = click.option("--isolated", is_flag=True, help="Ignore all settings files.")


def _codes(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | None:
    """Comma lists, given once or more often; None where the option was not given."""
    if not value:
        return None
    return tuple(code.strip() for part in value for code in part.split(",") if code.strip())


def _code_option(name: str, words: str) -> Callable[[Decorator], Decorator]:
    return click.option(name, multiple=True, callback=_codes, metavar="CODES", help=words)


_CHOICES: list[Callable[..., Any]] = [
    click.argument("paths", nargs=-1, type=click.Path(path_type=str, allow_dash=True)),
    _code_option("--select", "Only these rules: codes or prefixes, separated by commas, or ALL."),
    _code_option("--extend-select", "These rules too."),
    _code_option("--ignore", "Not these rules."),
    settings_file,
    isolated,
    click.option("--stdin-filename", metavar="FILE", help="What the code on standard input ('-') is called."),
]
