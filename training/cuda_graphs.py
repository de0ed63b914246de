"""The graphs for decoding on a GPU: fixed shapes, several positions to a run, joins on the device.

    greedy: tokens_NK, keys_NAS, memory_NSM, mask_NS, state_0_NKH, ... -> chosen_NKX,
            positionU_attention_NKS for each position U, positionU_next_state_0_NKH, ... of the
            last one: several positions of K = 1 rows, each fed with the best token before it
    beam:   tokens_NK, parents_NK, keys_NAS, memory_NSM, mask_NS, state_0_PH, ... -> chosen_NKX,
            attention_NKS, next_state_0_NKH, ...: one position with a fixed number of candidates
    join:   into_T and from_T -> joined_T, for each tensor T that a sentence takes along

They compute what the step computes, and with the same weights. They differ in what a CUDA graph
asks for: nothing is read from the host, and nothing's shape depends on a value. The host gets
one tensor from each run: `chosen` holds scores and, as numbers of the same kind, tokens.

Shapes: N sentences, K rows of each, P rows of the step before, X scores and as many tokens, Q
places for sentences or for rows, J sentences and R rows that join, Z positions that they come
with; the other letters are those of `models/README.md`.
"""

from collections.abc import Sequence

import numpy as np

from training.graph_plan import MASKED, Interface
from training.graph_writer import FLOAT, INT64, GraphWriter, WeightFile

POSITIONS = 4
"""Computed by one run of the greedy graph."""
CANDIDATES = 32
"""Of each row of the beam graph: a beam needs one more than it has rows, and one more for every
token that must not follow. Up to 32, ONNX Runtime's selection passes over the row once."""


class CudaGraph:
    """What the graphs here have in common: the tensors that stay on the device."""

    name: str

    def __init__(self, interface: Interface, file: WeightFile) -> None:
        self.interface, self.kind = interface, interface.kind
        self.graph = GraphWriter(self.name, file)

    @property
    def states(self) -> dict[str, int]:
        """Names of the states, without their shape letters, and their sizes."""
        return {f"state_{i}": size for i, size in enumerate(self.interface.state_sizes)}

    @property
    def memory(self) -> dict[str, list[str | int]]:
        """What rows attend to: the sizes behind the first axis, by name."""
        return {
            "keys_NAS": [self.interface.key_size, "S"],
            "memory_NSM": ["S", self.interface.memory_size],
            "mask_NS": ["S"],
        }

    def declare(self, num_rows: str | int) -> None:
        """Declare tokens and memory as inputs."""
        self.graph.input("tokens_NK", INT64, ["N", num_rows])
        for name, sizes in self.memory.items():
            self.graph.input(name, self.kind, ["N", *sizes])

    def finish(self, prefixes: Sequence[str], num_rows: str | int, count: int) -> GraphWriter:
        """Declare as outputs what steps have chosen and attended to, and the last one's states."""
        graph, rows = self.graph, ["N", num_rows]
        assert self.interface.vocabulary_size <= 1 << 24, "float32 holds no larger integers"
        scores = [f"{prefix}scores_NKC" for prefix in prefixes]
        numbers = [
            graph.node("Cast", [f"{prefix}tokens_NKC"], f"{prefix}numbers_NKC", to=FLOAT)
            for prefix in prefixes
        ]
        graph.node("Concat", [*scores, *numbers], "chosen_NKX", axis=2)
        graph.output("chosen_NKX", FLOAT, [*rows, 2 * count])
        for prefix in prefixes:
            graph.output(f"{prefix}attention_NKS", self.kind, [*rows, "S"])
        for state, size in self.states.items():
            graph.output(f"{prefixes[-1]}next_{state}_NKH", self.kind, [*rows, size])
        return graph


class GreedyGraph(CudaGraph):
    """Several positions of one row for each sentence, the best token of each feeding the next.

    A row that has ended goes on; whoever reads it stops at its end.
    """

    name = "greedy"

    def build(self, step: GraphWriter, positions: int) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        graph, prefixes = self.graph, [f"position{i}_" for i in range(positions)]
        self.declare(1)
        tokens_NK = "tokens_NK"
        states = [
            graph.input(f"{state}_NKH", self.kind, ["N", 1, size])
            for state, size in self.states.items()
        ]
        for prefix in prefixes:
            parents = [f"parent_{state}_NKH" for state in self.states]
            known = dict(zip(parents, states, strict=True))
            known |= {"tokens_NK": tokens_NK, "candidates": graph.integers(1)}
            graph.include(step, known, prefix)
            states = [f"{prefix}next_{state}_NKH" for state in self.states]
            inputs = [f"{prefix}tokens_NKC", graph.integers(2)]
            tokens_NK = graph.node("Squeeze", inputs, f"{prefix}tokens_NK")
        return self.finish(prefixes, 1, positions)


class BeamGraph(CudaGraph):
    """One position of a beam; the number of candidates is fixed."""

    name = "beam"

    def build(self, step: GraphWriter) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        graph = self.graph
        self.declare("K")
        graph.input("parents_NK", INT64, ["N", "K"])
        for state, size in self.states.items():
            graph.input(f"{state}_PH", self.kind, ["P", size])
        count = min(CANDIDATES, self.interface.vocabulary_size)
        graph.include(step, {"candidates": graph.integers(count)}, "")
        return self.finish([""], "K", count)


class JoinGraph(CudaGraph):
    """Copies sentences from one set of tensors to places of another, which may be larger.

    Who binds an `into` tensor as the joined one too has nothing copied but what joins.
    """

    name = "join"

    def build(self) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        for name in ("sentences_J", "rows_R"):
            self.graph.input(name, INT64, [name[-1]])
        for name in ("places_J1", "row_places_R1"):
            self.graph.input(name, INT64, [name[-2], 1])
        self.graph.input("positions_1", INT64, [1])
        for name, sizes in self.memory.items():
            self._join_sentences(name, sizes, MASKED if name == "mask_NS" else 0.0)
        for state, size in self.states.items():
            self._join_rows(f"{state}_PH", size)
        return self.graph

    def _join_sentences(self, name: str, sizes: list[str | int], filling: float) -> None:
        """Copy what sentences attend to, cut or filled up to the positions of its place."""
        graph, axis = self.graph, 1 + sizes.index("S")
        source_sizes = ["Z" if size == "S" else size for size in sizes]
        source = graph.input(f"from_{name}", self.kind, ["N", *source_sizes])
        taken = graph.node("Gather", [source, "sentences_J"], f"taken_{name}")
        limits = [graph.integers(0), "positions_1", graph.integers(axis)]
        cut = graph.node("Slice", [taken, *limits], f"cut_{name}")
        amounts = graph.input(f"padding_{name}", INT64, [2 * (1 + len(sizes))])
        value = graph.constant(f"filling_{name}", np.array(filling, self.interface.dtype))
        filled = graph.node("Pad", [cut, amounts, value], f"filled_{name}")
        self._place(name, sizes, "places_J1", filled)

    def _join_rows(self, name: str, size: int) -> None:
        source = self.graph.input(f"from_{name}", self.kind, ["P", size])
        taken = self.graph.node("Gather", [source, "rows_R"], f"taken_{name}")
        self._place(name, [size], "row_places_R1", taken)

    def _place(self, name: str, sizes: list[str | int], places: str, values: str) -> None:
        graph = self.graph
        into = graph.input(f"into_{name}", self.kind, ["Q", *sizes])
        joined = graph.node("ScatterND", [into, places, values], f"joined_{name}")
        graph.output(joined, self.kind, ["Q", *sizes])
