"""`dragoman keys`: API keys are added, listed and revoked while servers run.

A server takes notice within a second or two.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from service import flags
from service.scopes import SCOPES, USUAL
from service.terminal import show, table, tell

if TYPE_CHECKING:
    from service.store import KeyRecord, Keys

MAX_NAME_CHARACTERS = 200
"""As many as the store keeps."""


def _scope(text: str) -> str:
    if text not in SCOPES:
        raise typer.BadParameter(f"{text} is none of {', '.join(SCOPES)}")
    return text


keys = typer.Typer(no_args_is_help=True, help="Add, list and revoke API keys.")

DataFolder = Annotated[
    Path | None, typer.Option(help="Folder of the server's data; DRAGOMAN_DATA by default.")
]


@keys.command()
def add(  # noqa: PLR0913, PLR0917  # one parameter for each flag
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, for people.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            parser=_scope,
            metavar="SCOPE",
            help=f"What for: {', '.join(SCOPES)}; repeatable; the first three by default.",
        ),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Most requests in a minute; no limit by default.")
    ] = None,
    characters_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Most characters in a minute; no limit by default.")
    ] = None,
    characters_per_month: Annotated[
        int | None,
        typer.Option(min=1, help="Most characters in a calendar month; no limit by default."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="When it ends: after days, such as 90d, or on a date; never by default."),
    ] = None,
    data: DataFolder = None,
    as_json: flags.AsJson = False,
) -> None:
    """Make a key and print it, this once: it is not kept, only what recognises it."""
    now = datetime.now(UTC)
    ends = _instant(expires, now) if expires else None
    if not name.isprintable() or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        message = f"must be 1 to {MAX_NAME_CHARACTERS} printable characters"
        raise typer.BadParameter(message, param_hint="NAME")
    from service.keyring import new_key  # noqa: PLC0415  # SQLAlchemy: slow to load
    from service.store import Allowance  # noqa: PLC0415

    allowance = Allowance(requests_per_minute, characters_per_minute, characters_per_month)
    key, record = new_key(name, scope or USUAL, allowance, now, ends)
    with _open(data) as kept:
        kept.add(record)
    if as_json:
        print(json.dumps({"key": key, **_fields(record, now)}, indent=2))
    else:
        tell(f"{record.id}, for {name}; it is shown this once", label="added")
        print(key)


@keys.command("list")
def list_keys(data: DataFolder = None, as_json: flags.AsJson = False) -> None:
    """List the keys, with their use in this calendar month (UTC)."""
    now = datetime.now(UTC)
    with _open(data) as kept:
        records = kept.read_all(now)
    if as_json:
        print(json.dumps([_fields(record, now) for record in records], indent=2))
    elif records:
        show(_key_table(records, now))
    else:
        tell("no keys", label="note")


@keys.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="Its part between the underscores.")],
    data: DataFolder = None,
) -> None:
    """End a key for good; exit status 1 if there is none by this id that has not been revoked."""
    with _open(data) as kept:
        is_revoked = kept.revoke(id, datetime.now(UTC))
    if not is_revoked:
        tell(f"{id}: no such key, or revoked already")
        raise typer.Exit(1)
    tell(id, label="revoked")


@contextmanager
def _open(data: Path | None) -> Iterator["Keys"]:
    settings = flags.load_settings(data=data)
    from service.store import Keys, Store  # noqa: PLC0415  # SQLAlchemy: slow to load

    store = Store(settings.data_folder, settings.database_url)
    store.open()  # if it cannot be, this says why
    try:
        yield Keys(store)
    finally:
        store.close()


def _instant(text: str, now: datetime) -> datetime:
    try:
        if text.endswith("d"):
            instant = now + timedelta(days=int(text.removesuffix("d")))
        else:
            instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        message = f"{text} is neither days, such as 90d, nor a date, such as 2030-12-31"
        raise typer.BadParameter(message, param_hint="--expires") from None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    if instant <= now:
        raise typer.BadParameter(f"{text} is not in the future", param_hint="--expires")
    return instant


def _fields(record: "KeyRecord", now: datetime) -> dict[str, Any]:
    instants = ("created", "expires", "revoked", "last_used")
    limits = ("requests_per_minute", "characters_per_minute", "characters_per_month")
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state(now),
        "scopes": sorted(record.scopes),
        **{name: getattr(record.allowance, name) for name in limits},
        **{name: _iso(getattr(record, name)) for name in instants},
        "characters": record.this_month.characters,
        "requests": record.this_month.requests,
    }


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat(timespec="seconds") if instant else None


def _key_table(records: list["KeyRecord"], now: datetime) -> Table:
    made = table(
        f"keys, with their use in {now:%B %Y}",
        *("id", "name", "state", "scopes", "requests>", "characters>", "of>", "last used"),
        *("expires",),
    )
    for record in records:
        quota = record.allowance.characters_per_month
        made.add_row(
            record.id,
            record.name,
            record.state(now),
            " ".join(sorted(record.scopes)),
            f"{record.this_month.requests:,}",
            f"{record.this_month.characters:,}",
            f"{quota:,}" if quota else "",
            f"{record.last_used:%Y-%m-%d %H:%M}" if record.last_used else "never",
            f"{record.expires:%Y-%m-%d}" if record.expires else "never",
        )
    return made
