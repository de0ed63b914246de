"""`/v2/usage`: what a key has translated, and how much it may."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api.deepl.answers import FAILURES, render
from service.api.deepl.keys import AnyCaller
from service.api.dialect import dialect

NO_LIMIT = 1_000_000_000_000
"""What DeepL tells callers without a limit; its clients leave out counts that have none."""

router = APIRouter(tags=["DeepL"], route_class=dialect(render), responses=FAILURES)


class DeepLUsage(BaseModel):
    """What was translated for the caller in this calendar month, UTC."""

    character_count: int
    character_limit: int = Field(description=f"{NO_LIMIT} if there is none.")
    start_time: datetime
    end_time: datetime


@router.get("/v2/usage")
@router.post("/v2/usage")
async def tell_usage(caller: AnyCaller) -> DeepLUsage:
    """Tell how many characters were translated for the key, and how many may be."""
    usage = caller.usage()
    return DeepLUsage(
        character_count=usage.characters,
        character_limit=NO_LIMIT if usage.limit is None else usage.limit,
        start_time=usage.begins,
        end_time=usage.ends,
    )
