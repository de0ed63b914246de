"""The `dragoman` command: serve, translate, evaluate, evaluations, bundles, keys, healthcheck.

Results go to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 wrong
usage, 130 interrupted. A failure is one sentence, without a trace.
"""

import dataclasses
import http.client
import io
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from models.bundle import DamagedBundle
from service import evaluation_commands, flags, key_commands
from service.errors import ServiceError
from service.inventory import bundle_table, inspect_bundles, score_tables
from service.local_models import open_models
from service.terminal import (
    Arrivals,
    Lines,
    UnreadableLine,
    one_line,
    progress,
    read_lines,
    show,
    tell,
)

if TYPE_CHECKING:
    from service.engine import Translation, TranslationOptions

HEALTH_TIMEOUT_SECONDS = 3.0
"""A server that has not answered by then is not ready."""


class Commands(TyperGroup):
    """All commands, and the one place that tells what went wrong in one of them."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  # typer keeps the types private
        """Run a command; a failure becomes a sentence and an exit status."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            raise  # the reader has gone; typer ends quietly
        except (ServiceError, DamagedBundle, UnreadableLine) as failure:
            _fail(str(failure))
        except OSError as failure:
            _give_up_output()
            place = f"{failure.filename}: " if failure.filename else ""
            _fail(f"{place}{failure.strerror or failure}")


dragoman = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
dragoman.add_typer(key_commands.keys, name="keys")
dragoman.add_typer(evaluation_commands.evaluations, name="evaluations")


@dragoman.callback()
def commands() -> None:
    """Translate texts with the bundles in a folder."""


def _give_up_output() -> None:
    # What could not be written would be tried again at exit, and change the exit status.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command that this process was started for."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    dragoman(prog_name="dragoman")


@dragoman.command()
@flags.with_a_flag_for_each_setting
def serve(config: Path | None, **given: object) -> None:
    """Serve translations over HTTP until a signal ends it.

    Each flag is an environment variable too, and wins over it: --max-rows and
    DRAGOMAN_MAX_ROWS. Both win over the file of settings, where it is max_rows.
    """
    settings = flags.load_settings(config, **given)
    from service import app, logs, server  # noqa: PLC0415  # FastAPI, ONNX Runtime: slow to start

    logs.configure(settings.log_level, settings.log_format)
    server.serve(app.create_app(settings), settings)


@dragoman.command()
def translate(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    source: flags.From,
    target: flags.To,
    texts: flags.Texts = None,
    beam: flags.Beam = None,
    length_penalty: flags.LengthPenalty = None,
    alternatives: flags.Alternatives = 0,
    max_tokens: flags.MaxTokens = None,
    no_repeat_ngram: flags.NoRepeatNgram = 0,
    coverage_penalty: flags.CoveragePenalty = 0.0,
    attention: flags.Attention = False,
    bundles: flags.BundleFolder = None,
    as_json: flags.AsJson = False,
) -> None:
    """Translate texts, or standard input line by line.

    One line out for each line in, in order, as soon as it is there. With --from auto, a
    line in the target language passes as it is. A line that is not UTF-8 ends the work:
    those before it are translated, and the error names its number.
    """
    for flag, is_given in (("--alternatives", alternatives > 0), ("--attention", attention)):
        if is_given and not as_json:
            raise typer.BadParameter("needs --json", param_hint=flag)
    from service import engine  # noqa: PLC0415  # ONNX Runtime: slow to start

    options = engine.TranslationOptions(
        beam=beam,
        length_penalty=length_penalty,
        alternatives=alternatives,
        max_tokens=max_tokens,
        no_repeat_ngram=no_repeat_ngram,
        coverage_penalty=coverage_penalty,
        attention=attention,
    )
    _translate_lines((source, target), texts, options, bundles, as_json=as_json)


dragoman.command()(evaluation_commands.evaluate)


@dragoman.command("bundles")
def list_bundles(bundles: flags.BundleFolder = None, as_json: flags.AsJson = False) -> None:
    """List the bundles and verify their files; exit status 1 if one is damaged."""
    folder = flags.load_settings(bundles=bundles).bundles
    listings = inspect_bundles(folder)
    if as_json:
        print(json.dumps([listing.fields() for listing in listings], indent=2))
    elif listings:
        show(bundle_table(listings), *score_tables(listings))
    else:
        tell(f"no bundles in {folder}", label="note")
    if any(listing.damage for listing in listings):
        raise typer.Exit(1)


@dragoman.command()
def healthcheck(
    url: Annotated[
        str | None,
        typer.Option(help="Address of the server; from DRAGOMAN_HOST and _PORT by default."),
    ] = None,
) -> None:
    """Ask a server whether it is ready to translate; exit status 1 if not."""
    if url and not url.startswith(("http://", "https://")):
        raise typer.BadParameter("must begin with http:// or https://", param_hint="--url")
    address = f"{url or flags.own_url(flags.load_settings())}".rstrip("/") + "/readyz"
    # no proxy stands between a machine and itself
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(address, timeout=HEALTH_TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as answer:
        answer.close()
        _fail(f"{address} answers {answer.code}")
    except (OSError, http.client.HTTPException) as failure:
        reason = getattr(failure, "reason", failure)
        _fail(f"{address} does not answer: {getattr(reason, 'strerror', None) or reason}")
    print("ready")


def _fail(message: str, status: int = 1) -> NoReturn:
    tell(message)
    raise typer.Exit(status)


def _readable(texts: Iterable[str] | None) -> tuple[Lines, Callable[[], bool]]:
    if texts:
        return Lines(_checked(texts)), lambda: False
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        _fail("standard input is closed")
    arrivals = Arrivals(stream)
    return Lines(read_lines(arrivals, "standard input")), arrivals.would_block


def _checked(texts: Iterable[str]) -> Iterator[str]:
    for number, text in enumerate(texts, start=1):
        try:
            text.encode("utf-8")  # bytes that are not UTF-8 arrive as lone surrogates
        except UnicodeEncodeError:
            raise UnreadableLine(f"text {number}: not UTF-8") from None
        yield text


def _translate_lines(
    pair: tuple[str, str],
    texts: Sequence[str] | None,
    options: "TranslationOptions",
    bundles: Path | None,
    *,
    as_json: bool,
) -> None:
    from service import lines  # noqa: PLC0415  # ONNX Runtime: slow to start

    readable, would_block = _readable(texts)
    with (
        open_models(bundles) as models,
        closing(lines.translate_lines(models, pair, readable, options, would_block)) as found,
        progress(wanted=not (texts or sys.stdout.isatty())) as on_progress,
    ):
        for done, translation in enumerate(found, start=1):
            print(_rendered(translation, as_json=as_json), flush=True)
            on_progress(done)
    if readable.failure:
        raise readable.failure


def _rendered(translation: "Translation", *, as_json: bool) -> str:
    if not as_json:
        return one_line(translation.text)
    fields = dataclasses.asdict(translation)
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(given, ensure_ascii=False)
