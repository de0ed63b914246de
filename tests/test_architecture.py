"""Who may import whom. A failure here is a question about the design, not a lint error."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"models", "service", "training"}
LEAVES = {"service.errors", "service.metrics", "service.record"}
ENGINE = {"models", "service.engine", "service.evaluation"}
DIALECT = LEAVES | {
    "service.access",
    "service.api.dialect",
    "service.api.dependencies",
    "service.api.texts",
    "service.engine",
}
# The native API is in several modules, which share the shape of its failures.
NATIVE = DIALECT | {"service.api.failure"}

DOCUMENTS = {
    "service.document_files",
    "service.document_intake",
    "service.document_work",
    "service.engine",
    "service.formats",
}

# What each part may import besides itself. A part is a module or a package of peers; a module
# that no line names has to take a place here first.
MAY_IMPORT = {
    "models": set(),
    "training": ENGINE,
    "training.cli": ENGINE | {"training", "service.errors"},  # it tells what failed in the engine
    "service.__init__": set(),
    "service.__main__": {"service.cli"},
    "service.errors": set(),
    "service.metrics": set(),
    "service.record": set(),
    "service.settings": {"service.settings_file"},
    "service.settings_file": set(),
    "service.flags": {"service.settings", "service.terminal"},
    "service.scopes": set(),
    "service.key_commands": {
        "service.flags",
        "service.keyring",
        "service.scopes",
        "service.store",
        "service.terminal",
    },
    "service.local_models": {"service.engine", "service.flags"},
    "service.client": {"service.evaluation_answers"},
    "service.evaluation_answers": set(),
    "service.evaluation_tables": {
        "service.evaluation",
        "service.evaluation_answers",
        "service.terminal",
    },
    "service.evaluation_wishes": {"service.errors", "service.flags", "service.terminal"},
    # It measures models here, too, as the command always did.
    "service.evaluation_commands": {
        "service.client",
        "service.engine",
        "service.evaluation",
        "service.evaluation_answers",
        "service.evaluation_tables",
        "service.evaluation_wishes",
        "service.flags",
        "service.local_models",
        "service.terminal",
    },
    "service.logs": LEAVES | {"service.traces"},
    "service.traces": LEAVES,
    "service.engine": LEAVES | {"models"},
    "service.entries": LEAVES | {"service.engine"},
    "service.glossaries": LEAVES | {"service.engine", "service.entries", "service.store"},
    "service.evaluation": LEAVES | {"service.engine"},
    "service.store": LEAVES,
    "service.promotions": LEAVES
    | {
        "service.engine",
        "service.evaluation",
        "service.evaluations",
        "service.job_folders",
        "service.store",
    },
    "service.suggestions": LEAVES,
    "service.ledger": {"service.store"},
    "service.keyring": LEAVES | {"service.ledger", "service.store"},
    "service.rates": LEAVES,
    "service.access": LEAVES
    | {"service.keyring", "service.ledger", "service.rates", "service.scopes", "service.store"},
    "service.api.settlement": set(),
    "service.job_engine": LEAVES | {"service.store"},
    "service.jobs": LEAVES | {"service.job_engine", "service.job_folders"},
    "service.formats": {"service.engine", "service.errors"},
    "service.job_folders": {"service.errors"},
    "service.document_files": {"service.engine", "service.formats", "service.job_folders"},
    "service.document_intake": LEAVES | DOCUMENTS,
    "service.document_work": {
        "service.document_files",
        "service.engine",
        "service.formats",
        "service.segments",
    },
    "service.segments": {"service.engine", "service.formats"},
    "service.kept_jobs": LEAVES | {"service.job_folders", "service.jobs"},
    "service.documents": LEAVES | DOCUMENTS | {"service.jobs", "service.kept_jobs"},
    "service.batches": LEAVES
    | {
        "service.engine",
        "service.formats",
        "service.job_folders",
        "service.jobs",
        "service.kept_jobs",
        "service.segments",
    },
    "service.test_sets": LEAVES | {"service.engine"},
    "service.evaluations": LEAVES
    | {
        "service.engine",
        "service.evaluation",
        "service.job_folders",
        "service.jobs",
        "service.kept_jobs",
        "service.test_sets",
    },
    "service.api.__init__": set(),
    "service.api.dialect": LEAVES,
    "service.api.dependencies": LEAVES
    | {
        "service.access",
        "service.batches",
        "service.documents",
        "service.engine",
        "service.evaluations",
        "service.glossaries",
        "service.promotions",
        "service.scopes",
        "service.suggestions",
    },
    "service.api.bodies": LEAVES,
    "service.api.texts": LEAVES | {"service.api.dependencies", "service.engine"},
    "service.api.description": set(),
    "service.api.failure": LEAVES | {"service.api.dialect"},
    "service.api.native": NATIVE
    | {"service.access", "service.api.languages", "service.entries", "service.glossaries"},
    "service.api.cards": NATIVE,
    "service.api.languages": set(),
    "service.api.libretranslate": DIALECT
    | {"service.api.bodies", "service.api.description", "service.api.downloads"}
    | {"service.api.languages"}
    | {"service.documents", "service.suggestions"},
    "service.api.deepl": DIALECT
    | {
        "service.access",
        "service.api.bodies",
        "service.api.downloads",
        "service.api.languages",
        "service.documents",
        "service.entries",
        "service.glossaries",
        "service.scopes",
    },
    "service.api.apertium": DIALECT | {"service.api.bodies", "service.api.languages"},
    "service.api.downloads": {"service.documents"},
    "service.api.documents": NATIVE
    | {"service.access", "service.api.downloads", "service.documents", "service.glossaries"},
    "service.api.events": NATIVE | {"service.jobs"},
    "service.api.batches": NATIVE
    | {"service.access", "service.api.events"}
    | {"service.batches", "service.glossaries", "service.jobs"},
    "service.api.evaluations": NATIVE
    | {
        "service.access",
        "service.api.bodies",
        "service.api.events",
        "service.evaluation",
        "service.evaluations",
        "service.jobs",
        "service.test_sets",
    },
    "service.api.operations": DIALECT,
    "service.api.versions": NATIVE | {"service.promotions"},
    "service.server": {"service.connections", "service.settings"},
    "service.connections": set(),
    "service.terminal": set(),
    "service.lines": LEAVES | {"service.engine"},
    "service.inventory": {"models", "service.terminal"},
    # Only these two put the others together.
    "service.app": {"models", "service"},
    "service.cli": {"models", "service"},
}

# Every package that is imported, and the parts that may; the last three are everyone's.
OWNERS = {
    "torch": {"training"},
    "onnx": {"training.graph_writer", "training.graph_reader"},
    "onnxruntime": {"service.engine.sessions", "service.engine.cuda_graphs", "training.parity"},
    "fastapi": {"service.app", "service.server", "service.api"},
    "starlette": {"service.app", "service.api", "service.logs"},
    "uvicorn": {"service.connections", "service.server"},
    "h11": {"service.connections"},
    "sentencepiece": {"models.tokenizer"},
    "regex": {"service.engine"},
    "sentencex": {"service.engine.segmenter"},
    "py3langid": {"service.engine.detector"},
    "jinja2": {"service.evaluations.report_html", "training.report"},
    "langcodes": {
        "service.engine.languages",
        "service.api.languages",
        "service.evaluations.report_html",
    },
    "markdown_it": {"service.api.cards", "service.formats"},
    "sacrebleu": {"service.evaluation"},
    "sacremoses": {"training.protocol"},
    "lxml": {"training.pairs", "service.formats"},
    "matplotlib": {"training.plots"},
    "prometheus_client": {"service.metrics", "service.api.operations"},
    "structlog": {"service.logs"},
    "opentelemetry": {"service.traces"},
    "dbos": {"service.job_engine", "service.jobs"},
    "polib": {"service.formats.gettext"},
    "sqlalchemy": {"service.job_engine", "service.store"},
    "alembic": {"service.store"},
    "limits": {"service.rates"},
    "httpx2": {"service.client"},
    "pydantic_settings": {"service.settings"},
    "typer": {
        "service.cli",
        "service.evaluation_commands",
        "service.evaluation_wishes",
        "service.flags",
        "service.key_commands",
        "training.cli",
        "training.commands",
    },
    "rich": {
        "service.evaluation_tables",
        "service.flags",
        "service.inventory",
        "service.key_commands",
        "service.terminal",
        "training",
    },
    "pydantic": PACKAGES,
    "pydantic_core": PACKAGES,
    "numpy": PACKAGES,
}

SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def is_within(name: str, parts: set[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def part_of(path: Path) -> str | None:
    parts = [part for part in MAY_IMPORT if is_within(dotted(path), {part})]
    return max(parts, key=len, default=None)


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=dotted)
def test_module_has_a_place_in_the_table(path):
    assert part_of(path) is not None


@pytest.mark.parametrize("path", SOURCES, ids=dotted)
def test_module_imports_only_what_its_part_may(path):
    part = part_of(path) or ""
    ours = {name for name in imports_of(path) if is_within(name, PACKAGES)}

    allowed = MAY_IMPORT.get(part, set()) | {part}
    assert {name for name in ours if not is_within(name, allowed)} == set()


@pytest.mark.parametrize("path", SOURCES, ids=dotted)
def test_package_is_imported_by_its_owners_only(path):
    packages = {name.split(".")[0] for name in imports_of(path)}
    foreign = packages - PACKAGES - sys.stdlib_module_names

    assert {name for name in foreign if not is_within(dotted(path), OWNERS.get(name, set()))} == (
        set()
    )


@pytest.mark.parametrize("path", SOURCES, ids=dotted)
def test_engine_is_entered_by_its_front_door(path):
    inner = {f"service.engine.{p.stem}" for p in (ROOT / "service/engine").glob("[!_]*.py")}

    if not is_within(dotted(path), {"service.engine"}):
        assert {name for name in imports_of(path) if is_within(name, inner)} == set()


def test_table_names_only_what_exists():
    modules = {dotted(path) for path in SOURCES}

    assert {part for part in MAY_IMPORT if not any(is_within(m, {part}) for m in modules)} == set()


def test_service_loads_nothing_of_training():
    code = """if True:
        import sys, service.app, service.cli, service.server, service.evaluation
        print({"torch", "onnx", "training"} & sys.modules.keys())
    """

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (loaded.stdout, loaded.stderr) == ("set()\n", "")


def test_flags_of_training_are_parsed_without_torch():
    code = "import sys, training.cli; print('torch' in sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (loaded.stdout, loaded.stderr) == ("False\n", "")
