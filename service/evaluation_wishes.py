"""What `dragoman evaluate` may ask a server for: the flags, and the request they make."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from service import flags
from service.errors import InvalidRequest
from service.terminal import read_file

THERE = "By a server"
"""The panel of the help for what only a server does."""
REPORT_HELP = "File to write the report to: JSON if its name ends in .json, else HTML."

METRICS = ("bleu", "chrf", "chrf++", "ter")
PairedTest = Literal["bootstrap", "randomisation", "both", "none"]


@dataclass(frozen=True)
class TestSet:
    """What is translated and compared, as the flags name it."""

    pair: str | None
    source: Path | None
    references: Sequence[Path]


def _metric(text: str) -> str:
    if text not in METRICS:
        raise typer.BadParameter(f"{text} is none of {', '.join(METRICS)}")
    return text


def _there(help: str, *names: str, metavar: str | None = None, **limits: Any) -> Any:  # noqa: ANN401  # typer's
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=THERE, **limits)


@dataclass(frozen=True)
class Wish:
    """What is asked of a server; each field is a flag of `dragoman evaluate`."""

    server: Annotated[
        str | None,
        _there(
            f"Address of the server; {flags.SERVER} by default, without --bundles.", metavar="URL"
        ),
    ] = None
    api_key: Annotated[str | None, _there(flags.KEY_HELP, metavar="KEY")] = None
    model: Annotated[
        str | None,
        _there("Model; the one that serves the direction by default.", metavar="NAME[@VERSION]"),
    ] = None
    score: Annotated[
        Path | None, _there("File of hypotheses to score; no model translates then.")
    ] = None
    test_set: Annotated[
        str | None,
        _there("Test set of the server, in the place of the files.", metavar="NAME"),
    ] = None
    baseline: Annotated[str | None, _there("Model to compare with.", metavar="NAME[@VERSION]")] = (
        None
    )
    baseline_job: Annotated[str | None, _there("Earlier job to compare with.", metavar="ID")] = None
    baseline_hypotheses: Annotated[Path | None, _there("File of hypotheses to compare with.")] = (
        None
    )
    metric: Annotated[
        list[str] | None,
        _there(
            f"{', '.join(METRICS)}; repeatable; all but chrf++ by default.",
            parser=_metric,
            metavar="METRIC",
        ),
    ] = None
    paired: Annotated[
        PairedTest | None,
        _there(
            "Of the difference: bootstrap, randomisation, both or none; bootstrap by default.",
            metavar="TEST",
        ),
    ] = None
    resamples: Annotated[
        int | None, _there("For the 95 % intervals; 0: none; 1000 by default.", min=0)
    ] = None
    seed: Annotated[int | None, _there("Of what is drawn at random; 12345 by default.")] = None
    examples: Annotated[
        int | None, _there("Worst and most changed lines in the report; 20 by default.", min=0)
    ] = None
    max_tokens: Annotated[
        int | None,
        _there("Most target tokens of a sentence; the model's own by default.", min=1),
    ] = None
    report: Annotated[Path | None, _there(REPORT_HELP)] = None
    detach: Annotated[
        bool, _there("Print the id of the job, and do not wait for it.", "--detach")
    ] = False


def with_a_flag_for_each_wish(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `**wished` the flags of a `Wish` after its own."""
    own = inspect.signature(command).parameters.values()
    named = [each for each in own if each.kind is not inspect.Parameter.VAR_KEYWORD]
    wished = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
        )
        for field in fields(Wish)
    ]
    command.__signature__ = inspect.Signature([*named, *wished])  # type: ignore[attr-defined]
    return command


def refuse_wishes(wish: Wish) -> None:
    """Refuse what only a server can do.

    Raises:
        typer.BadParameter: the flag is named.
    """
    for field in fields(wish):
        if field.name != "api_key" and getattr(wish, field.name) != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            raise typer.BadParameter("needs --server", param_hint=flag)


def check(wish: Wish, test_set: TestSet) -> None:
    """Refuse flags that contradict each other, or leave out what every server needs.

    Raises:
        typer.BadParameter: the flag is named.
    """
    baselines = (wish.baseline, wish.baseline_job, wish.baseline_hypotheses)
    for is_wrong, flag, message in (
        (not (test_set.pair or wish.model), "--pair", "neither it nor --model is given"),
        (wish.score and wish.model, "--model", "nothing is translated with --score"),
        (
            wish.test_set and (test_set.source or test_set.references),
            "--test-set",
            "takes the place of --source and --reference",
        ),
        (
            not (wish.test_set or test_set.references),
            "--reference",
            "neither it nor --test-set is given",
        ),
        (
            not (wish.test_set or test_set.source or wish.score),
            "--source",
            "a model needs it",
        ),
        (
            sum(map(bool, baselines)) > 1,
            "--baseline",
            "there is one at most, a model, a job or hypotheses",
        ),
        (wish.detach and wish.report, "--detach", "there is no report yet"),
    ):
        if is_wrong:
            raise typer.BadParameter(message, param_hint=flag)


def fields_of(wish: Wish, test_set: TestSet, search: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the request, but for those that were not asked for."""
    decode = {name: value for name, value in search.items() if value}
    if search["length_penalty"] is not None:
        decode["length_penalty"] = search["length_penalty"]  # 0 turns it off
    if wish.max_tokens:
        decode["max_tokens"] = wish.max_tokens
    confidence = {"n": wish.resamples, "seed": wish.seed}
    fields = {
        "pair": test_set.pair,
        "model": wish.model,
        "test_set": wish.test_set,
        "baseline": wish.baseline,
        "baseline_job": wish.baseline_job,
        "metrics": wish.metric,
        "decode": decode or None,
        "confidence": {n: v for n, v in confidence.items() if v is not None} or None,
        "paired": wish.paired,
        "examples": wish.examples,
    }
    return {name: value for name, value in fields.items() if value is not None}


def read_uploads(wish: Wish, test_set: TestSet) -> list[tuple[str, bytes]]:
    """Read the files that are sent, with the fields that they are sent in.

    Raises:
        InvalidRequest: there are no lines, or they do not match.
    """
    references = enumerate(test_set.references, start=1)
    named = [
        ("source", "source", test_set.source),
        *(("reference", f"reference {number}", path) for number, path in references),
        ("hypotheses", "hypotheses", wish.score),
        ("baseline_hypotheses", "baseline hypotheses", wish.baseline_hypotheses),
    ]
    read = [(field, name, read_file(path)) for field, name, path in named if path]
    for _, name, lines in read:
        first = len(read[0][2])
        if not lines:
            raise InvalidRequest(f"there are no {name} lines")
        if len(lines) != first:
            raise InvalidRequest(f"{name} has {len(lines)} lines for {first} {read[0][1]} lines")
    return [(field, joined(lines)) for field, _, lines in read]


def joined(lines: Iterable[str]) -> bytes:
    """Return lines as a file, each with its end."""
    return "".join(f"{line}\n" for line in lines).encode("utf-8")
