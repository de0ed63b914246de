"""`/v2/document`: a file goes up, one asks how far it is, and downloads it once."""

from pathlib import PurePath
from typing import Literal

from fastapi import APIRouter, Response, UploadFile
from pydantic import BaseModel, Field

from service.api.bodies import MULTIPART, Fields, request_body
from service.api.deepl.answers import FAILURES, DeepLFailure, render
from service.api.deepl.dictionaries import GlossaryChoice, find_terms
from service.api.deepl.fields import Formality, check_formality, parse
from service.api.deepl.keys import DocumentCaller
from service.api.deepl.languages import check_languages
from service.api.dependencies import CurrentDocuments, CurrentGlossaries, ModelsAtWork
from service.api.dialect import dialect, failures
from service.api.downloads import file_response
from service.documents import AUTO, Document, DocumentOptions, DocumentState, Upload
from service.errors import UnsupportedFormat

router = APIRouter(
    prefix="/v2/document", tags=["DeepL"], route_class=dialect(render), responses=FAILURES
)

StatusName = Literal["queued", "translating", "done", "error"]
STATUSES: dict[DocumentState, StatusName] = {
    "queued": "queued",
    "translating": "translating",
    "done": "done",
    "failed": "error",
}


class DocumentRequest(GlossaryChoice):
    """A file and how to translate it; what else is sent is ignored."""

    file: UploadFile
    filename: str | None = Field(
        None, description="Its end tells the format; that of the file if not given."
    )
    output_format: str | None = Field(
        None, description="Anything but the format of the file is refused."
    )
    formality: Formality = "default"


class DocumentHandle(BaseModel):
    """What it takes to ask for a document."""

    document_id: str = Field(examples=["04DE5AD98A02647D83285A36021911C6"])
    document_key: str = Field(description="A secret.")


class DocumentKeyRequest(BaseModel):
    """The secret that came with the id."""

    document_key: str


class DocumentStatus(BaseModel):
    """How far a document is."""

    document_id: str
    status: StatusName
    seconds_remaining: int | None = Field(description="While it is translated, if it can be told.")
    billed_characters: int | None = Field(description="When it is done.")
    error_message: str | None = Field(description="Why it failed.")
    message: str | None = Field(description="The same.")


@router.post(
    "",
    responses=failures(DeepLFailure, 415),
    openapi_extra=request_body(DocumentRequest, MULTIPART),
)
async def upload_for_deepl(
    fields: Fields,
    caller: DocumentCaller,
    documents: CurrentDocuments,
    models: ModelsAtWork,
    glossaries: CurrentGlossaries,
) -> DocumentHandle:
    """Upload a file; a job translates it."""
    body = parse(DocumentRequest, fields)
    check_formality(body.formality)
    check_languages(body.source_lang, body.target_lang, models)
    name = body.filename or body.file.filename or ""
    _check_format(body.output_format, name)
    upload = Upload(
        content=await body.file.read(),
        file_name=name,
        target=body.target_lang,
        source=body.source_lang or AUTO,
        owner=caller.id or None,
        options=DocumentOptions(terms=await find_terms(body, caller.id, glossaries)),
    )
    document = await documents.submit(upload, caller.charge)
    return DocumentHandle(document_id=document.id, document_key=document.key)


@router.post(
    "/{id}",
    response_model_exclude_none=True,
    openapi_extra=request_body(DocumentKeyRequest),
)
async def tell_document_status(
    id: str, fields: Fields, caller: DocumentCaller, documents: CurrentDocuments
) -> DocumentStatus:
    """Tell how far a document is."""
    key = parse(DocumentKeyRequest, fields).document_key
    return _tell(await documents.find(id, owner=caller.id or None, key=key))


@router.post(
    "/{id}/result",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
            "description": "The translated file, of the type of its format",
        },
    },
    openapi_extra=request_body(DocumentKeyRequest),
)
async def download_for_deepl(
    id: str, fields: Fields, caller: DocumentCaller, documents: CurrentDocuments
) -> Response:
    """Download a translated file, which can be done once; 503 until it is done."""
    key, owner = parse(DocumentKeyRequest, fields).document_key, caller.id or None
    result = await documents.read(id, owner=owner, key=key)
    await documents.delete(id, owner=owner, key=key)
    return file_response(result)


def _check_format(wanted: str | None, name: str) -> None:
    given = PurePath(name).suffix.removeprefix(".").lower()
    if wanted and wanted.removeprefix(".").lower() != given:
        message = f"output_format: {given or 'this file'} cannot become {wanted}"
        raise UnsupportedFormat(message, field="output_format")


def _tell(document: Document) -> DocumentStatus:
    failure = None if document.failure is None else str(document.failure)
    return DocumentStatus(
        document_id=document.id,
        status=STATUSES[document.state],
        seconds_remaining=document.seconds_remaining,
        billed_characters=document.characters if document.state == "done" else None,
        error_message=failure,
        message=failure,
    )
