"""The keys in memory, kept in step with the store.

A key is `dgm_ID_SECRET`. The secret is 32 characters out of 62, 190 bits, and what is kept of it is
its SHA-256: who cannot guess the secret cannot find it by a fast digest either, so the slow ones
that passwords need would only slow every request. The id is public and finds the record.

No request waits for the store: a task reads all keys every second, and writes down in the same
transaction what was done meanwhile.
"""

import asyncio
import hashlib
import hmac
import logging
import math
import secrets
import string
import time
from collections.abc import Collection, Mapping
from datetime import datetime

from service.errors import StoreUnavailable
from service.ledger import Ledger
from service.store import Allowance, KeyRecord, Keys, month_of

log = logging.getLogger(__name__)

PREFIX = "dgm"
ALPHABET = string.ascii_letters + string.digits
ID_CHARACTERS = 10
SECRET_CHARACTERS = 32

STEP_SECONDS = 1.0
"""Between two looks at the store: so soon a revoked key ends, and so much use a crash may cost."""
LOOK_SECONDS = 0.05
"""Least time between two looks for keys that were not found, for they may have just been added."""
TRUSTED_SECONDS = 60.0
"""How long keys are believed while the store cannot be read, for one may have been revoked."""

_NOBODY = "0" * 64
"""Digest of no secret that anyone knows."""


def new_key(
    name: str,
    scopes: Collection[str],
    allowance: Allowance,
    now: datetime,
    expires: datetime | None,
) -> tuple[str, KeyRecord]:
    """Draw a key; return it, for its owner alone, and what is kept of it."""
    id = _draw(ID_CHARACTERS)
    secret = _draw(SECRET_CHARACTERS)
    record = KeyRecord(
        id=id,
        name=name,
        digest=_digest(secret),
        scopes=frozenset(scopes),
        allowance=allowance,
        created=now,
        expires=expires,
    )
    return f"{PREFIX}_{id}_{secret}", record


def _draw(characters: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(characters))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class KeyRing:
    """All keys. It lives on the event loop; only the store is asked in a thread."""

    def __init__(self, keys: Keys, ledger: Ledger) -> None:
        self._keys = keys
        self._ledger = ledger
        self._records: Mapping[str, KeyRecord] = {}
        self._seen_at = -math.inf
        self._turn = asyncio.Lock()
        self._next_look: asyncio.Task[None] | None = None

    async def find(self, presented: str) -> KeyRecord | None:
        """Return what is kept of a key that someone shows, ended or not, if it is one.

        Raises:
            StoreUnavailable: the store has not been read for too long.
        """
        found = self._match(presented)
        if found is None:
            # Whether the id is unknown or the secret wrong, so that the time tells neither.
            await self._look_again()
            found = self._match(presented)
        if not self.is_trusted:
            raise StoreUnavailable("the API keys cannot be read now")
        return found

    @property
    def is_trusted(self) -> bool:
        """Whether the store was read a short while ago."""
        return self._age_seconds() <= TRUSTED_SECONDS

    def _age_seconds(self) -> float:
        return time.monotonic() - self._seen_at

    def _match(self, presented: str) -> KeyRecord | None:
        prefix, _, rest = presented.partition("_")
        id, _, secret = rest.partition("_")
        record = self._records.get(id)
        kept = record.digest if record else _NOBODY
        is_right = hmac.compare_digest(_digest(secret), kept) and prefix == PREFIX
        return record if is_right else None

    async def _look_again(self) -> None:
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_soon())
        await asyncio.shield(self._next_look)  # others may wait for it

    async def _look_soon(self) -> None:
        await asyncio.sleep(max(0.0, LOOK_SECONDS - self._age_seconds()))
        self._next_look = None  # who comes from now on would not see what is added from now on
        await self._try_to_step()

    async def step(self) -> None:
        """Write down what was done, and read all keys.

        Raises:
            StoreUnavailable: neither was possible; what was done is kept for the next time.
        """
        async with self._turn:
            now = self._ledger.now()
            page = self._ledger.turn_page()
            try:
                records = await asyncio.to_thread(self._keys.record, page.done, page.last_used, now)
            except StoreUnavailable:
                self._ledger.lost()
                raise
            self._records = {record.id: record for record in records}
            self._ledger.written({r.id: r.this_month for r in records}, month_of(now))
            self._seen_at = time.monotonic()

    async def _try_to_step(self) -> None:
        try:
            await self.step()
        except StoreUnavailable:
            log.warning("API keys were not read, and their use was not written down")

    async def keep_in_step(self, stop: asyncio.Event) -> None:
        """Take a step every second until told to stop, and then a last one."""
        while not stop.is_set():
            await self._try_to_step()
            try:
                await asyncio.wait_for(stop.wait(), STEP_SECONDS)
            except TimeoutError:
                continue
        await self._try_to_step()
