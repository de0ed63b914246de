"""What becomes of a request before it is kept: models are chosen, lines counted and compared."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic_core import to_json

from service.engine import Library, Models, closest, parse_model
from service.errors import InvalidRequest, TextTooLong, TooLarge
from service.evaluation import check_metrics
from service.evaluations.files import (
    BASELINE,
    HYPOTHESES,
    SOURCE,
    Decode,
    Measures,
    ModelChoice,
    Part,
    Record,
    reference,
)
from service.evaluations.report import BaselineKind
from service.test_sets import TestSets

CHUNK_CHARACTERS = 16_000
"""Half a second of work for two cores: what a crash may lose, and how often progress is told."""
MAX_REFERENCES = 16

_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_BREAK = re.compile(r"[\r\n]")


@dataclass(frozen=True, slots=True)
class EvaluationLimits:
    """The most that is accepted, and how long it is kept."""

    max_lines: int
    max_line_characters: int
    max_evaluations: int
    """Kept at a time, of all owners."""
    keep_seconds: float
    """Since the evaluation was last worked on."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a caller wants to have measured; what is None was not said."""

    measures: Measures
    decode: Decode | None = None
    pair: str | None = None
    """Such as `de-en`."""
    model: str | None = None
    """NAME or NAME@VERSION; the model that serves the pair if None."""
    source: Sequence[str] | None = None
    references: Sequence[Sequence[str]] | None = None
    """One whole list of lines for each set of references."""
    test_set: str | None = None
    hypotheses: Sequence[str] | None = None
    """To be measured instead of a model."""
    baseline: str | None = None
    """A model."""
    baseline_job: str | None = None
    baseline_hypotheses: Sequence[str] | None = None
    key: str | None = None
    """Of idempotency: with the same one, a caller gets the same evaluation."""
    owner: str | None = None
    """Who alone may see it; whoever knows its id if None."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An evaluation that is done."""

    record: Record
    hypotheses: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Examined:
    """A request that can be served."""

    record: Record
    texts: Mapping[str, Sequence[str]] = field(repr=False)
    """Lines by the name of their file."""


@dataclass(frozen=True, slots=True)
class _Material:
    source: Sequence[str] | None
    references: Sequence[Sequence[str]]


def examine(
    submission: Submission,
    library: Library,
    test_sets: TestSets,
    limits: EvaluationLimits,
    find_earlier: Callable[[str], Earlier],
) -> Examined:
    """See whether what is asked can be done.

    Args:
        find_earlier: returns another evaluation of the same owner.

    Raises:
        InvalidRequest: it makes no sense, or lines do not match.
        NotFound: there is no such test set, model or evaluation.
        NotReady: the other evaluation is not done.
        Overloaded: the models are still being loaded.
        TextTooLong: a line has too many characters.
        TooLarge: there are too many lines.
    """
    _check_subject(submission)
    _check_comparison(submission)
    _check_lists(submission)
    (source, target), model = _choose(submission, library)
    check_metrics(submission.measures.metrics, target)  # what is missing must not show up later
    material = _material(submission, test_sets, source, target)
    _check_lines(submission, material, limits)
    baseline_model, baseline = _baseline(submission, library, material, find_earlier)
    translating = sum(choice is not None for choice in (model, baseline_model))
    if translating and material.source is None:
        raise InvalidRequest("source: a model needs it", field="source")
    if submission.decode is not None and not translating:
        raise InvalidRequest("decode: no model translates here", field="decode")
    lines = material.source or []
    texts = _texts(submission, material, baseline)
    record = Record(
        owner=submission.owner,
        source=source,
        target=target,
        sentences=len(material.references[0]),
        num_references=len(material.references),
        model=model,
        baseline_kind=_baseline_kind(submission),
        baseline_model=baseline_model,
        baseline_job=submission.baseline_job,
        decode=submission.decode or Decode(),
        measures=submission.measures,
        test_set=submission.test_set,
        has_source=material.source is not None,
        characters=translating * sum(map(len, lines)),
        parts=cut(lines) if translating else (),
        key_sha256=key_hash(submission),
        content_sha256=content_hash(submission),
        texts_sha256=_texts_hash(material),
        created=time.time(),
    )
    return Examined(record, texts)


