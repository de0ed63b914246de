"""Recipes are parsed strictly, and their faults are named."""

from pathlib import Path

import pytest

import training
from training.run import open_run, parse_recipe

RECIPES = [
    path
    for path in sorted((Path(training.__file__).parent / "recipes").glob("*.toml"))
    if not path.name.startswith("ablation-")
]
FILES = ["train.de", "train.en"]
ADDITIVE = {"network__attention": "additive"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipe_is_valid_and_named_like_its_file(path, tmp_path):
    run = open_run(path, tmp_path, tmp_path)

    # one that others start from keeps its version in its name
    assert path.stem in {run.recipe.name, f"{run.recipe.name}-{run.recipe.version}"}


def test_there_is_a_shipped_recipe():
    assert RECIPES


@pytest.mark.parametrize(
    "key",
    [
        "colour",
        "corpus__colour",
        "corpus__cleaning__colour",
        "corpus__train__colour",
        "tokenizer__colour",
        "network__colour",
        "training__colour",
        "export__colour",
    ],
)
def test_unknown_key_is_refused_by_its_name(key, toy):
    changes = {key: 1}
    if key == "corpus__train__colour":
        train = {"name": "x", "languages": ["de", "en"], "files": FILES, "colour": 1}
        changes = {"corpus__train": [train]}

    with pytest.raises(ValueError, match=r"toy\.toml: .*colour: Extra inputs are not permitted"):
        toy.open(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"training__warmup_steps": 7}, "warmup_steps 7 and decay_steps 0 exceed max_steps 6"),
        ({"training__decay_steps": 5}, "warmup_steps 2 and decay_steps 5 exceed max_steps 6"),
        ({"training__max_steps": None}, r"training\.max_steps: Field required"),
        ({"training__learning_rate": 0}, r"training\.learning_rate: .* greater than 0"),
        ({"training__label_smoothing": 1.0}, r"training\.label_smoothing: .* less than 1"),
        ({"training__schedule": "linear"}, r"training\.schedule: .*'trapezoid'"),
        ({"training__optimiser": "lion"}, r"training\.optimiser: .*'adam'"),
        ({"training__momentum": 0.9}, r"training\.momentum belongs to optimiser sgd, not adam"),
        ({"training__optimiser": "adamw"}, "adamw without weight_decay is adam"),
        ({"training__weight_decay": -1.0}, r"training\.weight_decay: "),
        ({"training__clip_value": 0}, r"training\.clip_value: .* greater than 0"),
        ({"training__average_best": 1}, r"training\.average_best 1 averages nothing"),
        (
            {"training__deterministic": True, "training__precision": "auto"},
            r"training\.deterministic needs training\.precision fp32, bf16 or fp16",
        ),
        (
            {"training__schedule": "cosine", "training__decay_steps": 1},
            r"training\.decay_steps belongs to schedule trapezoid, not cosine",
        ),
        (
            {"training__plateau_factor": 0.5},
            r"training\.plateau_factor belongs to schedule plateau, not trapezoid",
        ),
        (
            {"training__schedule": "plateau", "training__plateau_factor": 0.5},
            r"schedule plateau needs training\.plateau_factor and plateau_patience",
        ),
        (
            {
                "training__schedule": "plateau",
                "training__plateau_factor": 0.5,
                "training__plateau_patience": 10,
            },
            r"training\.plateau_patience 10 must be below patience 10",
        ),
        ({"network__cell": "rnn"}, r"network\.cell: .*'gru', 'lstm', .* or 'skip'"),
        ({"network__cell": "skip"}, r"network\.cell skip needs network\.delay, 2 or more"),
        ({"network__cell": "skip", "network__delay": 1}, r"network\.delay: .* 2"),
        ({"network__delay": 4}, r"network\.delay means nothing to cell gru"),
        ({"network__forget_bias": 1.0}, r"network\.forget_bias means nothing to cell gru"),
        ({"network__leak": "fixed"}, r"network\.leak means nothing to cell gru"),
        ({"network__time_scale": 9.0}, r"network\.time_scale means nothing to cell gru"),
        ({"network__summary": "both"}, r"network\.summary is for attention none"),
        (
            {"network__attention": "none", "network__input_feeding": True},
            r"network\.input_feeding feeds what attention read: there is none",
        ),
        (
            {"training__teacher": "linear"},
            r"training\.teacher_steps belongs to .*: linear and None",
        ),
        ({"training__teacher_steps": 9}, r"training\.teacher_steps belongs to .*: always and 9"),
        ({"training__teacher_least": 0.5}, r"training\.teacher_least belongs to"),
        (
            {
                "training__teacher": "linear",
                "training__teacher_steps": 9,
                "training__r_drop": 1.0,
                "network__dropout_layers": 0.1,
            },
            r"training\.r_drop compares passes that are told the same",
        ),
        ({"network__recurrent_init": "zero"}, r"network\.recurrent_init: .*'orthogonal'"),
        ({"network__recurrent_gain": 0.0}, r"network\.recurrent_gain: .* greater than 0"),
        ({"network__gradient_steps": 0}, r"network\.gradient_steps: .* 1"),
        (
            {"network__cell": "elman-relu", "export__variants": ["fp32", "int8"]},
            r"export\.variants int8: outputs of network\.cell elman-relu have no bound",
        ),
        (
            {"network__cell": "mgu", "export__variants": ["fp32", "fp16"]},
            r"export\.variants fp16: ONNX Runtime has no operator for network\.cell mgu on a GPU",
        ),
        ({"network__dropout_layers": -0.1}, r"network\.dropout_layers: "),
        ({"network__attention_heads": 0}, r"network\.attention_heads: "),
        ({"network__attention_heads": 3}, "attention_heads 3 cannot share encoder_size 8 evenly"),
        ({"network__attention_heads": 8}, "attention_heads 8 cannot share decoder_size 12 evenly"),
        ({"network__attention_size": 16}, "attention_size is for additive attention: general"),
        (
            ADDITIVE | {"network__attention_heads": 4, "network__attention_size": 18},
            "attention_heads 4 cannot share attention_size 18 evenly",
        ),
        ({"network__dropout_kind": "zoneout"}, r"network\.dropout_kind: .*'independent'"),
        ({"network__dropout_context": 1.0}, r"network\.dropout_context: .* less than 1"),
        ({"network__weight_drop": 1.0}, r"network\.weight_drop: .* less than 1"),
        ({"network__context": "none"}, r"network\.context: .*'every' or 'first'"),
        ({"tokenizer__size": 299}, r"tokenizer\.size: .* 300"),
        ({"tokenizer__kind": "char", "tokenizer__dropout_source": 0.1}, "char has no dropout"),
        ({"tokenizer__kind": "word", "tokenizer__dropout_target": 0.1}, "word has no dropout"),
        ({"tokenizer__case": "upper"}, r"tokenizer\.case: .*'inline'"),
        ({"tokenizer__case": "inline", "tokenizer__kind": "word"}, r"case inline needs a kind"),
        ({"corpus__directions": [["de", "fr"]]}, r"corpus\.train has no text for de-fr"),
        ({"corpus__directions": [["DE", "en"]]}, r"corpus\.directions"),
        ({"corpus__dev": []}, r"corpus\.dev: "),
        (
            {
                "corpus__dev": [
                    {"name": "dev", "languages": ["de", "en"], "files": FILES, "weight": 2}
                ]
            },
            "dev: weight 2 is for training texts",
        ),
        ({"export__beams": [0]}, r"export\.beams\.0: "),
        ({"export__variants": ["int8"]}, r"export\.variants must name fp32"),
        ({"export__variants": ["fp32", "int4"]}, r"export\.variants\.1: "),
        ({"export__max_bleu_loss": -0.1}, r"export\.max_bleu_loss: "),
        ({"name": "../up"}, "name: "),
        ({"version": "one"}, "version: "),
    ],
)
def test_value_that_cannot_be_is_refused_by_its_key(changes, sentence, toy):
    with pytest.raises(ValueError, match=sentence):
        toy.open(**changes)


