"""A report as one page that a person reads to decide about a model.

The page is whole: it loads nothing, runs nothing and can be kept, sent and printed.

    Report -> scores, lengths, sentences as they are drawn -> report.html -> text of the page

What callers wrote is escaped, and what could not be seen of it or would not travel is replaced.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import langcodes
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from langcodes.tag_parser import LanguageTagError
from pydantic import BaseModel

from service.evaluation import Bucket, Comparison, Example, MetricResult
from service.evaluations.plots import Axis, Span, Tick, draw_axes, measure_bars
from service.evaluations.report import Report
from service.evaluations.verdict import Verdict, judge, signed, summarise
from service.evaluations.word_differences import Part, mark_differences

FOLDER = Path(__file__).parent
MAX_CHARACTERS = 1_000
"""Of a sentence that are shown; all of it stands in the files of the evaluation."""
FEW_SENTENCES = 50
"""Below this, a score of a group of sentences is shown pale: it says little."""

_STYLE = (FOLDER / "report.css").read_text(encoding="utf-8")
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""What a Content-Security-Policy calls the one style of the page."""
CONTENT_POLICY = (
    f"default-src 'none'; style-src {STYLE_SOURCE}; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""Lets a browser load and run nothing for the page, from wherever it was opened."""
HEADERS = {"Content-Security-Policy": f"{CONTENT_POLICY}; frame-ancestors 'none'"}
"""For a server to send the page with."""

# Controls but for tabs and line breaks, and halves of characters, which no encoding can write.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_TESTS = {
    "paired_bootstrap": "paired bootstrap",
    "approximate_randomisation": "approximate randomisation",
}
_COUNTS = (
    ("truncated", "cut at the token limit"),
    ("repetition_stopped", "stopped as they only repeated themselves"),
    ("placeholder_lost", "lost a placeholder"),
    ("empty", "empty"),
)


@dataclass(frozen=True)
class Score:
    """One metric as it is drawn."""

    result: MetricResult
    comparison: Comparison | None
    verdict: Verdict
    ticks: list[Tick]
    own: Span
    baseline: Span | None


@dataclass(frozen=True)
class Bar:
    """The sentences of one range of lengths, as they are drawn."""

    bucket: Bucket
    words: str
    length: float | None
    baseline_length: float | None
    is_pale: bool


@dataclass(frozen=True)
class Sentence:
    """An example as it is shown: parts that differ are marked."""

    example: Example
    source: list[Part] | None
    reference: list[Part]
    hypothesis: list[Part]
    baseline: list[Part] | None


def render_report(report: Report) -> str:
    """Return a report as an HTML page.

    It takes a part of a second, in which the thread does nothing else.
    """
    verdict, sentence = summarise(report.comparison)
    return _ENVIRONMENT.get_template("report.html").render(
        report=report,
        verdict=verdict if report.baseline else None,
        sentence=sentence,
        scores=_scores(report),
        lengths={
            by: _bars([bucket for bucket in report.buckets if bucket.by == by])
            for by in ("source_length", "reference_length")
        },
        worst=[_beside_reference(example) for example in report.worst],
        changed=[_beside_baseline(example) for example in report.changed],
        resampled=_resampled(report),
        command=_command(report),
        style=_STYLE,
        policy=CONTENT_POLICY,
        counts=_COUNTS,
        tests=_TESTS,
        few=FEW_SENTENCES,
    )


def _scores(report: Report) -> list[Score]:
    comparisons = {comparison.metric: comparison for comparison in report.comparison}
    pairs = [(result, comparisons.get(result.metric)) for result in report.metrics]
    axes = draw_axes([_values(*pair) for pair in pairs])
    return [
        _score(result, comparison, axis)
        for (result, comparison), axis in zip(pairs, axes, strict=True)
    ]


