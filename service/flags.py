"""The flags of the `dragoman` command that more than one place needs to know.

Those of the search mean what the fields of a request mean; `serve` has a flag for each setting.
"""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.markup import escape

from service.settings import SECRETS, Settings
from service.terminal import tell

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here
"""Where to reach a server that listens on all addresses."""
SERVER, KEY = "DRAGOMAN_SERVER", "DRAGOMAN_API_KEY"
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
Server = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help=f"Address of the server; {SERVER}, else DRAGOMAN_HOST and _PORT by default.",
    ),
]
KEY_HELP = (
    f"API key; safer in {KEY}, or in a file that {KEY}_FILE names, for every user of a machine can "
    "read its commands."
)
ApiKey = Annotated[str | None, typer.Option(metavar="KEY", help=KEY_HELP)]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Settings in TOML, such as max_rows = 64; DRAGOMAN_CONFIG."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def with_a_flag_for_each_setting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --config and the flags of the settings, None where they are not given.

    Secrets have none, for every user of a machine can read the commands that run on it.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("config", keyword, default=None, annotation=Config)]
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
                keyword,
                default=None,
                annotation=Annotated[field.annotation | None, flag],  # type: ignore[operator]
            )
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def load_settings(config: Path | None = None, **given: object) -> Settings:
    """Build the settings of a command; what is wrong with them ends it with status 2."""
    try:
        return Settings.load(config, **given)
    except ValueError as failure:
        tell(str(failure))
        raise typer.Exit(2) from None


def own_url(settings: Settings) -> str:
    """Return the address of the server that runs on this machine by these settings."""
    host = EVERY_ADDRESS.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def find_server(given: str | None) -> str:
    """Return the address of a server, which is this machine's own if nothing names one.

    Raises:
        typer.BadParameter: it is no address of HTTP.
    """
    url = given or os.environ.get(SERVER) or own_url(load_settings())
    if not _is_address(url):
        message = "must be an address such as https://translate.example"
        raise typer.BadParameter(message, param_hint="--server")
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:  # its port is no number
        return False
    return has_place and parts.scheme in {"http", "https"} and url.isprintable() and " " not in url


def find_key(given: str | None) -> str | None:
    """Return the API key, if there is one.

    Raises:
        typer.BadParameter: no key looks like this.
        OSError: the file that should hold it cannot be read.
    """
    key = given or os.environ.get(KEY)
    if not key and (path := os.environ.get(f"{KEY}_FILE")):
        key = Path(path).read_text(encoding="utf-8", errors="replace").strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise typer.BadParameter("is not an API key", param_hint="--api-key")
    return key or None
