"""The scores of additive attention, v . tanh(query + key), and their gradients.

Every query meets every key: what tanh makes of them, B x T x S x A numbers, is the largest
tensor of the network. On a CPU it is never there as a whole. The pairs of some rows are made,
used and forgotten while they are in the cache, and made again for the gradients.

There tanh itself would be most of the work, and PyTorch's sigmoid is several times as fast, so

    tanh(x) = 2 sigmoid(2x) - 1,    v . tanh(x) = 2v . sigmoid(2x) - (the sum of v).

A sigmoid in half precision would lose what lies around zero; single precision costs no memory
when little is held at a time. A GPU makes all pairs at once: it wants few kernels.

Letters: J heads; Q pairs of a chunk, rows x T x S of them, flat; the others are those of
`models/README.md`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

CHUNK = 1 << 17
"""Numbers in one chunk: 512 KB in single precision, of which the gradients need two."""


def additive_scores(query_BTA: Tensor, keys_BSA: Tensor, vectors_JA: Tensor) -> Tensor:
    """Return `scores_BTSJ`: of each vector with tanh(query + key), for all pairs."""
    if query_BTA.device.type != "cpu":
        return scores_at_once(query_BTA, keys_BSA, vectors_JA)
    dtype = torch.promote_types(query_BTA.dtype, torch.float32)
    parts = [part.to(dtype) for part in (query_BTA, keys_BSA, vectors_JA)]
    with torch.autocast("cpu", enabled=False):
        return _ChunkedScores.apply(*parts)  # type: ignore[no-any-return, no-untyped-call]


def scores_at_once(query_BTA: Tensor, keys_BSA: Tensor, vectors_JA: Tensor) -> Tensor:
    """Return what `additive_scores` does, by the tensor of all pairs."""
    hidden_BTSA = torch.tanh(query_BTA[:, :, None] + keys_BSA[:, None])
    return torch.nn.functional.linear(hidden_BTSA, vectors_JA)


class _ChunkedScores(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        query_BTA: Tensor,
        keys_BSA: Tensor,
        vectors_JA: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(query_BTA, keys_BSA, vectors_JA)
        heads = len(vectors_JA)
        scores_BTSJ = query_BTA.new_empty(*query_BTA.shape[:2], keys_BSA.shape[1], heads)
        weights_AJ, offset_J = 2 * vectors_JA.t(), -vectors_JA.sum(1)
        for rows, sigmoid_QA in _chunks(query_BTA, keys_BSA):
            scores_QJ = scores_BTSJ[rows].view(-1, heads)
            torch.addmm(offset_J, sigmoid_QA, weights_AJ, out=scores_QJ)
        return scores_BTSJ

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401
        d_scores_BTSJ: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        query_BTA, keys_BSA, vectors_JA = ctx.saved_tensors
        d_query_BTA, d_keys_BSA = torch.empty_like(query_BTA), torch.empty_like(keys_BSA)
        # d score / d vector = tanh(x) = 2 sigmoid(2x) - 1
        d_vectors_JA = -d_scores_BTSJ.sum((0, 1, 2))[:, None].expand_as(vectors_JA)
        # d tanh(x) / dx = 4 sigmoid(2x) (1 - sigmoid(2x))
        slopes_JA = 4 * vectors_JA
        for rows, sigmoid_QA in _chunks(query_BTA, keys_BSA):
            d_scores_QJ = d_scores_BTSJ[rows].flatten(0, 2)
            d_vectors_JA = torch.addmm(d_vectors_JA, d_scores_QJ.t(), sigmoid_QA, alpha=2)
            d_sums_QA = torch.ops.aten.sigmoid_backward(d_scores_QJ @ slopes_JA, sigmoid_QA)
            d_sums_BTSA = d_sums_QA.view(*d_scores_BTSJ[rows].shape[:3], -1)
            torch.sum(d_sums_BTSA, 2, out=d_query_BTA[rows])
            torch.sum(d_sums_BTSA, 1, out=d_keys_BSA[rows])
        return d_query_BTA, d_keys_BSA, d_vectors_JA


def _chunks(query_BTA: Tensor, keys_BSA: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows and sigmoid(2 (query + key)) of their pairs, which the next ones overwrite."""
    query_BTA, keys_BSA = 2 * query_BTA, 2 * keys_BSA
    num_rows, num_targets, size = query_BTA.shape
    num_sources = keys_BSA.shape[1]
    step = max(1, CHUNK // (num_targets * num_sources * size))
    buffer_BTSA = query_BTA.new_empty(min(step, num_rows), num_targets, num_sources, size)
    for start in range(0, num_rows, step):
        rows = slice(start, min(start + step, num_rows))
        sums_BTSA = buffer_BTSA[: rows.stop - start]
        torch.add(query_BTA[rows, :, None], keys_BSA[rows, None], out=sums_BTSA)
        yield rows, sums_BTSA.sigmoid_().flatten(0, 2)
