"""PyTorch eager: the very network of our model L, step by step, as one would write it by hand.

It feeds nothing back into the recurrence and its readout sees the embedding, as ours does.
"""

import torch
from protocol import SPECIALS, TARGET_TOKENS, VOCABULARY, num_threads, serve
from torch import Tensor, nn
from torch.nn.functional import log_softmax

PAD, BOS, EOS, _ = range(SPECIALS)
NEVER = -1e4


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Embedding(VOCABULARY, 512)
        self.target = nn.Embedding(VOCABULARY, 512)
        self.encoder = nn.GRU(512, 256, num_layers=2, bidirectional=True, batch_first=True)
        self.keys = nn.Linear(512, 512, bias=False)
        self.initial = nn.Linear(512, 512)
        self.cell = nn.GRUCell(512, 512)
        self.readout = nn.Linear(3 * 512, 512)
        self.output = nn.Linear(512, VOCABULARY)
        self.output.weight = self.target.weight

    def encode(self, source_NS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        memory_NSM, last_LNH = self.encoder(self.source(source_NS))
        state_NH = torch.tanh(self.initial(torch.cat([last_LNH[-2], last_LNH[-1]], 1)))
        return self.keys(memory_NSM).transpose(1, 2), memory_NSM, state_NH

    def step(
        self, tokens_NK: Tensor, state_BH: Tensor, keys_NAS: Tensor, memory_NSM: Tensor
    ) -> tuple[Tensor, Tensor]:
        embedded_BE = self.target(tokens_NK.reshape(-1))
        state_BH = self.cell(embedded_BE, state_BH)
        query_NKH = state_BH.view(*tokens_NK.shape, -1)
        context_NKM = (query_NKH @ keys_NAS).softmax(-1) @ memory_NSM
        features = [state_BH, context_NKM.view(len(state_BH), -1), embedded_BE]
        return self.output(torch.tanh(self.readout(torch.cat(features, 1)))), state_BH


def greedy(network: Network, source_NS: Tensor) -> Tensor:
    keys_NAS, memory_NSM, state_NH = network.encode(source_NS)
    tokens_N1 = torch.full((len(source_NS), 1), BOS)
    found = []
    for _ in range(TARGET_TOKENS):
        logits_NV, state_NH = network.step(tokens_N1, state_NH, keys_NAS, memory_NSM)
        tokens_N1 = logits_NV.argmax(-1, keepdim=True)
        found.append(tokens_N1)
    return torch.cat(found, 1)


def beam(network: Network, source_NS: Tensor, width: int) -> Tensor:
    keys_NAS, memory_NSM, state_BH = network.encode(source_NS)
    n = len(source_NS)
    first_N1 = torch.arange(n)[:, None] * width
    state_BH = state_BH.repeat_interleave(width, 0)
    tokens_NK = torch.full((n, width), BOS)
    # Only the first row counts at first, else all would be the same hypothesis.
    totals_NK = torch.full((n, width), float("-inf"))
    totals_NK[:, 0] = 0
    prefixes_BT = torch.zeros((n * width, 0), dtype=torch.int64)
    for _ in range(TARGET_TOKENS):
        logits_BV, state_BH = network.step(tokens_NK, state_BH, keys_NAS, memory_NSM)
        scores_NKV = log_softmax(logits_BV, -1).view(n, width, -1) + totals_NK[:, :, None]
        totals_NK, best_NK = scores_NKV.view(n, -1).topk(width)
        tokens_NK = best_NK % VOCABULARY
        parents_B = (first_N1 + best_NK // VOCABULARY).view(-1)
        state_BH = state_BH[parents_B]
        prefixes_BT = torch.cat([prefixes_BT[parents_B], tokens_NK.view(-1, 1)], 1)
    return prefixes_BT.view(n, width, -1)[:, 0]


def main() -> None:
    torch.set_num_threads(num_threads())
    torch.manual_seed(1)
    network = Network().eval()
    with torch.no_grad():
        network.output.bias[EOS] = NEVER

    @torch.inference_mode()
    def translate(width: int, sources: list[list[int]]) -> list[int]:
        source_NS = torch.tensor([[*source, EOS] for source in sources])
        greedily = width == 1
        found = greedy(network, source_NS) if greedily else beam(network, source_NS, width)
        return (found != EOS).sum(1).tolist()

    serve(
        translate,
        versions={"PyTorch": torch.__version__},
        parameters=sum(each.numel() for each in network.parameters()),
    )


if __name__ == "__main__":
    main()
