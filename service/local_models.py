"""The models that a command runs itself."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from service import flags

if TYPE_CHECKING:
    from service.engine import Models


def open_models(folder: Path | None) -> "closing[Models]":
    """Load the bundles of a folder, by the settings; without one, of the folder they name."""
    settings = flags.load_settings(bundles=folder)
    from service import engine  # noqa: PLC0415  # ONNX Runtime: slow to start

    options = engine.EngineOptions(
        device=settings.device,
        variant=settings.variant,
        shortlist=settings.shortlist,
        mode=settings.mode,
        max_rows=settings.max_rows,
        max_waiting_tokens=settings.max_waiting_tokens,
        max_wait_seconds=settings.max_wait_seconds,
        workers=settings.workers or None,
    )
    return closing(engine.Models.open(settings.bundles, options))
