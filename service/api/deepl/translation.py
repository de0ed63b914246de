"""`/v2/translate`: texts in, translations out, in order."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, Field

from service.api.bodies import Fields, query_parameters, request_body
from service.api.deepl.answers import FAILURES, render
from service.api.deepl.dictionaries import GlossaryChoice, find_terms
from service.api.deepl.fields import Formality, Names, Texts, check_formality, parse
from service.api.deepl.keys import TranslatingCaller
from service.api.deepl.languages import check_languages, tell_source
from service.api.dependencies import CurrentGlossaries, Limits, Models, ModelsAtWork, unless_gone
from service.api.dialect import dialect
from service.api.texts import check_texts, detect_texts, translate_texts
from service.engine import Markup, SplitMode, Terms, Translation, TranslationOptions

SPLITS: Mapping[str, SplitMode] = {"0": "lines", "1": "sentences", "nonewlines": "nonewlines"}
"""How a text is cut into sentences, in the words of the engine."""

router = APIRouter(tags=["DeepL"], route_class=dialect(render), responses=FAILURES)


def _spelled_out(value: object) -> object:
    return str(int(value)) if isinstance(value, int) else value  # JSON's 0, 1, false and true


Split = Annotated[Literal["0", "1", "nonewlines"], BeforeValidator(_spelled_out)]


class TranslateRequest(GlossaryChoice):
    """Texts and how to translate them; what else is sent is ignored."""

    text: Texts = Field(description="Texts; in a form, the field repeated.")
    context: str | None = Field(None, description="Accepted, but no model makes use of it.")
    show_billed_characters: bool = Field(False, description="Adds `billed_characters`.")
    split_sentences: Split | None = Field(
        None,
        description="`0`: each line is one sentence; `1`: sentences are found within a line; "
        "`nonewlines`: a newline does not end a sentence, the default for HTML.",
    )
    preserve_formatting: bool = Field(
        False, description="Accepted; the formatting is preserved in any case."
    )
    formality: Formality = Field(
        "default", description="`more` and `less` are refused, for no model knows the difference."
    )
    model_type: (
        Literal["quality_optimized", "prefer_quality_optimized", "latency_optimized"] | None
    ) = Field(None, description="`latency_optimized` decodes greedily, without a beam.")
    tag_handling: Literal["xml", "html"] | None = None
    tag_handling_version: Literal["v1", "v2"] = Field(
        "v2", description="Told in the answer; tags are handled in one way only."
    )
    outline_detection: bool = True
    splitting_tags: Names = Field([], description="Tags at whose borders a sentence ends.")
    non_splitting_tags: Names = Field([], description="Tags that stand within a sentence.")
    ignore_tags: Names = Field([], description="Tags whose content is not translated.")


class DeepLTranslation(BaseModel):
    """A translation and where it came from."""

    detected_source_language: str = Field(
        description="As asked or as found; in upper case, without a region.", examples=["DE"]
    )
    text: str
    billed_characters: int | None = Field(None, description="Of the text, if asked for.")
    model_type_used: str | None = Field(None, description="If `model_type` was sent.")
    tag_handling_version: str | None = Field(None, description="If `tag_handling` was sent.")


class DeepLTranslations(BaseModel):
    """The translations, in the order of the texts."""

    translations: list[DeepLTranslation]


@router.get(
    "/v2/translate",
    response_model_exclude_none=True,
    openapi_extra=query_parameters(TranslateRequest),
)
@router.post(
    "/v2/translate", response_model_exclude_none=True, openapi_extra=request_body(TranslateRequest)
)
async def translate_for_deepl(
    fields: Fields,
    request: Request,
    caller: TranslatingCaller,
    models: ModelsAtWork,
    limits: Limits,
    glossaries: CurrentGlossaries,
) -> DeepLTranslations:
    """Translate texts; `GET` is for old clients."""
    body = parse(TranslateRequest, fields)
    check_texts(body.text, limits)
    check_formality(body.formality)
    check_languages(body.source_lang, body.target_lang, models)
    terms = await find_terms(body, caller.id, glossaries)
    caller.charge(sum(map(len, body.text)))
    translations = await unless_gone(request, _translate(body, terms, models))
    return DeepLTranslations(
        translations=[
            _tell(each, text, body) for each, text in zip(translations, body.text, strict=True)
        ]
    )


async def _translate(body: TranslateRequest, terms: Terms, models: Models) -> list[Translation]:
    options = _options(body, terms)
    if body.source_lang:
        sources = [body.source_lang] * len(body.text)
    else:
        found = await detect_texts(body.text, models, options.markup)
        sources = [each.language for each in found]
    return await translate_texts(body.text, sources, body.target_lang, options, models)


def _options(body: TranslateRequest, terms: Terms) -> TranslationOptions:
    by_default = "nonewlines" if body.tag_handling == "html" else "1"
    return TranslationOptions(
        beam=1 if body.model_type == "latency_optimized" else None,
        split=SPLITS[body.split_sentences or by_default],
        markup=_markup(body),
        terms=terms,
    )


def _markup(body: TranslateRequest) -> Markup | None:
    if body.tag_handling is None:
        return None
    return Markup(
        body.tag_handling,
        ignore_tags=tuple(body.ignore_tags),
        splitting_tags=tuple(body.splitting_tags),
        non_splitting_tags=tuple(body.non_splitting_tags),
        outline_detection=body.outline_detection,
    )


def _tell(translation: Translation, text: str, body: TranslateRequest) -> DeepLTranslation:
    return DeepLTranslation(
        detected_source_language=tell_source(translation.source),
        text=translation.text,
        billed_characters=len(text) if body.show_billed_characters else None,
        model_type_used=body.model_type and body.model_type.removeprefix("prefer_"),
        tag_handling_version=body.tag_handling_version if body.tag_handling else None,
    )