def cut(lines: Sequence[str]) -> tuple[Part, ...]:
    """Divide lines into chunks, in order; the places are those in a file of all lines."""
    parts: list[Part] = []
    count = characters = begin = end = 0
    for line in lines:
        count, characters, end = count + 1, characters + len(line), end + len(line.encode()) + 1
        if characters >= CHUNK_CHARACTERS:
            parts.append(Part(lines=count, begin=begin, end=end))
            count, characters, begin = 0, 0, end
    if count:
        parts.append(Part(lines=count, begin=begin, end=end))
    return tuple(parts)


def key_hash(submission: Submission) -> str | None:
    """Return what is kept of the owner and his idempotency key."""
    if submission.key is None:
        return None
    return hashlib.sha256(to_json([submission.owner, submission.key])).hexdigest()


def content_hash(submission: Submission) -> str:
    """Return what tells whether two requests ask for the same."""
    said = {
        name: getattr(submission, name)
        for name in Submission.__dataclass_fields__
        if name not in {"key", "owner"}
    }
    return hashlib.sha256(to_json(said)).hexdigest()


def parse_pair(pair: str) -> tuple[str, str]:
    """Return the two languages of a pair such as `de-en` or `en-pt-BR`.

    Raises:
        InvalidRequest: it is none.
    """
    words = pair.split("-")
    splits = [("-".join(words[:i]), "-".join(words[i:])) for i in range(1, len(words))]
    splits = [each for each in splits if all(_TAG.fullmatch(tag) for tag in each)]
    if not splits:
        message = "pair: must be two languages with a hyphen between, such as de-en"
        raise InvalidRequest(message, field="pair")
    # A language is written small, and a region, which may follow one, is not.
    return next((each for each in splits if each[1][0].islower()), splits[0])


def _check_subject(submission: Submission) -> None:
    """Refuse what names nothing to measure, or too much."""
    if submission.hypotheses is not None:
        if submission.model is not None:
            raise InvalidRequest("model: there are hypotheses already", field="model")
        if submission.pair is None:
            message = "pair: must be given with hypotheses, for the target language counts"
            raise InvalidRequest(message, field="pair")
    elif submission.model is None and submission.pair is None:
        raise InvalidRequest("pair: neither it nor model nor hypotheses are given", field="pair")


def _check_comparison(submission: Submission) -> None:
    """Refuse more than one baseline."""
    names = ("baseline", "baseline_job", "baseline_hypotheses")
    given = [name for name in names if getattr(submission, name) is not None]
    if len(given) > 1:
        raise InvalidRequest(f"{given[1]}: there is {given[0]} already", field=given[1])


def _check_lists(submission: Submission) -> None:
    """Refuse what names no lines, or those of a test set and others."""
    if submission.test_set is None and submission.references is None:
        message = "references: neither they nor test_set are given"
        raise InvalidRequest(message, field="references")
    for name in ("source", "references"):
        if submission.test_set is not None and getattr(submission, name) is not None:
            raise InvalidRequest(f"{name}: the test set has its own", field=name)


def _choose(submission: Submission, library: Library) -> tuple[tuple[str, str], ModelChoice | None]:
    """Return the languages and the model, if one is to be measured."""
    if submission.hypotheses is not None:
        return parse_pair(submission.pair or ""), None
    if submission.model is not None:
        choice = _identify(submission.model, library, "model")
        with library.hold() as models:
            return _direction(submission, models, choice), choice
    pair = parse_pair(submission.pair or "")
    with library.hold() as models:
        found = models.find(*pair).model.split("+")
    if len(found) > 1:
        message = f"pair: two models translate it in a row, {' and '.join(found)}; measure each"
        raise InvalidRequest(message, field="pair")
    name, _, version = found[0].rpartition("/")
    return pair, ModelChoice(name=name, version=version)


def _direction(submission: Submission, models: Models, choice: ModelChoice) -> tuple[str, str]:
    described = [
        each
        for each in models.describe()
        if (each.name, each.version) == (choice.name, choice.version)
    ]
    directions = [(d.source, d.target) for each in described for d in each.directions]
    if submission.pair is None:
        if len(directions) == 1:
            return directions[0]
        message = f"pair: must be given, for {choice.name} may have several directions"
        raise InvalidRequest(message, field="pair")
    pair = parse_pair(submission.pair)
    # What does not serve is loaded by the job, which finds out the same.
    sources, targets = {source for source, _ in directions}, {target for _, target in directions}
    if directions and not (closest(pair[0], sources) and closest(pair[1], targets)):
        identity = f"{choice.name}@{choice.version}"
        raise InvalidRequest(f"pair: {identity} does not translate it", field="pair")
    return pair


