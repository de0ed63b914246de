"""The two graphs of an ensemble: those of its members side by side, as if they were one network.

    encoder: source -> [ encoder of each member ] -> keys and memories side by side, all states
    step:    keys and memories apart again -> [ step of each member, up to its probabilities ]
             -> their mean -> best tokens; the mean of what the members attended to

What goes in and out has the names and meanings of `graphs.py`, so whoever runs one network runs
an ensemble: A and M are sums over the members, the states those of one member after the other.

Shapes: those of `graphs.py`; V the vocabulary.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from training.encoder_graph import EncoderGraph
from training.graph_plan import GraphPart, Interface
from training.graph_writer import FLOAT, INT32, INT64, GraphWriter, WeightFile
from training.step_graph import StepGraph


def join_interfaces(members: Sequence[GraphPart]) -> Interface:
    """Return what the graphs of all members together exchange."""
    first, *_ = interfaces = [member.interface for member in members]
    return Interface(
        dtype=first.dtype,
        key_size=sum(each.key_size for each in interfaces),
        memory_size=sum(each.memory_size for each in interfaces),
        state_sizes=tuple(size for each in interfaces for size in each.state_sizes),
        vocabulary_size=first.vocabulary_size,
    )


def join_encoders(members: Sequence[EncoderGraph], file: WeightFile) -> GraphWriter:
    """Return the encoders as one."""
    graph, interface = GraphWriter("encoder", file), join_interfaces(members)
    source_NS = graph.input("source_NS", INT64, ["N", "S"])
    lengths_N = graph.input("lengths_N", INT32, ["N"])
    prefixes = _prefixes(members)
    for prefix, member in zip(prefixes, members, strict=True):
        graph.include(member.build(), {"source_NS": source_NS, "lengths_N": lengths_N}, prefix)
    for name, (axis, shape) in _memory(interface).items():
        graph.node("Concat", [f"{prefix}{name}" for prefix in prefixes], name, axis=axis)
        graph.output(name, interface.kind, shape)
    for i, (prefix, own) in enumerate(_states(members)):
        name = f"state_{i}_NH"
        graph.node("Identity", [f"{prefix}state_{own}_NH"], name)
        graph.output(name, interface.kind, ["N", interface.state_sizes[i]])
    return graph


def join_steps(members: Sequence[StepGraph], file: WeightFile) -> GraphWriter:
    """Return the steps as one."""
    graph, interface = GraphWriter("step", file), join_interfaces(members)
    tokens_NK = graph.input("tokens_NK", INT64, ["N", "K"])
    parents_NK = graph.input("parents_NK", INT64, ["N", "K"])
    graph.input("candidates", INT64, [1])
    common = {"tokens_NK": tokens_NK, "mask_NS": "mask_NS"}
    graph.input("mask_NS", interface.kind, ["N", "S"])
    known = _divide_memory(graph, members, interface)
    for i, (prefix, own) in enumerate(_states(members)):
        state_PH = graph.input(f"state_{i}_PH", interface.kind, ["P", interface.state_sizes[i]])
        # By this name, for the graphs of a GPU know the parents' states already.
        parent_NKH = graph.node("Gather", [state_PH, parents_NK], f"parent_state_{i}_NKH")
        known[prefix][f"parent_state_{own}_NKH"] = parent_NKH
    for (prefix, mine), member in zip(known.items(), members, strict=True):
        wanted = [f"next_state_{i}_NKH" for i in range(member.plan.num_states)]
        wanted += ["log_probabilities_NKV", "attention_NKS"]
        graph.include(member.build(), common | mine, prefix, wanted)
    _choose(graph, list(known), interface)
    _declare(graph, members, interface)
    return graph


def _divide_memory(
    graph: GraphWriter, members: Sequence[StepGraph], interface: Interface
) -> dict[str, dict[str, str]]:
    """Declare the memory and return each member's part of it, by prefix and own name."""
    own = [member.interface for member in members]
    sizes = {
        "keys_NAS": [each.key_size for each in own],
        "memory_NSM": [each.memory_size for each in own],
    }
    known: dict[str, dict[str, str]] = {prefix: {} for prefix in _prefixes(members)}
    for name, (axis, shape) in _memory(interface).items():
        whole = graph.input(name, interface.kind, shape)
        bounds = pairwise([0, *accumulate(sizes[name])])
        for (prefix, mine), (start, end) in zip(known.items(), bounds, strict=True):
            # On a GPU, Split would send unequal sizes to the device in each run.
            limits = [graph.integers(start), graph.integers(end), graph.integers(axis)]
            mine[name] = graph.node("Slice", [whole, *limits], f"{prefix}{name}")
    return known


def _choose(graph: GraphWriter, prefixes: Sequence[str], interface: Interface) -> None:
    """Add the mean of the probabilities, and the tokens for which it is greatest."""
    logs = [f"{prefix}log_probabilities_NKV" for prefix in prefixes]
    # The greatest is taken out first: what lies far below it may vanish, it never does itself.
    greatest_NKV = graph.node("Max", logs, "greatest_NKV")
    shares: list[str] = []
    for log in logs:
        below = graph.node("Sub", [log, greatest_NKV], f"{log}_below")
        shares.append(graph.node("Exp", [below], f"{log}_share"))
    share_NKV = _mean(graph, shares, "share_NKV", np.dtype(np.float32))
    log_NKV = graph.node("Log", [share_NKV], "log_share_NKV")
    mean_NKV = graph.node("Add", [greatest_NKV, log_NKV], "log_probabilities_NKV")
    graph.nodes("TopK", [mean_NKV, "candidates"], ["scores_NKC", "tokens_NKC"], axis=-1)
    weights = [f"{prefix}attention_NKS" for prefix in prefixes]
    _mean(graph, weights, "attention_NKS", interface.dtype)


def _mean(graph: GraphWriter, tensors: Sequence[str], output: str, dtype: np.dtype[Any]) -> str:
    # There is no operator Mean among those of a GPU.
    share = graph.constant(f"{output}_weight", np.array(1 / len(tensors), dtype))
    total = graph.node("Sum", tensors, f"{output}_sum")
    return graph.node("Mul", [total, share], output)


def _declare(graph: GraphWriter, members: Sequence[StepGraph], interface: Interface) -> None:
    """Declare what comes out."""
    graph.output("scores_NKC", FLOAT, ["N", "K", "C"])
    graph.output("tokens_NKC", INT64, ["N", "K", "C"])
    graph.output("attention_NKS", interface.kind, ["N", "K", "S"])
    for i, (prefix, own) in enumerate(_states(members)):
        name = f"next_state_{i}_NKH"
        graph.node("Identity", [f"{prefix}next_state_{own}_NKH"], name)
        graph.output(name, interface.kind, ["N", "K", interface.state_sizes[i]])


def _memory(interface: Interface) -> dict[str, tuple[int, list[str | int]]]:
    """Return what sentences are remembered by: the axis of its features, and its shape."""
    return {
        "keys_NAS": (1, ["N", interface.key_size, "S"]),
        "memory_NSM": (2, ["N", "S", interface.memory_size]),
    }


def _prefixes(members: Sequence[GraphPart]) -> list[str]:
    """Return what the names of each member's tensors begin with."""
    return [f"member{i}_" for i in range(len(members))]


def _states(members: Sequence[GraphPart]) -> list[tuple[str, int]]:
    """Return prefix and own number of each state of each member."""
    pairs = zip(_prefixes(members), members, strict=True)
    return [(prefix, i) for prefix, member in pairs for i in range(member.plan.num_states)]
