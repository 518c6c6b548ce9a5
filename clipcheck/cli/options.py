"""The options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

Decorator = TypeVar("Decorator", bound=Callable[..., Any])

STDIN = "-"
FORMAT_NAMES = ["full", "concise", "json", "github"]
"""The keys of `clipcheck.report.FORMATS`, without importing it for `--help`."""


@dataclass(frozen=True)
class Choices:
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
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The settings file, instead of the nearest pyproject.toml or clipcheck.toml.",
    ),
    click.option("--isolated", is_flag=True, help="Ignore all settings files."),
    click.option("--stdin-filename", metavar="FILE", help="What the code on standard input ('-') is called."),
]
