"""Places for sentences in memory that never moves, and the runs over them.

Every place is computed in every run, taken or not: all shapes are fixed, so that a run can be
captured and played back. States are kept twice: one run reads the first and writes the second,
the next one the other way round.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from service.engine.cuda_graphs import (
    Bound,
    BoundRun,
    CudaGraphs,
    DecoderName,
    DeviceTensor,
    GraphName,
)
from service.engine.hypothesis import StepResult
from service.engine.onnx_batch import MASKED

Integers = NDArray[np.int64]


class Table:
    """N places of K rows and S positions. Whoever uses it holds the graphs' lock."""

    def __init__(self, graphs: CudaGraphs, places: int, width: int, positions: int) -> None:
        self.num_places, self.num_positions = places, positions
        self._graphs, self._width = graphs, width
        rows = places, width
        sizes = {"keys_NAS": (graphs.key_size, positions)}
        sizes["memory_NSM"] = (positions, graphs.memory_size)
        self._tokens_NK = graphs.zeros(rows, np.int64)
        self._parents_NK = graphs.zeros(rows, np.int64)
        self._memory = {name: graphs.zeros((places, *size)) for name, size in sizes.items()}
        self._memory["mask_NS"] = graphs.tensor(np.full((places, positions), MASKED, graphs.dtype))
        states = zip(graphs.states, graphs.state_sizes, strict=True)
        shapes = {f"{name}_PH": (places * width, size) for name, size in states}
        self._states = [{each: graphs.zeros(x) for each, x in shapes.items()} for _ in range(2)]
        self._turn = 0
        self._results: dict[str, DeviceTensor] = {}
        self._runs: dict[tuple[DecoderName, bool, int], BoundRun] = {}

    @property
    def tensors(self) -> Mapping[str, DeviceTensor]:
        """What sentences take along when they join or move: memory, and the latest states."""
        return self._memory | self._states[self._turn]

    def greedy(self, tokens_NK: Integers, *, with_attention: bool) -> list[StepResult]:
        """Compute the best tokens of several positions; every row continues itself."""
        self._tokens_NK.write(tokens_NK)
        scores_NKU, tokens_NKU, attention = self._run("greedy", with_attention=with_attention)
        return [
            StepResult(scores_NKU[:, :, [i]], tokens_NKU[:, :, [i]], weights_NKS)
            for i, weights_NKS in enumerate(attention)
        ]

    def beam(
        self, parents_NK: Integers, tokens_NK: Integers, candidates: int, *, with_attention: bool
    ) -> list[StepResult]:
        """Compute one position; parents are rows of this table."""
        self._tokens_NK.write(tokens_NK)
        self._parents_NK.write(parents_NK)
        if candidates > self._graphs.counts["beam"]:
            return [self._step(candidates, with_attention=with_attention)]
        scores_NKC, tokens_NKC, attention = self._run("beam", with_attention=with_attention)
        return [
            StepResult(scores_NKC[:, :, :candidates], tokens_NKC[:, :, :candidates], attention[0])
        ]

    def _run(
        self, graph: DecoderName, *, with_attention: bool
    ) -> tuple[NDArray[np.float32], Integers, list[NDArray[np.float32] | None]]:
        key = graph, with_attention, self._turn
        if key not in self._runs:
            self._runs[key] = self._bind(*key)
        self._runs[key].run()
        self._turn = 1 - self._turn
        chosen_NKX = self._results[f"{graph} chosen_NKX"].read()
        scores, tokens = np.split(chosen_NKX, 2, axis=2)
        names = self._graphs.outputs(graph, "attention_NKS")
        attention = [
            self._results[f"{graph} {name}"].read().astype(np.float32) if with_attention else None
            for name in names
        ]
        return scores, tokens.astype(np.int64), attention

    def _step(self, candidates: int, *, with_attention: bool) -> StepResult:
        """Compute one position with more candidates than the captured graph has."""
        inputs, outputs = self._inputs("beam", self._turn), self._next_states("step", self._turn)
        result = self._graphs.step(inputs, candidates, outputs, with_attention=with_attention)
        self._turn = 1 - self._turn
        return result

    def _bind(self, graph: DecoderName, with_attention: bool, turn: int) -> BoundRun:
        outputs = {"chosen_NKX": self._result(graph, "chosen_NKX")}
        if with_attention:
            for name in self._graphs.outputs(graph, "attention_NKS"):
                outputs[name] = self._result(graph, name)
        outputs |= self._next_states(graph, turn)
        return self._graphs.bind(graph, self._inputs(graph, turn), outputs)

    def _inputs(self, graph: DecoderName, turn: int) -> dict[str, Bound]:
        inputs = {"tokens_NK": Bound(self._tokens_NK)}
        inputs |= {name: Bound(tensor) for name, tensor in self._memory.items()}
        if graph == "greedy":
            return inputs | self._grids([f"{each}_NKH" for each in self._graphs.states], turn)
        inputs["parents_NK"] = Bound(self._parents_NK)
        return inputs | {name: Bound(state) for name, state in self._states[turn].items()}

    def _next_states(self, graph: GraphName, turn: int) -> dict[str, Bound]:
        names = [
            self._graphs.outputs(graph, f"next_{each}_NKH")[-1] for each in self._graphs.states
        ]
        return self._grids(names, 1 - turn)

    def _grids(self, names: list[str], turn: int) -> dict[str, Bound]:
        """Give one set of states to a graph that knows it as N x K rows."""
        rows = self.num_places, self._width
        states = self._states[turn].values()
        return {
            name: Bound(state, (*rows, state.shape[1]))
            for name, state in zip(names, states, strict=True)
        }

    def _result(self, graph: DecoderName, name: str) -> Bound:
        """Return where an output goes that the host reads; all runs of a graph use the same."""
        key = f"{graph} {name}"
        if key not in self._results:
            graphs, rows = self._graphs, (self.num_places, self._width)
            if name == "chosen_NKX":
                self._results[key] = graphs.zeros((*rows, 2 * graphs.counts[graph]), np.float32)
            else:
                self._results[key] = graphs.zeros((*rows, self.num_positions))
        return Bound(self._results[key])
