"""`POST /v1/translate`."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from service.api.dependencies import (
    Limits,
    Models,
    ModelsAtWork,
    RequestLimits,
    TranslatingCaller,
    unless_gone,
)
from service.api.dialect import dialect
from service.api.failure import FAILURES, FailureBody, describe, render
from service.api.native.inputs import AUTO, Texts
from service.api.native.options import Options, TermBody, check, engine_options
from service.api.native.results import TranslationBody
from service.api.texts import check_length, check_totals, detect_texts, translate_each
from service.engine import Detection, Term, Translation
from service.errors import InvalidRequest, ServiceError

router = APIRouter(
    prefix="/v1", tags=["translation"], route_class=dialect(render), responses=FAILURES
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
) -> TranslateResponse:
    """Translate one text or several, each into one translation.

    A text that fails has an `error` in the place of its translation; the request fails only if
    all of its texts do, and for the same reason.
    """
    check_totals(body.text, limits)
    check(body, body.text, limits)
    caller.charge(sum(map(len, body.text)))
    detections, outcomes = await unless_gone(request, _translate_all(body, models, limits))
    _raise_if_all_failed(outcomes)
    done = zip(body.text, outcomes, strict=True)
    caller.refund(sum(len(text) for text, o in done if isinstance(o, ServiceError)))
    return TranslateResponse(
        translations=[
            FailureBody(error=describe(request, outcome))
            if isinstance(outcome, ServiceError)
            else TranslationBody.of(outcome, detection)
            for outcome, detection in zip(outcomes, detections, strict=True)
        ]
    )


async def _translate_all(
    body: TranslateRequest, models: Models, limits: RequestLimits
) -> tuple[Sequence[Detection | None], list[Translation | ServiceError]]:
    texts = body.text
    detections: Sequence[Detection | None] = [None] * len(texts)
    if body.source == AUTO:
        detections = await detect_texts(texts, models)
    else:
        models.find(body.source, body.target)  # from a language to itself, nothing translates
    sources = [found.language if found else body.source for found in detections]
    refused = [check_length(texts, i, limits) for i in range(len(texts))]
    accepted = [i for i, failure in enumerate(refused) if failure is None]
    outcomes = iter(
        await translate_each(
            [texts[i] for i in accepted],
            [sources[i] for i in accepted],
            body.target,
            engine_options(body, _terms(body.glossary)),
            models,
        )
    )
    return detections, [failure or next(outcomes) for failure in refused]


def _terms(glossary: str | list[TermBody] | None) -> tuple[Term, ...]:
    if isinstance(glossary, str):
        raise InvalidRequest("glossary: not served", field="glossary")
    return tuple(Term(each.source, each.target) for each in glossary or [])


def _raise_if_all_failed(outcomes: Sequence[Translation | ServiceError]) -> None:
    """Raise the failure of the first text, if all fail alike: then it is that of the request."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, ServiceError)]
    if failures and len(failures) == len(outcomes) and len({f.code for f in failures}) == 1:
        raise failures[0]
