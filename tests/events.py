"""What is logged, for tests that wait for something to happen in another thread."""

import logging
import queue

TIMEOUT_SECONDS = 20


class Events(logging.Handler):
    """Events, as they come."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._records: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.put(record)

    def wait_for(self, message: str) -> logging.LogRecord:
        """Return the next record with this message; those before it are passed over."""
        while True:
            record = self._records.get(timeout=TIMEOUT_SECONDS)
            if record.getMessage() == message:
                return record
