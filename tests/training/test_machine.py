"""A model card says what was trained on, and how much of it."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from training.machine import describe_machine


def test_all_cores_are_told_by_their_number(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)

    assert describe_machine(processes=2).startswith("2 CPU cores (")


def test_part_of_the_cores_is_told_with_the_whole(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)

    assert describe_machine().startswith("3 of 8 CPU cores (")


def test_processes_on_gpus_have_one_each(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")

    assert [describe_machine(count) for count in (1, 4)] == ["one A GPU", "4 A GPU"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the switch")
def test_memory_that_is_given_back_is_not_asked_for_again():
    code = """
import resource
from training.machine import keep_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        bytearray(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

bytearray(48 << 20)  # or glibc itself would learn from the first blocks that it frees
print(count_faults(), keep_freed_memory(), count_faults())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, is_kept, after = ran.stdout.split()

    assert is_kept == "True"
    assert int(after) < int(before) / 5
