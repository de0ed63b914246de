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
