"""Tables say what was measured, and README.md holds them."""

import statistics

import pytest

from models.bundle import Direction, Score
from training.ablation import AblationResult, RowResult, TrialResult
from training.markdown import fill, render_table
from training.plots import Bar, draw_differences
from training.results import Repetition, Result, read_recipe
from training.speeds import Speeds
from training.tables import (
    REACHES,
    README,
    describe_ablation,
    fill_readme,
    tabulate_ablation,
    tabulate_results,
    write_ablation,
)

PNG = b"\x89PNG\r\n\x1a\n"


def score(metric, value, interval=None):
    return Score(
        variant="int8",
        test_set="toy test",
        direction=Direction(source="de", target="en"),
        metric=metric,
        score=value,
        signature="signed",
        beam=4,
        length_penalty=1.2,
        sentences=9,
        interval=interval,
    )


def repetition(seed, *scores):
    return Repetition(seed=seed, steps=6, minutes=12.4, machine="two cores", scores=scores)


def trial(row, seed=1, bleu=None, **fields):
    return TrialResult(
        row=row,
        seed=seed,
        recipe_sha256="",
        dev_bleu=bleu,
        signature="signed",
        tokens_per_second=1500,
        minutes=2.5,
        parameters=8000,
        machine="two cores",
        **fields,
    )


def row(name, *trials):
    return RowResult(name=name, changes="x.y = 1", reason="because", trials=trials)


@pytest.fixture
def ablation():
    rows = (
        row("base", trial("base", 1, 30.0), trial("base", 2, 31.0)),
        row("better", trial("better", 1, 31.0), trial("better", 2, 32.5)),
        row("worse", trial("worse", 1, 29.0), trial("worse", 2, failure="diverged")),
        row("broken", trial("broken", 1, failure="diverged"), trial("broken", 2, failure="too")),
    )
    return AblationResult(
        name="ablation-toy", recipe="toy.toml", budget="4 steps", dev="dev", rows=rows
    )


def test_result_is_a_row_with_its_circumstances(toy):
    result = Result(
        recipe="toy",
        version=1,
        parameters=1234567,
        repetitions=(repetition(1, score("BLEU", 36.44, 1.06), score("lc-tok BLEU", 39.1, 1.1)),),
    )

    [cells] = tabulate_results([("toy", read_recipe(toy.recipe()), result)]).rows

    assert cells == (
        "toy",
        "de to en",
        "toy test",
        "36.4 \u00b1 1.1",
        "39.1 \u00b1 1.1",
        "",
        "int8, beam 4, length penalty 1.2",
        "1",
        "1,234,567",
        "12 minutes on two cores",
    )


def test_several_seeds_are_told_by_mean_and_deviation(toy):
    bleus = [36.0, 36.4, 37.1]
    result = Result(
        recipe="toy",
        version=1,
        parameters=1,
        repetitions=tuple(
            repetition(seed, score("BLEU", bleu), score("lc-tok BLEU", bleu + 2))
            for seed, bleu in enumerate(bleus)
        ),
    )

    [cells] = tabulate_results([("toy", read_recipe(toy.recipe()), result)]).rows

    deviation = f"{statistics.stdev(bleus):.2f}"
    assert cells[3] == "36.0"
    assert cells[7] == f"3: BLEU 36.5, sd {deviation}; lc-tok BLEU 38.5, sd {deviation}"


def test_row_of_an_ablation_stands_beside_the_base(ablation):
    base, better, worse, broken = tabulate_ablation(ablation).rows

    assert base[1:3] == (f"30.50 (sd {0.5**0.5:.2f})", "")
    assert better[1:3] == ("31.75 (sd 1.06)", "+1.25")
    assert worse[1:3] == ("29.00; 1 failed", "-1.50")
    assert broken[1:3] == ("failed: diverged", "")
    assert better[3:] == ("1,500", "2.5", "8,000", "x.y = 1", "because")
    assert [cells[7] for cells in (base, better, worse, broken)] == ["because"] * 4


def test_circumstances_of_an_ablation_are_told(ablation):
    assert describe_ablation(ablation) == (
        "Base: `toy.toml`; 4 steps for each row; seeds 1, 2; BLEU on dev, greedy, best "
        "checkpoint, signed; on two cores."
    )


def test_speeds_of_timed_rows_are_told_in_processor_time():
    speeds = [
        Speeds(trained_tokens=tokens, translated_tokens=10.0, max_logit_difference=1e-6)
        for tokens in (1000.0, 3000.0)
    ]
    timed = row("timed", *(trial("timed", 1, 30.0, speeds=each) for each in speeds))
    rows = (timed, row("old", trial("old", 1, 29.0)), row("broken", trial("b", 1, failure="no")))
    result = AblationResult(name="a", recipe="b", budget="c", dev="d", rows=rows)

    table = tabulate_ablation(result)

    columns = [
        table.header.index(f"{what}, tokens/s of a core") for what in ("learns", "translates")
    ]
    assert [[cells[i] for i in columns] for cells in table.rows] == [
        ["2,000", "10"],
        ["", ""],
        ["", ""],
    ]
    assert {len(cells) for cells in table.rows} == {len(table.header)}
    assert "speeds in processor time" in describe_ablation(result)


