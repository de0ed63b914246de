"""The fields of a request, however they were sent: as JSON, as a form, or in the query string.

Clients of the dialects differ in this even among themselves, so a route that takes `Fields`
does not care. A field of the body wins over one of the same name in the query string.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from service.errors import InvalidRequest

MAX_FIELDS = 1000
"""Of a form or a query string; a text of a batch is one."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

Model = TypeVar("Model", bound=BaseModel)


async def read_fields(request: Request) -> AsyncIterator[dict[str, Any]]:
    """Yield the fields of a request by name; files are closed afterwards.

    What a form or a query names once is a string (of a multipart form, perhaps an
    `UploadFile`), what it names several times a list. An empty body has no fields, whatever
    its type.

    Raises:
        InvalidRequest: the body is not what its type says, or of a type that has no fields.
        TooLarge: the body is.
    """
    fields = _named(_decoded(request.scope["query_string"], "query"))
    if _media_type(request) == MULTIPART:
        form = await _multipart(request)
        try:
            yield fields | _named(form.multi_items())
        finally:
            await form.close()
    else:
        yield fields | _fields_of(await request.body(), _media_type(request))


Fields = Annotated[dict[str, Any], Depends(read_fields)]


def parse(model: type[Model], fields: dict[str, Any]) -> Model:
    """Return the fields as a model, which a dialect answers as it answers FastAPI's own check.

    Raises:
        RequestValidationError: they are not what the model wants.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        ) from None


def request_body(model: type[BaseModel], *media_types: str) -> dict[str, Any]:
    """Describe what `parse` takes, as the `openapi_extra` of a route.

    Args:
        media_types: in which it may come; as JSON and as either form if none is given.
    """
    schema = _inlined(model.model_json_schema())
    content = {each: {"schema": schema} for each in media_types or (JSON, FORM, MULTIPART)}
    return {"requestBody": {"content": content, "required": True}}


def query_parameters(model: type[BaseModel]) -> dict[str, Any]:
    """Describe what `parse` takes from a query string, as the `openapi_extra` of a route."""
    schema = _inlined(model.model_json_schema())
    required = schema.get("required", [])
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema["properties"].items()
        ]
    }


def _media_type(request: Request) -> str:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return JSON if media_type.endswith("+json") else media_type


async def _multipart(request: Request) -> FormData:
    try:
        return await request.form(max_fields=MAX_FIELDS, max_files=1)
    except HTTPException as error:  # Starlette's, whose detail says what is wrong
        raise InvalidRequest(f"Invalid form: {error.detail}", field="body") from None


def _fields_of(body: bytes, media_type: str) -> dict[str, Any]:
    if not body.strip():
        return {}
    if media_type == JSON:
        return _json_object(body)
    if media_type == FORM:
        return _named(_decoded(body, "form"))
    raise InvalidRequest(
        f"Content-Type must be {JSON}, {FORM} or {MULTIPART}", field="Content-Type"
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest(f"Invalid JSON format: {error}", field="body") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("Invalid JSON format", field="body")
    return fields


def _decoded(encoded: bytes, where: str) -> list[tuple[str, str]]:
    # Not Starlette's parsers, which read bytes that are not escaped as Latin-1; curl sends such.
    try:
        return parse_qsl(
            encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeDecodeError:
        raise InvalidRequest(f"the {where} is not UTF-8", field=where) from None
    except ValueError:
        message = f"the {where} has more than {MAX_FIELDS} fields"
        raise InvalidRequest(message, field=where, limit=MAX_FIELDS) from None


def _named(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    values_by_name: dict[str, list[Any]] = {}
    for name, value in items:
        values_by_name.setdefault(name, []).append(value)
    return {
        name: values if len(values) > 1 else values[0] for name, values in values_by_name.items()
    }


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that refers to nothing, for there is no place to put definitions."""
    definitions = schema.pop("$defs", {})

    def inline(part: Any) -> Any:  # noqa: ANN401  # JSON
        if isinstance(part, dict):
            if "$ref" in part:
                return inline(definitions[part["$ref"].rpartition("/")[2]])
            return {name: inline(value) for name, value in part.items()}
        return [inline(each) for each in part] if isinstance(part, list) else part

    inlined: dict[str, Any] = inline(schema)
    return inlined
