"""Accuracy of characters, and an execution from its programs to its picture."""

import torch
from typer.testing import CliRunner

from models.tokenizer import EOS, Tokenizer
from training.cli import dragoman_train
from training.laboratory.executing import count_characters
from training.laboratory.texts import read_pairs_of

PAIRS = [("print((_3*_2))", "6"), ("print((_8-_10))", "-2"), ("print(_71)", "71")]
TOKENIZER = Tokenizer.train(
    [side for pair in PAIRS for side in pair] * 9, kind="char", size=400, normalisation="NFC"
)


class Sayer(torch.nn.Module):
    """Predicts one token wherever it is asked."""

    def __init__(self, token):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.token = token

    def logits(self, source_BS, lengths_B, target_BT):
        logits_BTV = torch.zeros(*target_BT.shape, TOKENIZER.size)
        logits_BTV[..., self.token] = 1
        return logits_BTV


class Knower(Sayer):
    """Predicts what stands there, one token further."""

    def logits(self, source_BS, lengths_B, target_BT):
        shifted_BT = torch.roll(target_BT, -1, 1)
        shifted_BT[:, -1] = EOS
        # the shorter ones end sooner; what follows is padding and counts nothing
        shifted_BT = torch.where((shifted_BT == 0) & (target_BT != EOS), EOS, shifted_BT)
        return torch.nn.functional.one_hot(shifted_BT, TOKENIZER.size).float()


def test_characters_and_the_end_are_counted_and_the_first_space_is_not():
    two = TOKENIZER.encode("2")[-1]

    ends = count_characters(Sayer(EOS), TOKENIZER, PAIRS)
    twos = count_characters(Sayer(two), TOKENIZER, PAIRS)

    # 6. -2. 71. are eight characters with their ends
    assert (ends.right, ends.all) == (3, 8)
    assert (twos.right, twos.all) == (1, 8)


def test_who_knows_makes_no_mistake():
    assert count_characters(Knower(0), TOKENIZER, PAIRS).share == 1.0


def test_execution_is_learnt_by_a_curriculum_and_measured_by_difficulty(tmp_path):
    flags = ["--length", 2, "--nesting", 2, "--curriculum", "naive", "--size", 8, "--pairs", 40]
    arguments = ["lab", "execute", *flags, "--runs", tmp_path]

    shown = CliRunner().invoke(dragoman_train, [str(each) for each in arguments])

    assert shown.exit_code == 0, shown.stderr
    [run] = tmp_path.iterdir()
    assert "nesting-2-naive" in run.name
    assert (run / "laboratory.png").exists()
    texts = run / "texts"
    taught = {s for path in texts.glob("lesson-*.tsv") for s, _ in read_pairs_of(path)}
    asked = {s for path in texts.glob("test-*.tsv") for s, _ in read_pairs_of(path)}
    assert taught
    assert asked
    assert not taught & asked
    assert len(list(texts.glob("test-*.tsv"))) == 4
