"""Findings on a terminal: one row each, and under what is not in order what to do."""

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from training.findings import Examination, Finding, Verdict

COLOURS: Final[dict[Verdict, str]] = {"ok": "green", "look": "yellow", "stop": "bold red"}
UNITS = {True: "pair", False: "line"}


def render_examination(examination: Examination, *, is_tmx: bool = False) -> Table:
    """Return a table that is readable in 80 columns and more.

    Args:
        is_tmx: number pairs, for a translation memory has no lines.
    """
    title = Text.assemble(
        (examination.name, "bold"), ": ", (examination.verdict, COLOURS[examination.verdict])
    )
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("finding", no_wrap=True)
    table.add_column("what was found", overflow="fold", ratio=1)
    for finding in examination.findings:
        verdict = Text(finding.verdict, COLOURS[finding.verdict])
        table.add_row(verdict, finding.name, _explain(finding, UNITS[is_tmx]))
    return table


def describe_verdict(examinations: Sequence[Examination]) -> str:
    """Return in one line how many findings are what."""
    verdicts = [finding.verdict for each in examinations for finding in each.findings]
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in COLOURS]
    return ", ".join(counts)


def _explain(finding: Finding, unit: str) -> Text:
    # never as markup: users' text may hold brackets
    said = Text(finding.said)
    if finding.verdict == "ok":
        return said
    if finding.advice:
        said.append(f"\n{finding.advice}", "italic")
    for example in finding.examples:
        said.append(f"\n{unit} {example.line:,}", "cyan")
        said.append(f"  {example.text}", "dim")
    return said
