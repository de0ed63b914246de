"""What operators and their machines ask.

/startupz   have models been loaded and run?      if not, wait
/livez      does the process work?                if not, start it anew
/readyz     is new work taken?                    if not, send it elsewhere
/metrics    how is it doing?
"""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import CurrentAccess, CurrentIntake, Library

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """Whether all is well, and if not, why."""

    status: str = Field(examples=["ready"])
    reasons: list[str] = Field(description="Empty if all is well.")


class RunningModel(BaseModel):
    """A model that serves."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    version: str
    variant: str = Field(description="Precision of the weights, such as fp32.")
    provider: str = Field(description="What of ONNX Runtime runs it.")


class RefusedBundle(BaseModel):
    """A bundle in the folder that is not served."""

    bundle: str = Field(description="Name and version.")
    reason: str


class Readiness(Health):
    """Whether new work is taken, and by what."""

    models: list[RunningModel]
    refused: list[RefusedBundle] = Field(
        description="Bundles that cannot be loaded; what served before them serves on."
    )


_UNWELL: dict[int | str, dict[str, object]] = {503: {"model": Health}}


_NOT_READY: dict[int | str, dict[str, object]] = {503: {"model": Readiness}}


@router.get("/startupz", response_model=Health, responses=_UNWELL)
async def tell_whether_started(library: Library) -> Response:
    """Tell whether models have been loaded and run; once they have, always yes."""
    reasons = [] if library.has_started else ["the models are being loaded"]
    return _answer(Health(status=_status("started", reasons), reasons=reasons))


@router.get("/livez", response_model=Health, responses=_UNWELL)
async def tell_whether_alive(library: Library) -> Response:
    """Tell whether the process works, if only at loading; if not, start it anew."""
    reasons = [] if library.is_alive else ["a decoding thread has died or is stuck"]
    return _answer(Health(status=_status("alive", reasons), reasons=reasons))


@router.get("/readyz", response_model=Readiness, responses=_NOT_READY)
async def tell_whether_ready(
    library: Library, intake: CurrentIntake, access: CurrentAccess
) -> Response:
    """Tell whether new work is taken, what runs, and which bundles were refused."""
    reasons = [] if intake.is_open else ["the service is shutting down"]
    reasons += library.troubles() + access.troubles()
    readiness = Readiness(
        status=_status("ready", reasons),
        reasons=reasons,
        models=[RunningModel.model_validate(each) for each in library.describe()],
        refused=[RefusedBundle(bundle=b, reason=r) for b, r in library.refused().items()],
    )
    return _answer(readiness)


def _status(well: str, reasons: list[str]) -> str:
    return f"not {well}" if reasons else well


def _answer(health: Health) -> Response:
    return JSONResponse(health.model_dump(), status_code=503 if health.reasons else 200)


@router.get("/metrics", response_class=Response)
async def read_metrics() -> Response:
    """Return all metrics in the text format of Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
