"""Tables of results and of ablations, for the terminal and for documents.

    python -m training.tables

fills those of README.md beside this module from `recipes/results/`. What was not measured is
said to be so.
"""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from models.bundle import Score
from training.ablation import BASE, AblationResult, RowResult
from training.laboratory.study import read_study, told_reach
from training.markdown import Table, fill
from training.plots import Bar, draw_differences
from training.protocol import LC_TOK_BLEU
from training.recipe import Recipe
from training.results import Repetition, Result, load_result, read_recipe, result_file

HERE = Path(__file__).parent
README = HERE / "README.md"
RECIPES = HERE / "recipes"
ABLATIONS = "ablation-"
"""How the name of an ablation's file begins, which lies among the recipes."""
NOT_MEASURED = "not measured"

REACHES = "remembers, steps", "adds over, steps"
METRICS = ("BLEU", LC_TOK_BLEU, "chrF2")


def tabulate_results(results: Iterable[tuple[str, Recipe, Result | None]]) -> Table:
    """Return one row for each test set and direction of each recipe, named as given."""
    place = "recipe", "direction", "test set"
    details = "search", "seeds", "parameters", "training of the first seed"
    rows = [row for each in results for row in _rows_of_recipe(*each)]
    return Table((*place, *METRICS, *details), rows, len(place) + len(METRICS) + 1)


def list_signatures(results: Iterable[Result]) -> list[str]:
    """Return the sacreBLEU signatures of all figures in one paragraph, if there are any."""
    scores = [score for result in results for one in result.repetitions for score in one.scores]
    signatures = sorted({f"`{score.metric}|{score.signature}`" for score in scores})
    return [f"sacreBLEU signatures: {', '.join(signatures)}."] if signatures else []


def tabulate_ablation(
    result: AblationResult, reaches: Mapping[str, Sequence[str]] | None = None
) -> Table:
    """Return one row for each of an ablation that was trained.

    Args:
        result: what was found.
        reaches: by row, how far back its layers remember and over how many steps they add.
    """
    figures = ["dev BLEU", "beside the base"]
    # what a row was timed by itself for counts, not what else the machine did meanwhile
    of_core = ["learns, tokens/s of a core", "translates, tokens/s of a core"]
    figures += of_core if _is_timed(result) else ["tokens/s", "minutes"]
    back = {row.name: reaches[row.name] if reaches else () for row in result.rows}
    rows = [
        (*_ablation_figures(row, result), *back[row.name], row.changes, row.reason)
        for row in result.rows
    ]
    more = REACHES if reaches else ()
    header = ("row", *figures, "parameters", *more, "what changes", "why")
    return Table(header, rows, 1 + len(figures))


def draw_ablation(result: AblationResult, path: Path) -> None:
    """Write a chart of what each row gains or loses, largest gain first."""
    base = result.base
    bars = [
        Bar(row.name, round(statistics.fmean(row.bleus) - base, 2), _deviation(row.bleus))
        for row in result.rows
        if base is not None and row.bleus and row.name != BASE
    ]
    bars.sort(key=lambda bar: -bar.value)
    title = f"{result.name}: dev BLEU beside the base"
    if base is not None:
        title += f" ({base:.1f}), {result.budget} each"
    draw_differences(path, title, bars, "BLEU")


def write_ablation(result: AblationResult, folder: Path) -> None:
    """Write an ablation as JSON, Markdown and a chart, each named as it is."""
    result.write(folder / f"{result.name}.json")
    text = f"{describe_ablation(result)}\n\n{tabulate_ablation(result).markdown()}\n"
    (folder / f"{result.name}.md").write_text(text, encoding="utf-8")
    draw_ablation(result, folder / f"{result.name}.png")


def describe_ablation(result: AblationResult) -> str:
    """Return how the figures of an ablation came about, in a paragraph."""
    trials = [trial for row in result.rows for trial in row.trials]
    seeds = sorted({trial.seed for trial in trials})
    machines = sorted({trial.machine for trial in trials})
    signatures = sorted({trial.signature for trial in trials if trial.signature})
    jobs = max((trial.jobs for trial in trials), default=1)
    said = [
        f"Base: `{result.recipe}`; {result.budget} for each row",
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}",
        f"BLEU on {result.dev}, greedy, best checkpoint, {', '.join(signatures)}",
        f"on {'; '.join(machines)}",
    ]
    if _is_timed(result):
        said.append(
            "speeds in processor time, of target tokens learnt from, and of those written when dev "
            "is translated greedily by the fp32 graphs in the service's engine, after the gate of "
            "their parity"
        )
    if jobs > 1:
        said.append(f"{jobs} trainings at a time, which share its speed")
    return f"{'; '.join(said)}."


def fill_readme(text: str, recipes: Path = RECIPES) -> str:
    """Return README.md with the tables of what lies beside the recipes."""
    files = sorted(recipes.glob("*.toml"))
    plain = [path for path in files if not path.name.startswith(ABLATIONS)]
    rows = [
        (f"[`{path.stem}`](recipes/{path.name})", read_recipe(path), load_result(path))
        for path in plain
    ]
    signatures = list_signatures([result for _, _, result in rows if result is not None])
    contents = {"results": "\n\n".join([tabulate_results(rows).markdown(), *signatures])}
    for path in files:
        if path.name.startswith(ABLATIONS):
            contents[path.stem] = _ablation_section(path)
    return fill(text, contents)


