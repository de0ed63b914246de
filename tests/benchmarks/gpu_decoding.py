"""What `gpu.py` measures, one thing after the other, on any device."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
from bench_models import Sizes, random_weights
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.bundle import Bundle, Manifest, Variant, describe_file
from models.tokenizer import BOS, EOS
from service.engine.cuda_batch import CudaBatch
from service.engine.cuda_graphs import CudaGraphs
from service.engine.device import Device
from service.engine.hypothesis import SearchOptions, StepResult
from service.engine.onnx_batch import OnnxBatch
from service.engine.scheduler import Scheduler
from service.engine.sessions import Sessions, open_session
from service.engine.worker import MakeBatch
from training.cuda_graphs import CANDIDATES
from training.graphs import Precision, write_graphs

SOURCE_TOKENS, TARGET_TOKENS = 14, 16
FIRST_WORD = 4
KINDS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16}
DTYPES = {"fp32": np.float32, "fp16": np.float16}


@dataclass(frozen=True)
class Parity:
    """How closely a rendering follows the reference, fed with the same tokens."""

    max_difference: float
    """Of log-probabilities."""
    equal_tokens: float
    """Share of positions with the same best token."""
    equal_sentences: float
    """Share of greedy translations that are the same when each follows its own tokens."""


def build(
    folder: Path, sizes: Sizes, vocabulary: int, precision: Precision, positions: int
) -> Bundle:
    """Write a random network with the graphs for a GPU; return what sessions ask of a bundle."""
    folder.mkdir(parents=True)
    weights = random_weights(sizes, vocabulary, seed=0)
    files = write_graphs(sizes.plan, weights, folder, precision, positions=positions)
    names = ("encoder", "step", "weights", "greedy", "beam", "join")
    variant = Variant(**{name: describe_file(getattr(files, name), folder) for name in names})
    manifest = Manifest.model_construct(
        name="random",
        version=1,
        state=[f"state_{i}" for i in range(sizes.plan.num_states)],
        variants={precision: variant},
        tokenizer=SimpleNamespace(size=vocabulary),
    )
    return Bundle(folder, manifest)


def sources(vocabulary: int, count: int) -> list[list[int]]:
    """Draw sentences of one length; the same for equal arguments."""
    draw = np.random.default_rng(count)
    words = draw.integers(FIRST_WORD, vocabulary, size=(count, SOURCE_TOKENS - 1))
    return [[*sentence, EOS] for sentence in words.tolist()]


def compare(reference: Sessions, graphs: CudaGraphs, count: int) -> Parity:
    """Hold a rendering against the reference, position by position."""
    sentences = sources(reference.vocabulary_size, count)
    ours, theirs = CudaBatch(graphs, 1), OnnxBatch(reference, 1)
    parents_NK = np.array([*ours.admit(sentences)])[:, None]
    theirs.admit(sentences)
    tokens_NK, differences, equal, best = np.full_like(parents_NK, BOS), [], [], []
    for _ in range(TARGET_TOKENS):
        found, expected = (
            batch.step(parents_NK, tokens_NK, CANDIDATES)[0] for batch in (ours, theirs)
        )
        differences.append(_difference(found, expected))
        tokens_NK = expected.tokens_NKC[:, :, 0]
        equal.append(found.tokens_NKC[:, :, 0] == tokens_NK)
        best.append(tokens_NK[:, 0])
        parents_NK = np.arange(count)[:, None]
    is_same_N = (follow(graphs, sentences) == np.stack(best, axis=1)).all(axis=1)
    return Parity(max(differences), float(np.mean(equal)), float(is_same_N.mean()))


def _difference(found: StepResult, expected: StepResult) -> float:
    """Return the greatest difference of log-probabilities, over tokens that both have."""
    is_same = found.tokens_NKC[..., None] == expected.tokens_NKC[..., None, :]
    differences = np.abs(found.scores_NKC[..., None] - expected.scores_NKC[..., None, :])
    return float(differences[is_same].max())


def follow(graphs: CudaGraphs, sentences: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Decode greedily with the captured runs of several positions; return the tokens."""
    batch = CudaBatch(graphs, 1)
    parents_NK = np.array([*batch.admit(sentences)])[:, None]
    tokens_NK, chosen = np.full_like(parents_NK, BOS), []
    while len(chosen) < TARGET_TOKENS:
        chosen += [result.tokens_NKC[:, :, 0] for result in batch.step(parents_NK, tokens_NK, 1)]
        tokens_NK, parents_NK = chosen[-1], np.arange(len(sentences))[:, None]
    return np.concatenate(chosen[:TARGET_TOKENS], axis=1)


def count_differences(ours: CudaGraphs, theirs: CudaGraphs, vocabulary: int) -> int:
    """Return in how many runs two renderings differ in a single bit, greedy and beam."""
    sentences, differing = sources(vocabulary, 8), 0
    for width in (1, 5):
        batches = [CudaBatch(graphs, width) for graphs in (ours, theirs)]
        rows = [batch.admit(sentences) for batch in batches][-1]
        parents_NK = np.repeat(np.array([*rows])[:, None], width, axis=1)
        tokens_NK = np.full_like(parents_NK, BOS)
        for _ in range(TARGET_TOKENS):
            pair = [
                batch.step(parents_NK, tokens_NK, 1 if width == 1 else width + 1)[-1]
                for batch in batches
            ]
            differing += not all(
                np.array_equal(*(getattr(each, name) for each in pair))
                for name in ("scores_NKC", "tokens_NKC")
            )
            tokens_NK = pair[0].tokens_NKC[:, 0, :width]
            parents_NK = np.arange(tokens_NK.size).reshape(tokens_NK.shape)
    return differing


