"""A model card says what was trained on, and how much of it."""

import os

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
