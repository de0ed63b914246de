"""Evaluations in the native API: measure a model or hypotheses, look how far it is, fetch, delete.

`GET /v1/evaluations/{id}/events` tells how far one is as server-sent events:

    progress   whenever there is some; the data is that of `GET /v1/evaluations/{id}`
    end        it is over; the same data, with the report if it is done
    error      what went wrong: it was deleted, or the service ends; the end
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, from_json
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from service.access import Caller
from service.api.bodies import JSON, MULTIPART, parse, request_body
from service.api.dependencies import (
    CurrentAccess,
    CurrentEvaluations,
    CurrentIntake,
    EvaluatingCaller,
    Limits,
    RequestLimits,
)
from service.api.dialect import dialect, failures
from service.api.events import follow
from service.api.failure import FAILURES, Failure, FailureBody, describe, render
from service.errors import InvalidRequest, Overloaded
from service.evaluation import ALL_METRICS, MetricName, PairedTest
from service.evaluations import (
    BASELINE,
    HYPOTHESES,
    MAX_REFERENCES,
    SOURCE,
    Decode,
    Evaluation,
    Evaluations,
    Measures,
    Report,
    Submission,
    reference,
)
from service.evaluations.report_html import HEADERS, render_report
from service.jobs import UNDER_WAY, JobState
from service.test_sets import parse_lines

POLL_SECONDS = 1
_MAX_FIELDS = 100

router = APIRouter(
    prefix="/v1", tags=["evaluations"], route_class=dialect(render), responses=FAILURES
)

Penalty = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _as_sets(references: object) -> object:
    """Return lists of lines, of which one may stand alone."""
    if isinstance(references, list) and references and isinstance(references[0], str):
        return [references]
    if isinstance(references, list):
        return references
    raise PydanticCustomError("references_type", "Input should be a list of lines, or of such")


_STRINGS = {"type": "array", "items": {"type": "string"}}
# Fails at the first line that is none: a failure of a kilobyte for each would fill the memory.
Lines = Annotated[
    list[str], Field(fail_fast=True, examples=[["Guten Morgen.", "Wie geht es dir?"]])
]
References = Annotated[
    list[Annotated[list[str], Field(fail_fast=True)]],
    Field(fail_fast=True),
    BeforeValidator(_as_sets),
    WithJsonSchema(
        {
            "anyOf": [_STRINGS, {"type": "array", "items": _STRINGS}],
            "description": "Lines, or several lists of lines, one for each set of references.",
            "examples": [["Good morning.", "How are you?"]],
        }
    ),
]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _check_number(cls, fields: object) -> object:
        if isinstance(fields, dict) and len(fields) > _MAX_FIELDS:
            raise PydanticCustomError(
                "too_many_fields", "Input should have {most} fields at most", {"most": _MAX_FIELDS}
            )
        return fields


class DecodeBody(_Asked):
    """How to search, as in `POST /v1/translate`."""

    beam: int | None = Field(None, ge=1, description="Beam width; 1 is greedy search.")
    length_penalty: Penalty | None = Field(None, description="Of the length normalisation.")
    max_tokens: int | None = Field(None, ge=1, description="Most target tokens of a sentence.")
    no_repeat_ngram: int = Field(0, ge=0, description="Tokens that occur only once in a row.")
    coverage_penalty: Penalty = Field(0.0, description="For source tokens left untranslated.")


class ConfidenceBody(_Asked):
    """How sure the scores are."""

    n: int = Field(
        1000, ge=0, le=10_000, description="Resamples of the bootstrap; 0 for no intervals."
    )
    seed: int = Field(12345, ge=0, le=4_294_967_295, description="Of all random numbers.")


class EvaluationRequest(_Asked):
    """What to measure, on which lines, and what to compare it with."""

    pair: str | None = Field(
        None,
        description="Languages with a hyphen between. The model that serves them is measured, "
        "if neither another one nor hypotheses are given.",
        examples=["de-en"],
    )
    model: str | None = Field(
        None, description="`NAME`, which is the version that serves, or `NAME@VERSION`."
    )
    source: Lines | None = Field(None, description="One text for each line.")
    references: References | None = None
    test_set: str | None = Field(
        None, description="Name of one of `GET /v1/test-sets`, instead of source and references."
    )
    hypotheses: Lines | None = Field(None, description="To be measured instead of a model.")
    baseline: str | None = Field(None, description="A model to compare with.")
    baseline_job: str | None = Field(
        None, description="Id of an evaluation of the same lines, to compare with its hypotheses."
    )
    baseline_hypotheses: Lines | None = Field(None, description="To compare with.")
    metrics: list[MetricName] = Field(list(ALL_METRICS), min_length=1, max_length=8)
    decode: DecodeBody | None = Field(None, description="The models' own choice if not given.")
    confidence: ConfidenceBody = ConfidenceBody(n=1000, seed=12345)
    paired: PairedTest = Field(
        "bootstrap", description="How to tell a difference to the baseline from chance."
    )
    examples: int = Field(
        20, ge=0, le=1000, description="The worst and the most changed lines to report."
    )
    idempotency_key: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="Who sends a request again with the same key gets the same evaluation. The "
        "header `Idempotency-Key` says the same.",
    )


_File = Annotated[
    str | None,
    Field(
        json_schema_extra={"format": "binary"},
        description="A file of lines in UTF-8, or the lines themselves.",
    ),
]


class EvaluationForm(BaseModel):
    """The same as a form: lines as files, and what is no text as JSON."""

    model_config = ConfigDict(extra="forbid")

    pair: str | None = None
    model: str | None = None
    source: _File = None
    reference: list[str] = Field(
        [], description="Files of lines in UTF-8, one for each set of references."
    )
    test_set: str | None = None
    hypotheses: _File = None
    baseline: str | None = None
    baseline_job: str | None = None
    baseline_hypotheses: _File = None
    metrics: str | None = Field(None, description="With commas between.", examples=["bleu,chrf"])
    decode: str | None = Field(None, description="JSON.", examples=['{"beam": 4}'])
    confidence: str | None = Field(None, description="JSON.", examples=['{"n": 0}'])
    paired: PairedTest | None = None
    examples: int | None = None
    idempotency_key: str | None = None


class Progress(BaseModel):
    """How much is translated."""

    done: int = Field(description="Lines that models have translated.")
    total: int = Field(description="Lines to translate, by all models; 0 if none does.")


class EvaluationSummary(BaseModel):
    """An evaluation and how far it is."""

    job_id: str
    status: JobState
    progress: Progress
    pair: str
    model: str | None = Field(description="`NAME@VERSION`; null if the hypotheses were given.")
    baseline: str | None = Field(
        description="`NAME@VERSION`, `job ID` or `hypotheses`; null if there is none."
    )
    test_set: str | None
    sentences: int = Field(description="Lines of the source.")
    characters: int = Field(description="To translate, by all models.")
    scores: dict[MetricName, float] | None = Field(description="If it is done.")
    poll_url: str = Field(description="Where to ask again.")
    created: AwareDatetime
    expires: AwareDatetime = Field(description="When it is removed, if nothing happens to it.")
    error: Failure | None = Field(description="Why it failed.")


class EvaluationBody(EvaluationSummary):
    """The same with what came out."""

    report: Report | None = Field(description="If it is done.")


class EvaluationsBody(BaseModel):
    """The evaluations of a caller, the newest first."""

    evaluations: list[EvaluationSummary]


class NamedTestSet(BaseModel):
    """A test set that the service has."""

    name: str
    languages: dict[str, int] = Field(
        description="How many versions there are of each; with several, all are references.",
        examples=[{"de": 1, "en": 2}],
    )


class NamedTestSets(BaseModel):
    """The test sets that the service has."""

    test_sets: list[NamedTestSet]


_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
_WHERE = {"Location": {"schema": {"type": "string"}, "description": "Where to ask for it"}}
_FORM_BODY = request_body(EvaluationForm, MULTIPART)["requestBody"]["content"]
_JSON_BODY = request_body(EvaluationRequest, JSON)["requestBody"]["content"]
_BODY = {"requestBody": {"content": {**_JSON_BODY, **_FORM_BODY}, "required": True}}


@router.post(
    "/evaluations",
    status_code=202,
    openapi_extra=_BODY,
    responses={202: {"headers": _WHERE | _RETRY}, **failures(FailureBody, 404, 409)},
)
async def submit_evaluation(  # noqa: PLR0913, PLR0917  # one parameter for each thing it is handed
    caller: EvaluatingCaller,
    request: Request,
    response: Response,
    evaluations: CurrentEvaluations,
    limits: Limits,
    intake: CurrentIntake,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> EvaluationBody:
    """Begin to measure a model, or hypotheses; a job does it."""
    if not intake.is_open:
        raise Overloaded("the service is shutting down")
    asked = parse(EvaluationRequest, await _read_fields(request))
    _check(asked, limits)
    submission = _submission(asked, caller, idempotency_key)
    body = _body(request, await evaluations.submit(submission, caller.charge))
    response.headers["Location"] = body.poll_url
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return body


@router.get("/evaluations")
async def list_evaluations(  # one parameter for each thing it is handed
    caller: EvaluatingCaller,
    request: Request,
    evaluations: CurrentEvaluations,
    access: CurrentAccess,
    status: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="The most to be listed.")] = 100,
) -> EvaluationsBody:
    """List the caller's own evaluations, the newest first."""
    if not caller.id and access.policy.keys != "off":
        return EvaluationsBody(evaluations=[])  # nobody knows which of those without a key are his
    found = await evaluations.find_all(owner=caller.id or None, state=status, most=limit)
    return EvaluationsBody(evaluations=[_summary(request, each) for each in found])


