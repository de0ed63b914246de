"""Better translations, from those who know better."""

import asyncio
from typing import Literal

from pydantic import BaseModel, Field

from service.api.bodies import Fields, request_body
from service.api.dependencies import CurrentSuggestions, Limits, ModelsAtWork
from service.api.libretranslate.catalogue import AUTO, check_pair
from service.api.libretranslate.translation import Code, Text, check_lengths
from service.api.libretranslate.wording import TranslatingCaller, dialect_router, parse
from service.api.texts import detect_texts
from service.errors import Forbidden
from service.suggestions import Suggestion

router = dialect_router()


class SuggestFields(BaseModel):
    """A text and how it should have been translated; other fields are ignored."""

    q: Text = Field(examples=["Guten Morgen."])
    s: Text = Field(description="The better translation.", examples=["Good morning."])
    source: Code = Field(description="Language of the text, or `auto`.", examples=["de"])
    target: Code = Field(description="Language of the translation.", examples=["en"])
    api_key: str | None = Field(None, description="Needed only if the server asks for one.")


class SuggestAnswer(BaseModel):
    """The suggestion has been kept."""

    success: Literal[True] = True


@router.post("/suggest", openapi_extra=request_body(SuggestFields))
async def suggest(
    fields: Fields,
    _: TranslatingCaller,
    suggestions: CurrentSuggestions,
    models: ModelsAtWork,
    limits: Limits,
) -> SuggestAnswer:
    """Suggest a better translation, where the server takes suggestions.

    The fields may stand in the query string too, with an empty body.
    """
    if suggestions is None:
        raise Forbidden("Suggestions are disabled on this server")
    asked = parse(SuggestFields, fields)
    check_lengths([asked.q, asked.s], limits)
    source = asked.source
    if source.lower() == AUTO:
        source = (await detect_texts([asked.q], models))[0].language
    check_pair(source, asked.target, models)
    await asyncio.to_thread(suggestions.add, Suggestion(source, asked.target, asked.q, asked.s))
    return SuggestAnswer()