def _identify(spec: str, library: Library, field: str) -> ModelChoice:
    name, version = library.identify(*parse_model(spec, field=field))
    return ModelChoice(name=name, version=version)


def _material(submission: Submission, test_sets: TestSets, source: str, target: str) -> _Material:
    if submission.test_set is not None:
        found = test_sets.read(submission.test_set, source, target)
        return _Material(found.source, found.references)
    return _Material(submission.source, submission.references or [])


def _check_lines(submission: Submission, material: _Material, limits: EvaluationLimits) -> None:
    """Refuse lists that are empty, too long or of different lengths, and lines that are none."""
    lists = {
        "references" if len(material.references) == 1 else f"references.{i}": lines
        for i, lines in enumerate(material.references)
    }
    optional = {
        "source": material.source,
        "hypotheses": submission.hypotheses,
        "baseline_hypotheses": submission.baseline_hypotheses,
    }
    lists |= {name: lines for name, lines in optional.items() if lines is not None}
    if not 1 <= len(material.references) <= MAX_REFERENCES:
        message = f"references: {len(material.references)} sets are not 1 to {MAX_REFERENCES}"
        raise InvalidRequest(message, field="references", limit=MAX_REFERENCES)
    first = next(iter(lists))
    for name, lines in lists.items():
        where = "test_set" if submission.test_set and name.startswith(("so", "re")) else name
        if not lines:
            raise InvalidRequest(f"{name}: there are no lines", field=where)
        if len(lines) != len(lists[first]):
            message = f"{name}: {len(lines)} lines for the {len(lists[first])} of {first}"
            raise InvalidRequest(message, field=where)
        if len(lines) > limits.max_lines:
            message = f"{name}: {len(lines)} lines exceed {limits.max_lines}"
            raise TooLarge(message, field=where, limit=limits.max_lines)
        for i, line in enumerate(lines):
            _check_line(f"{name}.{i}", line, limits.max_line_characters)


def _check_line(where: str, line: str, most: int) -> None:
    if len(line) > most:
        raise TextTooLong(f"{where}: {len(line)} characters exceed {most}", field=where, limit=most)
    if _BREAK.search(line):
        raise InvalidRequest(f"{where}: there is a line break in this line", field=where)
    if "\0" in line:
        raise InvalidRequest(f"{where}: there is a character NUL in this line", field=where)
    try:
        line.encode()
    except UnicodeEncodeError:
        message = f"{where}: there is half of a surrogate pair in this line"
        raise InvalidRequest(message, field=where) from None


def _baseline(
    submission: Submission,
    library: Library,
    material: _Material,
    find_earlier: Callable[[str], Earlier],
) -> tuple[ModelChoice | None, Sequence[str] | None]:
    """Return the model to compare with, or the lines."""
    if submission.baseline is not None:
        return _identify(submission.baseline, library, "baseline"), None
    if submission.baseline_job is None:
        return None, submission.baseline_hypotheses
    earlier = find_earlier(submission.baseline_job)
    if earlier.record.texts_sha256 != _texts_hash(material):
        message = f"baseline_job: {submission.baseline_job} is about other lines"
        raise InvalidRequest(message, field="baseline_job")
    return None, earlier.hypotheses


def _baseline_kind(submission: Submission) -> BaselineKind | None:
    if submission.baseline is not None:
        return "model"
    if submission.baseline_job is not None:
        return "job"
    return None if submission.baseline_hypotheses is None else "hypotheses"


def _texts(
    submission: Submission, material: _Material, baseline: Sequence[str] | None
) -> dict[str, Sequence[str]]:
    texts = {reference(i): lines for i, lines in enumerate(material.references, start=1)}
    optional = {SOURCE: material.source, HYPOTHESES: submission.hypotheses, BASELINE: baseline}
    return texts | {name: lines for name, lines in optional.items() if lines is not None}


def _texts_hash(material: _Material) -> str:
    """Return what tells whether two evaluations are about the same lines."""
    lines = "\n".join(material.references[0])
    return hashlib.sha256(lines.encode()).hexdigest()
