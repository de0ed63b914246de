"""Unmodified clients in JavaScript, where `npm ci` has installed them."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "npm"
TIMEOUT_SECONDS = 60
TEXT = "Guten Morgen. Wie geht es dir?"

pytestmark = [
    pytest.mark.npm,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(),
        reason="the clients are not installed: npm ci --prefix tests/clients/npm",
    ),
]


@pytest.fixture(scope="module")
def run() -> Callable[..., Any]:
    """Run a script of the folder; what it prints is JSON."""

    def run_script(name: str, *words: str) -> Any:
        done = subprocess.run(
            ["node", name, *words],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run_script


@pytest.fixture(scope="module")
def libretranslate(run, server) -> Any:
    return run("libretranslate.mjs", server, TEXT)


def test_libretranslate_ts_translates(libretranslate, engine):
    assert libretranslate["ts"]["translated"] == {
        "status": 200,
        "translatedText": engine(TEXT, "de", "en"),
    }


def test_libretranslate_ts_gets_alternatives(libretranslate):
    assert len(libretranslate["ts"]["alternatives"]["alternatives"]) == 2


def test_libretranslate_ts_detects(libretranslate):
    detected = libretranslate["ts"]["detected"]

    assert (detected["status"], detected["language"]) == (200, "de")
    assert 50 < detected["confidence"] <= 100


def test_libretranslate_ts_lists_languages(libretranslate):
    assert libretranslate["ts"]["languages"] == [
        {"code": "en", "name": "English", "targets": ["de", "en"]},
        {"code": "de", "name": "German", "targets": ["de", "en"]},
    ]


def test_libretranslate_ts_is_told_what_is_wrong(libretranslate):
    assert libretranslate["ts"]["refused"]["error"] == "zz is not supported"


def test_translate_translates(libretranslate, engine):
    assert libretranslate["translate"]["translated"] == engine(TEXT, "de", "en")


def test_translate_is_told_what_is_wrong(libretranslate):
    assert libretranslate["translate"]["refused"] == "fr is not supported"


@pytest.fixture(scope="module")
def deepl(run, keyed_server) -> Any:
    keys = [
        keyed_server.make("translate", "glossaries", "documents", characters_per_month=10_000),
        keyed_server.make("translate", characters_per_month=1),
        keyed_server.make("translate", requests_per_minute=1),
    ]
    return run("deepl.mjs", keyed_server.url, TEXT, *keys)


def test_deepl_node_translates(deepl, engine):
    assert deepl["one"] == {
        "text": engine(TEXT, "de", "en"),
        "detectedSourceLang": "de",
        "billedCharacters": len(TEXT),
        "modelTypeUsed": "quality_optimized",
    }


def test_deepl_node_translates_several_texts(deepl, engine):
    assert [each["text"] for each in deepl["several"]] == [
        engine(TEXT, "de", "en"),
        engine("Hund & Katze", "de", "en"),
    ]


def test_deepl_node_gets_its_tags_back(deepl):
    text = deepl["tagged"]["text"]

    assert [text.count(tag) for tag in ("<b>", "</b>", "<x>Hund</x>")] == [1, 1, 1]


def test_deepl_node_lists_languages(deepl):
    assert deepl["sources"] == [{"name": "German", "code": "de"}, {"name": "English", "code": "en"}]
    assert [each["code"] for each in deepl["targets"]] == ["de", "en-GB", "en-US"]


def test_deepl_node_tells_usage(deepl):
    assert deepl["usage"]["character"] == {"count": 2 * len(TEXT) + 12 + 27, "limit": 10_000}


def test_deepl_node_uses_glossaries(deepl):
    there = {"sourceLangCode": "de", "targetLangCode": "en"}
    back = {"sourceLangCode": "en", "targetLangCode": "de"}
    gone = deepl["glossaries"].pop("gone")

    assert deepl["glossaries"] == {
        "pairs": [
            {"sourceLang": "de", "targetLang": "en"},
            {"sourceLang": "en", "targetLang": "de"},
        ],
        "one": {"sourceLang": "de", "targetLang": "en", "entryCount": 1},
        "listed": [True],
        "entries": {"Hund": "hound"},
        "renamed": "pets",
        "added": [there | {"entryCount": 2}, back | {"entryCount": 1}],
        "replaced": back | {"entryCount": 2},
        "read": {"Hund": "hound", "Katze": "cat"},
        "numMultilingual": 2,
    }
    assert gone["kind"] == "GlossaryNotFoundError"


def test_deepl_node_translates_a_document(deepl, engine):
    document = deepl["document"]

    assert (document["text"], document["billed"]) == (engine(TEXT, "de", "en"), len(TEXT))
    assert document["again"]["message"].startswith("Not found")
    assert "'.xyz' cannot be translated" in document["unknown"]["message"]


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("target", "DeepLError", "Value for 'target_lang' not supported."),
        ("key", "AuthorizationError", "not one of this service"),
        ("quota", "QuotaExceededError", "exceed the 1 that"),
        ("rate", "TooManyRequestsError", "more than 1 requests a minute"),
    ],
)
def test_deepl_node_is_told_what_is_wrong(deepl, what, kind, message):
    assert deepl["refused"][what]["kind"] == kind
    assert message in deepl["refused"][what]["message"]