def _rows_of_recipe(name: str, recipe: Recipe, result: Result | None) -> Iterator[tuple[str, ...]]:
    for source, target in recipe.corpus.directions:
        for test in recipe.corpus.tests:
            if set(test.languages) == {source, target}:
                place = name, f"{source} to {target}", test.title
                yield (*place, *_figures(result, *place[1:]))


def _figures(result: Result | None, direction: str, test_set: str) -> tuple[str, ...]:
    by_seed = [
        (one, {score.metric: score for score in one.scores if _is_of(score, direction, test_set)})
        for one in (result.repetitions if result else ())
    ]
    by_seed = [(one, scores) for one, scores in by_seed if scores]
    if result is None or not by_seed:
        return (NOT_MEASURED, *[""] * 6)
    first, scores = by_seed[0]
    metrics = [_figure(scores[name]) if name in scores else "" for name in METRICS]
    return (
        *metrics,
        _search(next(iter(scores.values()))),
        _seeds([scores for _, scores in by_seed]),
        f"{result.parameters:,}",
        _training(first),
    )


def _is_of(score: Score, direction: str, test_set: str) -> bool:
    its = f"{score.direction.source} to {score.direction.target}"
    return (its, score.test_set) == (direction, test_set)


def _figure(score: Score) -> str:
    within = "" if score.interval is None else f" \u00b1 {score.interval:.1f}"
    return f"{score.score:.1f}{within}"


def _seeds(repetitions: Sequence[dict[str, Score]]) -> str:
    """Return how many seeds there are and, of several, the mean and deviation of BLEU."""
    if len(repetitions) == 1:
        return "1"
    means: list[str] = []
    for name in METRICS[:2]:
        values = [scores[name].score for scores in repetitions if name in scores]
        if len(values) > 1:
            mean, deviation = statistics.fmean(values), statistics.stdev(values)
            means.append(f"{name} {mean:.1f}, sd {deviation:.2f}")
    return f"{len(repetitions)}: {'; '.join(means)}"


def _search(score: Score) -> str:
    penalty = f"length penalty {score.length_penalty:g}"
    search = "greedy" if score.beam == 1 else f"beam {score.beam}, {penalty}"
    return f"{score.variant}, {search}"


def _training(repetition: Repetition) -> str:
    return f"{repetition.minutes:.0f} minutes on {repetition.machine}"


def _find_reaches(result: AblationResult, base: Recipe) -> dict[str, list[str]] | None:
    """Return what the laboratory found of the layers of each row, if it knows most of them."""
    found = {(row.label, row.task): told_reach(row) for row in read_study().rows}
    layers = {row.name: _layer(row, base) for row in result.rows}
    if 2 * sum((layer, "delay") in found for layer in layers.values()) <= len(layers):
        return None
    return {
        name: [found.get((layer, task), NOT_MEASURED) for task in ("delay", "adding")]
        for name, layer in layers.items()
    }


def _layer(row: RowResult, base: Recipe) -> str:
    """Return the layer of a row as the laboratory names it, such as `skip, delay 4`."""
    changes = row.changes.replace("network.cell = ", "").replace("network.", "")
    return changes.replace(" = ", " ") or base.network.cell


def _ablation_figures(row: RowResult, result: AblationResult) -> tuple[str, ...]:
    trials, base = row.trials, result.base
    if not row.bleus:
        return (row.name, f"failed: {row.failures[0]}", *[""] * 4)
    bleu = statistics.fmean(row.bleus)
    spread = f" (sd {_deviation(row.bleus):.2f})" if len(row.bleus) > 1 else ""
    failed = f"; {len(row.failures)} failed" if row.failures else ""
    beside = "" if base is None or row.name == BASE else f"{bleu - base:+.2f}"
    return (
        row.name,
        f"{bleu:.2f}{spread}{failed}",
        beside,
        *(_speeds(row) if _is_timed(result) else _pace(row)),
        f"{trials[0].parameters:,}",
    )


def _is_timed(result: AblationResult) -> bool:
    return any(trial.speeds is not None for row in result.rows for trial in row.trials)


def _pace(row: RowResult) -> tuple[str, str]:
    """Return how many tokens a second training learnt from, and its minutes."""
    return (
        f"{statistics.fmean(trial.tokens_per_second for trial in row.trials):,.0f}",
        f"{statistics.fmean(trial.minutes for trial in row.trials):.1f}",
    )


def _speeds(row: RowResult) -> tuple[str, str]:
    """Return how many target tokens a core learns from in a second, and how many it writes."""
    speeds = [trial.speeds for trial in row.trials if trial.speeds is not None]
    if not speeds:
        return "", ""
    return (
        f"{statistics.fmean(each.trained_tokens for each in speeds):,.0f}",
        f"{statistics.fmean(each.translated_tokens for each in speeds):,.0f}",
    )


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _ablation_section(path: Path) -> str:
    kept = result_file(path)
    if not kept.exists():
        return f"`{path.name}`: {NOT_MEASURED}."
    result = AblationResult.read(kept)
    reaches = _find_reaches(result, read_recipe(path.parent / result.recipe))
    parts = [describe_ablation(result), tabulate_ablation(result, reaches).markdown()]
    chart = kept.with_suffix(".png")
    if chart.exists():
        parts.append(f"![Gains and losses of {path.stem}](recipes/results/{chart.name})")
    return "\n\n".join(parts)


if __name__ == "__main__":
    README.write_text(fill_readme(README.read_text(encoding="utf-8")), encoding="utf-8")
