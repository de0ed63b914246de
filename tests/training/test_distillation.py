"""What a student learns from: its teachers' translations, sound ones, and a share of its own."""

from dataclasses import replace

import pytest

from models.bundle import Bundle
from tests.training.conftest import TABLES
from training.comparison import compare, count_translations
from training.corpus import load_dev
from training.distillation import Distiller, count_repeats
from training.experts import Expert
from training.measurements import Search
from training.pairs import read_pairs
from training.prepare import Prepared, prepare
from training.translations import Rendering

BOTH = [["de", "en"], ["en", "de"]]


class Phrasebook:
    """Says of each source what it is told, of any other what the toy's tables say; all by hand."""

    def __init__(self, answers=None):
        self.answers = answers or {}
        self.asked = []

    def __call__(self, interpreter, sentences, folder, on_progress):
        self.asked.append(interpreter)
        on_progress(len(sentences))
        return [self._render(sentence, interpreter) for sentence in sentences]

    def _render(self, sentence, interpreter):
        words = {word: other for table in TABLES for word, other in table.items()}
        if interpreter.source == "en":
            words = {other: word for word, other in words.items()}
        answer = self.answers.get(
            sentence, " ".join(words.get(word, word) for word in sentence.split())
        )
        if isinstance(answer, Rendering):
            return answer
        return Rendering([f"{answer}!"], "eos")


def expert_of(bundle, directions=(("de", "en"), ("en", "de"))):
    return Expert(bundle.path, True, bundle.identity, "a" * 64, frozenset(directions))


@pytest.fixture
def expert(tiny_bundle):
    return expert_of(tiny_bundle)


def distil(run, expert, phrasebook=None):
    """Return what was distilled, and how many sentences were done in all."""
    done = []
    distiller = Distiller(run, [expert], phrasebook or Phrasebook())
    return distiller.distil(lambda group: group[0].path, done.append), sum(done)


def open_run(toy, **changes):
    few = {"distillation": {"beam": 2}, "corpus__directions": BOTH}
    return toy.open(**{**few, **changes})


def read(text):
    return list(read_pairs(text, text.tsv.parent))


def test_every_direction_of_a_text_becomes_a_text_that_teaches_it_only(toy, expert):
    run = open_run(toy)

    distilled, _ = distil(run, expert)

    texts = distilled.run.recipe.corpus.train
    assert [text.languages for text in texts] == [("de", "en"), ("en", "de")]
    assert [text.name for text in texts] == [
        "toy train, de-en by tiny/1",
        "toy train, en-de by tiny/1",
    ]
    assert all(text.kind == "distilled" for text in texts)


def test_what_is_read_is_kept_or_counted_by_its_fault(toy, expert):
    toy.write(
        "train",
        [("ich male Haus", "I paint house"), *((f"du {i}x", f"you {i}y") for i in range(6))],
    )
    answers = {
        "du 0x": Rendering([""], "eos"),
        "du 1x": Rendering(["so it goes on"], "length"),
        "du 2x": Rendering(["on and on and on"], "repetition"),
        "du 3x": Rendering(["very very very good"], "eos"),
        "du 4x": Rendering(["word " * 30], "eos"),
        "du 5x": "YOU SEE, TREE",
    }
    toy.write("dev", [("du siehst Baum", "you see tree")])

    distilled, _ = distil(
        open_run(toy, corpus__directions=[["de", "en"]]), expert, Phrasebook(answers)
    )

    (report,), (text,) = distilled.reports, distilled.run.recipe.corpus.train
    assert report.read == 7
    assert report.dropped == {
        "empty translation": 1,
        "translation without an end": 1,
        "translation repeats itself": 3,
        "in held-out text": 1,
    }
    assert read(text) == [("ich male Haus", "I paint house!")]


def test_phrase_may_repeat_where_the_source_does(toy, expert):
    toy.write("train", [("nein nein nein", "no no no")])
    answers = {"nein nein nein": Rendering(["No no no"], "eos")}

    distilled, _ = distil(
        open_run(toy, corpus__directions=[["de", "en"]]), expert, Phrasebook(answers)
    )

    assert read(distilled.run.recipe.corpus.train[0]) == [("nein nein nein", "No no no")]


@pytest.mark.parametrize("similarity", ["bleu", "chrf"])
def test_hypothesis_nearest_to_any_reference_is_learnt_from(similarity, toy, expert):
    toy.write("train", [("ich male", "I paint a picture"), ("ich male", "I am painting now")])
    texts = ["I do something else", "I am painting it now", "I paint"]
    answers = {"ich male": Rendering(texts, "eos")}
    distillation = {"beam": 3, "best_of": 3, "similarity": similarity}
    changes = {"distillation": distillation, "corpus__directions": [["de", "en"]]}
    phrasebook = Phrasebook(answers)

    distilled, _ = distil(open_run(toy, **changes), expert, phrasebook)

    assert read(distilled.run.recipe.corpus.train[0]) == [("ich male", "I am painting it now")]
    assert [each.num_best for each in phrasebook.asked] == [3]


def test_source_with_several_translations_is_translated_once(toy, expert):
    pairs = [("ich sehe", "I see"), ("ich sehe", "I look"), ("du malst", "you paint")]
    toy.write("train", pairs)

    answers = {"ich sehe": "I see", "du malst": "you paint"}
    run = open_run(toy, corpus__directions=[["de", "en"]])

    distilled, done = distil(run, expert, Phrasebook(answers))

    assert [report.read for report in distilled.reports] == [2]
    assert done == 2


