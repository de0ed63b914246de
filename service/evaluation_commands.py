"""`dragoman evaluate` and `dragoman evaluations`: measure models here, or by jobs of a server.

A job goes on whatever becomes of the command that waits for it.
"""

import json
import os
import shlex
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service import flags
from service.evaluation_wishes import (
    REPORT_HELP,
    TestSet,
    Wish,
    check,
    fields_of,
    joined,
    read_uploads,
    refuse_wishes,
    with_a_flag_for_each_wish,
)
from service.local_models import open_models
from service.terminal import Attendance, attending, progress, read_file, show, tell

if TYPE_CHECKING:
    from service.client import Body, Client
    from service.evaluation_answers import Job

MAX_LISTED = 1_000

State = Literal["queued", "running", "done", "failed", "cancelled"]
ID = Annotated[str, typer.Argument(metavar="ID", help="Of the job.")]
Hypotheses = Annotated[Path | None, typer.Option(help="File to write the translations to.")]

evaluations = typer.Typer(
    no_args_is_help=True, help="List, show and cancel the evaluations of a server."
)


@dataclass(frozen=True)
class Files:
    """Where to write what a server found, if anywhere."""

    hypotheses: Path | None
    report: Path | None

    def __bool__(self) -> bool:
        return bool(self.hypotheses or self.report)

    def touch(self) -> None:
        """Make sure that both can be written."""
        for path in (self.hypotheses, self.report):
            if path:
                path.touch()

    def write(self, client: "Client", id: str) -> None:
        """Fetch and write both."""
        if self.hypotheses:
            self.hypotheses.write_bytes(client.fetch(id, "hypotheses.txt"))
        if self.report:
            name = "report.json" if self.report.suffix == ".json" else "report.html"
            self.report.write_bytes(client.fetch(id, name))


@with_a_flag_for_each_wish
def evaluate(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    pair: Annotated[str | None, typer.Option(help="Direction, such as de-en.")] = None,
    source: Annotated[Path | None, typer.Option(help="File of source lines.")] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="File of reference lines; repeatable.")
    ] = None,
    beam: flags.Beam = None,
    length_penalty: flags.LengthPenalty = None,
    no_repeat_ngram: flags.NoRepeatNgram = 0,
    coverage_penalty: flags.CoveragePenalty = 0.0,
    hypotheses: Hypotheses = None,
    bundles: flags.BundleFolder = None,
    as_json: flags.AsJson = False,
    **wished: Any,  # noqa: ANN401  # the fields of a Wish
) -> None:
    """Translate a test set; print BLEU, chrF and TER with signatures, and the speed.

    The scores equal those of the sacrebleu command for the same files. With --server, a
    server does it as a job and compares with a baseline; if this command is interrupted, the
    job goes on, and `dragoman evaluations` finds it.
    """
    wish, test_set = Wish(**wished), TestSet(pair, source, reference or ())
    search = {
        "beam": beam,
        "length_penalty": length_penalty,
        "no_repeat_ngram": no_repeat_ngram,
        "coverage_penalty": coverage_penalty,
    }
    if wish.server or (os.environ.get(flags.SERVER) and not bundles):
        if bundles:
            raise typer.BadParameter("a server has its own", param_hint="--bundles")
        files = Files(hypotheses, wish.report)
        _evaluate_there(wish, test_set, search, files, as_json=as_json)
    else:
        refuse_wishes(wish)
        _evaluate_here(test_set, search, bundles, hypotheses, as_json=as_json)


