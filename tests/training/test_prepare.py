"""What the trainer reads is made once, from exactly these files."""

import json

import numpy as np
import pytest

from models.tokenizer import BOS, EOS
from training.prepare import Prepared, Ragged, describe_files, prepare

BOTH = [["de", "en"], ["en", "de"]]


def made(run):
    """Return what tells one making of the files from the next."""
    return {path.name: path.stat().st_ino for path in run.prepared.iterdir()}


def read(toy, name):
    return (toy.corpora / name).read_text(encoding="utf-8").splitlines()


def as_lists(ragged):
    return [ragged[i].tolist() for i in range(len(ragged))]


def test_sentences_are_laid_end_to_end_and_read_back(tmp_path):
    sentences = [[4, 5, 6], [], [7]]
    Ragged.join(sentences).save(tmp_path, "source")

    loaded = Ragged.load(tmp_path, "source")

    assert as_lists(loaded) == sentences
    assert loaded.lengths.tolist() == [3, 0, 1]


def test_examples_are_the_text_framed_by_bos_and_eos(toy):
    run = toy.open()
    prepare(run)
    prepared = Prepared(run)

    examples = prepared.examples(0)

    sources, targets = as_lists(examples.source), as_lists(examples.target)
    assert [prepared.tokenizer.decode(ids) for ids in sources] == read(toy, "train.de")
    assert [prepared.tokenizer.decode(ids) for ids in targets] == read(toy, "train.en")
    assert {(ids[-1], ids.count(EOS)) for ids in sources + targets} == {(EOS, 1)}
    assert {(ids[0], ids.count(BOS)) for ids in targets} == {(BOS, 1)}
    assert not any(BOS in ids for ids in sources)


def test_every_direction_is_learnt_behind_the_tag_of_its_target(toy):
    run = toy.open(corpus__directions=BOTH)
    prepare(run)
    prepared = Prepared(run)
    tags = [prepared.tokenizer.tag_id(tag) for tag in ("<2en>", "<2de>")]

    sources = as_lists(prepared.examples(0).source)

    assert [ids[0] for ids in sources] == [tags[0]] * 56 + [tags[1]] * 56
    assert prepared.tokenizer.decode(sources[56]) == read(toy, "train.en")[0]


def test_one_target_has_no_tag(toy):
    run = toy.open()
    prepare(run)

    with pytest.raises(ValueError, match="no tag <2en>"):
        Prepared(run).tokenizer.tag_id("<2en>")


def test_same_again_is_not_made_twice(toy):
    run = toy.open()
    reports = prepare(run)
    before = made(run)

    assert prepare(run) == reports
    assert made(run) == before


def test_other_length_of_training_keeps_what_was_prepared(toy):
    prepare(toy.open())
    before = made(toy.open())

    run = toy.open(training__max_steps=99)
    prepare(run)

    assert made(run) == before


@pytest.mark.parametrize(
    "changes", [{"tokenizer__size": 310}, {"corpus__directions": BOTH}, {"corpus__tests": []}]
)
def test_changed_recipe_is_prepared_anew(changes, toy):
    prepare(toy.open())
    before = made(toy.open())

    run = toy.open(**changes)
    prepare(run)

    assert made(run).items().isdisjoint(before.items())


def test_what_was_prepared_before_a_key_was_known_stays_in_use(toy):
    run = toy.open()
    prepare(run)
    path = run.prepared / "origin.json"
    known = json.loads(path.read_text())
    del known["origin"]["recipe"]["corpus"]["cleaning"]["min_letters"]
    path.write_text(json.dumps(known))
    before = made(run)

    prepare(run)

    assert made(run) == before
    assert len(Prepared(run).examples(0).source) == 56


def test_changed_training_text_is_prepared_anew(toy):
    run = toy.open()
    prepare(run)
    toy.write("train", [("Das Haus", "The house"), ("Der alte Hund", "The old dog")] * 3)

    (report,) = prepare(run)

    assert (report.read, report.dropped, report.kept) == (6, {"duplicate": 4}, 2)
    assert len(Prepared(run).examples(0).source) == 2


def test_changed_test_text_is_checked_for_leaks(toy):
    run = toy.open()
    prepare(run)
    toy.write("test", [(read(toy, "train.de")[0], "Leaked")])

    with pytest.raises(ValueError, match="1 in toy test"):
        prepare(run)


def test_leaking_text_leaves_nothing_prepared(toy):
    toy.write("dev", [(read(toy, "train.de")[0], "Leaked")])
    run = toy.open()

    with pytest.raises(ValueError, match="1 in toy dev"):
        prepare(run)

    assert not run.prepared.exists()


def test_missing_text_is_refused_by_its_name(toy):
    (toy.corpora / "train.en").unlink()

    with pytest.raises(ValueError, match=r"train\.en"):
        prepare(toy.open())


