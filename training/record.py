"""What was found and is worth keeping: frozen, strict, JSON on disk."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Something found, with its circumstances."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def write(self, path: Path) -> None:
        """Write it as JSON; the folder is made if it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ValueError: it is something else.
        """
        return cls.model_validate_json(path.read_text(encoding="utf-8"))
