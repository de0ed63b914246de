"""Batches in the native API: upload as a stream, look how far it is, download, delete.

`GET /v1/batches/{id}/events` tells how far one is as server-sent events:

    progress   whenever there is some; the data is that of `GET /v1/batches/{id}`
    end        it is over; the same data
    error      what went wrong: it was deleted, or the service ends; the end
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import FileResponse

from service.access import Caller
from service.api.dependencies import (
    CurrentAccess,
    CurrentBatches,
    CurrentGlossaries,
    CurrentIntake,
    DocumentsCaller,
    Limits,
    RequestLimits,
)
from service.api.dialect import dialect, failures
from service.api.events import follow
from service.api.failure import FAILURES, Failure, FailureBody, describe, render
from service.batches import Batch, BatchFormat, Order
from service.engine import Term
from service.errors import InvalidRequest, Overloaded
from service.glossaries import Glossaries
from service.jobs import UNDER_WAY, JobState

POLL_SECONDS = 1
STALL_SECONDS = 60.0
"""After which an upload of which nothing more comes is given up."""
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-\d{1,18})")
_TYPES = (
    "application/octet-stream",
    "text/plain",
    "text/tab-separated-values",
    "application/x-tmx+xml",
)
"""Of an upload. They describe it and decide nothing, for the format is named."""

router = APIRouter(
    prefix="/v1/batches", tags=["batches"], route_class=dialect(render), responses=FAILURES
)


class BatchQuery(BaseModel):
    """What the file is, and how to translate it."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(
        min_length=1, max_length=100, description="Language of the texts.", examples=["de"]
    )
    target: str = Field(
        min_length=1, max_length=100, description="Language to translate into.", examples=["en"]
    )
    format: BatchFormat = Field(
        "lines",
        description="`lines`: a text in each. `tsv`: a text in a column of each row, cells divided "
        "by tabs, nothing quoted. `tmx`: a text in each unit that lacks the target language.",
    )
    column: str = Field(
        "1",
        min_length=1,
        max_length=100,
        description="Of `tsv`, the column to translate: its number from 1, or its name, if the "
        "first row has names.",
        examples=["sentence"],
    )
    encoding: str | None = Field(
        None,
        max_length=100,
        description="Of lines and tables without a byte order mark; UTF-8 if not given.",
        examples=["latin-1"],
    )
    glossary: str | None = Field(None, description="Id of a glossary whose terms are used.")
    beam: int | None = Field(None, ge=1, description="Beam width; the model's own if not given.")
    length_penalty: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Exponent of the length normalisation; the model's own if not given.",
    )
    split: Literal["sentences", "lines"] = Field(
        "sentences", description="Whether sentences are found in a text, or each text is one."
    )


class BatchProgress(BaseModel):
    """How much is done."""

    done: int = Field(description="Lines, rows or units that have been translated.")
    total: int = Field(description="Those of the file.")


class BatchCounts(BaseModel):
    """Texts whose translation may not be as it should be."""

    model_config = ConfigDict(from_attributes=True)

    truncated: int = Field(description="A sentence was cut off at its greatest length.")
    repetition_stopped: int = Field(description="A sentence was ended, for it repeated itself.")
    placeholder_lost: int = Field(description="A placeholder or tag of the source is missing.")
    empty: int = Field(description="There is none.")


class BatchBody(BaseModel):
    """A batch and how far it is."""

    job_id: str
    status: JobState
    progress: BatchProgress
    seconds_remaining: int | None = Field(description="By the progress so far, if there is any.")
    format: BatchFormat
    source: str
    target: str
    characters: int = Field(description="Characters of all texts that are translated.")
    models: list[str] | None = Field(
        description="Names and versions of those that translated it, once it is done."
    )
    counts: BatchCounts | None = Field(description="Once it is done.")
    poll_url: str = Field(description="Where to ask again.")
    result_url: str | None = Field(description="Where the translation is, once it is done.")
    created: AwareDatetime
    expires: AwareDatetime = Field(description="When it is removed, if nothing happens to it.")
    error: Failure | None = Field(description="Why it failed.")


class BatchesBody(BaseModel):
    """Batches, the newest first."""

    batches: list[BatchBody]


def _upload() -> dict[str, Any]:
    schema = {"type": "string", "format": "binary"}
    return {
        "requestBody": {
            "description": "The file itself.",
            "required": True,
            "content": {media_type: {"schema": schema} for media_type in _TYPES},
        }
    }


@router.post(
    "",
    status_code=202,
    openapi_extra=_upload(),
    responses={
        202: {
            "headers": {
                "Location": {"schema": {"type": "string"}, "description": "Where to ask for it"},
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"},
            }
        },
        **failures(FailureBody, 404),
    },
)
async def submit_batch(  # noqa: PLR0913, PLR0917  # one parameter for each thing it is handed
    caller: DocumentsCaller,
    query: Annotated[BatchQuery, Query()],
    request: Request,
    response: Response,
    batches: CurrentBatches,
    glossaries: CurrentGlossaries,
    limits: Limits,
    intake: CurrentIntake,
) -> BatchBody:
    """Upload a file of any size, as it is; a job translates it."""
    if not intake.is_open:
        raise Overloaded("the service is shutting down")
    _check(query, limits)
    order = Order(
        format=query.format,
        source=query.source,
        target=query.target,
        column=query.column,
        encoding=query.encoding,
        owner=caller.id or None,
        beam=query.beam,
        length_penalty=query.length_penalty,
        split=query.split,
        terms=await _terms(query, glossaries, caller),
    )
    body = _body(request, await batches.submit(order, _blocks(request), caller.charge))
    response.headers["Location"] = body.poll_url
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return body


