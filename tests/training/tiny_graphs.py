"""Graphs of all plans, small and with random weights, for the tests that look into them."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime

from training.forms import CELLS as CELLS_BY_KIND
from training.graphs import MASKED, Plan, write_graphs


@dataclass(frozen=True)
class Sizes:
    V: int = 11
    E: int = 6
    D: int = 4
    H: int = 6
    A: int = 8


TINY = Sizes()
WIDE = Sizes(V=320, E=24, D=80, H=192, A=136)
"""Wide enough for the kernels to divide their sums, and for a vocabulary in blocks."""
LENGTHS = np.array([3, 1, 5, 2], np.int32)
CELLS, ATTENTIONS = ("gru", "lstm"), ("dot", "general", "additive")
SINGLE = [
    Plan(cell, attention, layers, layers)
    for cell, attention, layers in product(CELLS, ATTENTIONS, (1, 2))
] + [Plan("gru", "general", 1, 3)]
HEADED = [Plan("gru", attention, 1, 2, attention_heads=2) for attention in ATTENTIONS]


def own_options(cell):
    """Return what a recipe must say besides the cell's name."""
    return {"delay": 3} if cell == "skip" else {}


PLANS = SINGLE + HEADED
FORMED = [
    Plan(cell, "general", layers, layers, **own_options(cell))
    for cell in CELLS_BY_KIND
    if cell not in CELLS
    for layers in (1, 2)
]
"""Every other cell; graphs know of the form that it is computed in only."""
CONTEXTS = [
    *(Plan("gru", "none", 1, 2, summary=summary) for summary in ("state", "input", "both")),
    Plan("lstm", "none", 2, 3, summary="both", context="first", residual=True),
    Plan("elman", "none", 2, 1, summary="input"),
    Plan("gru", "general", 1, 2, input_feeding=True),
    Plan("lstm", "additive", 2, 2, input_feeding=True, attention_heads=2, residual=True),
]
"""What the decoder may get to know of the source, besides attention alone."""
OPTIONS = {
    "norm": {"layer_norm": True},
    "residual": {"residual": True},
    "first": {"context": "first"},
    "all": {"layer_norm": True, "residual": True, "context": "first"},
}
DEEP_PLANS = [
    Plan("gru", "general", 2, 2, **OPTIONS["norm"]),
    Plan("lstm", "additive", 3, 1, **OPTIONS["norm"]),
    Plan("gru", "additive", 3, 2, **OPTIONS["residual"]),
    Plan("lstm", "general", 2, 3, **OPTIONS["residual"]),
    Plan("gru", "general", 1, 3, **OPTIONS["first"]),
    Plan("gru", "additive", 3, 4, **OPTIONS["all"]),
    Plan("lstm", "dot", 4, 3, attention_heads=2, **OPTIONS["all"]),
]


def plan_name(plan):
    heads = f"{plan.attention_heads}heads" if plan.attention_heads > 1 else ""
    shape = f"{plan.cell}-{plan.attention}{heads}-{plan.encoder_layers}-{plan.decoder_layers}"
    options = [name for name in ("layer_norm", "residual", "input_feeding") if getattr(plan, name)]
    options += [] if plan.attends else [plan.summary]
    return "-".join([shape, *options, *(["first"] if plan.context == "first" else [])])


def shapes_of_layer(form, name, size, inputs):
    rows = len(form.gates) * size
    shapes = {
        f"{name}.input_weight": (rows, inputs),
        f"{name}.hidden_weight": (rows, size),
        f"{name}.input_bias": (rows,),
        f"{name}.hidden_bias": (rows,),
    }
    if form.peepholes:
        shapes[f"{name}.peephole"] = (3 * size,)
    if form.is_delayed:
        shapes[f"{name}.delayed_weight"] = (size, size)
    return shapes


def random_weights(plan, *, seed=0, is_tied=False, sizes=TINY):
    random = np.random.default_rng(seed)
    V, E, D, A = sizes.V, sizes.E, sizes.D, sizes.A
    M = 2 * D
    hidden = M if plan.attention == "dot" else sizes.H
    keys = hidden if plan.attention == "general" else A
    shapes = dict.fromkeys(("source_embedding", "target_embedding"), (V, E))
    shapes |= {"output_embedding": (V, E), "output_bias": (V,)}
    layers = {
        f"encoder.{layer}.{way}": (D, E if layer == 0 else M)
        for layer, way in product(range(plan.encoder_layers), ("forward", "backward"))
    }
    for layer in range(plan.decoder_layers):
        read = (E if layer == 0 else hidden) + M * plan.reads_context(layer)
        layers[f"decoder.{layer}"] = (hidden, read)
        if plan.starts_from_source:
            shapes |= {f"initial.{layer}.weight": (hidden, M), f"initial.{layer}.bias": (hidden,)}
    for name, of_layer in layers.items():
        shapes |= shapes_of_layer(plan.form, name, *of_layer)
    if plan.attention not in {"dot", "none"}:
        shapes["keys.weight"] = (keys, M)
    if plan.attention == "additive":
        shapes |= {"keys.bias": (A,), "query.weight": (A, hidden), "score.weight": (1, A)}
    shapes |= {"readout.weight": (E, hidden + M * plan.has_context + E), "readout.bias": (E,)}
    spread = 0.7 if sizes == TINY else 0.1
    weights = {
        name: random.normal(size=shape, scale=spread).astype(np.float32)
        for name, shape in shapes.items()
    }
    if is_tied:
        for name in ("source_embedding", "output_embedding"):
            weights[name] = weights["target_embedding"]
    return weights


def open_graph(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Graphs:
    """Both graphs on ONNX Runtime."""

    def __init__(self, files):
        self.files = files
        self._encoder, self._step = open_graph(files.encoder), open_graph(files.step)
        self.state_names = [
            tensor.name for tensor in self._step.get_inputs() if tensor.name.startswith("state_")
        ]

    def replace_step(self, step):
        """Run another in place of the step."""
        self._step = step

    def encode(self, source_NS, lengths_N):
        inputs = {"source_NS": source_NS, "lengths_N": lengths_N}
        keys_NAS, memory_NSM, *states = self._encoder.run(None, inputs)
        is_padding_NS = np.arange(source_NS.shape[1]) >= lengths_N[:, None]
        mask_NS = np.where(is_padding_NS, MASKED, 0).astype(memory_NSM.dtype)
        return (keys_NAS, memory_NSM, mask_NS), states

    def step(self, memory, states, parents_NK, tokens_NK, candidates=TINY.V):
        """Return scores, tokens, attention and the states after, each with rows in one axis."""
        inputs = {"parents_NK": np.array(parents_NK), "tokens_NK": np.array(tokens_NK)}
        inputs |= dict(zip(("keys_NAS", "memory_NSM", "mask_NS"), memory, strict=True))
        inputs |= dict(zip(self.state_names, states, strict=True))
        inputs["candidates"] = np.array([candidates])
        outputs = self._step.run(None, inputs)
        scores_BC, tokens_BC, attention_BS, *after = (x.reshape(-1, x.shape[2]) for x in outputs)
        return scores_BC, tokens_BC, attention_BS, after


def build(plan, weights, folder: Path, precision="fp32") -> Graphs:
    return Graphs(write_graphs(plan, weights, folder, precision))


def ragged_batch(lengths_N=LENGTHS, num_positions=None, seed=1):
    """Padding is not zero here: whatever lies there must not matter."""
    random = np.random.default_rng(seed)
    source_NS = random.integers(3, TINY.V, (len(lengths_N), num_positions or max(lengths_N)))
    return source_NS, np.array(lengths_N, np.int32)
