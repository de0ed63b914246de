"""What there is: languages and models."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import Models
from service.api.dialect import dialect, failures
from service.api.failure import FailureBody, render
from service.api.languages import name_of

router = APIRouter(
    prefix="/v1",
    tags=["models"],
    route_class=dialect(render),
    responses=failures(FailureBody, 500, 503),
)


class Language(BaseModel):
    """A language that can be translated."""

    source: str
    name: str = Field(description="In English.", examples=["German"])
    targets: list[str] = Field(description="What it can be translated into.")
    pivots: dict[str, str] = Field(
        description="The language in between, for each target that no model translates into "
        "directly.",
        examples=[{"fr": "en"}],
    )


class LanguagesResponse(BaseModel):
    """The languages of all models."""

    languages: list[Language]


class DirectionBody(BaseModel):
    """A pair of languages that a model translates."""

    model_config = ConfigDict(from_attributes=True)

    source: str
    target: str


class ScoreBody(BaseModel):
    """A measurement of a model, with its circumstances."""

    model_config = ConfigDict(from_attributes=True)

    variant: str = Field(description="Rendering of the network that was measured, such as int8.")
    test_set: str
    direction: DirectionBody
    metric: str
    score: float
    signature: str = Field(description="sacreBLEU's own account of how the score was made.")
    beam: int
    length_penalty: float
    sentences: int


class ModelBody(BaseModel):
    """A bundle that is loaded."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    version: str
    directions: list[DirectionBody]
    variant: str = Field(description="Precision of the weights, such as fp32.")
    provider: str = Field(description="What of ONNX Runtime runs it.")
    parameters: int
    scores: list[ScoreBody]


class ModelsResponse(BaseModel):
    """All models."""

    models: list[ModelBody]


@router.get("/languages")
async def list_languages(models: Models) -> LanguagesResponse:
    """List what can be translated into what, and through what."""
    pivots: dict[str, dict[str, str]] = {}
    for (source, target), pivot in models.pivots().items():
        pivots.setdefault(source, {})[target] = pivot
    return LanguagesResponse(
        languages=[
            Language(
                source=source, name=name_of(source), targets=targets, pivots=pivots.get(source, {})
            )
            for source, targets in models.languages().items()
        ]
    )


@router.get("/models")
async def list_models(models: Models) -> ModelsResponse:
    """List the models and what was measured of them."""
    return ModelsResponse(models=[ModelBody.model_validate(m) for m in models.describe()])
