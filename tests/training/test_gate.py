"""A variant is published with what it loses, unless it loses too much."""

import shutil

import pytest

from models.bundle import MANIFEST, Direction, Score
from service.engine import TranslationOptions, open_translator
from tests.conftest import PLAN, SENTENCES, random_weights
from training.corpus import HeldOut
from training.gate import check_cost, check_shortlist_cost, mean_bleu, weigh
from training.graph_reader import describe_variant
from training.graphs import write_graphs
from training.measurements import Search, measure

GREEDY, BEAM = Search(1, 1.0), Search(4, 1.0)
WAYS = [Direction(source="de", target="en"), Direction(source="en", target="de")]


def scores_of(variant, figures, metric="BLEU"):
    """Make scores of two directions, `figures` being the pairs by search."""
    return [
        Score(
            variant=variant,
            test_set="dev",
            direction=direction,
            metric=metric,
            score=figure,
            signature="nrefs:1",
            beam=search.beam,
            length_penalty=search.length_penalty,
            sentences=1000,
        )
        for search, pair in figures.items()
        for direction, figure in zip(WAYS, pair, strict=True)
    ]


def cost_of(figures, reference, metric="BLEU"):
    return weigh(scores_of("int8", figures, metric), scores_of("fp32", reference, metric))


def test_cost_puts_each_score_beside_that_of_fp32():
    cost = cost_of({GREEDY: (30.1, 20.3)}, {GREEDY: (30.2, 20.2)})

    assert (cost.test_set, cost.sentences) == ("dev", 2000)
    assert [(row.direction, row.score, row.reference) for row in cost.rows] == [
        (WAYS[0], 30.1, 30.2),
        (WAYS[1], 20.3, 20.2),
    ]
    assert [(row.metric, row.signature, row.beam) for row in cost.rows] == [
        ("BLEU", "nrefs:1", 1)
    ] * 2


def test_losses_are_means_of_the_directions_for_each_search():
    cost = cost_of(
        {GREEDY: (30.0, 20.0), BEAM: (31.0, 22.0)}, {GREEDY: (30.2, 20.4), BEAM: (31.5, 21.5)}
    )

    assert mean_bleu(cost) == {
        GREEDY: (pytest.approx(25.0), pytest.approx(25.3)),
        BEAM: (pytest.approx(26.5), pytest.approx(26.5)),
    }


@pytest.mark.parametrize(
    ("figures", "reference"),
    [
        ({GREEDY: (35.25, 30.0)}, {GREEDY: (35.45, 30.2)}),
        ({GREEDY: (30.0, 20.0)}, {GREEDY: (30.4, 20.0)}),
        ({GREEDY: (30.0, 20.0)}, {GREEDY: (31.0, 19.4)}),
        ({GREEDY: (33.0, 23.0)}, {GREEDY: (30.0, 20.0)}),
    ],
    ids=["at the limit", "one direction alone", "one makes up for the other", "a gain"],
)
def test_loss_up_to_the_limit_passes(figures, reference):
    check_cost("int8", cost_of(figures, reference), 0.2)


@pytest.mark.parametrize(
    ("figures", "reference"),
    [
        ({GREEDY: (30.0, 20.0)}, {GREEDY: (30.2, 20.21)}),
        ({GREEDY: (30.0, 20.0), BEAM: (31.0, 21.0)}, {GREEDY: (30.0, 20.0), BEAM: (31.3, 21.3)}),
        ({GREEDY: (1.0, 1.0), BEAM: (99.0, 99.0)}, {GREEDY: (30.0, 20.0), BEAM: (30.0, 20.0)}),
    ],
    ids=["a hundredth more", "beam only", "greedy only"],
)
def test_loss_above_the_limit_is_refused_with_either_search(figures, reference):
    with pytest.raises(ValueError, match=r"export\.max_bleu_loss is 0\.2; nothing is published"):
        check_cost("int8", cost_of(figures, reference), 0.2)


def test_refusal_names_the_figures_and_what_can_be_done():
    cost = cost_of({BEAM: (30.0, 20.0)}, {BEAM: (30.5, 21.0)})

    with pytest.raises(
        ValueError,
        match=r"int8 scores 25\.00 BLEU on dev with beam 4 where fp32 scores 25\.75: it loses 0\.75"
        r".* Leave int8 out of export\.variants",
    ):
        check_cost("int8", cost, 0.2)


def test_only_bleu_decides():
    check_cost("int8", cost_of({GREEDY: (10.0, 10.0)}, {GREEDY: (50.0, 50.0)}, "chrF2"), 0.2)


@pytest.fixture
def dev(tiny_bundle):
    """Text whose references are what fp32 makes of it, so fp32 scores 100."""
    texts = []
    for source, target, lines in (("de", "en", SENTENCES[:3]), ("en", "de", SENTENCES[3:])):
        translator = open_translator(tiny_bundle.path, (source, target), variant="fp32")
        options = TranslationOptions(beam=1)
        answers = [each.text for each in translator.translate_all(lines, options)]
        translator.close()
        texts.append(HeldOut("own words", source, target, lines, answers))
    return texts


def with_int8(bundle, folder, weights):
    """Copy a bundle and give it graphs of these weights as its int8 variant."""
    shutil.copytree(bundle.path, folder)
    shutil.rmtree(folder / "int8", ignore_errors=True)
    (folder / "int8").mkdir()
    files = write_graphs(PLAN, weights, folder / "int8")
    variants = {**bundle.manifest.variants, "int8": describe_variant(files, folder)}
    manifest = bundle.manifest.model_copy(update={"variants": variants})
    (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
    return folder


def measured_cost(bundle, dev):
    fp32, int8 = (
        measure(bundle, name, dev, [GREEDY], lambda done: None) for name in ("fp32", "int8")
    )
    return weigh(int8, fp32)


def test_variant_that_translates_alike_passes(tiny_bundle, dev, tmp_path):
    weights = random_weights(PLAN, tiny_bundle.manifest.tokenizer.size)
    cost = measured_cost(with_int8(tiny_bundle, tmp_path / "bundle", weights), dev)

    check_cost("int8", cost, 0.0)

    assert [row.score for row in cost.rows] == [pytest.approx(100)] * 4


def test_variant_whose_translations_collapse_is_refused(tiny_bundle, dev, tmp_path):
    weights = random_weights(PLAN, tiny_bundle.manifest.tokenizer.size)
    weights = {**weights, "output_bias": -weights["output_bias"]}
    cost = measured_cost(with_int8(tiny_bundle, tmp_path / "bundle", weights), dev)

    with pytest.raises(ValueError, match="where fp32 scores 100"):
        check_cost("int8", cost, 0.2)


def test_shortlists_that_lose_too_much_are_refused():
    reference = {GREEDY: (30.0, 20.0), BEAM: (31.0, 21.0)}
    check_shortlist_cost(
        "int8", cost_of({GREEDY: (29.9, 19.8), BEAM: (31.2, 21.0)}, reference), 0.2
    )

    cost = cost_of({GREEDY: (30.0, 20.0), BEAM: (30.8, 20.6)}, reference)
    with pytest.raises(
        ValueError, match=r"int8 with shortlists scores 25\.70 BLEU .* int8 without"
    ):
        check_shortlist_cost("int8", cost, 0.2)
