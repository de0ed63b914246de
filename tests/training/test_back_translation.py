"""Text of one language becomes pairs whose sources a bundle made, and is learnt from as such."""

import json
import tomllib

import pytest

from models.bundle import Data
from models.normalisation import normalise
from models.tokenizer import target_tag
from service.engine import TranslationOptions, open_translator
from training.back_translation import BackTranslation, back_translate, load_targets
from training.card import render_card
from training.corpus import HeldOut
from training.prepare import BACK_TRANSLATED, Prepared, encode_pairs, prepare
from training.synthetic import read_origin
from training.text_recipe import TextRecipe

BOTH = [["de", "en"], ["en", "de"]]
REAL = {"name": "toy train", "languages": ["de", "en"], "files": ["train.de", "train.en"]}
SYNTHETIC = {
    "name": "made",
    "languages": ["de", "en"],
    "tsv": "made.tsv",
    "kind": "back-translated",
}
TAGGED = SYNTHETIC | {"tagged": True}
PAIRS = [("du malen Esel", "You paint a donkey."), ("wir sehen", "We see the bakery!")]


@pytest.fixture
def task(toy, tiny_bundle):
    """English text of two toy sentences, two of held-out text and three that are no use."""
    held_out = [(toy.corpora / f"{name}.en").read_text().split("\n")[0] for name in ("dev", "test")]
    lines = ["The small house.", held_out[0].upper(), "", "? 3 4 5", f"{held_out[1]}!"]
    lines += ["The small  house.", "Two cats and a dog"]
    text = toy.corpora / "news.en"
    text.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    output = toy.corpora / "news.de-en.tsv"
    return BackTranslation(text, "de", "en", tiny_bundle.path, output, beam=1)


def make(toy, task):
    run = toy.open()
    targets, _ = load_targets(task, run)
    return back_translate(task, run, targets, lambda done: None)


def write_made(toy, pairs=PAIRS, **changes):
    (toy.corpora / "made.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in pairs))
    origin = {
        "bundle": "teacher/7",
        "manifest_sha256": "0" * 64,
        "beam": 1,
        "length_penalty": 1.0,
        "text": "made.en",
        "text_sha256": "1" * 64,
    }
    (toy.corpora / "made.tsv.json").write_text(json.dumps(origin | changes))


def prepared(toy, text=TAGGED, **changes):
    run = toy.open(corpus__train=[REAL, text], **changes)
    reports = prepare(run)
    return run, Prepared(run), reports


def lists(ragged):
    return [ragged[i].tolist() for i in range(len(ragged))]


def test_lines_are_cleaned_and_lose_what_is_held_out(toy, task):
    targets, report = load_targets(task, toy.open())

    assert targets == ["The small house.", "Two cats and a dog"]
    assert report.read == 7
    assert report.dropped == {
        "in held-out text": 2,
        "empty side": 1,
        "hardly any letters": 1,
        "duplicate": 1,
    }


def test_held_out_lines_go_even_where_whole_pairs_only_are_leaks(toy, task):
    targets, _ = load_targets(task, toy.open(corpus__leaks="pair"))

    assert len(targets) == 2


def test_pairs_are_the_engines_translations_beside_the_lines(toy, task):
    report = make(toy, task)

    translator = open_translator(task.bundle, ("en", "de"))
    sentences = ["The small house.", "Two cats and a dog"]
    made = list(translator.translate_all(sentences, TranslationOptions(beam=1)))
    translator.close()
    expected = [
        f"{normalise(each.text, 'NFC')}\t{sentence}"
        for each, sentence in zip(made, sentences, strict=True)
        if each.finish_reason == "eos" and each.text.strip()
    ]
    assert task.output.read_text(encoding="utf-8").splitlines() == expected
    assert (report.read, report.kept) == (2, len(expected))


def test_origin_names_bundle_search_and_text(toy, task, tiny_bundle):
    make(toy, task)

    origin = read_origin(toy.corpora / "news.de-en.tsv.json")
    assert (origin.bundle, origin.beam, origin.text) == ("tiny/1", 1, "news.en")
    assert origin.length_penalty == tiny_bundle.manifest.decoding.length_penalty


def test_what_is_to_stand_in_the_recipe_reads_the_pairs_back(toy, task):
    make(toy, task)

    lines = tomllib.loads(task.in_recipe(toy.open()))

    (text,) = lines["corpus"]["train"]
    expected = TAGGED | {"name": "news.de-en", "tsv": "news.de-en.tsv"}
    assert TextRecipe.model_validate(text) == TextRecipe.model_validate(expected)


def test_text_without_a_usable_line_is_refused(toy, task):
    task.text.write_text("...\n\n")

    with pytest.raises(ValueError, match=r"news\.en: no line is left .*2 read"):
        load_targets(task, toy.open())


def test_work_that_was_done_is_not_done_again(toy, task):
    run = toy.open()
    targets, _ = load_targets(task, run)
    first = back_translate(task, run, targets, lambda done: None)
    task.output.unlink()
    done = []

    assert back_translate(task, run, targets, done.append) == first
    assert done == [2]
    assert task.output.exists()


@pytest.mark.parametrize("directions", [[["de", "en"]], BOTH])
def test_only_the_direction_to_the_real_side_is_learnt(directions, toy):
    write_made(toy)
    _, made, _ = prepared(toy, corpus__directions=directions)

    examples = made.examples(0)

    real = 56 * len(directions)
    assert len(examples.source) == real + 2
    decoded = [made.tokenizer.decode(ids) for ids in lists(examples.source)]
    assert decoded.count(PAIRS[0][0]) == 1
    assert PAIRS[0][1] not in decoded
    place = decoded.index(PAIRS[0][0])
    assert made.tokenizer.decode(examples.target[place]) == PAIRS[0][1]


def test_tagged_sources_and_no_others_begin_with_the_tag(toy):
    write_made(toy)
    _, made, _ = prepared(toy, corpus__directions=BOTH)
    tokenizer, sources = made.tokenizer, lists(made.examples(0).source)

    tag = tokenizer.tag_id(BACK_TRANSLATED)

    tagged = [ids for ids in sources if tag in ids]
    assert [ids[:2] for ids in tagged] == [[tag, tokenizer.tag_id(target_tag("en"))]] * 2
    assert [tokenizer.decode(ids) for ids in tagged] == [source for source, _ in PAIRS]


def test_untagged_text_leaves_the_vocabulary_without_the_tag(toy):
    write_made(toy)
    _, made, _ = prepared(toy, SYNTHETIC)

    with pytest.raises(ValueError, match="no tag <bt>"):
        made.tokenizer.tag_id(BACK_TRANSLATED)


def test_nothing_that_is_translated_begins_with_the_tag(toy):
    write_made(toy)
    run, made, _ = prepared(toy)
    tag = made.tokenizer.tag_id(BACK_TRANSLATED)
    held_out = HeldOut("x", "de", "en", ["<bt> ich sehe", "<bt>"], ["<bt>", "I see"])

    pairs = encode_pairs(run.recipe, made.tokenizer, [held_out])

    assert all(tag not in source + target for source, target in pairs)


def test_vocabulary_is_learnt_from_what_people_wrote(toy):
    write_made(toy, [(f"{i} xqxq xqxq", f"You buy {i} things") for i in range(80)])

    _, made, _ = prepared(toy)

    assert not any("xq" in piece for piece in made.tokenizer.pieces(range(made.tokenizer.size)))


@pytest.mark.parametrize("leaks", ["side", "pair"])
def test_real_side_in_held_out_text_is_a_leak(leaks, toy):
    held_out = (toy.corpora / "dev.en").read_text().split("\n")[0]
    write_made(toy, [("ganz anders", held_out), *PAIRS])

    with pytest.raises(ValueError, match=r"made, sources by teacher/7: .*1 in toy dev"):
        prepared(toy, corpus__leaks=leaks)


def test_synthetic_side_may_be_anything(toy):
    held_out = (toy.corpora / "dev.de").read_text().split("\n")[0]
    write_made(toy, [(held_out, "We see the bakery!"), *PAIRS[:1]])

    _, _, reports = prepared(toy)

    assert reports[1].kept == 2


def test_report_names_who_made_it(toy):
    write_made(toy)

    _, _, reports = prepared(toy)

    assert [report.name for report in reports] == ["toy train", "made, sources by teacher/7"]


def test_text_without_its_origin_is_refused(toy):
    write_made(toy)
    (toy.corpora / "made.tsv.json").unlink()

    with pytest.raises(ValueError, match=r"made\.tsv\.json is missing, which says who made made"):
        prepared(toy)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"bundle": ""}, r"made\.tsv\.json: bundle: "), ({"colour": 1}, "colour: Extra inputs")],
)
def test_origin_that_says_something_else_is_refused(changes, sentence, toy):
    write_made(toy, **changes)

    with pytest.raises(ValueError, match=sentence):
        prepared(toy)


