"""What the engine does on CUDA, told as JSON; run by the Python that has the build for GPUs.

open GRAPH ...   the refusal of each graph, opened as those are that will be captured, or ""
device           the device that is chosen when CUDA is wanted, or the refusal
decode FOLDER    after each of some steps: graphs captured and graphs played back so far
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

from service.engine.cuda_batch import CudaBatch
from service.engine.cuda_graphs import CudaGraphs
from service.engine.device import CannotRun, choose_device
from service.engine.sessions import open_session

LOG = Path(os.environ.get("STUB_CUDA_LOG", os.devnull))


class Folder:
    """The graphs of a folder, in place of a bundle's."""

    device = "cuda"
    states = ("state_0", "state_1")
    vocabulary_size = 330

    def __init__(self, path: Path, encoder_device: str) -> None:
        self._path, self._encoder_device = path, encoder_device

    def open(self, name: str, *, capture: bool = False):
        device = self._encoder_device if name == "encoder" else "cuda"
        return open_session(self._path / f"{name}.onnx", device, capture=capture)


def refusal_of(path: str) -> str:
    try:
        open_session(Path(path), "cuda", capture=True)
    except CannotRun as refusal:
        return str(refusal)
    return ""


def device() -> str:
    try:
        return choose_device("cuda")
    except CannotRun as refusal:
        return str(refusal)


def counts() -> list[int]:
    lines = LOG.read_text().split() if LOG.exists() else []
    return [lines.count("capture"), lines.count("replay")]


def decode(folder: Path, encoder_device: str) -> list[list[int]]:
    graphs = CudaGraphs(Folder(folder, encoder_device))
    greedy, beam, found = CudaBatch(graphs, 1), CudaBatch(graphs, 3), []
    greedy.admit([[5, 6, 2], [7, 2]])
    tokens, parents = np.ones((2, 1), np.int64), np.array([[0], [1]])
    for _ in range(4):
        greedy.step(parents, tokens, 1)
        found.append(counts())
    greedy.step(parents, tokens, 1, with_attention=True)
    found.append(counts())
    beam.admit([[5, 6, 2]])
    for _ in range(3):
        beam.step(np.zeros((1, 3), np.int64), np.ones((1, 3), np.int64), 4)
        found.append(counts())
    return found


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    answers = {
        "open": lambda: [refusal_of(path) for path in arguments],
        "device": device,
        "decode": lambda: decode(Path(arguments[0]), arguments[1]),
    }
    sys.stdout.write(json.dumps(answers[command]()))
