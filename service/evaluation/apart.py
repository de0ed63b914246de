"""Analyse in a process of its own: what serves requests keeps its processor and its memory.

    analyse_apart -> task as JSON -> child -> analysis, refusal or failure as JSON -> Analysis

The child has a low priority, and ends with this process however that ends.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from service.errors import InvalidRequest, ServiceError
from service.evaluation.results import Analysis
from service.evaluation.task import Task, check_task

NICENESS = 10
"""How much more willingly the child waits than this process."""

LOOK_SECONDS = 0.2
"""Between two looks at whether the analysis is still wanted."""

_ROOT = Path(__file__).parents[2]


def analyse_apart(task: Task, check: Callable[[], None]) -> Analysis:
    """Do what `analyse` does, in a child process; blocks until it is done.

    Args:
        check: Called several times a second. What it raises ends the child, and is raised.

    Raises:
        InvalidRequest: as for `analyse`.
        ServiceError: the child failed, or something ended it.
    """
    check_task(task)
    with _start() as child:
        said = _talk(child, json.dumps(vars(task), default=list).encode(), check)
    if child.returncode:
        raise ServiceError(
            f"the process that scores ended with status {child.returncode}"
            + (": memory may be short" if child.returncode == -9 else "")
        )
    answer = json.loads(said)
    if "refusal" in answer:
        raise InvalidRequest(answer["refusal"])
    if "failure" in answer:
        raise ServiceError(f"scoring failed: {answer['failure']}")
    return Analysis.model_validate(answer["analysis"])


@contextlib.contextmanager
def _start() -> Iterator[subprocess.Popen[bytes]]:
    """Start a child that ends, at the latest, with this context or this process."""
    theirs, ours = os.pipe()  # the child ends when nobody has our end of it open any more
    try:
        with subprocess.Popen(  # noqa: S603  # our own module, by this interpreter
            [sys.executable, "-P", "-m", "service.evaluation.child", str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback may quote lines; what went wrong is answered
            env=_environment(),
            pass_fds=[theirs],
            start_new_session=True,  # Ctrl-C is for the server, which ends in order
        ) as child:
            try:
                os.setpriority(os.PRIO_PROCESS, child.pid, min(19, os.nice(0) + NICENESS))
                yield child
            finally:
                child.kill()
    finally:
        os.close(theirs)
        os.close(ours)


def _talk(child: subprocess.Popen[bytes], said: bytes, check: Callable[[], None]) -> bytes:
    # not by `communicate`: after a timeout it goes on reading, but never again writes
    speech, child.stdin = child.stdin, None
    threading.Thread(target=_say, args=(speech, said), daemon=True).start()
    while True:
        check()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=LOOK_SECONDS)[0]


def _say(speech: IO[bytes], said: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), speech:  # it ended before it had heard all
        speech.write(said)


def _environment() -> dict[str, str]:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(paths)}
