"""From a folder to a model that has run, or to one sentence that says why not."""

import logging
from pathlib import Path

from models.bundle import Bundle, DamagedBundle
from service import metrics
from service.engine.device import CannotRun
from service.engine.model import EngineOptions, Model, open_model
from service.errors import ServiceError, UnusableModel

log = logging.getLogger(__name__)


def load(folder: Path, options: EngineOptions, *, yields: bool = False) -> Model:
    """Check, load and run the bundle of a folder; the caller owns the model.

    Args:
        yields: whether the calling thread, and so those of the model, yield to all others.

    Raises:
        UnusableModel: it must not or cannot be used; `reason` says why.
    """
    try:
        model = open_model(Bundle.open(folder), options)
    except Exception as failure:  # ONNX Runtime's have no common base
        raise _refusal(folder, failure) from failure
    model.yields = yields
    metrics.MODEL_LOADS.labels("loaded").inc()
    return model


def examine(folder: Path) -> None:
    """Check the files of a bundle, without loading it.

    Raises:
        UnusableModel: it is damaged; `reason` says how.
    """
    try:
        Bundle.open(folder)
    except (DamagedBundle, OSError) as failure:
        raise _refusal(folder, failure) from failure


def identity_of(folder: Path) -> str:
    """Return name and version of the bundle that a folder holds, as logs show them."""
    return f"{folder.parent.name}/{folder.name}"


def _refusal(folder: Path, failure: Exception) -> UnusableModel:
    is_foreseen = isinstance(failure, CannotRun | DamagedBundle | ServiceError)
    reason = f"cannot be loaded: {type(failure).__name__}"
    if is_foreseen:
        reason = str(failure).removeprefix(f"{folder}: ")
    metrics.MODEL_LOADS.labels("failed").inc()
    extra = {"model": identity_of(folder), "reason": reason}
    log.warning("bundle refused", extra=extra, exc_info=None if is_foreseen else failure)
    return UnusableModel(identity_of(folder), reason)
