"""The versions of a model: which there are, which serves, and how another comes to serve."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.api.dependencies import AdminCaller, AnyCaller, CurrentPromotions
from service.api.dialect import dialect, failures
from service.api.failure import FAILURES, FailureBody, render
from service.promotions import (
    Action,
    ModelVersions,
    PromotionMode,
    Promotions,
    VersionState,
)

router = APIRouter(
    prefix="/v1/models/{name}", tags=["models"], route_class=dialect(render), responses=FAILURES
)

VersionNumber = (
    Annotated[int, Field(ge=1, lt=10**18)] | Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$")]
)


class PromoteRequest(BaseModel):
    """Which version is to serve, and what speaks for it."""

    model_config = ConfigDict(extra="forbid")

    version: VersionNumber = Field(description="The version to serve.", examples=[3])
    evaluation: str | None = Field(
        None,
        max_length=36,
        description="Id of a job that compares the version with the one that serves; needed where "
        "versions are promoted after an evaluation.",
    )


class VersionBody(BaseModel):
    """A version of a model."""

    model_config = ConfigDict(from_attributes=True)

    version: str
    state: VersionState = Field(
        description="`serving`; `candidate` if it is newer and has never served; `refused` if it "
        "cannot be used; else `standby`."
    )
    reason: str | None = Field(description="Why it is refused.")


class PromotionBody(BaseModel):
    """A version that came to serve."""

    model_config = ConfigDict(from_attributes=True)

    version: str
    previous: str | None = Field(description="What served before.")
    action: Action = Field(
        description="`adopted` as the first one, `promoted` after an evaluation, `pinned` though "
        "there is a newer one, `released` to whatever is the newest, or `rolled_back`."
    )
    evaluation: str | None = Field(description="Id of the job that spoke for it.")
    instant: AwareDatetime


class VersionsBody(BaseModel):
    """All versions of a model."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    promotion: PromotionMode = Field(
        description="Whether the newest version serves, or the one promoted after an evaluation."
    )
    serving: str | None = Field(description="The version that serves.")
    pinned: str | None = Field(
        description="The version that is to serve whatever newer ones there are."
    )
    versions: list[VersionBody] = Field(description="The oldest first.")
    history: list[PromotionBody] = Field(description="The oldest first.")
    trouble: str | None = Field(description="Why this may not be all, if it may not.")


@router.get("/versions", responses=failures(FailureBody, 404))
async def find_versions(
    caller: AnyCaller, name: str, promotions: CurrentPromotions
) -> VersionsBody:
    """List the versions of a model."""
    return _body(promotions, await promotions.find(name))


@router.post("/promote", responses=failures(FailureBody, 404, 409))
async def promote_version(
    caller: AdminCaller, name: str, request: PromoteRequest, promotions: CurrentPromotions
) -> VersionsBody:
    """Let a version serve, at once and from now on; requests under way end with the old one."""
    found = await promotions.promote(
        name, str(request.version), evaluation=request.evaluation, owner=caller.id or None
    )
    return _body(promotions, found)


@router.post("/rollback", responses=failures(FailureBody, 404, 409))
async def roll_back(caller: AdminCaller, name: str, promotions: CurrentPromotions) -> VersionsBody:
    """Let the version serve that did before the present one."""
    return _body(promotions, await promotions.roll_back(name))


def _body(promotions: Promotions, found: ModelVersions) -> VersionsBody:
    return VersionsBody(
        name=found.name,
        promotion=promotions.mode,
        serving=found.serving,
        pinned=found.pinned,
        versions=[VersionBody.model_validate(each) for each in found.versions],
        history=[PromotionBody.model_validate(each) for each in found.history],
        trouble=found.trouble,
    )
