"""The dialect of Apertium APy, which OmegaT and Weblate speak."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from service.access import Caller
from service.api.bodies import Fields, parse, query_parameters, request_body
from service.api.dependencies import Limits, Models, ModelsAtWork, authorize, unless_gone
from service.api.dialect import dialect, failures
from service.api.texts import check_texts, detect_all, translate_texts
from service.engine import Markup, TranslationOptions
from service.errors import ServiceError

PREFIXES = ("/apy",)
"""Where its paths begin."""

MAX_DETECTIONS = 10
"""Languages that a text is found to be in, the likeliest."""

Key = Annotated[str | None, Field(description="Needed only if the server asks for one.")]


class ErrorBody(BaseModel):
    """The answer to every request that failed: what APy answers, and what OmegaT looks for."""

    status: Literal["error"] = "error"
    code: int = Field(examples=[400])
    message: str = Field(description="Stable name of the failure.", examples=["unsupported_pair"])
    explanation: str
    responseData: None = None
    responseDetails: str = Field(description="The explanation.")
    responseStatus: int = Field(description="The code.")


def render(request: Request, error: ServiceError) -> Response:
    """Answer a failure in the shape of this dialect."""
    body = ErrorBody(
        code=error.status,
        message=error.code,
        explanation=str(error),
        responseDetails=str(error),
        responseStatus=error.status,
    )
    return JSONResponse(body.model_dump(), error.status)


async def _translating(request: Request, fields: Fields) -> Caller:
    key = fields.get("key")
    return await authorize(request, key if isinstance(key, str) else None, "translate")


TranslatingCaller = Annotated[Caller, Depends(_translating)]
"""Who asks for translations, with his key in a field or a header; to be charged."""


router = APIRouter(
    prefix="/apy",
    tags=["Apertium"],
    route_class=dialect(render),
    responses=failures(ErrorBody, 400, 401, 403, 413, 429, 500, 503, 504),
)


class TranslateFields(BaseModel):
    """A text and its languages; other fields, such as `markUnknown`, are ignored."""

    langpair: str = Field(
        pattern=r"^[^|]+\|[^|]+$",
        max_length=64,
        description="Source and target, by two or three letters.",
        examples=["de|en", "deu|eng"],
    )
    q: str = Field(examples=["Guten Morgen. Wie geht es dir?"])
    format: Literal["txt", "html"] = Field("txt", description="What the text is.")
    key: Key = None


class IdentifyFields(BaseModel):
    """A text whose language is asked for."""

    q: str = Field(examples=["Guten Morgen. Wie geht es dir?"])
    key: Key = None


class TranslatedText(BaseModel):
    """A translation."""

    translatedText: str = Field(examples=["Good morning. How are you?"])


class TranslateAnswer(BaseModel):
    """A translation, as APy wraps it."""

    responseData: TranslatedText
    responseDetails: None = None
    responseStatus: Literal[200] = 200


class Pair(BaseModel):
    """Two languages, the one translated into the other."""

    sourceLanguage: str = Field(examples=["de"])
    targetLanguage: str = Field(examples=["en"])


class PairsAnswer(BaseModel):
    """All pairs, as APy wraps them."""

    responseData: list[Pair]
    responseDetails: None = None
    responseStatus: Literal[200] = 200


@router.get("/listPairs")
async def list_pairs(models: Models) -> PairsAnswer:
    """List what can be translated into what."""
    return PairsAnswer(
        responseData=[
            Pair(sourceLanguage=source, targetLanguage=target)
            for source, targets in models.languages().items()
            for target in targets
        ]
    )


@router.get("/translate", openapi_extra=query_parameters(TranslateFields))
@router.post("/translate", openapi_extra=request_body(TranslateFields))
async def translate(
    fields: Fields,
    caller: TranslatingCaller,
    request: Request,
    models: ModelsAtWork,
    limits: Limits,
) -> TranslateAnswer:
    """Translate a text."""
    asked = parse(TranslateFields, fields)
    check_texts([asked.q], limits)
    caller.charge(len(asked.q))
    source, target = asked.langpair.split("|")
    options = TranslationOptions(markup=Markup("html") if asked.format == "html" else None)
    work = translate_texts([asked.q], [source], target, options, models)
    [translation] = await unless_gone(request, work)
    return TranslateAnswer(responseData=TranslatedText(translatedText=translation.text))


@router.get("/identifyLang", openapi_extra=query_parameters(IdentifyFields))
@router.post("/identifyLang", openapi_extra=request_body(IdentifyFields))
async def identify(
    fields: Fields, _: TranslatingCaller, models: ModelsAtWork, limits: Limits
) -> dict[str, float]:
    """Tell how likely a text is in which language."""
    asked = parse(IdentifyFields, fields)
    check_texts([asked.q], limits)
    detections = await detect_all(asked.q, MAX_DETECTIONS, models)
    return {each.language: each.confidence for each in detections}
