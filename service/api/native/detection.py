"""`POST /v1/detect`."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import Limits, Models, TranslatingCaller
from service.api.dialect import dialect
from service.api.failure import FAILURES, FailureBody, render
from service.api.native.inputs import Texts
from service.api.native.items import items
from service.api.native.results import DetectionBody
from service.api.texts import attempt_each, check_length, check_totals, detect_all
from service.engine import Detection, TranslationOptions

router = APIRouter(
    prefix="/v1", tags=["detection"], route_class=dialect(render), responses=FAILURES
)


class DetectRequest(BaseModel):
    """Texts whose languages are to be found."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Texts
    best: int = Field(1, ge=1, description="Most languages to tell of a text.")


class DetectedBody(BaseModel):
    """The languages that a text may be in."""

    languages: list[DetectionBody] = Field(
        description="Those that can be translated from, likeliest first."
    )


class DetectResponse(BaseModel):
    """What was found, in the order of the texts."""

    detections: list[DetectedBody | FailureBody] = Field(
        description="An object with `error` stands in the place of a text that failed."
    )


@router.post("/detect")
async def detect(
    _: TranslatingCaller, body: DetectRequest, request: Request, models: Models, limits: Limits
) -> DetectResponse:
    """Tell which languages each text may be in, among those that can be translated from."""
    check_totals(body.text, limits)

    async def detect_one(i: int, _: TranslationOptions) -> list[Detection]:
        check_length(body.text, i, limits)
        return await detect_all(body.text[i], body.best, models)

    outcomes = await attempt_each(body.text, TranslationOptions(), detect_one)
    return DetectResponse(
        detections=items(
            request,
            outcomes,
            lambda _, found: DetectedBody(
                languages=[DetectionBody.model_validate(each) for each in found]
            ),
        )
    )
