"""What operators and their machines ask: is it alive, is it ready, how is it doing."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from service.api.dependencies import CurrentIntake, Models

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """Whether all is well, and if not, why."""

    status: str = Field(examples=["ready"])
    reasons: list[str] = Field(description="Empty if all is well.")


_UNWELL: dict[int | str, dict[str, object]] = {503: {"model": Health}}


def _answer(well: str, reasons: list[str]) -> Response:
    health = Health(status="not " + well if reasons else well, reasons=reasons)
    return JSONResponse(health.model_dump(), status_code=503 if reasons else 200)


@router.get("/livez", response_model=Health, responses=_UNWELL)
async def tell_whether_alive(models: Models) -> Response:
    """Tell whether the process works; if not, it has to be started anew."""
    return _answer("alive", [] if models.is_alive else ["a decoding thread has died"])


@router.get("/readyz", response_model=Health, responses=_UNWELL)
async def tell_whether_ready(models: Models, intake: CurrentIntake) -> Response:
    """Tell whether new work is taken."""
    reasons = [] if intake.is_open else ["the service is shutting down"]
    if not models.is_ready:
        reasons.append("a model is not ready")
    return _answer("ready", reasons)


@router.get("/metrics", response_class=Response)
async def read_metrics() -> Response:
    """Return all metrics in the text format of Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