def seconds_a_position(graphs: CudaGraphs, width: int, rows: int, seconds: float) -> float:
    """Return how long a batch takes for a target position: its runs, and copies to and fro."""
    batch, count = CudaBatch(graphs, width, (rows,)), rows // width
    admitted = batch.admit(sources(graphs.vocabulary_size, count))
    tokens_NK = np.full((count, width), FIRST_WORD)
    parents_NK = np.repeat(np.array([*admitted])[:, None], width, axis=1)
    candidates, computed = 1 if width == 1 else width + 1, 0
    batch.step(parents_NK, tokens_NK, candidates)
    parents_NK = np.arange(count * width).reshape(count, width)
    batch.step(parents_NK, tokens_NK, candidates)  # each set of states is captured by now
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or not computed:
        batch.step(parents_NK, tokens_NK, candidates)
        computed += batch.num_steps
    return (time.perf_counter() - began) / computed


class FreeBatch:
    """A batch whose answers cost nothing, for they are drawn beforehand: see `LiveBatch`."""

    def __init__(self, vocabulary: int, positions: int, width: int) -> None:
        self.num_steps = positions if width == 1 else 1
        self._vocabulary, self._num_rows = vocabulary, 0
        self._results: dict[tuple[int, ...], Iterator[StepResult]] = {}

    def admit(
        self, sentences: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]] | None = None
    ) -> range:
        """Append one row for each."""
        first, self._num_rows = self._num_rows, self._num_rows + len(sentences)
        return range(first, self._num_rows)

    def step(
        self,
        parents_NK: NDArray[np.int64],
        tokens_NK: NDArray[np.int64],
        candidates: int,
        *,
        with_attention: bool = False,
    ) -> list[StepResult]:
        """Answer by chance."""
        self._num_rows = parents_NK.size
        shape = *parents_NK.shape, candidates
        if shape not in self._results:
            # More than a sentence has tokens, or it would be stopped for repeating itself.
            drawn = [self._draw(shape, seed) for seed in range(2 * TARGET_TOKENS)]
            self._results[shape] = itertools.cycle(drawn)
        return list(itertools.islice(self._results[shape], self.num_steps))

    def clear(self) -> None:
        """Forget all rows."""
        self._num_rows = 0

    def _draw(self, shape: tuple[int, ...], seed: int) -> StepResult:
        draw = np.random.default_rng(seed)
        scores_NKC = -np.sort(draw.random(shape, np.float32), axis=2)
        return StepResult(scores_NKC, draw.integers(FIRST_WORD, self._vocabulary, shape))


def engine_tokens_a_second(
    make_batch: MakeBatch, width: int, rows: int, sentences: Sequence[Sequence[int]]
) -> float:
    """Return the target tokens a second of the whole engine: line, worker, batch and search."""
    scheduler = Scheduler(make_batch, workers=1, max_rows=rows, max_waiting_tokens=1 << 40)
    options = [SearchOptions(width, max_tokens=TARGET_TOKENS)] * len(sentences)
    for future in scheduler.submit(sentences[:rows], options[:rows]):
        future.result()  # each set of states is captured by now
    began = time.perf_counter()
    found = [future.result()[0] for future in scheduler.submit(sentences, options)]
    elapsed = time.perf_counter() - began
    scheduler.close()
    return sum(len(each.tokens) for each in found) / elapsed


def peak_operations(device: Device, precision: str, size: int, folder: Path) -> float:
    """Return the multiplications and additions a second of a product of square matrices."""
    node = helper.make_node("MatMul", ["x", "y"], ["z"])
    seconds = _fastest(device, precision, node, (size, size), folder)
    return 2 * size**3 / seconds


def peak_bytes(device: Device, precision: str, size: int, folder: Path) -> float:
    """Return the bytes a second of a sum of two matrices: two are read, one is written."""
    node = helper.make_node("Add", ["x", "y"], ["z"])
    seconds = _fastest(device, precision, node, (size, size), folder)
    return 3 * size**2 * np.dtype(DTYPES[precision]).itemsize / seconds


def _fastest(
    device: Device, precision: str, node: onnx.NodeProto, shape: tuple[int, int], folder: Path
) -> float:
    values = [helper.make_tensor_value_info(name, KINDS[precision], shape) for name in "xyz"]
    graph = helper.make_graph([node], "peak", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / f"{node.op_type}-{precision}.onnx"
    onnx.save(model, path)
    session, binding, seconds = open_session(path, device), None, []
    binding = session.io_binding()
    for name in "xy":
        binding.bind_cpu_input(name, np.ones(shape, DTYPES[precision]))
    binding.bind_output("z", device)
    for _ in range(20):
        began = time.perf_counter()
        session.run_with_iobinding(binding)
        seconds.append(time.perf_counter() - began)
    return min(seconds)