@router.get("")
async def list_batches(  # one parameter for each thing it is handed
    caller: DocumentsCaller,
    request: Request,
    batches: CurrentBatches,
    access: CurrentAccess,
    status: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="The most to be listed.")] = 100,
) -> BatchesBody:
    """List the caller's own batches, the newest first."""
    if not caller.id and access.policy.keys != "off":
        return BatchesBody(batches=[])  # nobody knows which of those without a key are his
    found = await batches.list(owner=caller.id or None, state=status, most=limit)
    return BatchesBody(batches=[_body(request, each) for each in found])


@router.get("/{id}", responses=failures(FailureBody, 404))
async def find_batch(
    caller: DocumentsCaller, id: str, request: Request, response: Response, batches: CurrentBatches
) -> BatchBody:
    """Tell how far a batch is."""
    batch = await batches.find(id, owner=caller.id or None)
    if batch.state in UNDER_WAY:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return _body(request, batch)


async def _batch(caller: DocumentsCaller, id: str, batches: CurrentBatches) -> Batch:
    return await batches.find(id, owner=caller.id or None)


@router.get(
    "/{id}/events", response_class=EventSourceResponse, responses=failures(FailureBody, 404)
)
async def follow_batch(
    caller: DocumentsCaller,
    request: Request,
    batches: CurrentBatches,
    intake: CurrentIntake,
    batch: Annotated[Batch, Depends(_batch)],  # before the first event
) -> AsyncIterator[ServerSentEvent]:
    """Tell how far a batch is, as events, until it is over."""

    async def find() -> Batch:
        return await batches.find(batch.id, owner=caller.id or None)

    async for event in follow(request, intake, batch, find, partial(_body, request)):
        yield event


@router.post("/{id}/cancel", responses=failures(FailureBody, 404))
async def cancel_batch(
    caller: DocumentsCaller, id: str, request: Request, batches: CurrentBatches
) -> BatchBody:
    """Give a batch up; what is known of it stays. One that is over stays as it is."""
    return _body(request, await batches.cancel(id, owner=caller.id or None))


@router.get(
    "/{id}/result",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
            "description": "The translated file",
        },
        206: {"description": "The `Range` of it that was asked for"},
        416: {"description": "It has no such range"},
        **failures(FailureBody, 404, 409),
    },
)
async def read_batch(
    caller: DocumentsCaller, id: str, request: Request, batches: CurrentBatches
) -> Response:
    """Download a translated file."""
    result = await batches.result(id, owner=caller.id or None)
    _ignore_senseless_range(request)
    return FileResponse(result.path, media_type=result.media_type, filename=result.file_name)


@router.delete("/{id}", status_code=204, responses=failures(FailureBody, 404))
async def delete_batch(caller: DocumentsCaller, id: str, batches: CurrentBatches) -> None:
    """Give a batch up, if it is under way, and remove all that is kept of it."""
    await batches.delete(id, owner=caller.id or None)


def _ignore_senseless_range(request: Request) -> None:
    """Take a range that is none for no range, as RFC 9110, 14.2, has it; Starlette refuses it."""
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    begin, end = match.groups() if match else ("", "")
    if match is None or (begin and end and int(end) < int(begin)):
        headers = request.scope["headers"]
        request.scope["headers"] = [each for each in headers if each[0] != b"range"]


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes, as long as it does.

    Raises:
        InvalidRequest: nothing more comes.
    """
    blocks = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                block = await anext(blocks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            message = f"body: nothing came for {STALL_SECONDS:g} seconds"
            raise InvalidRequest(message, field="body", limit=STALL_SECONDS) from None
        yield block


def _check(query: BatchQuery, limits: RequestLimits) -> None:
    most = {"beam": limits.max_beam, "length_penalty": limits.max_penalty}
    for name, limit in most.items():
        value = getattr(query, name)
        if value is not None and value > limit:
            raise InvalidRequest(f"{name}: {value} exceeds {limit}", field=name, limit=limit)


async def _terms(query: BatchQuery, glossaries: Glossaries, caller: Caller) -> tuple[Term, ...]:
    if not query.glossary:
        return ()
    return await asyncio.to_thread(
        glossaries.terms, query.glossary, query.source, query.target, caller.id
    )


def _body(request: Request, batch: Batch) -> BatchBody:
    record, summary = batch.record, batch.summary
    poll_url = f"{router.prefix}/{batch.id}"
    return BatchBody(
        job_id=batch.id,
        status=batch.state,
        progress=BatchProgress(done=batch.done, total=record.size),
        seconds_remaining=batch.seconds_remaining,
        format=record.layout.format,
        source=record.layout.source,
        target=record.layout.target,
        characters=record.characters,
        models=list(summary.models) if summary else None,
        counts=BatchCounts.model_validate(summary) if summary else None,
        poll_url=poll_url,
        result_url=f"{poll_url}/result" if batch.state == "done" else None,
        created=datetime.fromtimestamp(record.created, UTC),
        expires=batch.expires,
        error=describe(request, batch.failure) if batch.failure else None,
    )
