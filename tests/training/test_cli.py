"""The command line of training: what it prints, and how it fails."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from models.bundle import Bundle
from tests.training.phrases import phrases
from training import sizes
from training.cli import dragoman_train

COMMANDS = ["prepare", "train", "evaluate", "export", "all", "back-translate", "doctor"]


def call(*arguments):
    return CliRunner().invoke(dragoman_train, [str(argument) for argument in arguments])


def call_on(toy, command, **changes):
    folders = ["--corpora", toy.corpora, "--runs", toy.runs]
    return call(command, toy.recipe(**changes), *folders)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = call(command, "--help")

    assert result.exit_code == 0
    assert "Recipe, a TOML file." in result.stdout
    assert "--corpora" in result.stdout


def test_help_lists_every_command():
    result = call("--help")

    assert result.exit_code == 0
    assert all(command in result.stdout for command in COMMANDS)


def test_no_command_is_wrong_usage():
    assert call().exit_code == 2


def test_prepared_trained_and_evaluated_one_after_the_other(toy):
    prepared, trained, evaluated = (
        call_on(toy, command) for command in ("prepare", "train", "evaluate")
    )

    assert [each.exit_code for each in (prepared, trained, evaluated)] == [0, 0, 0]
    assert "toy train" in prepared.stdout
    assert "56" in prepared.stdout
    assert trained.stdout.startswith("toy: dev BLEU ")
    assert "step      6" in trained.stderr
    assert "de-en" in evaluated.stdout
    assert "chrF2" in evaluated.stdout


def test_run_can_be_measured_by_a_protocol_that_it_was_trained_without(toy):
    dev = {"name": "toy dev", "languages": ["de", "en"], "files": ["dev.de", "dev.en"]}
    for command in ("prepare", "train"):
        call_on(toy, command)

    changes = {"corpus__dev": [dev | {"protocols": ["detok", "lc-tok"]}]}
    evaluated = call_on(toy, "evaluate", **changes)

    assert evaluated.exit_code == 0
    assert "lc-tok BLEU" in evaluated.stdout


def test_exported_from_the_checkpoint_and_again_from_the_bundle(toy):
    bundles = toy.corpora / "bundles"
    changes = {"export__beams": [1], "export__variants": ["fp32"]}
    for command in ("prepare", "train"):
        call_on(toy, command, **changes)
    folders = ["--corpora", toy.corpora, "--runs", toy.runs, "--bundles", bundles]

    first = call("export", toy.recipe(**changes), *folders)
    shutil.rmtree(toy.runs)
    recipe = toy.recipe(**changes, version=2)
    second = call("export", recipe, *folders, "--weights-from", bundles / "toy/1")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == f"published toy/1 in {bundles / 'toy/1'}\n"
    assert second.stdout == f"published toy/2 in {bundles / 'toy/2'}\n"
    weights = [(bundles / f"toy/{version}/fp32/weights.bin").read_bytes() for version in (1, 2)]
    assert weights[0] == weights[1]


def test_repetition_with_another_seed_publishes_nothing(toy):
    bundles = toy.corpora / "bundles"
    changes = {"export__beams": [1], "export__variants": ["fp32"]}
    folders = ["--corpora", toy.corpora, "--runs", toy.runs, "--bundles", bundles]

    result = call("all", toy.recipe(**changes), *folders, "--seed", "2")

    assert result.exit_code == 0
    assert f"kept toy/1 in {toy.runs / 'toy-seed-2/bundles/toy/1'}\n" in result.stdout
    assert not bundles.exists()


def test_scores_are_shown_and_kept_beside_the_recipe(toy):
    changes = {"export__beams": [1], "export__variants": ["fp32"], "export__publish": False}
    folders = ["--runs", toy.runs, "--bundles", toy.corpora / "bundles"]
    call("all", toy.recipe(**changes), "--corpora", toy.corpora, *folders)

    shown = call("scores", toy.corpora / "toy.toml", *folders)
    kept = call("scores", toy.corpora / "toy.toml", *folders, "--markdown", "--save")
    shutil.rmtree(toy.runs)
    read = call("scores", toy.corpora / "toy.toml", *folders, "--markdown")

    assert "toy test" in " ".join(shown.stdout.split())
    assert "| toy | de to en | toy test |" in kept.stdout
    assert (toy.corpora / "results" / "toy.json").exists()
    assert read.stdout == kept.stdout


def test_scores_of_what_was_not_trained_are_not_measured(toy):
    result = call("scores", toy.recipe(), "--runs", toy.runs, "--bundles", toy.corpora)

    assert result.exit_code == 0
    assert "measured" in result.stdout


def test_ablation_is_trained_row_by_row_and_shown(toy):
    toy.recipe()
    path = toy.corpora / "ablation-toy.toml"
    path.write_text(
        'recipe = "toy.toml"\nbudget.steps = 3\n'
        '[[rows]]\nname = "lstm"\nreason = "why"\nnetwork.cell = "lstm"\n'
    )
    folders = ["--corpora", toy.corpora, "--runs", toy.runs]

    first = call("ablate", path, *folders, "--only", "lstm")
    second = call("ablate", path, *folders, "--markdown", "--save")
    third = call("ablate", path, *folders, "--markdown")

    assert "1 of 1  lstm, seed 1: dev BLEU" in first.stderr
    assert "1 of 1  base, seed 1: dev BLEU" in second.stderr
    assert "| network.cell = lstm | why |" in second.stdout
    assert third.stdout == second.stdout
    for folder in (toy.runs / "ablation-toy", toy.corpora / "results"):
        assert {"ablation-toy.json", "ablation-toy.png"} <= {p.name for p in folder.iterdir()}


def test_bundle_that_is_not_there_is_told_by_its_name(toy):
    result = call("export", toy.recipe(), "--weights-from", toy.corpora / "nowhere")

    assert result.exit_code == 1
    assert "nowhere: manifest.json cannot be read" in result.stderr
    assert result.stderr.count("\n") == 1


def test_table_tells_what_was_dropped(toy):
    toy.write("train", [("Das Haus", "The house"), ("Der Hund", "The dog"), ("", "Nothing")])

    result = call_on(toy, "prepare")

    rows = [line.strip("\u2502| ").split() for line in result.stdout.splitlines()]
    assert ["dropped:", "empty", "side", "\u2502", "1"] in rows


@pytest.mark.parametrize(
    ("command", "changes", "sentence"),
    [
        ("prepare", {"network__colour": 1}, "network.colour: Extra inputs are not permitted"),
        ("prepare", {"training__warmup_steps": 9}, "warmup_steps 9"),
        ("prepare", {"corpus__tests": None, "corpus__leaks": "x"}, "corpus.leaks"),
        ("train", {}, "prepared does not exist: prepare first"),
        ("evaluate", {}, "best.pt does not exist: train first"),
        ("export", {}, "best.pt does not exist: train first"),
    ],
)
def test_failure_is_one_sentence_and_status_1(command, changes, sentence, toy):
    result = call_on(toy, command, **changes)

    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["prepare", "all"])
def test_leak_is_told_with_its_file(command, toy):
    toy.write("test", [("ich sehe Haus", "I see house")])
    toy.write("train", [("Ich sehe Haus.", "Yes"), ("Der Hund", "The dog")])

    result = call_on(toy, command)

    assert result.exit_code == 1
    assert "toy train: training pairs occur in held-out text (1 in toy test)" in result.stderr


def test_missing_recipe_is_told_by_its_name(tmp_path):
    result = call("prepare", tmp_path / "missing.toml", "--runs", tmp_path)

    assert result.exit_code == 1
    assert "missing.toml" in result.stderr


def test_what_is_not_training_is_refused_under_torchrun(toy, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")

    result = call_on(toy, "all")

    assert result.exit_code == 1
    assert "torchrun is for `train` alone" in result.stderr


def back_translate(toy, bundle, *options):
    (toy.corpora / "news.en").write_text("The small house.\nTwo cats and a dog\n")
    files = ["--text", toy.corpora / "news.en", "--corpora", toy.corpora, "--runs", toy.runs]
    languages = ["--from", "de", "--to", "en"]
    return call(
        "back-translate", toy.recipe(), "--bundle", bundle.path, *files, *languages, *options
    )


def test_text_is_translated_back_beside_itself_and_said_how_to_use_it(toy, tiny_bundle):
    result = back_translate(toy, tiny_bundle)

    assert result.exit_code == 0
    assert (toy.corpora / "news.de-en.tsv").exists()
    assert "news.de-en.tsv, sources by tiny/1" in result.stdout
    assert 'tsv = "news.de-en.tsv"\nkind = "back-translated"\ntagged = true' in result.stdout


def test_text_is_translated_back_to_the_file_that_is_named_with_the_beam_that_is(toy, tiny_bundle):
    path = toy.corpora / "other.tsv"

    result = back_translate(toy, tiny_bundle, "--output", path, "--beam", "1")

    assert result.exit_code == 0
    assert '"beam": 1' in (toy.corpora / "other.tsv.json").read_text()


def test_bundle_that_does_not_translate_back_is_refused(toy, tiny_bundle):
    result = back_translate(toy, tiny_bundle, "--from", "fr")

    assert result.exit_code == 1
    assert "en-fr is not served" in result.stderr


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A text of one's own, small enough for a network that is hardly one."""
    monkeypatch.setattr(sizes, "SHAPES", (sizes.Shape(1, 2, 12, 8, 12),) * 2)
    lines = "".join(f"{german}\t{english}\n" for german, english in phrases(300))
    (tmp_path / "memory.tsv").write_text(lines, encoding="utf-8")
    return tmp_path / "memory.tsv"


