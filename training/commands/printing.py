"""What the commands print: results to stdout, all else to stderr."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from service.evaluation import Metric
    from training.comparison import Row
    from training.corpus import Report
    from training.findings import Examination
    from training.markdown import Table as Tabulated

output = Console()
console = Console(stderr=True)


def print_reports(reports: "Sequence[Report]") -> None:
    """Print what became of each text."""
    for report in reports:
        print_report(report)


def print_report(report: "Report") -> None:
    """Print what became of a text."""
    output.print(report.name, highlight=False, soft_wrap=True)
    output.print(_report_table(report))


def print_table(table: "Tabulated", *, markdown: bool) -> None:
    """Print a table: its short columns, or all as Markdown."""
    if markdown:
        output.print(table.markdown(), markup=False, highlight=False, soft_wrap=True)
        return
    details = ", ".join(table.header[table.num_short :])
    shown = Table(caption=f"--markdown adds {details}" if details else None)
    for column in table.header[: table.num_short]:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row[: table.num_short]))
    output.print(shown)


def _report_table(report: "Report") -> Table:
    table = Table("pairs", "count")
    table.columns[1].justify = "right"
    table.add_row("read", f"{report.read:,}")
    for reason, count in sorted(report.dropped.items(), key=lambda item: -item[1]):
        table.add_row(f"dropped: {reason}", f"{count:,}")
    table.add_row("kept", f"{report.kept:,}")
    return table


def score_table(scores: dict[str, list["Metric"]]) -> Table:
    """Lay out the scores of directions."""
    table = Table("direction", "metric", "score")
    table.add_column("signature", overflow="fold")  # worth nothing in parts
    for direction, metrics in scores.items():
        for metric in metrics:
            table.add_row(direction, metric.name, f"{metric.score:.2f}", metric.signature)
    return table


def comparison_table(rows: "Sequence[Row]") -> Table:
    """Lay out what systems scored, by variant and search."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.scores))
    table = Table("variant", "search", *metrics, "MB", "sentences/s", title="on dev")
    for column in table.columns[2:]:
        column.justify = "right"
    system = ""
    for row in rows:
        if row.system != system:
            system = row.system
            table.add_section()
            table.add_row(f"{system}: {row.directions}")
        search = row.search
        is_greedy = search.beam == 1
        table.add_row(
            row.variant,
            "greedy" if is_greedy else f"beam {search.beam}, {search.length_penalty:g}",
            *(f"{row.scores[name]:.2f}" for name in metrics),
            f"{row.size_bytes / 1e6:.1f}",
            f"{row.sentences_per_second:,.0f}",
        )
    return table


def print_examinations(
    where: Console, examinations: Sequence["Examination"], *, is_tmx: bool
) -> None:
    """Print what was found in texts, and the verdict."""
    # here, for it loads the language detector's findings: only `doctor` and `all` need it
    from training.findings_table import describe_verdict, render_examination  # noqa: PLC0415

    for examination in examinations:
        where.print(render_examination(examination, is_tmx=is_tmx))
    where.print(describe_verdict(examinations), highlight=False)


def tell(line: str) -> None:
    """Print a line to those who watch."""
    console.print(line, highlight=False, soft_wrap=True, markup=False)


def fail(sentence: str) -> NoReturn:
    """Print why a command failed and end it."""
    console.print(f"[red]{escape(sentence)}[/red]", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
