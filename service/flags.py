"""The flags of the `dragoman` command that more than one place needs to know.

Those of the search mean what the fields of a request mean; `serve` has a flag for each setting.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.settings import SECRETS, Settings
from service.terminal import tell

MAX_PENALTY = 10
"""The same as in a request."""
MAX_NGRAM = 16
"""The same as in a request."""

From = Annotated[
    str,
    typer.Option(
        "--from", metavar="LANGUAGE", help="Language of the texts; auto finds it for each line."
    ),
]
To = Annotated[str, typer.Option("--to", metavar="LANGUAGE", help="Language to translate into.")]
Texts = Annotated[
    list[str] | None, typer.Argument(metavar="TEXT", help="Texts; none: standard input.")
]
Beam = Annotated[int | None, typer.Option(min=1, help="Beam width; the model's own by default.")]
LengthPenalty = Annotated[
    float | None,
    typer.Option(min=0, max=MAX_PENALTY, help="Length penalty; the model's own by default."),
]
Alternatives = Annotated[
    int, typer.Option(min=0, help="Further translations of each line; needs --json.")
]
MaxTokens = Annotated[
    int | None,
    typer.Option(min=1, help="Most target tokens of a sentence; the model's own by default."),
]
NoRepeatNgram = Annotated[
    int,
    typer.Option(min=0, max=MAX_NGRAM, help="No sequence of so many tokens occurs twice; 0: off."),
]
CoveragePenalty = Annotated[
    float,
    typer.Option(min=0, max=MAX_PENALTY, help="Penalty for what is left untranslated; 0: off."),
]
Attention = Annotated[
    bool, typer.Option("--attention", help="Tell what each token was made from; needs --json.")
]
BundleFolder = Annotated[
    Path | None, typer.Option(help="Folder of the bundles; DRAGOMAN_BUNDLES by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def with_a_flag_for_each_setting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of the table of settings, None where they are not given.

    Secrets have none, for every user of a machine can read the commands that run on it.
    """
    parameters = []
    for name, field in Settings.model_fields.items():
        if name in SECRETS:
            continue
        default = field.default
        if isinstance(default, Path):
            default = Path(*default.parts[-2:])  # the same words on every machine
        flag = typer.Option(help=escape(f"{field.description} [default: {default}]"))
        parameters.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[field.annotation | None, flag],  # type: ignore[operator]
            )
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def load_settings(**given: object) -> Settings:
    """Build the settings of a command; what is wrong with them ends it with status 2."""
    try:
        return Settings.load(**given)
    except ValueError as failure:
        tell(str(failure))
        raise typer.Exit(2) from None