def test_other_maker_is_prepared_anew(toy):
    write_made(toy)
    prepared(toy)
    write_made(toy, bundle="other/1")

    _, _, reports = prepared(toy)

    assert reports[1].name == "made, sources by other/1"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tsv": None, "files": ["a", "b"]}, "made: back-translated text is a tsv"),
        ({"kind": "parallel"}, "made: only back-translated text is tagged"),
        ({"languages": ["en", "de"]}, "made: en-de, which it teaches, is no direction"),
        ({"kind": "invented"}, r"kind: .*'back-translated'"),
    ],
)
def test_text_that_cannot_be_learnt_from_is_refused(changes, sentence, toy):
    text = {key: value for key, value in (TAGGED | changes).items() if value is not None}

    with pytest.raises(ValueError, match=sentence):
        toy.open(corpus__train=[REAL, text])


def test_card_names_the_synthetic_text_and_its_maker(tiny_bundle):
    manifest = tiny_bundle.manifest
    licence = {"licence": "CC0", "attribution": "", "pairs": 2, "sha256": {}}
    data = [Data(name="real", **licence), Data(name="made", sources_by="teacher/7", **licence)]
    provenance = manifest.provenance.model_copy(update={"data": data})

    card = render_card(manifest.model_copy(update={"provenance": provenance}))

    assert "made is synthetic: its sources are translations of its targets by teacher/7" in card
    assert "real is synthetic" not in card


@pytest.mark.parametrize("place", ["corpus__dev", "corpus__tests"])
def test_nothing_is_measured_on_synthetic_text(place, toy):
    dev = {"name": "toy dev", "languages": ["de", "en"], "files": ["dev.de", "dev.en"]}

    with pytest.raises(ValueError, match="made: what is measured on is parallel text"):
        toy.open(**{place: [dev, SYNTHETIC]})


def test_direction_is_not_covered_by_text_that_teaches_the_other(toy):
    with pytest.raises(ValueError, match=r"corpus\.train has no text for en-de"):
        toy.open(corpus__train=[SYNTHETIC], corpus__directions=BOTH)