def test_heads_share_the_space_in_which_they_compare_not_the_decoder(toy):
    changes = ADDITIVE | {"network__attention_heads": 8, "network__attention_size": 16}

    assert toy.open(**changes).recipe.network.attention_heads == 8


@pytest.mark.parametrize(
    "forms", [{}, {"files": FILES, "tsv": "train.tsv"}, {"tsv": "a.tsv", "tmx": "a.tmx"}]
)
def test_text_has_exactly_one_form(forms, toy):
    with pytest.raises(ValueError, match="mine: give exactly one of files, tsv and tmx"):
        toy.open(corpus__train=[{"name": "mine", "languages": ["de", "en"], **forms}])


def test_protocols_must_name_the_one_that_chooses(toy):
    test = {"name": "mine", "languages": ["de", "en"], "files": FILES, "protocols": ["lc-tok"]}

    with pytest.raises(ValueError, match="mine: protocols must name detok"):
        toy.open(corpus__tests=[test])


def test_training_text_has_no_protocols(toy):
    train = {"name": "mine", "languages": ["de", "en"], "files": FILES, "protocols": ["detok"]}

    with pytest.raises(ValueError, match=r"protocols: Extra inputs are not permitted"):
        toy.open(corpus__train=[train])


def test_text_in_one_language_only_is_refused(toy):
    with pytest.raises(ValueError, match="mine: both languages are de"):
        toy.open(corpus__train=[{"name": "mine", "languages": ["de", "de"], "files": FILES}])


