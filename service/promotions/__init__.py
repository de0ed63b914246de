"""Which version of each model serves: promotions after an evaluation, and the way back."""

from service.promotions.history import PromotionMode
from service.promotions.promotions import (
    FindReport,
    ModelVersions,
    Promotions,
    Version,
    VersionState,
)
from service.store import Action

__all__ = [
    "Action",
    "FindReport",
    "ModelVersions",
    "PromotionMode",
    "Promotions",
    "Version",
    "VersionState",
]
