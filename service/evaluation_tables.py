"""What an evaluation found, as tables: one that ran here, and one that a server ran."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from service.evaluation_answers import Comparison, Job, Report, Test
from service.terminal import table

if TYPE_CHECKING:
    from service.evaluation import Evaluation

SIGNIFICANT = 0.05
"""A difference that comes about by chance more often than this proves nothing."""
FEWER_IS_BETTER = {"ter"}
TEST_NAMES = {"paired_bootstrap": "bootstrap", "approximate_randomisation": "randomisation"}


def local_table(evaluation: "Evaluation", pair: str) -> Table:
    """Make the table of an evaluation that ran here."""
    search = _search(
        evaluation.beam,
        evaluation.length_penalty,
        evaluation.no_repeat_ngram,
        evaluation.coverage_penalty,
    )
    made = table(
        f"{evaluation.model}  {pair}  {search}",
        *("metric", "score>", "signature"),
        caption=(
            f"{evaluation.sentences:,} sentences in {evaluation.seconds:.1f} s, "
            f"{evaluation.sentences_per_second:,.1f} a second; {evaluation.truncated:,} truncated, "
            f"{evaluation.stopped:,} stopped"
        ),
    )
    for metric in evaluation.metrics:
        made.add_row(metric.name, f"{metric.score:.2f}", metric.signature)
    return made


def report_tables(report: Report) -> Iterator[Table]:
    """Make the table of the scores and, if there is a baseline, that of the comparison."""
    title = f"{report.model or 'given hypotheses'}  {report.pair}"
    if report.test_set:
        title += f"  {report.test_set}"
    if decode := report.decode:
        title += "  " + _search(
            decode.beam, decode.length_penalty, decode.no_repeat_ngram, decode.coverage_penalty
        )
    has_intervals = any(metric.interval for metric in report.metrics)
    columns = ("metric", "score>", *(("95 %>",) if has_intervals else ()), "signature")
    made = table(escape(title), *columns, caption=_circumstances(report))
    for metric in report.metrics:
        interval = (_interval(metric.interval),) if has_intervals else ()
        made.add_row(metric.name, f"{metric.score:.2f}", *interval, metric.signature)
    yield made
    if report.comparison:
        yield _comparison_table(report)


def job_table(jobs: Iterable[Job]) -> Table:
    """Make a table with one line for each job, and what it is about below."""
    made = table("evaluations", "job", "created, UTC", "state", "BLEU>")
    for job in jobs:
        made.columns[0].min_width = max(len(job.job_id), made.columns[0].min_width or 0)
        bleu = (job.scores or {}).get("bleu")
        made.add_row(
            escape(f"{job.job_id}\n{_subject(job)}"),
            f"{job.created:%Y-%m-%d %H:%M}" if job.created else "",
            _state(job),
            f"{bleu:.2f}" if bleu is not None else "",
        )
    return made


def _subject(job: Job) -> str:
    tested = (job.pair, job.test_set, job.model or "given hypotheses")
    subject = " ".join(each for each in tested if each)
    return f"{subject} against {job.baseline}" if job.baseline else subject


def _state(job: Job) -> str:
    done, total = job.progress.done, job.progress.total
    return f"running, {done / total:.0%}" if job.status == "running" and total else job.status


def _comparison_table(report: Report) -> Table:
    tests = [test.test for test in report.comparison[0].tests]
    equal = f"{report.identical or 0:,} of {report.sentences:,} lines are the same in both"
    made = table(
        escape(f"against {report.baseline}"),
        *("metric", "baseline>", "95 %>", "delta>"),
        *(f"p by\n{TEST_NAMES.get(test, test)}>" for test in tests),
        "",
        caption=equal if report.identical is not None else None,
    )
    for compared in report.comparison:
        p_values = {test.test: f"{test.p_value:.4f}" for test in compared.tests}
        made.add_row(
            compared.name,
            f"{compared.baseline_score:.2f}",
            _interval(compared.baseline_interval),
            f"{compared.delta:+.2f}",
            *(p_values.get(test, "") for test in tests),
            _finding(compared),
        )
    return made


def _finding(compared: Comparison) -> str:
    if not compared.tests:
        return ""
    if not all(_is_significant(test) for test in compared.tests):
        return "unclear"
    is_better = (compared.delta > 0) != (compared.metric in FEWER_IS_BETTER)
    return "[green]better[/]" if is_better else "[red]worse[/]"


def _is_significant(test: Test) -> bool:
    return test.p_value < SIGNIFICANT


def _circumstances(report: Report) -> str:
    speed = ""
    if report.performance:
        told = report.performance
        speed = f" in {told.seconds:,.1f} s, {told.sentences_per_second:,.1f} a second"
    counts = report.counts
    return (
        f"{report.sentences:,} sentences{speed}; {counts.truncated:,} truncated, "
        f"{counts.repetition_stopped:,} stopped, {counts.empty:,} empty, "
        f"{counts.placeholder_lost:,} lost a placeholder"
    )


def _interval(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:.2f}-{interval[1]:.2f}" if interval else ""


def _search(beam: int, length_penalty: float, no_repeat_ngram: int, coverage_penalty: float) -> str:
    search = f"beam {beam}, length penalty {length_penalty:g}"
    if no_repeat_ngram:
        search += f", no {no_repeat_ngram}-gram twice"
    if coverage_penalty:
        search += f", coverage penalty {coverage_penalty:g}"
    return search
