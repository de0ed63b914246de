"""The graphs of the int8 step over shortlists instead of the whole vocabulary.

    columns: ids_U -> output_EU, scale_U, bias_U: the part of the output layer for these tokens
    step:    as the step, with output_EU, scale_U, bias_U, shortlist_NX, places_NKX besides

Sentence n chooses among the tokens `shortlist_NX[n]` only; token `shortlist_NX[n, x]` is what
column `places_NKX[n, :, x]` of the output layer stands for. Columns may be more than one sentence
needs: a column's logits are the same in any company, for products of integers are exact, and
all that is summed over tokens is summed over the sentence's own, in its own order. That is why
there is no such graph in floating point.

Padding of `shortlist_NX` is PAD, whose logit is minus infinity.

Shapes: N sentences, K rows of each, C candidates, U columns, X tokens of a sentence's shortlist;
the other letters are those of `models/README.md`.
"""

import numpy as np

from models.tokenizer import PAD
from training.graph_plan import GraphPart
from training.graph_products import Factor, Matrix
from training.graph_writer import FLOAT, INT8, INT64, GraphWriter
from training.quantize import STEPS, IntegerProducts
from training.step_graph import StepGraph


class ColumnsGraph(GraphPart):
    """The columns of the output layer for some tokens, contiguous."""

    name = "columns"

    def build(self) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        graph, weight_VE = self.graph, self.weights["output_embedding"]
        size = weight_VE.shape[1]
        ids_U = graph.input("ids_U", INT64, ["U"])
        matrix = Matrix("output", weight_VE, self.weights["output_bias"])
        steps = np.full(size, 1 / STEPS, np.float32)
        output_EV, scale_V, bias_V = IntegerProducts(graph).round(matrix, steps)
        # Rows of a table that is transposed when the runtime loads: Gather copies columns
        # byte by byte, which takes twenty times as long (1200 us instead of 60 for 2000).
        table_VE = graph.node("Transpose", [output_EV], "table_VE", perm=[1, 0])
        rows_UE = graph.node("Gather", [table_VE, ids_U], "rows_UE")
        graph.node("Transpose", [rows_UE], "output_EU", perm=[1, 0])
        graph.node("Gather", [scale_V, ids_U], "scale_U")
        bias_U = graph.node("Gather", [bias_V, ids_U], "given_bias_U")
        padding = graph.constant("padding", np.array(PAD))
        is_padding_U = graph.node("Equal", [ids_U, padding], "is_padding_U")
        never = graph.constant("never", np.array(-np.inf, np.float32))
        graph.node("Where", [is_padding_U, never, bias_U], "bias_U")
        for name, kind, shape in _columns(size):
            graph.output(name, kind, shape)
        return graph


class ShortlistStep(StepGraph):
    """The step, each sentence choosing among the tokens of its own shortlist."""

    name = "shortlist_step"

    def _logits(self, readout: Factor) -> str:
        """Add the product with the columns that are there; pick out the sentence's own."""
        graph = self.graph
        assert isinstance(self.products, IntegerProducts)
        size = self.weights["output_embedding"].shape[1]
        columns = [graph.input(*declared) for declared in _columns(size)]
        logits_NKU = self.products.multiply_rounded(readout, columns, "logits_NKU")
        places_NKX = graph.input("places_NKX", INT64, ["N", "K", "X"])
        return graph.node("GatherElements", [logits_NKU, places_NKX], "logits_NKX", axis=2)

    def _choose(self, log_probabilities_NKV: str) -> None:
        """Add `scores_NKC` and `tokens_NKC`, the best first; of equal ones the lower token."""
        graph = self.graph
        shortlist_NX = graph.input("shortlist_NX", INT64, ["N", "X"])
        inputs, outputs = [log_probabilities_NKV, "candidates"], ["scores_NKC", "chosen_NKC"]
        _, chosen_NKC = graph.nodes("TopK", inputs, outputs, axis=-1)
        chosen_NKC1 = graph.node("Unsqueeze", [chosen_NKC, graph.integers(3)], "chosen_NKC1")
        graph.node("GatherND", [shortlist_NX, chosen_NKC1], "tokens_NKC", batch_dims=1)


def _columns(size: int) -> list[tuple[str, int, list[str | int]]]:
    """Return name, type and shape of what the columns of an output layer consist of."""
    return [
        ("output_EU", INT8, [size, "U"]),
        ("scale_U", FLOAT, ["U"]),
        ("bias_U", FLOAT, ["U"]),
    ]
