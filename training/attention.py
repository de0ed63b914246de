"""Attention: which source positions matter for each target position.

All kinds share one shape: the memory is projected once to keys, and then every target
position of a sentence attends at the same time. T is 1 while decoding step by step.

With J heads a target position attends J times, with weights of its own each time. A head
compares in its share of the A units of query and key, and reads its share of the memory's
units. Whoever wants to know what was attended to gets the mean of the heads' weights.

Source: Chen et al. 2018, "The Best of Both Worlds: Combining Recent Advances in Neural
Machine Translation", section 3, multi-head attention with additive scores (RNMT+).

Shapes: J heads, U units of a head's share, P equal parts of all units, D any size; the other
letters are those of `models/README.md`.
"""

import torch
from torch import Tensor, nn

from training.additive_scores import additive_scores
from training.kinds import AttentionKind

DIRECTIONS = 2
"""Of the encoder, side by side in the memory."""


class DotAttention(nn.Module):
    """score = query . memory; both must have the same size.

    Source: Luong et al. 2015, "Effective Approaches to Attention", section 3.1, dot.
    """

    def __init__(self, query_size: int, memory_size: int, heads: int) -> None:
        super().__init__()
        if query_size != memory_size:
            raise ValueError(
                f"network.attention dot needs decoder_size {query_size} "
                f"to equal twice encoder_size, {memory_size}"
            )
        self.heads = heads

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Return `keys_BSA`; once per sentence."""
        return memory_BSM

    def scores(self, query_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """Return how well each query fits each key, `scores_BJTS`."""
        return _products(query_BTH, keys_BSA, self.heads)


class GeneralAttention(nn.Module):
    """score = query . W memory.

    Source: Luong et al. 2015, section 3.1, general.
    """

    def __init__(self, query_size: int, memory_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Return `keys_BSA`; once per sentence."""
        return self.key(memory_BSM)  # type: ignore[no-any-return]

    def scores(self, query_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """Return how well each query fits each key, `scores_BJTS`."""
        return _products(query_BTH, keys_BSA, self.heads)


class AdditiveAttention(nn.Module):
    """score = v . tanh(W query + U memory); each head has a v for its share of W and U.

    Source: Bahdanau et al. 2015, "Neural Machine Translation by Jointly Learning to Align
    and Translate", appendix A.1.2.
    """

    def __init__(self, query_size: int, memory_size: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(memory_size, size)
        self.score = nn.Linear(size, 1, bias=False)
        """The heads' vectors, one behind the other."""
        if heads > 1:
            # a layer draws its weights for sums over all its inputs; here each is over a share
            with torch.no_grad():
                self.score.weight.mul_(heads**0.5)

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Return `keys_BSA`; once per sentence."""
        return self.key(memory_BSM)  # type: ignore[no-any-return]

    def scores(self, query_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """Return how well each query fits each key, `scores_BJTS`."""
        # One product for all heads: it reads what is largest only once.
        vectors_JA = torch.block_diag(  # type: ignore[no-untyped-call]
            *self.score.weight.chunk(self.heads, 1)
        )
        return additive_scores(self.query(query_BTH), keys_BSA, vectors_JA).permute(0, 3, 1, 2)


Attention = DotAttention | GeneralAttention | AdditiveAttention


def build_attention(
    kind: AttentionKind,
    query_size: int,
    memory_size: int,
    *,
    heads: int = 1,
    size: int | None = None,
) -> Attention | None:
    """Return an attention of the kind; `none` is None.

    Args:
        heads: how many; they must divide what they share.
        size: of the space in which additive attention compares; that of the query if None.

    Raises:
        ValueError: the kind cannot join these sizes.
    """
    if kind == "none":
        return None
    if kind == "additive":
        return AdditiveAttention(query_size, memory_size, heads, size or query_size)
    if kind == "general":
        return GeneralAttention(query_size, memory_size, heads)
    return DotAttention(query_size, memory_size, heads)


def attend(scores_BJTS: Tensor, memory_BSM: Tensor, mask_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Return `context_BTM`, which the heads filled, and the mean of their weights, `weights_BTS`.

    Each head fills the units that it reads. It reads the memory as it is, for three reasons:
    a projection to values would cost as much as that to keys; heads over the same units would
    make the context, and all that reads it, J times as wide; and what is read stays between -1
    and 1, which the products of integers rely on. The encoder's top layer is free to put into a
    share of its units what a head is to find there, so little is lost. A share has units of
    both directions, that no head is blind to what follows or to what came before.

    Args:
        mask_BS: true where there is a token.
    """
    weights_BJTS = scores_BJTS.masked_fill(~mask_BS[:, None, None], -torch.inf).softmax(-1)
    memory_BJSU = _share(memory_BSM, scores_BJTS.shape[1], DIRECTIONS)
    context_BJTU = weights_BJTS.to(memory_BSM.dtype) @ memory_BJSU
    return _join(context_BJTU, DIRECTIONS), weights_BJTS.mean(1)


def _products(query_BTA: Tensor, keys_BSA: Tensor, heads: int) -> Tensor:
    return _share(query_BTA, heads) @ _share(keys_BSA, heads).transpose(2, 3)


def _share(x_BSD: Tensor, heads: int, parts: int = 1) -> Tensor:
    """Divide the units among the heads, `x_BJSU`; each gets an equal share of every part."""
    x_BSPJU = x_BSD.reshape(*x_BSD.shape[:2], parts, heads, -1)
    return x_BSPJU.permute(0, 3, 1, 2, 4).flatten(3)


def _join(x_BJTU: Tensor, parts: int) -> Tensor:
    """Put shares where `_share` found them, `x_BTD`."""
    x_BJTPU = x_BJTU.reshape(*x_BJTU.shape[:3], parts, -1)
    return x_BJTPU.permute(0, 2, 3, 1, 4).flatten(2)
