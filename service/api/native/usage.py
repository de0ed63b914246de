"""`GET /v1/usage`."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import AnyCaller
from service.api.dialect import dialect, failures
from service.api.failure import FailureBody, render

router = APIRouter(
    prefix="/v1",
    tags=["usage"],
    route_class=dialect(render),
    responses=failures(FailureBody, 401, 403, 429, 500, 503),
)


class UsageBody(BaseModel):
    """What was done for the caller in this calendar month, UTC."""

    model_config = ConfigDict(from_attributes=True)

    characters: int = Field(description="Of texts that were translated.")
    requests: int
    limit: int | None = Field(description="Characters of a month; null if there is no quota.")
    begins: datetime
    ends: datetime


@router.get("/usage")
async def tell_usage(caller: AnyCaller) -> UsageBody:
    """Tell what was done for the key; without one, for all who have none, since the start."""
    return UsageBody.model_validate(caller.usage())