def test_own_text_becomes_a_bundle_with_one_command(memory):
    folders = ["--runs", memory.parent / "runs", "--bundles", memory.parent / "bundles"]
    command = ["all", "--corpus", memory, "--from", "de", "--to", "en", "--minutes", 0.1, *folders]

    first = call(*command)
    bundle = Bundle.open(memory.parent / "bundles/memory-de-en/1")
    again = call(*command)

    assert (first.exit_code, again.exit_code) == (0, 0), first.stderr + again.stderr
    assert "estimate: " in first.stderr
    for shown in (first.stdout, again.stdout):
        assert f"dragoman serve --bundles {memory.parent / 'bundles'}\n" in shown
        assert [f"{name} CPU" in shown for name in bundle.manifest.variants] == [True] * 3
    assert "published" not in again.stdout


def test_own_text_that_is_nonsense_is_refused_with_advice(memory):
    result = call("all", "--corpus", memory, "--from", "en", "--to", "de", "--runs", memory.parent)

    assert result.exit_code == 1
    assert "languages: the sides are exchanged" in result.stderr
    assert "Exchange --from and --to" in result.stderr.splitlines()[-1]
    assert [path.name for path in memory.parent.iterdir()] == ["memory.tsv"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["recipe.toml", "--corpus", "a.tsv"],
        ["--corpus", "a.tsv"],
        ["--corpus", "a.tsv", "--from", "de"],
    ],
)
@pytest.mark.parametrize("command", ["all", "doctor"])
def test_neither_recipe_nor_text_is_wrong_usage(command, arguments):
    assert call(command, *arguments).exit_code == 2


