"""`clipcheck clean`: forget the results of earlier runs."""

from __future__ import annotations

from pathlib import Path

import click

from clipcheck.cli.options import cache_dir, isolated, settings_file
from clipcheck.cli.output import complain, write


@click.command(short_help="Remove the cache.")
@cache_dir
@settings_file
@isolated
@click.pass_context
def clean(context: click.Context, cache_dir: Path | None, config: Path | None, isolated: bool) -> None:
    """Remove the results of earlier runs that are kept for the working directory and its settings."""
    from clipcheck.cli.caching import cache_folder
    from clipcheck.cli.options import Choices
    from clipcheck.cli.session import settings_for
    from clipcheck.engine.cache import NotACacheError
    from clipcheck.engine.cache import clean as remove

    folder = cache_folder(cache_dir, settings_for(Choices(config=config, isolated=isolated)))
    try:
        if remove(folder):
            write([f"Removed {folder}\n"])
    except NotACacheError as error:
        complain(str(error))
        context.exit(2)
    except OSError as error:
        complain(f"{folder}: {error.strerror or error}")
        context.exit(2)
