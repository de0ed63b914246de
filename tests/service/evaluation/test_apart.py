"""A child process that analyses; its tests look at it from outside, as an operator would."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.errors import InvalidRequest, ServiceError
from service.evaluation import Task, analyse, analyse_apart
from service.evaluation.child import answer

TASK = Task(
    source=["Katze \ud800", "Hund", ""],
    references=[["the cat\u2028sat", "a dog", "so"]],
    hypotheses=["a cat sat", "a dog", ""],
    baseline=["a cat", "the dog", "so"],
    target="en",
    resamples=20,
)

# TER tries many shifts of many words: minutes of work, in less than a pipe holds, so that the
# child has all of it soon.
SCRAMBLED = " ".join(str(number * 37 % 400) for number in range(400))
ENDLESS = Task(
    source=None,
    references=[[" ".join(map(str, range(400)))] * 15],
    hypotheses=[SCRAMBLED] * 15,
    baseline=None,
    target="en",
    metrics=["ter"],
)

PARENT = """
from service.evaluation import Task, analyse_apart
from tests.service.evaluation.test_apart import ENDLESS, children
analyse_apart(ENDLESS, lambda: print(*children(), flush=True))
"""


class Unwanted(Exception):
    """What a check raises when the job is cancelled."""


def children():
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def unchecked():
    pass


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid, seconds=60):
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        os.sched_yield()
    return not is_running(pid)


def test_analysis_of_a_child_is_that_of_this_process():
    assert analyse_apart(TASK, unchecked) == analyse(TASK)


def test_task_larger_than_a_pipe_arrives():
    task = replace(TASK, source=["word " * 2_000_000, "b", "c"], examples=0)

    assert analyse_apart(task, unchecked) == analyse(task)


def test_child_ends_with_what_the_check_raises():
    known, seen = set(children()), []

    def check():
        seen.extend(set(children()) - known)
        if len(seen) > 1:
            raise Unwanted

    with pytest.raises(Unwanted):
        analyse_apart(ENDLESS, check)

    assert seen[0] == seen[1]
    assert not is_running(seen[0])


def test_child_waits_for_others_and_hears_no_signal_of_the_terminal():
    known, seen = set(children()), []

    def check():
        [child] = set(children()) - known
        seen.append((os.getpriority(os.PRIO_PROCESS, child), os.getsid(child) == os.getsid(0)))
        raise Unwanted

    with pytest.raises(Unwanted):
        analyse_apart(ENDLESS, check)

    assert seen == [(min(19, os.nice(0) + 10), False)]


def test_child_that_something_kills_is_told():
    known = set(children())

    def check():
        for child in set(children()) - known:
            os.kill(child, signal.SIGKILL)

    with pytest.raises(ServiceError, match="the process that scores ended with status -9: memory"):
        analyse_apart(ENDLESS, check)


def test_child_ends_with_its_parent():
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=root, text=True
    ) as parent:
        child = int(parent.stdout.readline())
        parent.stdout.readline()  # the child has been at work for a while
        parent.kill()

    assert ends(child)


def test_lines_that_do_not_fit_are_refused_without_a_child():
    known = set(children())

    with pytest.raises(InvalidRequest, match="reference 1 has 3 lines for 2 hypotheses"):
        analyse_apart(replace(TASK, source=None, baseline=None, hypotheses=["a", "b"]), unchecked)

    assert set(children()) == known


@pytest.mark.skipif(find_spec("MeCab") is not None, reason="the Japanese tokenizer is installed")
def test_refusal_travels():
    with pytest.raises(InvalidRequest, match=r"BLEU for ja needs the package sacrebleu\[ja\]"):
        analyse_apart(replace(TASK, target="ja"), unchecked)


def test_failure_is_told_without_the_lines():
    told = answer(b'{"secret": []}')  # Python's own words would be "unexpected argument 'secret'"

    assert told.startswith(b'{"failure": "TypeError in child.py, line ')
    assert b"secret" not in told