@router.get("/evaluations/{id}", responses=failures(FailureBody, 404))
async def find_evaluation(
    caller: EvaluatingCaller,
    id: str,
    request: Request,
    response: Response,
    evaluations: CurrentEvaluations,
) -> EvaluationBody:
    """Tell how far an evaluation is, and what came out if it is done."""
    evaluation = await evaluations.find(id, owner=caller.id or None)
    if evaluation.state in UNDER_WAY:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return _body(request, evaluation)


async def _evaluation(
    caller: EvaluatingCaller, id: str, evaluations: CurrentEvaluations
) -> Evaluation:
    return await evaluations.find(id, owner=caller.id or None)


@router.get(
    "/evaluations/{id}/events",
    response_class=EventSourceResponse,
    responses=failures(FailureBody, 404),
)
async def follow_evaluation(
    caller: EvaluatingCaller,
    request: Request,
    evaluations: CurrentEvaluations,
    intake: CurrentIntake,
    evaluation: Annotated[Evaluation, Depends(_evaluation)],  # before the first event
) -> AsyncIterator[ServerSentEvent]:
    """Tell how far an evaluation is, as events, until it is over."""

    async def find() -> Evaluation:
        return await evaluations.find(evaluation.id, owner=caller.id or None)

    async for event in follow(request, intake, evaluation, find, partial(_body, request)):
        yield event


