"""What the documents say is what the code does. A failure prints what should be written."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from typer import Typer
from typer.main import get_command
from typer.testing import CliRunner

from models import manifest
from service import errors, metrics
from service.api.evaluations import (
    ConfidenceBody,
    DecodeBody,
    EvaluationBody,
    EvaluationRequest,
    NamedTestSet,
)
from service.api.failure import Failure
from service.api.native.catalogue import Language
from service.api.native.detection import DetectedBody, DetectRequest
from service.api.native.options import TermBody
from service.api.native.results import (
    AlignedBody,
    AttentionBody,
    DetectionBody,
    SentenceBody,
    TermUseBody,
    TranslationBody,
)
from service.api.native.scoring import (
    ScoreRequest,
    SentenceScoreBody,
    TokenBody,
    TranslationScore,
)
from service.api.native.stream import FinishedBody
from service.api.native.translation import TranslateRequest
from service.api.native.usage import UsageBody
from service.app import create_app
from service.evaluations import Counts, Performance, Report
from service.settings import Settings
from tests import examples
from training import recipe

ROOT = Path(__file__).parents[1]
READMES = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("[!.]*/README.md"))
CLIS = {"service": "dragoman", "training": "dragoman-train"}


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def quoted(path: str, name: str) -> str:
    """Return what stands between the markers `<!-- name -->` and `<!-- end -->`."""
    found = re.search(f"<!-- {name} -->\n(.*?)<!-- end -->", text_of(path), re.DOTALL)
    return found.group(1) if found else f"no <!-- {name} --> in {path}"


def table(*rows: tuple[object, ...]) -> str:
    lines = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:], ""])


def blocks(path: str, language: str = "") -> list[str]:
    return re.findall(f"^```{language}\n(.*?)^```", text_of(path), re.DOTALL | re.MULTILINE)


def subclasses(cls: type) -> list[type]:
    return [cls, *(found for sub in cls.__subclasses__() for found in subclasses(sub))]


def typer_of(package: str) -> Typer:
    values = vars(importlib.import_module(f"{package}.cli")).values()
    return next(value for value in values if isinstance(value, Typer))


def commands_of(package: str) -> dict:
    """Return the commands by name; those of a group have both, such as `keys add`."""
    commands = {}
    for name, command in get_command(typer_of(package)).commands.items():
        inner = getattr(command, "commands", None)
        commands |= {f"{name} {i}": c for i, c in inner.items()} if inner else {name: command}
    return commands


def help_of(package: str, name: str) -> str:
    shown = CliRunner().invoke(
        typer_of(package),
        [*name.split(), "--help"],
        prog_name=CLIS[package],
        env={"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"},
    )
    lines = [line.rstrip() for line in shown.stdout.strip().splitlines()]
    return "```\n" + "\n".join(lines) + "\n```\n"


API_SHAPES = (
    TranslateRequest,
    TermBody,
    TranslationBody,
    DetectionBody,
    SentenceBody,
    TermUseBody,
    AlignedBody,
    AttentionBody,
    FinishedBody,
    DetectRequest,
    DetectedBody,
    Language,
    ScoreRequest,
    TranslationScore,
    SentenceScoreBody,
    TokenBody,
    UsageBody,
    Failure,
    EvaluationRequest,
    DecodeBody,
    ConfidenceBody,
    EvaluationBody,
    NamedTestSet,
    Report,
    Counts,
    Performance,
)
COMMANDS = [(package, name) for package in CLIS for name in commands_of(package)]


def test_error_tree_lists_every_class_with_its_code_and_status():
    documented = {tuple(line.split()) for line in errors.__doc__.splitlines()}

    for error in subclasses(errors.ServiceError):
        assert (error.__name__, error.code, str(error.status)) in documented


def test_error_table_is_that_of_the_program():
    rows = [
        (f"`{error.code}`", error.status, error.__doc__.splitlines()[0])
        for error in subclasses(errors.ServiceError)
    ]

    assert quoted("service/README.md", "errors") == table(("code", "status", "when"), *rows)


def test_settings_table_is_that_of_the_program():
    rows = []
    for name, field in Settings.model_fields.items():
        default = "models/bundles" if isinstance(field.default, Path) else field.default
        rows.append((f"`DRAGOMAN_{name.upper()}`", f"`{default}`", field.description))

    assert quoted("service/README.md", "settings") == table(
        ("variable", "default", "what it is"), *rows
    )


def test_metrics_table_is_that_of_the_program():
    rows = []
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            described = metric.describe()[0]
            suffix = "_total" if described.type == "counter" else ""
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            name = f"`{described.name}{suffix}`"
            rows.append((name, described.type, labels, described.documentation))

    assert quoted("service/README.md", "metrics") == table(
        ("series", "type", "labels", "what it tells"), *rows
    )


@pytest.mark.parametrize(("package", "name"), COMMANDS)
def test_help_is_that_of_the_program(package, name):
    assert quoted(f"{package}/README.md", f"help {name}") == help_of(package, name)


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))

    assert [x for x in links if "://" not in x and not (path.parent / x).exists()] == []


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_figure_is_left_open(path):
    assert re.findall("<<.*", path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(path):
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))

    assert targets <= set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_quoted_commands_have_the_flags_they_are_given(path):
    unknown = []
    for block in blocks(str(path.relative_to(ROOT))):
        for package, program in CLIS.items():
            for line in re.findall(rf"^(?:\S*/)?{program} (\w.*)$", block, re.MULTILINE):
                name, *words = shlex.split(re.split(r"\s{3,}|\s[|<>]\s", line)[0])
                commands = commands_of(package)
                command = commands.get(name) or commands.get(f"{name} {words[0] if words else ''}")
                flags = {flag for p in getattr(command, "params", []) for flag in p.opts}
                given = {word for word in words if word.startswith("--")}
                unknown += [line] if command is None or not given <= flags else []

    assert unknown == []


@pytest.fixture(scope="module")
def published_client():
    with examples.published() as client:
        yield client


@pytest.mark.parametrize(
    "example", [each for readme in examples.READMES for each in examples.examples(readme)], ids=str
)
def test_example_is_answered_as_it_says(published_client, example):
    answer = example.ask(published_client)

    assert examples.parsed(answer) == examples.like(examples.parsed(example.answer)), answer


def test_fields_of_the_api_are_documented():
    documented = text_of("service/README.md")

    for model in API_SHAPES:
        assert [name for name in model.model_fields if f"`{name}`" not in documented] == []


def test_routes_are_documented():
    documented = text_of("service/README.md")
    paths = create_app(Settings()).openapi()["paths"]

    assert [path for path in paths if f"{path}`" not in documented] == []


def test_every_field_of_the_manifest_is_documented():
    documented = set(re.findall(r"\w+", text_of("models/README.md")))
    fields = {name for part in subclasses(manifest.Part) for name in part.model_fields}

    assert fields - documented == set()


def test_every_key_of_a_recipe_is_documented():
    documented = set(re.findall(r"\w+", text_of("training/README.md")))
    keys = {name for part in subclasses(recipe.Section) for name in part.model_fields}

    assert keys - documented == set()


def test_format_in_the_document_is_the_one_written():
    assert f"## The manifest, format {manifest.FORMAT}\n" in text_of("models/README.md")


def test_changelog_speaks_of_the_current_version():
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]

    assert re.search(rf"^## .*{re.escape(version)}", text_of("CHANGELOG.md"), re.MULTILINE)