def test_what_was_made_from_the_same_is_not_made_again(toy, expert):
    first, _ = distil(open_run(toy), expert)

    phrasebook = Phrasebook()
    second, done = distil(open_run(toy), expert, phrasebook)

    assert second == first
    assert done == 2 * 56
    assert phrasebook.asked == []


@pytest.mark.parametrize(
    "changes", [{"distillation": {"beam": 3}}, {"corpus__directions": [["de", "en"]]}]
)
def test_another_recipe_is_distilled_anew(changes, toy, expert):
    distil(open_run(toy), expert)

    phrasebook = Phrasebook()
    distil(open_run(toy, **changes), expert, phrasebook)

    assert phrasebook.asked != []


def test_share_of_the_originals_is_read_in_each_epoch(toy, expert):
    changes = {"distillation": {"beam": 2, "keep_originals": 0.5}}

    distilled, _ = distil(open_run(toy, **changes), expert)

    original, *taught = distilled.run.recipe.corpus.train
    assert (original.name, original.weight, original.kind) == ("toy train", 0.5, "parallel")
    assert [text.weight for text in taught] == [1, 1]
    pairs = distilled.distillation.pairs
    assert distilled.distillation.share == pytest.approx(pairs / (pairs + 56), abs=1e-4)


def test_text_that_a_machine_made_already_is_learnt_from_as_it_is(toy, expert):
    (toy.corpora / "made.tsv").write_text("ich sehe\tI see\ndu malst\tyou paint\n")
    made = {"name": "made", "languages": ["de", "en"], "tsv": "made.tsv", "kind": "distilled"}
    train = {"name": "toy train", "languages": ["de", "en"], "files": ["train.de", "train.en"]}
    phrasebook = Phrasebook()

    distilled, _ = distil(open_run(toy, corpus__train=[train, made]), expert, phrasebook)

    assert len(phrasebook.asked) == 2
    kept = distilled.run.recipe.corpus.train[0]
    assert (kept.name, kept.weight, kept.tsv.name) == ("made", 1.0, "made.tsv")
    pairs = distilled.distillation.pairs
    assert distilled.distillation.share == pytest.approx(pairs / (pairs + 2), abs=1e-4)


def test_student_is_prepared_from_what_was_distilled(toy, expert):
    distilled, _ = distil(open_run(toy), expert)

    reports = prepare(distilled.run)

    examples = Prepared(distilled.run).examples(0)
    assert [report.kept for report in reports] == [report.kept for report in distilled.reports]
    assert len(examples.source) == distilled.distillation.pairs


def test_manifest_is_told_teachers_search_and_sources(toy, expert):
    distilled, _ = distil(open_run(toy), expert)

    told = distilled.distillation
    assert [(each.name, each.sha256) for each in told.teachers] == [("tiny/1", "a" * 64)]
    assert (told.beam, told.length_penalty, told.best_of) == (2, None, 1)
    assert told.sources.keys() == {"train.de", "train.en"}
    assert told.share == 1


def test_direction_that_nobody_knows_is_named(toy, tiny_bundle):
    expert = expert_of(tiny_bundle, [("de", "en")])

    with pytest.raises(ValueError, match="nobody translates en-de; there are tiny/1"):
        Distiller(open_run(toy), [expert])


def test_teachers_of_one_direction_are_asked_together(toy, expert, tiny_bundle):
    other = replace(expert_of(tiny_bundle, [("de", "en")]), name="other/1")
    groups = []

    def bundle_of(group):
        groups.append([each.name for each in group])
        return tiny_bundle.path

    distiller = Distiller(open_run(toy), [expert, other], Phrasebook())
    distiller.distil(bundle_of, lambda done: None)

    assert groups == [["tiny/1", "other/1"], ["tiny/1"]]


def test_more_hypotheses_than_the_beam_is_wide_are_refused(toy):
    with pytest.raises(ValueError, match=r"distillation: .*best_of 3 exceeds beam 2"):
        toy.open(distillation={"beam": 2, "best_of": 3})


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("", 1),
        ("one two three", 1),
        ("no no", 2),
        ("No no no", 3),
        ("I am I am I am here", 3),
        ("so it is as it is", 1),
        ("a b c d a b c d", 2),
        ("a a b b a a b b", 2),
    ],
)
def test_repeats_are_counted_phrase_by_phrase(text, times):
    assert count_repeats(text) == times


def test_comparison_measures_every_system_with_both_searches(toy, tiny_bundle, expert):
    run = open_run(toy, corpus__directions=[["de", "en"]])
    distiller, done = Distiller(run, [expert]), []
    systems = distiller.systems(lambda group: group[0].path, Bundle.open(tiny_bundle.path))
    dev = load_dev(run, 5)

    rows = compare(systems, dev, done.append)

    assert count_translations(systems, dev) == sum(done) == 20
    assert [(row.system, row.search) for row in rows] == [
        ("tiny/1", Search(1, 1.0)),
        ("tiny/1", Search(2, 1.0)),
    ] * 2
    size = sum(file.size_bytes for file in tiny_bundle.manifest.variants["fp32"].files)
    for row in rows:
        assert (row.variant, row.directions, row.size_bytes) == ("fp32", "de-en", size)
        assert row.scores.keys() == {"BLEU", "chrF2"}
        assert row.sentences_per_second > 0
