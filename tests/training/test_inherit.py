"""Training may start from a bundle, with its vocabulary or with another one."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from models.bundle import Training
from training.export import export
from training.inherit import inherit_network
from training.network import Network
from training.prepare import Prepared, prepare
from training.trained import trained_of_run
from training.trainer import Trainer

CONSOLE = Console(file=io.StringIO())
TRAINING = Training(minutes=1.5, machine="2 cores", steps=1, epochs=0.5)
BOTH = [["de", "en"], ["en", "de"]]
EXPORT = {
    "max_source_tokens": 40,
    "variants": ["fp32"],
    "beams": [1],
    "sweep_sentences": 2,
    "parity_sentences": 2,
}


@pytest.fixture
def ancestor(toy, monkeypatch):
    """A published network of two directions, with weights of chance."""
    monkeypatch.chdir(toy.corpora)
    run = toy.open(name="ancestor", corpus__directions=BOTH, export=EXPORT)
    prepare(run)
    torch.manual_seed(5)
    network = Network(run.recipe.network, Prepared(run).tokenizer.size).eval()
    export(run, trained_of_run(run, network, TRAINING), run.bundles, CONSOLE)
    return network


def inherit(toy, **changes):
    run = toy.open(training__init_from="ancestor/1", corpus__directions=BOTH, **changes)
    prepare(run)
    prepared = Prepared(run)
    return inherit_network(run, prepared.tokenizer), prepared.tokenizer


def test_same_vocabulary_gives_the_same_network(toy, ancestor):
    network, _ = inherit(toy, tokenizer__vocabulary="init_from")

    assert same_outputs(network, ancestor)


def same_outputs(network, other):
    source_BS, lengths_B = torch.tensor([[5, 6, 7, 2]]), torch.tensor([4])
    target_BT = torch.tensor([[1, 8, 9]])
    with torch.no_grad():
        logits = [each.eval().logits(source_BS, lengths_B, target_BT) for each in (network, other)]
    return torch.allclose(*logits, atol=1e-5)


def test_vocabulary_of_the_bundle_is_kept_whatever_the_new_text_would_give(toy, ancestor):
    before = Prepared(toy.open(name="ancestor", corpus__directions=BOTH)).tokenizer
    toy.write("train", [("Q\u00f6ws zyxq", "Wqzy vvv xx")] * 3 + [("qqq", "zzz")])

    _, tokenizer = inherit(toy, tokenizer__vocabulary="init_from", name="tuned")

    assert tokenizer.pieces(range(tokenizer.size)) == before.pieces(range(before.size))


def test_tokens_of_a_new_vocabulary_keep_their_rows_or_start_as_their_parts(toy, ancestor):
    before = Prepared(toy.open(name="ancestor", corpus__directions=BOTH)).tokenizer
    network, tokenizer = inherit(toy, tokenizer__size=350, name="larger")
    old = ancestor.target_embedding.weight.detach().numpy()
    new = network.target_embedding.weight.detach().numpy()

    pieces = tokenizer.pieces(range(tokenizer.size))
    known = {piece: id for id, piece in enumerate(before.pieces(range(before.size)))}
    kept = [id for id, piece in enumerate(pieces) if piece in known]
    made = [id for id, piece in enumerate(pieces) if piece not in known]
    assert len(made) > 10
    assert np.allclose(new[kept], old[[known[pieces[id]] for id in kept]])
    whole_words = [id for id in made if pieces[id].startswith("\u2581")]
    for id in whole_words:
        parts = before.encode(pieces[id].replace("\u2581", ""))
        assert np.allclose(new[id], old[parts].mean(0), atol=1e-6)


def test_tag_of_a_new_language_starts_as_the_tags_there_are(toy, ancestor):
    before = Prepared(toy.open(name="ancestor", corpus__directions=BOTH)).tokenizer
    text = {"name": "toy train", "languages": ["de", "fr"], "files": ["train.de", "train.en"]}
    dev = {"name": "toy dev", "languages": ["de", "fr"], "files": ["dev.de", "dev.en"]}
    run = toy.open(
        name="french",
        training__init_from="ancestor/1",
        corpus__directions=[["de", "fr"], ["fr", "de"]],
        corpus__train=[text],
        corpus__dev=[dev],
        corpus__tests=[],
    )
    prepare(run)
    tokenizer = Prepared(run).tokenizer

    network = inherit_network(run, tokenizer)

    tags = [before.tag_id("<2de>"), before.tag_id("<2en>")]
    old = ancestor.source_embedding.weight[tags].mean(0)
    assert torch.allclose(network.source_embedding.weight[tokenizer.tag_id("<2fr>")], old)


def test_words_of_inline_case_start_as_the_small_words_and_their_case_by_chance(toy, ancestor):
    before = Prepared(toy.open(name="ancestor", corpus__directions=BOTH)).tokenizer

    network, tokenizer = inherit(toy, tokenizer__case="inline", tokenizer__size=350, name="marked")

    old = ancestor.target_embedding.weight.detach().numpy()
    new = network.target_embedding.weight.detach().numpy()
    known = set(before.pieces(range(before.size)))
    pieces = dict(enumerate(tokenizer.pieces(range(tokenizer.size))))
    words = {id: each for id, each in pieces.items() if each[0] == "\u2581" and each not in known}
    assert words
    for id, piece in words.items():
        assert np.allclose(new[id], old[before.encode(piece[1:])].mean(0), atol=1e-6)
    for id in tokenizer.case_ids:
        assert not np.allclose(new[id], old[before.encode(pieces[id])].mean(0), atol=1e-3)


def test_training_starts_from_it_and_goes_on_from_its_own_checkpoint(toy, ancestor):
    changes = {"tokenizer__vocabulary": "init_from", "training__learning_rate": 1e-9}
    run = toy.open(training__init_from="ancestor/1", corpus__directions=BOTH, **changes)
    prepare(run)

    trainer = Trainer(run, torch.device("cpu"))
    trainer.train()

    assert same_outputs(trainer.network, ancestor)
    assert Trainer(run, torch.device("cpu")).position.step == 6


def test_other_sizes_are_refused(toy, ancestor):
    with pytest.raises(ValueError, match="network does not fit the weights"):
        inherit(toy, network__decoder_size=16)


def test_other_cells_are_refused(toy, ancestor):
    with pytest.raises(ValueError, match=r"\[network\] is not that of ancestor/1"):
        inherit(toy, network__cell="lstm")


def test_other_size_of_the_bundles_vocabulary_is_refused(toy, ancestor):
    with pytest.raises(ValueError, match=r"tokenizer.size is 310, that of ancestor/1 is 3"):
        inherit(toy, tokenizer__vocabulary="init_from", tokenizer__size=310)


def test_vocabulary_of_no_bundle_is_refused(toy):
    with pytest.raises(ValueError, match=r'vocabulary "init_from" needs training.init_from'):
        toy.open(tokenizer__vocabulary="init_from")


def test_what_is_made_of_it_names_it_and_its_data(toy, ancestor):
    text = {"name": "more", "languages": ["de", "en"], "files": ["more.de", "more.en"]}
    toy.write("more", [("ich sehe", "I see"), ("wir malen", "we paint")])
    run = toy.open(
        training__init_from="ancestor/1",
        corpus__directions=BOTH,
        corpus__train=[text],
        tokenizer__vocabulary="init_from",
        export=EXPORT,
    )
    prepare(run)
    network = inherit_network(run, Prepared(run).tokenizer).eval()

    bundle = export(run, trained_of_run(run, network, TRAINING), run.bundles, CONSOLE)

    provenance = bundle.manifest.provenance
    assert provenance.init_from == "ancestor/1"
    assert [data.name for data in provenance.data] == ["more", "toy train"]
    card = bundle.file(bundle.manifest.card).read_text(encoding="utf-8")
    assert "Training started from ancestor/1" in card
