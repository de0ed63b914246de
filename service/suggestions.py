"""Better translations that callers suggest, kept for whoever trains the next model."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.errors import Forbidden

FILE = "suggestions.jsonl"
MAX_FILE_BYTES = 100 * 2**20
"""What strangers may fill of a disk."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """How a text should have been translated."""

    source: str
    target: str
    text: str
    translation: str


class Suggestions:
    """Appends suggestions to a file of JSON lines, which is made for the first one."""

    def __init__(self, folder: Path, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._folder = folder
        self._max_file_bytes = max_file_bytes

    def add(self, suggestion: Suggestion) -> None:
        """Keep a suggestion; when this returns, the file has it.

        Raises:
            Forbidden: there are too many already.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        fields = {"time": now, **asdict(suggestion)}
        line = f"{json.dumps(fields, ensure_ascii=False)}\n".encode()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY
        file = os.open(self._folder / FILE, flags, 0o600)
        try:
            if os.fstat(file).st_size + len(line) > self._max_file_bytes:
                raise Forbidden("No more suggestions are taken: there are too many already")
            os.write(file, line)  # at once, so that lines of several processes stay whole
        finally:
            os.close(file)