@router.post("/evaluations/{id}/cancel", responses=failures(FailureBody, 404))
async def cancel_evaluation(
    caller: EvaluatingCaller, id: str, request: Request, evaluations: CurrentEvaluations
) -> EvaluationBody:
    """Give an evaluation up; what is known of it stays. One that is over stays as it is."""
    return _body(request, await evaluations.cancel(id, owner=caller.id or None))


@router.delete("/evaluations/{id}", status_code=204, responses=failures(FailureBody, 404))
async def delete_evaluation(
    caller: EvaluatingCaller, id: str, evaluations: CurrentEvaluations
) -> None:
    """Give an evaluation up, if it is under way, and remove all that is kept of it."""
    await evaluations.delete(id, owner=caller.id or None)


def _text_responses(what: str) -> dict[int | str, dict[str, Any]]:
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {200: {"content": content, "description": what}} | failures(FailureBody, 404, 409)


@router.get(
    "/evaluations/{id}/hypotheses.txt",
    response_class=Response,
    responses=_text_responses("What was measured, a line for each of the source"),
)
async def read_hypotheses(
    caller: EvaluatingCaller, id: str, evaluations: CurrentEvaluations
) -> Response:
    """Download what was measured."""
    return await _file(caller, id, evaluations, HYPOTHESES)