def test_file_that_is_not_toml_is_refused_with_the_place(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text('name = "toy"\nversion 1\n')

    with pytest.raises(ValueError, match=r"broken\.toml: .*line 2"):
        open_run(path, tmp_path, tmp_path)


def test_missing_recipe_is_refused_by_its_name(tmp_path):
    with pytest.raises(ValueError, match=r"missing\.toml"):
        open_run(tmp_path / "missing.toml", tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("directions", "has_tags"),
    [([["de", "en"]], False), ([["de", "en"], ["en", "de"]], True)],
)
def test_tags_are_for_several_targets(directions, has_tags, toy):
    assert toy.open(corpus__directions=directions).recipe.has_tags is has_tags


def test_run_has_a_folder_named_by_the_recipe(toy):
    run = toy.open(name="other")

    assert run.folder == toy.runs / "other"
    assert run.folder.is_dir()


def test_another_seed_is_a_run_of_its_own_that_differs_in_nothing_else(toy):
    run = open_run(toy.recipe(), toy.corpora, toy.runs, toy.corpora / "published", seed=7)

    assert run.folder == toy.runs / "toy-seed-7"
    assert run.destination == run.folder / "bundles"
    assert run.recipe.training.seed == 7
    assert parse_recipe(run.toml, "run") == run.recipe
    without = {"training": {"seed"}, "export": {"publish"}}
    assert run.recipe.model_dump(exclude=without) == toy.open().recipe.model_dump(exclude=without)


@pytest.mark.parametrize("seed", [None, 1])
def test_seed_of_the_recipe_is_the_run_itself(seed, toy):
    run = open_run(toy.recipe(), toy.corpora, toy.runs, toy.corpora / "published", seed=seed)

    assert run.folder == toy.runs / "toy"
    assert run.destination == toy.corpora / "published"


def test_bundle_that_may_not_be_published_stays_in_its_run(toy):
    run = toy.open(export__publish=False)

    assert run.destination == toy.runs / "toy" / "bundles"


def test_nothing_learnt_from_multi30k_is_published(tmp_path):
    for path in RECIPES:
        run = open_run(path, tmp_path, tmp_path)
        files = [str(file) for text in run.recipe.corpus.train for file in text.paths]
        is_kept = run.destination == run.folder / "bundles"
        assert is_kept or not any("multi30k" in file for file in files)


def test_hash_follows_the_text_of_the_recipe(toy):
    hashes = [toy.open(version=version).sha256 for version in ("1", "1", "2")]

    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("kind", "taught"), [("parallel", {"de-en", "en-de"}), ("distilled", {"de-en"})]
)
def test_distilled_text_teaches_the_direction_that_was_translated(kind, taught, toy):
    train = {"name": "x", "languages": ["de", "en"], "files": FILES, "kind": kind}
    text = toy.open(corpus__train=[train]).recipe.corpus.train[0]

    directions = [("de", "en"), ("en", "de"), ("de", "fr")]
    assert {"-".join(each) for each in directions if text.teaches(*each)} == taught
