"""The texts of a request, as every route of this API takes them."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

AUTO = "auto"
"""Instead of a source language: find it for each text."""


def _as_list(text: object) -> object:
    if isinstance(text, str):
        return [text]
    if isinstance(text, list):
        return text
    raise PydanticCustomError("texts_type", "Input should be a string or a list of strings")


def _check_unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = "Character {position} is half of a surrogate pair"
        raise PydanticCustomError("unicode", message, {"position": error.start}) from None
    return text


Text = Annotated[str, AfterValidator(_check_unicode)]
Texts = Annotated[
    list[Text],
    BeforeValidator(_as_list),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "A text of any length, or a list of texts.",
            "examples": ["Guten Morgen. Wie geht es dir?"],
        }
    ),
]