def test_doctor_says_ok_of_a_sound_text_and_lists_findings_as_json(memory):
    command = ["doctor", "--corpus", memory, "--from", "de", "--to", "en"]

    shown, listed = call(*command), call(*command, "--json")

    assert (shown.exit_code, listed.exit_code) == (0, 0)
    assert "300 read, 300 usable" in shown.stdout
    (examination,) = json.loads(listed.stdout)
    assert (examination["name"], examination["verdict"]) == ("memory.tsv", "look")


def test_doctor_fails_on_a_recipe_that_leaks(toy):
    toy.write("train", [("Ich sehe Haus.", "Yes"), *phrases(60)])
    toy.write("test", [("ich sehe Haus", "I see house")])

    result = call("doctor", toy.recipe(), "--corpora", toy.corpora)

    assert result.exit_code == 1
    assert "1 training pairs share a side" in result.stdout
    assert not toy.runs.exists()


def test_seed_of_a_text_of_ones_own_is_refused_and_not_ignored(tmp_path):
    text = tmp_path / "memory.tsv"
    text.write_text("Eins\tOne\n", encoding="utf-8")

    result = call("all", "--corpus", text, "--from", "de", "--to", "en", "--seed", "2")

    assert result.exit_code == 2
    assert "--seed" in result.stderr


@pytest.mark.parametrize(
    "flag", ["--minutes=3", "--name=mine", "--version=2", "--both", "--from=de", "--to=en"]
)
def test_what_is_for_a_text_of_ones_own_is_refused_beside_a_recipe(toy, flag):
    result = call("all", toy.recipe(), "--runs", toy.runs, flag)

    assert result.exit_code == 2
    assert f"{flag.partition('=')[0]} is for --corpus" in " ".join(result.stderr.split())
    assert not toy.runs.exists()


def test_laboratory_teaches_exports_and_asks(tmp_path):
    flags = ["--length", 3, "--size", 8, "--steps", 4, "--pairs", 60, "--runs", tmp_path]

    first, again = (call("lab", "reverse", "--cell", "lstm", *flags) for _ in range(2))

    assert first.exit_code == 0, first.stderr
    assert "held-out questions" in first.stdout
    assert "step      4" in first.stderr
    assert "step      4" not in again.stderr  # it is there already
    assert first.stdout.endswith(again.stdout)
    [run] = tmp_path.iterdir()
    assert (run / "laboratory.png").exists()
    assert Bundle.open(run / "bundles" / run.name / "1").manifest.name == run.name


def test_laboratory_measures_memory_and_draws_it(tmp_path):
    flags = ["--length", 3, "--size", 4, "--steps", 2, "--runs", tmp_path]

    shown = call("lab", "delay", "--cell", "gru", "--cell", "lstm", *flags)

    assert shown.exit_code == 0, shown.stderr
    assert "gru: 3 steps not held" in shown.stderr
    assert "lstm" in shown.stdout
    assert (tmp_path / "lab-delay" / "delay.png").exists()


def test_laboratory_shows_the_classical_figures(tmp_path):
    shown = call("lab", "gradients", "--runs", tmp_path)

    assert shown.exit_code == 0
    assert "117.4" in shown.stdout
    assert (tmp_path / "lab-gradients" / "classics.png").exists()


def test_laboratory_refuses_a_task_that_it_does_not_know():
    assert "task juggle is none of copy" in call("lab", "juggle").stderr
