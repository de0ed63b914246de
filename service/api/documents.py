"""Documents in the native API: upload, look how far it is, download, delete."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response, UploadFile
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.access import Caller
from service.api.dependencies import (
    CurrentDocuments,
    CurrentGlossaries,
    CurrentIntake,
    DocumentsCaller,
    Limits,
)
from service.api.dialect import dialect, failures
from service.api.downloads import file_response
from service.api.failure import FAILURES, Failure, FailureBody, describe, render
from service.documents import AUTO, Document, DocumentOptions, DocumentState, Upload
from service.engine import Term
from service.errors import InvalidRequest, Overloaded
from service.glossaries import Glossaries

POLL_SECONDS = 1

router = APIRouter(
    prefix="/v1/documents", tags=["documents"], route_class=dialect(render), responses=FAILURES
)


class DocumentForm(BaseModel):
    """A file and how to translate it."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="The end of its name tells its format.")
    source: str = Field(
        AUTO, description="Language of the file; `auto` finds one for all of it.", examples=["de"]
    )
    target: str = Field(description="Language to translate into.", examples=["en"])
    encoding: str | None = Field(
        None,
        description="Of a text that does not say it itself; UTF-8 if not given.",
        examples=["latin-1"],
    )
    columns: str | None = Field(
        None,
        description="Of a table, the columns to translate, by their names or numbers from 1, with "
        "commas between; all if not given.",
        examples=["title,3"],
    )
    mark_fuzzy: bool = Field(
        False, description="Whether the entries of a catalogue are marked as fuzzy."
    )
    glossary: str | None = Field(
        None, description="Id of a glossary whose terms are used; `source` must be given then."
    )
    beam: int | None = Field(None, ge=1, description="Beam width; the model's own if not given.")


class Progress(BaseModel):
    """How much is done."""

    done: int = Field(description="Segments that have been translated.")
    total: int = Field(description="Segments of the document.")


class DocumentBody(BaseModel):
    """A document and how far it is."""

    id: str
    status: DocumentState
    progress: Progress
    seconds_remaining: int | None = Field(description="By the progress so far, if there is any.")
    characters: int = Field(description="Characters of all segments.")
    source: str
    target: str
    file_name: str
    poll_url: str = Field(description="Where to ask again.")
    result_url: str | None = Field(description="Where the translation is, once it is done.")
    expires: AwareDatetime = Field(description="When it is removed, if nothing happens to it.")
    error: Failure | None = Field(description="Why it failed.")


@router.post(
    "",
    status_code=202,
    responses={
        202: {
            "headers": {
                "Location": {"schema": {"type": "string"}, "description": "Where to ask for it"},
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"},
            }
        },
        **failures(FailureBody, 404, 415),
    },
)
async def submit_document(  # noqa: PLR0913, PLR0917  # one parameter for each thing it is handed
    caller: DocumentsCaller,
    form: Annotated[DocumentForm, Form(media_type="multipart/form-data")],
    request: Request,
    response: Response,
    documents: CurrentDocuments,
    glossaries: CurrentGlossaries,
    limits: Limits,
    intake: CurrentIntake,
) -> DocumentBody:
    """Upload a file; a job translates it."""
    if not intake.is_open:
        raise Overloaded("the service is shutting down")
    if form.beam is not None and form.beam > limits.max_beam:
        message = f"beam: {form.beam} exceeds {limits.max_beam}"
        raise InvalidRequest(message, field="beam", limit=limits.max_beam)
    options = DocumentOptions(
        encoding=form.encoding,
        columns=_columns(form.columns),
        mark_fuzzy=form.mark_fuzzy,
        beam=form.beam,
        terms=await _terms(form, glossaries, caller),
    )
    content, name = await form.file.read(), form.file.filename or ""
    upload = Upload(content, name, form.target, form.source, caller.id or None, options)
    document = await documents.submit(upload, caller.charge)
    body = _body(request, document)
    response.headers["Location"] = body.poll_url
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return body


@router.get("/{id}", responses=failures(FailureBody, 404))
async def find_document(
    caller: DocumentsCaller,
    id: str,
    request: Request,
    response: Response,
    documents: CurrentDocuments,
) -> DocumentBody:
    """Tell how far a document is."""
    body = _body(request, await documents.find(id, owner=caller.id or None))
    if body.status in ("queued", "translating"):
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return body


@router.get(
    "/{id}/result",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
            "description": "The translated file, of the type of its format",
        },
        **failures(FailureBody, 404, 409),
    },
)
async def read_document(caller: DocumentsCaller, id: str, documents: CurrentDocuments) -> Response:
    """Download a translated file."""
    return file_response(await documents.read(id, owner=caller.id or None))


@router.delete("/{id}", status_code=204, responses=failures(FailureBody, 404))
async def delete_document(caller: DocumentsCaller, id: str, documents: CurrentDocuments) -> None:
    """Stop translating a document, if it is under way, and remove all that is kept of it."""
    await documents.delete(id, owner=caller.id or None)


async def _terms(form: DocumentForm, glossaries: Glossaries, caller: Caller) -> tuple[Term, ...]:
    if not form.glossary:
        return ()
    if form.source == AUTO:
        raise InvalidRequest("glossary: needs the source language to be given", field="source")
    return await asyncio.to_thread(
        glossaries.terms, form.glossary, form.source, form.target, caller.id
    )


def _columns(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def _body(request: Request, document: Document) -> DocumentBody:
    poll_url = f"{router.prefix}/{document.id}"
    return DocumentBody(
        id=document.id,
        status=document.state,
        progress=Progress(done=document.done, total=document.total),
        seconds_remaining=document.seconds_remaining,
        characters=document.characters,
        source=document.source,
        target=document.target,
        file_name=document.file_name,
        poll_url=poll_url,
        result_url=f"{poll_url}/result" if document.state == "done" else None,
        expires=document.expires,
        error=describe(request, document.failure) if document.failure else None,
    )
