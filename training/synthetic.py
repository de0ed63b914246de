"""Where synthetic text comes from: a file beside it names the bundle that made one side of it.

    news.en-de.tsv          sources made by a machine, targets as people wrote them
    news.en-de.tsv.json     which bundle, how it searched, and what it translated

Without this file text is not trained on as synthetic, for the card of what is trained on it must
say so.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Origin(BaseModel):
    """What made a synthetic text, and of what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Annotated[str, Field(min_length=1)]
    """Name and version of what translated."""
    manifest_sha256: Sha256
    """Hash of its manifest."""
    beam: Annotated[int, Field(ge=1)]
    """How it searched; 1 is greedy."""
    length_penalty: Annotated[float, Field(ge=0)]
    text: str
    """Name of the file that was translated."""
    text_sha256: Sha256


def write_origin(path: Path, origin: Origin) -> None:
    """Write the file beside a synthetic text that `read_origin` reads."""
    path.write_text(origin.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_origin(path: Path) -> Origin:
    """Read the file beside a synthetic text.

    Raises:
        ValueError: it is missing, or does not say what it has to.
    """
    try:
        return Origin.model_validate_json(path.read_bytes())
    except OSError:
        raise ValueError(
            f"{path} is missing, which says who made {path.stem}; back-translate writes both"
        ) from None
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError(f"{path}: {'; '.join(wrong)}") from None
