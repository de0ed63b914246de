"""Validation with a network whose answers are known: it copies."""

import sacrebleu
import torch

from models.tokenizer import EOS, Tokenizer
from training.corpus import HeldOut
from training.evaluate import ROWS, greedy, validate

TEXTS = ["The old house stands by the lake.", "We saw a dog and two cats there."]
TOKENIZER = Tokenizer.train(TEXTS * 3, kind="bpe", size=310, normalisation="NFC", tags=["<2en>"])


class CopyingNetwork(torch.nn.Module):
    """Says what it reads, and remembers how much that was."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches = []

    def translate(self, source_BS, lengths_B, max_tokens):
        self.batches.append(source_BS)
        assert max_tokens > lengths_B.max()
        return [
            ids[: length - 1] for ids, length in zip(source_BS.tolist(), lengths_B, strict=True)
        ]


def test_translations_come_in_the_order_of_their_sources():
    sources = ["a house by the lake", "", "dog", "two cats and a dog", "cats"]

    assert greedy(CopyingNetwork(), TOKENIZER, sources, []) == sources


def test_many_sources_are_translated_in_batches():
    sources = [f"dog {i}" for i in range(ROWS + 3)]
    network = CopyingNetwork()

    assert greedy(network, TOKENIZER, sources, []) == sources
    assert [len(batch) for batch in network.batches] == [ROWS, 3]


def test_network_reads_prefix_tokens_and_eos():
    network = CopyingNetwork()
    tag = TOKENIZER.tag_id("<2en>")

    greedy(network, TOKENIZER, ["dog"], [tag])

    assert network.batches[0].tolist() == [[tag, *TOKENIZER.encode("dog"), EOS]]


def test_scores_are_those_of_sacrebleu(toy):
    references = [TEXTS[0], "We saw a dog and three cats here."]
    dev = [HeldOut("dev", "de", "en", TEXTS, references)]

    scores = validate(CopyingNetwork(), TOKENIZER, toy.open(), dev)

    bleu, chrf = scores["de-en"]
    assert bleu.score == sacrebleu.corpus_bleu(TEXTS, [references]).score
    assert chrf.score == sacrebleu.corpus_chrf(TEXTS, [references]).score


def test_dev_is_scored_by_the_protocols_it_asks_for(toy):
    dev = [HeldOut("dev", "de", "en", TEXTS, TEXTS, protocols=("detok", "lc-tok"))]

    scores = validate(CopyingNetwork(), TOKENIZER, toy.open(), dev)

    assert [metric.name for metric in scores["de-en"]] == ["BLEU", "chrF2", "lc-tok BLEU"]


def test_network_is_validated_without_dropout(toy):
    network = CopyingNetwork().train()

    validate(network, TOKENIZER, toy.open(), [HeldOut("dev", "de", "en", TEXTS, TEXTS)])

    assert not network.training
