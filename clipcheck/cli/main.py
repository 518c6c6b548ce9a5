"""The `clipcheck` command, and how it ends."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import NoReturn

import click

from clipcheck import __version__
from clipcheck.engine.collecting import collect_no_more, collect_seldom

FAILED = 2
"""The exit code of a run that could not do its job."""
INTERRUPTED = 130


COMMANDS = ("clean", "explain", "fix", "lint", "rule", "verify")


class Commands(click.Group):
    """Each command lies in the module of its name, which is imported when it is wanted."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"clipcheck.cli.{name}"), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="clipcheck")
def cli() -> None:
    """Find and fix misuse of clipping in Keras, TensorFlow and PyTorch training code.

    Exit codes: 0 nothing found, 1 something found, 2 the job could not be done.
    """


def run() -> NoReturn:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A terminal that lacks a character must not end the run.
            stream.reconfigure(errors="backslashreplace")
    collect_seldom()
    code = _exit_code()
    collect_no_more()
    sys.exit(code)


def _exit_code() -> int:
    try:
        code = cli.main(prog_name="clipcheck", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception:
        import traceback

        traceback.print_exc()
        click.echo("error: this is a bug in clipcheck, please report it with the lines above", err=True)
        return FAILED