def _score(result: MetricResult, comparison: Comparison | None, axis: Axis) -> Score:
    return Score(
        result=result,
        comparison=comparison,
        verdict=judge(comparison) if comparison else "untested",
        ticks=axis.ticks(),
        own=axis.span(result.score, result.interval),
        baseline=axis.span(comparison.baseline_score, comparison.baseline_interval)
        if comparison
        else None,
    )


def _values(result: MetricResult, comparison: Comparison | None) -> list[float]:
    values = [result.score, *(result.interval or ())]
    if comparison:
        values += [comparison.baseline_score, *(comparison.baseline_interval or ())]
    return values


def _bars(buckets: Sequence[Bucket]) -> list[Bar]:
    scores = [bucket.bleu for bucket in buckets] + [bucket.baseline_bleu for bucket in buckets]
    lengths = measure_bars(scores)
    own, baseline = lengths[: len(buckets)], lengths[len(buckets) :]
    return [
        Bar(bucket, _range(bucket), length, other, bucket.sentences < FEW_SENTENCES)
        for bucket, length, other in zip(buckets, own, baseline, strict=True)
    ]


def _range(bucket: Bucket) -> str:
    if bucket.high is None:
        return f"{bucket.low}+"
    return f"{bucket.low}\u2013{bucket.high}" if bucket.high > bucket.low else f"{bucket.low}"


def _beside_reference(example: Example) -> Sentence:
    reference, hypothesis = shown(example.reference), shown(example.hypothesis)
    baseline = None if example.baseline is None else shown(example.baseline)
    return Sentence(
        example,
        source=None if example.source is None else [Part(shown(example.source))],
        reference=mark_differences(reference, hypothesis),
        hypothesis=mark_differences(hypothesis, reference),
        baseline=None if baseline is None else mark_differences(baseline, reference),
    )


def _beside_baseline(example: Example) -> Sentence:
    hypothesis, baseline = shown(example.hypothesis), shown(example.baseline or "")
    return Sentence(
        example,
        source=None if example.source is None else [Part(shown(example.source))],
        reference=[Part(shown(example.reference))],
        hypothesis=mark_differences(hypothesis, baseline),
        baseline=mark_differences(baseline, hypothesis),
    )


def shown(text: str) -> str:
    """Return a text as a page can show it: no longer than it may be, with every character seen."""
    rest = len(text) - MAX_CHARACTERS
    if rest > 0:
        text = f"{text[:MAX_CHARACTERS]} \u2026 ({rest:,} more characters)"
    return _UNSEEN.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode has a picture of each
    return "\u2421" if code == 0x7F else "\ufffd"


def _language(tag: str) -> str:
    """Return the English name of a language, or its tag where it has none."""
    try:
        language = langcodes.Language.get(tag)
    except LanguageTagError:
        return tag
    return language.display_name() if language.is_valid() else tag


def _moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%-d %B %Y, %H:%M:%S} UTC"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _chance(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.0005 else f"p = {p_value:.3f}"


def _items(part: BaseModel) -> list[tuple[str, object]]:
    """List what is set of a part of a report."""
    return [(name, value) for name, value in part if value is not None]


def _resampled(report: Report) -> str:
    """Tell which tests were made, and with how many samples."""
    made = [
        f"{_TESTS[test.test]} of {test.samples:,} samples"
        for comparison in report.comparison
        for test in comparison.tests
    ]
    return ", ".join(dict.fromkeys(made))


def _command(report: Report) -> str | None:
    """Return the command that prints the same scores, where one run of it can."""
    names = [result.metric for result in report.metrics]
    is_one = all("nrefs:1" in result.signature.split("|") for result in report.metrics)
    if not is_one or "chrf++" in names:
        return None
    pair = f"{report.pair.source}-{report.pair.target}"
    return f"sacrebleu references.txt -i hypotheses.txt -l {pair} -m {' '.join(names)} -w 2"


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "shown": shown,
    "signed": signed,
    "language": _language,
    "moment": _moment,
    "duration": _duration,
    "chance": _chance,
    "items_of": _items,
}
