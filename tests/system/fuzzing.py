"""Feed a parser with bytes that coverage has found to lead further (atheris, libFuzzer).

    python -m tests.system.fuzzing TARGET [libFuzzer's options] [folder of bytes to begin with]

A target is a format of documents, or `manifest`, `tokenizer`. What a parser refuses by the failures
of its door is well; any other exception, a crash, or bytes that take longer than -timeout are not.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["models", "service.formats"]):
    from models.bundle import MANIFEST, Bundle, DamagedBundle
    from models.tokenizer import Tokenizer
    from service.errors import ServiceError
    from service.formats import FORMATS_BY_NAME, FormatOptions, Translated

OPTIONS = FormatOptions(source="de", target="en", columns=(), encoding=None)


def translate_document(name: str) -> Callable[[bytes], None]:
    """Parse a file and render what it says, each text as it is and then with markup in it."""
    parse = FORMATS_BY_NAME[name].parse

    def run(content: bytes) -> None:
        try:
            draft = parse(content, OPTIONS)
            draft.render([Translated(each.text) for each in draft.segments])
        except ServiceError:
            return

    return run


def open_bundle(content: bytes) -> None:
    """Open a folder with nothing but this manifest."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MANIFEST).write_bytes(content)
        try:
            Bundle.open(Path(folder))
        except DamagedBundle:
            return


def read_tokenizer(content: bytes) -> None:
    """Read a vocabulary and cut a text with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.model"
        path.write_bytes(content)
        try:
            tokenizer = Tokenizer.open(path, "NFC")
        except ValueError:
            return
        tokenizer.decode(tokenizer.encode("Das Haus ist klein."))


def main() -> None:
    """Run the target that the command line names, until it is over or has failed."""
    target = sys.argv.pop(1)
    runs = {"manifest": open_bundle, "tokenizer": read_tokenizer}
    run = runs[target] if target in runs else translate_document(target)
    os.environ.setdefault("PYTHONHASHSEED", "0")
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