def test_how_far_back_the_cell_of_each_row_remembers_stands_beside_what_it_learns(ablation):
    names = [each.name for each in ablation.rows]
    reaches = {name: (f"{10 * place}", "0") for place, name in enumerate(names)}

    table = tabulate_ablation(ablation, reaches)

    columns = [table.header.index(name) for name in REACHES]
    assert [[cells[i] for i in columns] for cells in table.rows] == [
        list(reaches[name]) for name in names
    ]
    assert {len(cells) for cells in table.rows} == {len(table.header)}
    assert not set(REACHES) & set(tabulate_ablation(ablation).header)


def test_layers_of_cells_are_found_in_the_laboratory_by_their_options():
    """All rows of the ablation of cells, the base too, have been measured there."""
    text = README.read_text(encoding="utf-8")
    section = text.partition("<!-- ablation-cells-multi30k-en-de -->")[2].partition("<!-- end")[0]

    assert REACHES[0] in section
    assert "not measured" not in section


def test_shared_machine_is_told():
    rows = (row("base", trial("base", 1, 30.0, jobs=4)),)
    shared = AblationResult(name="a", recipe="b", budget="c", dev="d", rows=rows)

    assert describe_ablation(shared).endswith("; 4 trainings at a time, which share its speed.")


def test_ablation_is_written_for_programs_people_and_eyes(ablation, tmp_path):
    write_ablation(ablation, tmp_path)

    assert AblationResult.read(tmp_path / "ablation-toy.json") == ablation
    assert "| better | 31.75" in (tmp_path / "ablation-toy.md").read_text()
    assert (tmp_path / "ablation-toy.png").read_bytes().startswith(PNG)


def test_chart_is_drawn_of_nothing_of_zeros_and_of_outliers(tmp_path):
    for name, values in {"none": [], "zeros": [0, 0], "outlier": [1, -1, 0.5, -40]}.items():
        bars = [Bar(str(place), value) for place, value in enumerate(values)]
        draw_differences(tmp_path / name, "title", bars, "BLEU")

        assert (tmp_path / name).read_bytes().startswith(PNG)


def test_readme_holds_the_tables_of_the_results_that_are_kept():
    text = README.read_text(encoding="utf-8")

    assert fill_readme(text) == text


def test_readme_says_what_was_not_measured(toy):
    toy.recipe(corpus__tests=[])
    (toy.corpora / "ablation-toy.toml").write_text("")
    text = "<!-- results -->\nold\n<!-- end -->\n<!-- ablation-toy -->\nold\n<!-- end -->\n"

    filled = fill_readme(text, toy.corpora)

    assert "`ablation-toy.toml`: not measured." in filled
    assert "old" not in filled


def test_readme_signs_its_figures(toy):
    path = toy.recipe()
    result = Result(
        recipe="toy", version=1, parameters=1, repetitions=(repetition(1, score("BLEU", 36.0)),)
    )
    result.write(toy.corpora / "results" / "toy.json")

    filled = fill_readme("<!-- results -->\n<!-- end -->\n", path.parent)

    assert "| [`toy`](recipes/toy.toml) | de to en | toy test | 36.0 |" in filled
    assert "sacreBLEU signatures: `BLEU|signed`." in filled


def test_readme_shows_an_ablation_with_its_chart(ablation, toy):
    toy.recipe(corpus__tests=[])
    (toy.corpora / "ablation-toy.toml").write_text("")
    write_ablation(ablation, toy.corpora / "results")
    text = "<!-- results -->\n<!-- end -->\n<!-- ablation-toy -->\n<!-- end -->\n"

    filled = fill_readme(text, toy.corpora)

    assert "| better | 31.75" in filled
    assert "(recipes/results/ablation-toy.png)" in filled


def test_place_that_is_missing_is_told():
    with pytest.raises(ValueError, match="<!-- results --> stands 0 times in the document"):
        fill("text", {"results": "table"})


def test_place_is_filled_and_the_rest_stays():
    text = "a\n<!-- x -->\nold\n<!-- end -->\nb <!-- end -->\n"

    filled = fill(text, {"x": "new"})

    assert filled == "a\n<!-- x -->\n\nnew\n\n<!-- end -->\nb <!-- end -->\n"
    assert fill(filled, {"x": "new"}) == filled


def test_cell_cannot_break_its_table():
    assert render_table(("a",), [("b | c\nd",)]) == "| a |\n| --- |\n| b \\| c d |"