def test_training_without_preparation_is_told_to_prepare(toy):
    with pytest.raises(ValueError, match="does not exist: prepare first"):
        Prepared(toy.open())


def test_epochs_without_dropout_are_equal(toy):
    run = toy.open()
    prepare(run)
    prepared = Prepared(run)

    epochs = [prepared.examples(epoch) for epoch in (0, 1)]

    assert as_lists(epochs[0].source) == as_lists(epochs[1].source)


def test_dropout_segments_the_sources_of_each_epoch_anew(toy):
    run = toy.open(tokenizer__dropout_source=0.3)
    prepare(run)
    prepared = Prepared(run)

    epochs = [prepared.examples(epoch) for epoch in (0, 1)]

    sources = [as_lists(epoch.source) for epoch in epochs]
    assert sources[0] != sources[1]
    assert [prepared.tokenizer.decode(ids) for ids in sources[1]] == read(toy, "train.de")
    assert as_lists(epochs[0].target) == as_lists(epochs[1].target)


def test_dropout_of_an_epoch_is_the_same_whenever_it_is_asked_for(toy):
    run = toy.open(tokenizer__dropout_source=0.3, tokenizer__dropout_target=0.3)
    prepare(run)

    first, again = (Prepared(run).examples(3) for _ in range(2))

    np.testing.assert_array_equal(first.source.ids, again.source.ids)
    np.testing.assert_array_equal(first.target.ids, again.target.ids)


def test_inline_case_is_prepared_and_read_back(toy):
    run = toy.open(tokenizer__case="inline")
    prepare(run)
    tokenizer = Prepared(run).tokenizer

    examples = Prepared(run).examples(0)

    assert [tokenizer.decode(ids) for ids in as_lists(examples.target)] == read(toy, "train.en")
    assert tokenizer.encode("Ich")[1:] == tokenizer.encode("ich")


def test_training_files_are_described_by_their_hash(toy):
    for name in ("train.de", "train.en"):
        (toy.corpora / name).write_bytes(b"abc")

    hashes = describe_files(toy.open())

    # FIPS 180-2, appendix B.1
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hashes == {"train.de": abc, "train.en": abc}


def test_files_of_another_recipe_are_not_trained_on(toy):
    prepare(toy.open())

    with pytest.raises(ValueError, match="prepare again"):
        Prepared(toy.open(corpus__directions=BOTH))


def test_direction_reads_as_much_of_a_text_as_both_weights_say(toy):
    texts = [{**toy_text(), "weight": 0.5}]
    run = toy.open(
        corpus__directions=BOTH,
        corpus__train=texts,
        corpus__direction_weights={"de-en": 3, "en-de": 0.5},
    )
    prepare(run)
    prepared = Prepared(run)
    tags = [prepared.tokenizer.tag_id(tag) for tag in ("<2en>", "<2de>")]

    first = [ids[0] for ids in as_lists(prepared.examples(0).source)]

    assert [first.count(tag) for tag in tags] == [84, 14]


def toy_text():
    return {"name": "toy train", "languages": ["de", "en"], "files": ["train.de", "train.en"]}


def test_weight_of_no_direction_is_refused(toy):
    with pytest.raises(
        ValueError, match=r"direction_weights names en-de, which is none of \['de-en'\]"
    ):
        toy.open(corpus__direction_weights={"en-de": 2})


def test_epoch_reads_only_the_texts_that_are_for_it(toy):
    toy.write("early", [("ich", "I"), ("du", "you")])
    early = {"name": "early", "languages": ["de", "en"], "files": ["early.de", "early.en"]}
    late = early | {"name": "late", "files": ["train.de", "train.en"], "epochs": [2, -1]}
    run = toy.open(corpus__train=[early | {"epochs": [0, 1]}, late])
    prepare(run)
    prepared = Prepared(run)

    counts = [len(prepared.examples(epoch).source) for epoch in range(5)]

    assert counts == [2, 2, 56, 56, 56]


@pytest.mark.parametrize(
    ("epochs", "sentence"),
    [
        ([[1, -1]], r"corpus\.train has no text for de-en in epoch 0"),
        ([[0, 1], [3, -1]], r"corpus\.train has no text for de-en in epoch 2"),
        ([[0, 1]], r"corpus\.train has no text for de-en in epoch 2"),
        ([[3, 1]], r"toy 0: epochs 3 to 1 are none"),
    ],
)
def test_epochs_without_text_are_refused(epochs, sentence, toy):
    files = {"languages": ["de", "en"], "files": ["train.de", "train.en"]}
    train = [files | {"name": f"toy {i}", "epochs": each} for i, each in enumerate(epochs)]

    with pytest.raises(ValueError, match=sentence):
        toy.open(corpus__train=train)