@router.get(
    "/evaluations/{id}/baseline.txt",
    response_class=Response,
    responses=_text_responses("What was compared with, a line for each of the source"),
)
async def read_baseline(
    caller: EvaluatingCaller, id: str, evaluations: CurrentEvaluations
) -> Response:
    """Download what it was compared with."""
    return await _file(caller, id, evaluations, BASELINE)


@router.get(
    "/evaluations/{id}/references.txt",
    response_class=Response,
    responses=_text_responses("A set of references, a line for each of the source"),
)
async def read_references(
    caller: EvaluatingCaller,
    id: str,
    evaluations: CurrentEvaluations,
    number: Annotated[
        int, Query(ge=1, le=MAX_REFERENCES, description="Of the set, if there are several.")
    ] = 1,
) -> Response:
    """Download a set of references."""
    return await _file(caller, id, evaluations, reference(number))


@router.get(
    "/evaluations/{id}/source.txt",
    response_class=Response,
    responses=_text_responses("The source, line by line"),
)
async def read_source(
    caller: EvaluatingCaller, id: str, evaluations: CurrentEvaluations
) -> Response:
    """Download the source."""
    return await _file(caller, id, evaluations, SOURCE)


@router.get("/evaluations/{id}/report.json", responses=failures(FailureBody, 404, 409))
async def read_report(caller: EvaluatingCaller, id: str, evaluations: CurrentEvaluations) -> Report:
    """Tell what came out."""
    return await evaluations.report(id, owner=caller.id or None)


@router.get(
    "/evaluations/{id}/report.html",
    response_class=Response,
    responses={
        200: {
            "content": {"text/html": {"schema": {"type": "string"}}},
            "description": "A page in one file, without scripts",
        },
        **failures(FailureBody, 404, 409),
    },
)
async def show_report(
    caller: EvaluatingCaller, id: str, evaluations: CurrentEvaluations
) -> Response:
    """Show what came out as a page, which may be saved and opens offline."""
    report = await evaluations.report(id, owner=caller.id or None)
    page = await asyncio.to_thread(render_report, report)
    return Response(page, media_type="text/html; charset=utf-8", headers=HEADERS)


@router.get("/test-sets")
async def list_test_sets(
    caller: EvaluatingCaller, evaluations: CurrentEvaluations
) -> NamedTestSets:
    """List the test sets that the service has."""
    found = await evaluations.test_sets()
    return NamedTestSets(
        test_sets=[NamedTestSet(name=each.name, languages=dict(each.references)) for each in found]
    )


async def _file(caller: Caller, id: str, evaluations: Evaluations, name: str) -> Response:
    content = await evaluations.read(id, name, owner=caller.id or None)
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


