"""Attention: which source positions matter for each target position.

All kinds share one shape: the memory is projected once to keys, and then every target
position of a sentence attends at the same time. T is 1 while decoding step by step.
"""

from typing import Literal

import torch
from torch import Tensor, nn

AttentionKind = Literal["dot", "general", "additive"]


class DotAttention(nn.Module):
    """score = query . memory; both must have the same size.

    Source: Luong et al. 2015, "Effective Approaches to Attention", section 3.1, dot.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        if query_size != memory_size:
            raise ValueError(
                f"network.attention dot needs decoder_size {query_size} "
                f"to equal twice encoder_size, {memory_size}"
            )

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Return `keys_BSA`; once per sentence."""
        return memory_BSM

    def scores(self, query_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """Return how well each query fits each key, `scores_BTS`."""
        return query_BTH @ keys_BSA.transpose(1, 2)


class GeneralAttention(nn.Module):
    """score = query . W memory.

    Source: Luong et al. 2015, section 3.1, general.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Return `keys_BSA`; once per sentence."""
        return self.key(memory_BSM)  # type: ignore[no-any-return]

    def scores(self, query_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """Return how well each query fits each key, `scores_BTS`."""
        return query_BTH @ keys_BSA.transpose(1, 2)


class AdditiveAttention(nn.Module):
    """score = v . tanh(W query + U memory).

    Source: Bahdanau et al. 2015, "Neural Machine Translation by Jointly Learning to Align
    and Translate", appendix A.1.2.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, query_size, bias=False)
        self.key = nn.Linear(memory_size, query_size)
        self.score = nn.Linear(query_size, 1, bias=False)

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Return `keys_BSA`; once per sentence."""
        return self.key(memory_BSM)  # type: ignore[no-any-return]

    def scores(self, query_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """Return how well each query fits each key, `scores_BTS`."""
        hidden_BTSA = torch.tanh(self.query(query_BTH)[:, :, None] + keys_BSA[:, None])
        return self.score(hidden_BTSA).squeeze(-1)  # type: ignore[no-any-return]


Attention = DotAttention | GeneralAttention | AdditiveAttention


def build_attention(kind: AttentionKind, query_size: int, memory_size: int) -> Attention:
    """Return an attention of the kind.

    Raises:
        ValueError: the kind cannot join these sizes.
    """
    kinds: dict[AttentionKind, type[Attention]] = {
        "dot": DotAttention,
        "general": GeneralAttention,
        "additive": AdditiveAttention,
    }
    return kinds[kind](query_size, memory_size)


def attend(scores_BTS: Tensor, memory_BSM: Tensor, mask_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Return `context_BTM` and the weights it was made with, `weights_BTS`.

    Args:
        mask_BS: true where there is a token.
    """
    weights_BTS = scores_BTS.masked_fill(~mask_BS[:, None], -torch.inf).softmax(-1)
    return weights_BTS.to(memory_BSM.dtype) @ memory_BSM, weights_BTS
