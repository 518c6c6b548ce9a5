"""`clipcheck rule`: the page of a rule, and the list of all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from clipcheck.cli.options import Choices
from clipcheck.cli.output import write

if TYPE_CHECKING:
    from clipcheck.cli.page import Page


@click.command(short_help="Print the page of a rule, or the list of all.")
@click.argument("code", required=False)
@click.option("--all", "every", is_flag=True, help="List all rules.")
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How it is printed; markdown is for --all.",
)
def rule(code: str | None, every: bool, output_format: str) -> None:
    """Print the page of the rule CODE, or the list of all rules."""
    if every == (code is not None):
        raise click.UsageError("Give the code of a rule, or --all.")
    pages = _pages()
    if code is None:
        write(_LISTS[output_format](pages))
        return
    found = next((page for page in pages if code.upper() == page.code or code.lower() == page.name), None)
    if found is None:
        raise click.UsageError(f"There is no rule '{code}'. `clipcheck rule --all` lists them.")
    write(_json_page(found) if output_format == "json" else _text_page(found))


def _pages() -> list[Page]:
    from clipcheck.cli.page import Page
    from clipcheck.cli.session import rules_for, settings_for

    return [Page.of(card) for card in rules_for(settings_for(Choices()))]


def _text_page(page: Page) -> Iterator[str]:
    yield f"# {page.name} ({page.code})\n\n{page.text}\n"
    if not page.default:
        yield f"\nOff by default: `--extend-select {page.code}` turns it on.\n"


def _json_page(page: Page) -> Iterator[str]:
    yield json.dumps(_record(page), indent=2) + "\n"


def _text_list(pages: Sequence[Page]) -> Iterator[str]:
    width = max((len(page.name) for page in pages), default=0)
    for page in pages:
        off = "" if page.default else " (off by default)"
        yield f"{page.code}  {page.name:<{width}}  {page.summary}{off}\n"


def _json_list(pages: Sequence[Page]) -> Iterator[str]:
    yield json.dumps([_record(page) for page in pages], indent=2) + "\n"


def _markdown_list(pages: Sequence[Page]) -> Iterator[str]:
    """The table of the README."""
    yield "| code | name | what is wrong | fix |\n|---|---|---|---|\n"
    for page in pages:
        name = f"[{page.name}]({page.path})" if page.path else page.name
        summary = page.summary.replace("|", "\\|") + ("" if page.default else " *Off by default.*")
        yield f"| {page.code} | {name} | {summary} | {page.fix} |\n"


def _record(page: Page) -> dict[str, str | bool | None]:
    return {
        "code": page.code,
        "name": page.name,
        "family": page.family,
        "summary": page.summary,
        "severity": page.severity,
        "default": page.default,
        "fix": page.fix or None,
        "url": page.url,
        "explanation": page.text,
    }


_LISTS = {"text": _text_list, "json": _json_list, "markdown": _markdown_list}
