"""Parsers of what strangers send, under bytes that a fuzzer makes: no bug, no crash, no hang.

FUZZ_SECONDS for each target, 3 if not given.
"""

import io
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from models.bundle import MANIFEST

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no package for it"),
]

ROOT = Path(__file__).parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "3"))
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"


def word() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        types = f'<Types xmlns="{TYPES}"><Override PartName="/word/document.xml" '
        archive.writestr("[Content_Types].xml", f'{types}ContentType="{MAIN}"/></Types>')
        body = f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>Das Haus</w:t></w:r></w:p>'
        archive.writestr("word/document.xml", f"{body}</w:body></w:document>")
    return stream.getvalue()


SEEDS = {
    "text": b"Das Haus.\r\n\tist klein.\n",
    "html": b"<!doctype html><p>Das <b>Haus</b> &amp; <img alt='a b'><script>a<b</script>",
    "markdown": b"# Das *Haus*\n\n| a | b |\n|---|---|\n| c | d |\n\n- [e](f)\n```\ng\n```\n",
    "subrip": b"1\n00:00:01,000 --> 00:00:02,000\n{\\an8}Das Haus\nist klein\n\n",
    "gettext": b'msgid ""\nmsgstr "Language: de\\n"\n\n'
    b'msgid "a %s"\nmsgid_plural "b"\nmsgstr[0] ""\n',
    "word": word(),
    "tmx": b"<tmx version='1.4'><header srclang='de'/><body><tu><tuv xml:lang='de'><seg>Das <bpt i="
    b"'1'/>Haus</seg></tuv></tu></body></tmx>",
    "xliff": b"<xliff version='1.2'><file source-language='de' original='a' datatype='b'><body>"
    b"<trans-unit id='1'><source>Das <g id='1'>Haus</g></source></trans-unit></body></file>"
    b"</xliff>",
    "table": b'a,b\n"Das ""Haus""",1\n',
}


@pytest.mark.parametrize("target", [*SEEDS, "manifest", "tokenizer"])
def test_parser_meets_whatever_comes_with_its_own_failures_only(target, tmp_path, tiny_bundle):
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    of_bundle = {
        "manifest": (tiny_bundle.path / MANIFEST).read_bytes(),
        "tokenizer": tiny_bundle.file(tiny_bundle.manifest.tokenizer.file).read_bytes(),
    }
    (seeds / "seed").write_bytes({**SEEDS, **of_bundle}[target])
    limits = [f"-max_total_time={SECONDS}", "-timeout=20", "-rss_limit_mb=1500", "-seed=1"]
    limits += ["-max_len=20000", "-verbosity=0", f"-artifact_prefix={tmp_path}/"]

    done = subprocess.run(
        [sys.executable, "-m", "tests.system.fuzzing", target, *limits, str(seeds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 120,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
