"""Saved states of training, written whole or not at all."""

import os
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]


def save(state: State, path: Path) -> None:
    """Write a checkpoint; whoever reads it sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def load(path: Path) -> State:
    """Read a checkpoint onto the CPU.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: train first") from None
    except Exception as error:  # noqa: BLE001  torch raises whatever unpickling raises
        raise ValueError(f"{path} is damaged ({type(error).__name__})") from None
    return state