@evaluations.command("list")
def list_evaluations(
    status: Annotated[
        State | None, typer.Option(help="Only those in this state; all by default.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="Most that are listed.")] = 20,
    server: flags.Server = None,
    api_key: flags.ApiKey = None,
    as_json: flags.AsJson = False,
) -> None:
    """List your evaluations, the newest first: those that were made with the same key."""
    with _connected(server, api_key) as client:
        bodies = client.list(limit, status)
        jobs = [client.parse_job(body) for body in bodies]
    if as_json:
        _print_json(bodies)
    elif jobs:
        from service.evaluation_tables import job_table  # noqa: PLC0415  # pydantic shapes

        show(job_table(jobs))
    else:
        tell("no evaluations", label="note")


@evaluations.command("show")
def show_evaluation(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    id: ID,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    hypotheses: Hypotheses = None,
    report: Annotated[Path | None, typer.Option(help=REPORT_HELP)] = None,
    server: flags.Server = None,
    api_key: flags.ApiKey = None,
    as_json: flags.AsJson = False,
) -> None:
    """Show what an evaluation found, or how far it is; exit status 1 if it failed."""
    with _connected(server, api_key) as client:
        body = _follow(client, id) if wait else client.find(id)
        if as_json:
            _print_json(body)
        _end(client, body, Files(hypotheses, report), is_shown=not as_json)


@evaluations.command("cancel")
def cancel_evaluation(id: ID, server: flags.Server = None, api_key: flags.ApiKey = None) -> None:
    """End an evaluation that is under way; it stays in the list."""
    with _connected(server, api_key) as client:
        job = client.parse_job(client.cancel(id))
    tell(f"{id} is {job.status}", label="note")


def _evaluate_here(
    test_set: TestSet,
    search: Mapping[str, Any],
    bundles: Path | None,
    hypotheses: Path | None,
    *,
    as_json: bool,
) -> None:
    if test_set.pair is None or test_set.source is None or not test_set.references:
        message = "a command without a server needs --pair, --source and --reference"
        raise typer.BadParameter(message)
    languages = _languages(test_set.pair)
    from service import engine, evaluation  # noqa: PLC0415  # ONNX Runtime, sacreBLEU: slow to start
    from service.evaluation_tables import local_table  # noqa: PLC0415

    options = engine.TranslationOptions(**search)
    lines = read_file(test_set.source)
    references = [read_file(path) for path in test_set.references]
    if hypotheses:
        hypotheses.touch()  # a wrong path must not cost the whole evaluation
    with open_models(bundles) as models, progress(len(lines)) as on_progress:
        translator = models.find(*languages)
        result = evaluation.evaluate(translator, lines, references, options, on_progress)
    if hypotheses:
        hypotheses.write_bytes(joined(result.hypotheses))
    for warning in result.warnings:
        tell(warning, label="warning")
    if as_json:
        _print_json({"pair": test_set.pair, **result.fields()})
    else:
        show(local_table(result, test_set.pair))


def _evaluate_there(
    wish: Wish, test_set: TestSet, search: Mapping[str, Any], files: Files, *, as_json: bool
) -> None:
    check(wish, test_set)
    wanted, uploads = fields_of(wish, test_set, search), read_uploads(wish, test_set)
    files.touch()  # a wrong path must not cost the whole evaluation
    with _connected(wish.server, wish.api_key) as client:
        client.greet()
        id = _submit(client, wanted, uploads)
        if wish.detach:
            print(id)
            return
        tell(f"accepted as {id}", label="note")
        body = _follow(client, id)
        if as_json and body["status"] == "done":
            _print_json(body.get("report"))
        _end(client, body, files, is_shown=not as_json)


@contextmanager
def _connected(server: str | None, key: str | None) -> Iterator["Client"]:
    url, key = flags.find_server(server), flags.find_key(key)
    from service import client  # noqa: PLC0415  # httpx2: slow to load

    def note(message: str) -> None:
        tell(message, label="note")

    try:
        with closing(client.Client(url, key, note)) as connected:
            yield connected
    except client.ServerFailure as failure:
        tell(str(failure))
        raise typer.Exit(1) from None


def _submit(client: "Client", wanted: Mapping[str, Any], uploads: list[tuple[str, bytes]]) -> str:
    try:
        return client.submit(wanted, uploads, uuid.uuid4().hex)
    except KeyboardInterrupt:
        tell(f"it may have been accepted: {_command('list', client.url)}", label="note")
        raise


def _follow(client: "Client", id: str) -> "Body":
    from service.client import ServerFailure  # noqa: PLC0415  # httpx2: slow to load

    try:
        with attending("waiting") as attendance:
            client.note = attendance.note
            return client.follow(id, lambda job: _tell_progress(attendance, job))
    except (KeyboardInterrupt, ServerFailure) as end:
        if getattr(end, "status", None) != HTTPStatus.NOT_FOUND:
            tell(f"the job goes on: {_command(f'show {id} --wait', client.url)}", label="note")
            tell(f"to end it: {_command(f'cancel {id}', client.url)}", label="note")
        raise


def _tell_progress(attendance: Attendance, job: "Job") -> None:
    progress = job.progress
    is_scoring = job.status == "running" and progress.done == progress.total
    doing = {"queued": "queued", "running": "scoring" if is_scoring else "translating"}
    attendance.show(doing.get(job.status, job.status), progress.done, progress.total)


def _command(words: str, url: str) -> str:
    return f"dragoman evaluations {words} --server {shlex.quote(url)}"


def _end(client: "Client", body: "Body", files: Files, *, is_shown: bool) -> None:
    """Show and write what there is of a job; end the command if there will be nothing."""
    from service.evaluation_answers import Report  # noqa: PLC0415  # pydantic shapes
    from service.evaluation_tables import job_table, report_tables  # noqa: PLC0415

    job = client.parse_job(body)
    if job.status == "done":
        report = client.parse(Report, body.get("report"))
        if is_shown:
            show(*report_tables(report))
        for warning in report.warnings:
            tell(warning, label="warning")
        files.write(client, job.job_id)
        return
    if is_shown:
        show(job_table([job]))
    if job.status in {"failed", "cancelled"}:
        reason = "was cancelled" if job.status == "cancelled" else "failed"
        tell(f"{job.job_id}: {job.error.message}" if job.error else f"{job.job_id} {reason}")
        raise typer.Exit(1)
    if files:
        tell(f"{job.job_id} is {job.status}: there is nothing to write yet")
        raise typer.Exit(1)


def _languages(pair: str) -> tuple[str, str]:
    match pair.split("-"):
        case [source, target]:
            return source, target
    raise typer.BadParameter("must be two languages, such as de-en", param_hint="--pair")


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
