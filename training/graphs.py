"""The two ONNX graphs of a bundle, built from named weights; no tracing, no PyTorch.

    encoder: source_NS, lengths_N -> keys_NAS, memory_NSM, state_0_NH, ...
    step:    tokens_NK, parents_NK, candidates, keys_NAS, memory_NSM, mask_NS, state_0_PH, ...
             -> scores_NKC, tokens_NKC, attention_NKS, next_state_0_NKH, ...

The encoder runs once for N sentences. The step runs once for every target position of all
rows: row (n, k) attends to sentence n and continues row `parents_NK[n, k]` of the states it
is given with token `tokens_NK[n, k]`. It answers with the best `candidates` next tokens of
each row. Padding has no influence: the recurrences honour `lengths_N`, and `mask_NS`, which
is added to what attention compares, is MASKED where there is no token.

The weights, as NumPy arrays in PyTorch's layout and gate order (a matrix is output by input):

    source_embedding, target_embedding, output_embedding    [V, E]; equal arrays are stored once
    output_bias                                             [V]
    encoder.L.forward.*, encoder.L.backward.*, decoder.L.*  with * = input_weight, hidden_weight,
                                                            input_bias, hidden_bias; of the form
                                                            that the cell is computed as, see
                                                            `forms.py`: also delayed_weight [H, H],
                                                            peephole [3 H], of i, o, f
    initial.L.weight, initial.L.bias                        [H, M], [H]
    keys.weight, keys.bias                                  [A, M], [A]; not for dot attention,
                                                            the bias for additive only
    query.weight, score.weight                              [A, H], [1, A]; for additive only
    readout.weight, readout.bias                            [E, H + M + E], [E]

Shapes: N sentences, K rows of each, P rows of the step before, C candidates; the other letters
are those of `models/README.md`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models.shortlist import Shortlists
from training.cuda_graphs import BeamGraph, GreedyGraph, JoinGraph
from training.encoder_graph import EncoderGraph, OperatorEncoder
from training.ensemble_graphs import join_encoders, join_interfaces, join_steps
from training.graph_plan import MASKED, Interface, Plan, Weights
from training.graph_products import Arithmetic, FloatProducts
from training.graph_writer import GraphWriter, WeightFile
from training.loop_encoder import LoopEncoder
from training.quantize import IntegerProducts
from training.quantized_encoder import QuantizedEncoder
from training.quantized_step import QuantizedStep
from training.shortlist_graphs import ColumnsGraph, ShortlistStep
from training.step_graph import StepGraph

__all__ = ["MASKED", "GraphFiles", "Plan", "Precision", "Weights", "write_ensemble", "write_graphs"]


@dataclass(frozen=True, slots=True)
class GraphFiles:
    """Where the graphs and their common weights were written."""

    encoder: Path
    step: Path
    weights: Path
    greedy: Path | None = None
    """With `beam` and `join`: what a GPU decodes with; see `cuda_graphs.py`."""
    beam: Path | None = None
    join: Path | None = None
    columns: Path | None = None
    """With the next two: what decodes with shortlists; see `shortlist_graphs.py`."""
    shortlist_step: Path | None = None
    shortlists: Path | None = None


@dataclass(frozen=True, slots=True)
class _Rendering:
    """How a precision is written."""

    encoder: type[EncoderGraph]
    step: type[StepGraph]
    arithmetic: Arithmetic
    dtype: type[np.floating[Any]]
    """Of what the graphs exchange, and of the weights that are not rounded to integers."""

    def encoder_of(self, plan: Plan) -> type[EncoderGraph]:
        """Return what writes an encoder: loops, where there is no operator of its cells."""
        return LoopEncoder if plan.form.operator is None and not self.is_integer else self.encoder

    @property
    def is_integer(self) -> bool:
        """Whether products are of integers."""
        return self.arithmetic is IntegerProducts


Precision = Literal["fp32", "fp16", "int8"]

_RENDERINGS: dict[Precision, _Rendering] = {
    "fp32": _Rendering(OperatorEncoder, StepGraph, FloatProducts, np.float32),
    "fp16": _Rendering(OperatorEncoder, StepGraph, FloatProducts, np.float16),
    "int8": _Rendering(QuantizedEncoder, QuantizedStep, IntegerProducts, np.float32),
}


def write_graphs(
    plan: Plan,
    weights: Weights,
    folder: Path,
    precision: Precision = "fp32",
    *,
    positions: int | None = None,
    shortlists: Shortlists | None = None,
) -> GraphFiles:
    """Build the graphs and write them, with one weight file for all, to `folder`.

    Args:
        positions: write the graphs for a GPU too; so many are computed by one greedy run.
        shortlists: write these and the graphs that decode with them too, for int8 only.
    """
    assert precision == "int8" or shortlists is None, "products must be exact"
    file, rendering = WeightFile("weights.bin"), _RENDERINGS[precision]
    parts = plan, _cast(weights, rendering), file, rendering.arithmetic
    step = rendering.step(*parts)
    graphs = {"encoder": rendering.encoder_of(plan)(*parts).build(), "step": step.build()}
    if positions is not None:
        graphs |= _cuda_graphs(step.interface, graphs["step"], file, positions)
    if shortlists is not None:
        graphs["columns"] = ColumnsGraph(*parts).build()
        graphs["shortlist_step"] = ShortlistStep(*parts).build()
    return _write(graphs, file, folder, shortlists)


def write_ensemble(
    members: Sequence[tuple[Plan, Weights]],
    folder: Path,
    precision: Precision = "fp32",
    *,
    positions: int | None = None,
) -> GraphFiles:
    """Build the graphs of networks that translate together and write them, like `write_graphs`.

    They have the same inputs and outputs as those of one network; see `ensemble_graphs.py`.
    """
    file, rendering = WeightFile("weights.bin"), _RENDERINGS[precision]
    parts = [
        (plan, _cast(weights, rendering), file.part(f"member{i}."), rendering.arithmetic)
        for i, (plan, weights) in enumerate(members)
    ]
    steps = [rendering.step(*each) for each in parts]
    interface, step = join_interfaces(steps), join_steps(steps, file)
    encoders = [rendering.encoder_of(each[0])(*each) for each in parts]
    graphs = {"encoder": join_encoders(encoders, file), "step": step}
    if positions is not None:
        graphs |= _cuda_graphs(interface, step, file, positions)
    return _write(graphs, file, folder, None)


def _cast(weights: Weights, rendering: _Rendering) -> Weights:
    return {name: values.astype(rendering.dtype) for name, values in weights.items()}


def _cuda_graphs(
    interface: Interface, step: GraphWriter, file: WeightFile, positions: int
) -> dict[str, GraphWriter]:
    return {
        "greedy": GreedyGraph(interface, file).build(step, positions),
        "beam": BeamGraph(interface, file).build(step),
        "join": JoinGraph(interface, file).build(),
    }


def _write(
    graphs: Mapping[str, GraphWriter],
    file: WeightFile,
    folder: Path,
    shortlists: Shortlists | None,
) -> GraphFiles:
    written = file.write(folder)
    paths = {name: graph.write(folder / f"{name}.onnx") for name, graph in graphs.items()}
    if shortlists is not None:
        paths["shortlists"] = shortlists.save(folder / "shortlists.npz")
    return GraphFiles(weights=written, **paths)
