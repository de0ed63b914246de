"""The model card: what a bundle is, what it was made of and how well it does, for people.

Rendered from the manifest alone, so the two cannot disagree.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting", section 4.
"""

from collections.abc import Iterator, Mapping, Sequence

from models.bundle import (
    Ancestor,
    Architecture,
    Cost,
    CostRow,
    Direction,
    Manifest,
    Score,
    VariantName,
)
from training.forms import CELLS
from training.gate import mean_bleu, without
from training.markdown import render_table
from training.protocol import LC_TOK_BLEU

VARIANTS: dict[VariantName, str] = {
    "fp32": "reference, in single precision",
    "int8": "CPUs: weights and activations in 8 bits",
    "fp16": "GPUs, in half precision",
}


def render_card(manifest: Manifest) -> str:
    """Return the card as Markdown."""
    sections = [
        _title(manifest),
        _network(manifest),
        _variants(manifest),
        _scores(manifest),
        _confidence(manifest),
        _sweep(manifest),
        _data(manifest),
        _training(manifest),
        _limits(manifest),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _title(manifest: Manifest) -> str:
    directions = ", ".join(_arrow(direction) for direction in manifest.directions)
    decoding = manifest.decoding
    return (
        f"# {manifest.identity}\n\n"
        f"A recurrent encoder-decoder with attention that translates {directions}, "
        f"sentence by sentence. Bundle format {manifest.format}; made on "
        f"{manifest.provenance.created.isoformat()}.\n\n"
        f"Unless a caller says otherwise, it searches with beam {decoding.beam} and length "
        f"penalty {decoding.length_penalty:g}."
    )


def _network(manifest: Manifest) -> str:
    shape = manifest.architecture
    rows = [
        ("parameters", f"{shape.parameters:,}"),
        ("cell", _cell(shape)),
        ("attention", _attention(shape)),
        ("embeddings", str(shape.embedding_size)),
        ("encoder", f"{shape.encoder_layers} bidirectional x {shape.encoder_size} each way"),
        ("decoder", f"{shape.decoder_layers} x {shape.decoder_size}"),
        ("vocabulary", _vocabulary(manifest)),
    ]
    between = ["normalised"] * shape.layer_norm + ["residual"] * shape.residual
    if between:
        rows.append(("between layers", ", ".join(between)))
    if manifest.provenance.ensemble:
        rows.insert(0, ("networks", f"{len(manifest.provenance.ensemble)}; sizes of the first"))
    return f"## Network\n\n{render_table(('', ''), rows)}"


def _cell(shape: Architecture) -> str:
    title = CELLS[shape.cell].title
    return title if shape.delay is None else f"{title}, {shape.delay} steps"


def _vocabulary(manifest: Manifest) -> str:
    kind, case = manifest.tokenizer.kind, manifest.tokenizer.case
    described = kind if case == "as-is" else f"{kind}, {case} case"
    return f"{manifest.architecture.vocabulary_size:,} ({described})"


def _attention(shape: Architecture) -> str:
    size = f" in {shape.attention_size}" if shape.attention_size else ""
    heads = f", {shape.attention_heads} heads" if shape.attention_heads > 1 else ""
    if shape.summary is not None:
        where = {"state": "first state", "input": "input", "both": "first state and input"}
        return f"none; the source as {where[shape.summary]} of the decoder"
    fed = ", fed to the first layer" if shape.input_feeding else ""
    return f"{shape.attention}{size}{heads}{fed}"


def _variants(manifest: Manifest) -> str:
    rows = [
        (name, VARIANTS[name], f"{sum(file.size_bytes for file in variant.files) / 1e6:.1f} MB")
        for name, variant in manifest.variants.items()
    ]
    table = render_table(("variant", "for", "size"), rows)
    return "\n\n".join(["## Variants", table, *_costs(manifest)])


def _costs(manifest: Manifest) -> Iterator[str]:
    """Yield what was measured on dev: the variants beside fp32, shortlists beside none."""
    variants = manifest.variants
    costs: dict[str, Cost] = {}
    costs |= {name: each.cost for name, each in variants.items() if each.cost}
    if costs:
        yield (
            f"What they cost, on {_dev(next(iter(costs.values())))}, the difference to fp32 in "
            "brackets. The means decide whether a variant is published."
        )
        yield _cost_table("fp32", costs)
    for name, each in variants.items():
        if each.shortlist_cost:
            yield (
                f"{name} has shortlists: each sentence chooses among the likely translations of "
                f"its tokens, unless that is turned off. What that costs, on "
                f"{_dev(each.shortlist_cost)}:"
            )
            yield _cost_table(without(name), {f"{name} with": each.shortlist_cost})


def _dev(cost: Cost) -> str:
    return f"{cost.test_set} ({cost.sentences:,} sentences in all)"


def _cost_table(reference: str, costs: Mapping[str, Cost]) -> str:
    lines: dict[tuple[str, ...], list[str]] = {}
    for cost in costs.values():
        for row in cost.rows:
            line = lines.setdefault(_place(row), [f"{row.reference:.2f}"])
            line.append(_beside(row.score, row.reference))
        for search, (score, compared) in mean_bleu(cost).items():
            place = ("mean", _search(search.beam, search.length_penalty), "BLEU")
            line = lines.setdefault(place, [f"{compared:.2f}"])
            line.append(_beside(score, compared))
    header = ("direction", "search", "metric", reference, *costs)
    return render_table(header, [(*place, *figures) for place, figures in lines.items()])


def _place(row: CostRow) -> tuple[str, ...]:
    return _arrow(row.direction), _search(row.beam, row.length_penalty), row.metric


def _beside(score: float, reference: float) -> str:
    return f"{score:.2f} ({score - reference:+.2f})"


def _scores(manifest: Manifest) -> str:
    if not manifest.scores:
        return ""
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for score in manifest.scores:
        cells.setdefault(_circumstances(score), {})[score.metric] = _figure(score)
    metrics = list(dict.fromkeys(score.metric for score in manifest.scores))
    header = ("test set", "direction", "variant", "search", "sentences", *metrics)
    rows = [(*place, *(of.get(name, "") for name in metrics)) for place, of in cells.items()]
    signatures = dict.fromkeys(f"`{score.metric}|{score.signature}`" for score in manifest.scores)
    return (
        "## Scores\n\nMeasured on detokenised text through the service's engine, every line of "
        "each test set; `dragoman evaluate` repeats them.\n\n"
        f"{render_table(header, rows)}\n\n"
        f"{_how_to_read(manifest.scores)}sacreBLEU signatures: {', '.join(signatures)}."
    )


def _figure(score: Score) -> str:
    within = "" if score.interval is None else f" \u00b1 {score.interval:.1f}"
    return f"{score.score:.1f}{within}"


def _how_to_read(scores: Sequence[Score]) -> str:
    said = ""
    if any(score.interval is not None for score in scores):
        said += "Behind \u00b1 stands half the 95 % interval over the sentences, by bootstrap. "
    if any(score.metric == LC_TOK_BLEU for score in scores):
        said += (
            f"{LC_TOK_BLEU} compares text that is lower-cased, punctuation-normalised and "
            "tokenised as Moses does, as the literature on Multi30k does; `dragoman evaluate` "
            "does not compute it. "
        )
    return said


def _circumstances(score: Score) -> tuple[str, ...]:
    search = _search(score.beam, score.length_penalty)
    direction = _arrow(score.direction)
    return score.test_set, direction, score.variant, search, f"{score.sentences:,}"


def _search(beam: int, length_penalty: float) -> str:
    return "greedy" if beam == 1 else f"beam {beam}, length penalty {length_penalty:g}"


def _confidence(manifest: Manifest) -> str:
    if not manifest.calibrations:
        return ""
    first = manifest.calibrations[0]
    header = (
        "direction",
        "sentences",
        "good",
        "Brier score",
        "of the share alone",
        "calibration error",
    )
    rows = [
        (
            _arrow(each.direction),
            f"{each.held_out_sentences:,}",
            f"{each.share:.0%}",
            f"{each.brier:.3f}",
            f"{each.brier_of_share:.3f}",
            f"{each.calibration_error:.3f}",
        )
        for each in manifest.calibrations
    ]
    return (
        "## Confidence\n\n"
        f"The confidence of a sentence is the probability that its {first.metric} beside the "
        f"reference is at least {first.good_from:g}. It was learnt from one half of "
        f"{first.test_set}, with {first.variant}, and measured on the other. On other kinds of "
        f"text it is a hint.\n\n{render_table(header, rows)}"
    )


def _sweep(manifest: Manifest) -> str:
    sweep = manifest.provenance.sweep
    if sweep is None:
        return ""
    rows = [(str(row.beam), f"{row.length_penalty:g}", f"{row.bleu:.2f}") for row in sweep.rows]
    return (
        "## Choice of the search\n\n"
        f"BLEU of fp32 on {sweep.test_set} ({sweep.sentences:,} sentences in all), mean of the "
        "directions. The best became the default; of those within a twentieth of a point of it, "
        f"the smallest beam.\n\n{render_table(('beam', 'length penalty', 'BLEU'), rows)}"
    )


def _data(manifest: Manifest) -> str:
    rows = [
        (data.name, f"{data.pairs:,}", data.licence, data.attribution)
        for data in manifest.provenance.data
    ]
    table = render_table(("corpus", "pairs used", "licence", "attribution"), rows)
    return "\n\n".join(["## Training data", table, *_synthetic(manifest)])


def _synthetic(manifest: Manifest) -> Iterator[str]:
    """Yield which corpora are not people's translations."""
    for data in manifest.provenance.data:
        if data.sources_by:
            yield (
                f"{data.name} is synthetic: its sources are translations of its targets by "
                f"{data.sources_by}, and only the direction from them to the targets was learnt."
            )


def _training(manifest: Manifest) -> str:
    provenance = manifest.provenance
    training, parity = provenance.training, provenance.parity
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    return (
        "## How it was made, and how to make it again\n\n"
        f"{training.steps:,} steps, {training.epochs:.1f} epochs, {training.minutes:.0f} minutes "
        f"on {training.machine}. {_origin(manifest)}{_teaching(manifest)}Versions: {versions}.\n\n"
        f"The graphs follow the network to {parity.max_logit_difference:.1g} in the "
        f"log-probabilities of {parity.tokens:,} tokens in {parity.sentences:,} dev sentences "
        f"(tolerance {parity.tolerance:g}); {parity.ties} greedy choices fell on ties.\n\n"
        f"```\n{_command(manifest)}\n```\n\n"
        f"makes it from this recipe (SHA-256 `{provenance.recipe_sha256}`):\n\n"
        f"```toml\n{provenance.recipe.strip()}\n```"
    )


def _origin(manifest: Manifest) -> str:
    provenance = manifest.provenance
    said = ""
    if provenance.init_from:
        said += f"Training started from {provenance.init_from}. "
    if provenance.weights_from:
        said += f"The weights are those of {provenance.weights_from}; "
        said += "graphs and scores were made anew. "
    return said


def _teaching(manifest: Manifest) -> str:
    """Say whose translations it learnt from, and whose networks it consists of."""
    distillation, ensemble = manifest.provenance.distillation, manifest.provenance.ensemble
    said = ""
    if ensemble:
        names = ", ".join(_ancestor(each) for each in ensemble)
        said += f"It averages the probabilities of {len(ensemble)} networks: {names}. "
    if distillation:
        names = ", ".join(_ancestor(each) for each in distillation.teachers)
        chosen = f", the nearest of {distillation.best_of}" if distillation.best_of > 1 else ""
        said += (
            f"It learnt from {distillation.pairs:,} translations by {names} (beam "
            f"{distillation.beam}{chosen}), {distillation.share:.0%} of its training text. "
        )
    return said


def _ancestor(ancestor: Ancestor) -> str:
    return f"{ancestor.name} (SHA-256 `{ancestor.sha256[:12]}`)"


def _command(manifest: Manifest) -> str:
    distillation, ensemble = manifest.provenance.distillation, manifest.provenance.ensemble
    named = [f" --ensemble {each.name}" for each in ensemble]
    if distillation:
        named += [f" --teacher {each.name}" for each in distillation.teachers]
    command = "export" if ensemble else "distill" if distillation else "all"
    recipe = f"training/recipes/{manifest.name}.toml"
    return f"dragoman-train {command} {recipe} --corpora CORPORA{''.join(named)}"


def _limits(manifest: Manifest) -> str:
    corpora = ", ".join(data.name for data in manifest.provenance.data)
    return (
        "## Limits\n\n"
        f"- It knows the kind of text it was trained on ({corpora}); on other kinds, names, "
        "numbers and rare words in particular go wrong. Compare the test sets above.\n"
        f"- Sentences of more than {manifest.decoding.max_source_tokens} tokens are split before "
        "they are translated, and no sentence knows its neighbours.\n"
        "- It may leave out, repeat or invent, in fluent language. Do not rely on it unread where "
        "an error does harm."
    )


def _arrow(direction: Direction) -> str:
    return f"{direction.source} to {direction.target}"
