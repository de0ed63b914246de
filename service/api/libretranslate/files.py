"""Files: one request translates one, and tells an address where its translation can be fetched."""

from fastapi import Request, Response, UploadFile
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from service.api.bodies import MULTIPART, Fields, request_body
from service.api.dependencies import CurrentDocuments, ModelsAtWork, unless_gone
from service.api.dialect import failures
from service.api.downloads import file_response
from service.api.libretranslate.catalogue import AUTO, check_pair
from service.api.libretranslate.translation import Code
from service.api.libretranslate.wording import CallerWithFiles, ErrorBody, dialect_router, parse
from service.documents import Upload

router = dialect_router()


class TranslateFileFields(BaseModel):
    """A file and its languages; other fields are ignored."""

    file: UploadFile = Field(description="The end of its name tells its format.")
    source: Code = Field(
        description="Language of the file; `auto` finds one for all of it.", examples=["de"]
    )
    target: Code = Field(description="Language to translate into.", examples=["en"])
    api_key: str | None = Field(None, description="Needed only if the server asks for one.")


class TranslateFileAnswer(BaseModel):
    """Where the translation is."""

    translatedFileUrl: str = Field(
        description="Whoever knows the address may fetch the file, until it expires."
    )


@router.post(
    "/translate_file",
    openapi_extra=request_body(TranslateFileFields, MULTIPART),
    responses=failures(ErrorBody, 415),
)
async def translate_file(
    fields: Fields,
    caller: CallerWithFiles,
    request: Request,
    models: ModelsAtWork,
    documents: CurrentDocuments,
) -> TranslateFileAnswer:
    """Translate a file; the answer comes when it is done."""
    asked = parse(TranslateFileFields, fields)
    if asked.source.lower() != AUTO:
        check_pair(asked.source, asked.target, models)
    upload = Upload(
        await asked.file.read(), asked.file.filename or "", asked.target, asked.source.lower()
    )
    document = await documents.submit(upload, caller.charge)
    try:
        document = await unless_gone(request, documents.wait(document.id))
    except ClientDisconnect:
        await documents.delete(document.id)  # nobody else knows of it
        raise
    name = f"{document.id}.{document.result_name.rpartition('.')[2]}"
    return TranslateFileAnswer(translatedFileUrl=str(request.url_for("download_file", name=name)))


@router.get(
    "/download_file/{name}",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
            "description": "The translated file, of the type of its format",
        },
        **failures(ErrorBody, 404),
    },
)
async def download_file(name: str, documents: CurrentDocuments) -> Response:
    """Fetch a translated file, by the address that its translation was answered with."""
    return file_response(await documents.read(name.partition(".")[0]))