async def _read_fields(request: Request) -> dict[str, Any]:
    """Return the fields of a body as JSON has them, however they came."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type == MULTIPART:
        return await _read_form(request)
    if media_type != JSON:
        message = f"Content-Type must be {JSON} or {MULTIPART}"
        raise InvalidRequest(message, field="Content-Type")
    body = await request.body()
    try:
        # In a thread, for there may be many lines.
        fields = await asyncio.to_thread(from_json, body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest(f"the body is not JSON: {error}", field="body") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("the body must be a JSON object", field="body")
    if len(fields) > _MAX_FIELDS:
        message = f"the body has {len(fields)} fields, more than {_MAX_FIELDS}"
        raise InvalidRequest(message, field="body", limit=_MAX_FIELDS)
    return fields


async def _read_form(request: Request) -> dict[str, Any]:
    try:
        form = await request.form(max_fields=_MAX_FIELDS, max_files=MAX_REFERENCES + 3)
    except HTTPException as error:  # Starlette's, whose detail says what is wrong
        raise InvalidRequest(f"Invalid form: {error.detail}", field="body") from None
    try:
        return await _fields_of(form)
    finally:
        await form.close()


async def _fields_of(form: FormData) -> dict[str, Any]:
    unknown = sorted(set(form) - set(EvaluationForm.model_fields))
    if unknown:
        raise InvalidRequest(f"{unknown[0]}: there is no such field", field=unknown[0])
    fields: dict[str, Any] = {}
    for name in form:
        values = form.getlist(name)
        if len(values) > 1 and name not in {"reference", "metrics"}:
            raise InvalidRequest(f"{name}: is given {len(values)} times", field=name)
        if name == "reference":
            fields["references"] = [await _lines(name, value) for value in values]
        elif name in {"source", "hypotheses", "baseline_hypotheses"}:
            fields[name] = await _lines(name, values[0])
        elif isinstance(values[0], UploadFile):
            raise InvalidRequest(f"{name}: must not be a file", field=name)
        else:
            fields[name] = _FROM_FORM.get(name, _as_it_is)(name, ",".join(map(str, values)))
    return fields


async def _lines(name: str, value: UploadFile | str) -> list[str]:
    content = value.encode() if isinstance(value, str) else await value.read()
    return await asyncio.to_thread(parse_lines, content, name)


def _as_it_is(name: str, text: str) -> object:
    return text


def _from_json(name: str, text: str) -> object:
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        raise InvalidRequest(f"{name}: is not JSON", field=name) from None


def _from_list(name: str, text: str) -> object:
    return [each.strip() for each in text.split(",")]


_FROM_FORM = {
    "decode": _from_json,
    "confidence": _from_json,
    "examples": _from_json,
    "metrics": _from_list,
}


def _check(asked: EvaluationRequest, limits: RequestLimits) -> None:
    if asked.decode is None:
        return
    most: Mapping[str, float] = {
        "beam": limits.max_beam,
        "length_penalty": limits.max_penalty,
        "max_tokens": limits.max_tokens,
        "no_repeat_ngram": limits.max_ngram,
        "coverage_penalty": limits.max_penalty,
    }
    for name, limit in most.items():
        value = getattr(asked.decode, name)
        if value is not None and value > limit:
            field = f"decode.{name}"
            raise InvalidRequest(f"{field}: {value} exceeds {limit}", field=field, limit=limit)


def _submission(asked: EvaluationRequest, caller: Caller, key: str | None) -> Submission:
    if key is not None and asked.idempotency_key not in (None, key):
        message = "idempotency_key: the header Idempotency-Key has another one"
        raise InvalidRequest(message, field="idempotency_key")
    return Submission(
        measures=Measures(
            metrics=tuple(dict.fromkeys(asked.metrics)),
            resamples=asked.confidence.n,
            seed=asked.confidence.seed,
            paired=asked.paired,
            examples=asked.examples,
        ),
        decode=Decode(**asked.decode.model_dump()) if asked.decode else None,
        pair=asked.pair,
        model=asked.model,
        source=asked.source,
        references=asked.references,
        test_set=asked.test_set,
        hypotheses=asked.hypotheses,
        baseline=asked.baseline,
        baseline_job=asked.baseline_job,
        baseline_hypotheses=asked.baseline_hypotheses,
        key=key or asked.idempotency_key,
        owner=caller.id or None,
    )


def _summary(request: Request, evaluation: Evaluation) -> EvaluationSummary:
    record, report = evaluation.record, evaluation.report
    model, other = record.model, record.baseline_model
    baseline: str | None = record.baseline_kind
    if record.baseline_job:
        baseline = f"job {record.baseline_job}"
    return EvaluationSummary(
        job_id=evaluation.id,
        status=evaluation.state,
        progress=Progress(done=evaluation.done, total=evaluation.total),
        pair=f"{record.source}-{record.target}",
        model=f"{model.name}@{model.version}" if model else None,
        baseline=f"{other.name}@{other.version}" if other else baseline,
        test_set=record.test_set,
        sentences=record.sentences,
        characters=record.characters,
        scores={each.metric: each.score for each in report.metrics} if report else None,
        poll_url=f"{router.prefix}/evaluations/{evaluation.id}",
        created=record.created_at,
        expires=evaluation.expires,
        error=describe(request, evaluation.failure) if evaluation.failure else None,
    )


def _body(request: Request, evaluation: Evaluation) -> EvaluationBody:
    summary = _summary(request, evaluation)
    return EvaluationBody(**dict(summary), report=evaluation.report)
