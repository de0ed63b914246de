"""The fields of a request as this dialect spells them, in JSON, in forms and in the query."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, WithJsonSchema

from service.api import bodies
from service.errors import InvalidRequest

Model = TypeVar("Model", bound=BaseModel)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _split(value: object) -> object:
    names = _listed(value)
    if not isinstance(names, list):
        return names
    parts = [
        part for name in names for part in (name.split(",") if isinstance(name, str) else [name])
    ]
    stripped = [part.strip() if isinstance(part, str) else part for part in parts]
    return [part for part in stripped if part != ""]


Texts = Annotated[
    list[str],
    BeforeValidator(_listed),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "examples": [["Guten Morgen."]]}),
]
"""A list in JSON, a name that is repeated in a form; a single string is a list of one."""
Names = Annotated[
    list[str],
    BeforeValidator(_split),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "examples": [["x", "code"]]}),
]
"""A list in JSON, joined by commas in a form."""
Formality = Literal["default", "more", "less", "prefer_more", "prefer_less"]

NOT_OFFERED = ("style_id", "translation_memory_id", "custom_instructions")
"""Not ignored, as unknown fields are, for the translation would not be what was asked for."""


def parse(model: type[Model], fields: dict[str, Any]) -> Model:
    """Return the fields as a model; those it does not know are ignored.

    Raises:
        InvalidRequest: one is missing, or asks for what is not offered here.
        RequestValidationError: one is not what the model wants.
    """
    for name in NOT_OFFERED:
        if fields.get(name):
            raise InvalidRequest(f"Value for '{name}' not supported.", field=name)
    for name, field in model.model_fields.items():
        if field.is_required() and fields.get(name) is None:
            raise InvalidRequest(f"Parameter '{name}' not specified.", field=name)
    return bodies.parse(
        model, {name: each for name, each in fields.items() if _is_given(model, name, each)}
    )


def _is_given(model: type[BaseModel], name: str, value: object) -> bool:
    # Of what may be missing, a form that names it and nothing else says no more than one without.
    field = model.model_fields.get(name)
    return field is not None and (field.is_required() or value not in (None, ""))


def check_formality(formality: Formality) -> None:
    """Refuse what no model can do; a preference for it may be disregarded.

    Raises:
        InvalidRequest: it must be more or less formal.
    """
    if formality in ("more", "less"):
        message = "'formality' is not supported for given 'target_lang'."
        raise InvalidRequest(message, field="formality")
