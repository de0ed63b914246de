"""The process that analyses for another one: `python -m service.evaluation.child FILE_DESCRIPTOR`.

Reads a task from standard input and answers on standard output, both as JSON.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from service.errors import InvalidRequest
from service.evaluation.analysis import analyse
from service.evaluation.task import Task


def answer(said: bytes) -> bytes:
    """Return the analysis of a task; or why there is none, without a word of its lines."""
    try:
        found: dict[str, object] = {"analysis": analyse(Task(**json.loads(said))).model_dump()}
    except InvalidRequest as refusal:
        found = {"refusal": str(refusal)}
    except Exception as failure:  # noqa: BLE001  # the other process tells it
        last = traceback.extract_tb(failure.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        found = {"failure": f"{type(failure).__name__} in {place}"}
    return json.dumps(found).encode()


def main() -> None:
    """Answer once. Ends at once when the other process does, and at no signal that can wait."""
    for ordinary in (signal.SIGINT, signal.SIGTERM):  # sent to a whole service when it stops
        signal.signal(ordinary, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    with contextlib.suppress(OSError):  # where memory is short, rather this process than another
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read()))


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written: this returns when the other end is closed
    os._exit(1)


if __name__ == "__main__":
    main()
