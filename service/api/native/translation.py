"""`POST /v1/translate`."""

from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from service.api.dependencies import (
    CurrentGlossaries,
    Limits,
    Models,
    ModelsAtWork,
    RequestLimits,
    TranslatingCaller,
    unless_gone,
)
from service.api.dialect import dialect, failures
from service.api.failure import FAILURES, FailureBody, render
from service.api.native.inputs import AUTO, Texts
from service.api.native.items import characters_of_failures, items
from service.api.native.options import Options, check, engine_options
from service.api.native.results import TranslationBody
from service.api.native.terms import TermFinder
from service.api.texts import attempt_each, check_length, check_totals, detect_texts, translate_text
from service.engine import Detection, Translation, TranslationOptions, is_same_language
from service.errors import ServiceError

router = APIRouter(
    prefix="/v1",
    tags=["translation"],
    route_class=dialect(render),
    responses=FAILURES | failures(FailureBody, 404),
)


class TranslateRequest(Options):
    """Texts and how to translate them."""

    text: Texts


class TranslateResponse(BaseModel):
    """The translations, in the order of the texts."""

    translations: list[TranslationBody | FailureBody] = Field(
        description="An object with `error` stands in the place of a text that failed."
    )


@router.post("/translate", response_model_exclude_none=True)
async def translate(
    caller: TranslatingCaller,
    body: TranslateRequest,
    request: Request,
    models: ModelsAtWork,
    limits: Limits,
    glossaries: CurrentGlossaries,
) -> TranslateResponse:
    """Translate one text or several, each into one translation.

    A text that fails has an `error` in the place of its translation; the request fails only if
    all of its texts do, and for the same reason.
    """
    check_totals(body.text, limits)
    check(body, body.text, limits)
    caller.charge(sum(map(len, body.text)))
    terms = TermFinder(body, glossaries, caller)
    detections, outcomes = await unless_gone(request, _translate_all(body, models, limits, terms))
    caller.refund(characters_of_failures(body.text, outcomes))
    return TranslateResponse(
        translations=items(
            request, outcomes, lambda i, found: TranslationBody.of(found, detections[i])
        )
    )


async def _translate_all(
    body: TranslateRequest, models: Models, limits: RequestLimits, terms: TermFinder
) -> tuple[Sequence[Detection | None], list[Translation | ServiceError]]:
    texts = body.text
    detections: Sequence[Detection | None] = [None] * len(texts)
    if body.source == AUTO:
        detections = await detect_texts(texts, models, engine_options(body).markup)
    else:
        models.find(body.source, body.target)  # from a language to itself, nothing translates
    sources = [found.language if found else body.source for found in detections]

    async def translate_one(i: int, own: TranslationOptions) -> Translation:
        check_length(texts, i, limits)
        if not is_same_language(sources[i], body.target):
            own = replace(own, terms=await terms.find(sources[i]))
        return await translate_text(texts[i], sources[i], body.target, own, models)

    return detections, await attempt_each(texts, engine_options(body), translate_one)
