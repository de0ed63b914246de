"""Who may ask for what, and how much of it.

    caller = await access.identify(key, address, scope)    who it is; draws one request
    caller.charge(characters)                              draws characters and holds them
    caller.settle(is_done=True)                            counts them, or gives them back

Rates are those of one process; the characters of a month are those of the store.
"""

import asyncio
import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from service.errors import Forbidden, KeyRequired, QuotaExceeded, TextTooLong, Unauthorized
from service.keyring import KeyRing
from service.ledger import ANONYMOUS, Ledger
from service.rates import Rates
from service.scopes import KeyScope
from service.store import Allowance, KeyRecord, Keys, Work

MAX_FAILURES_PER_MINUTE = 10
"""Wrong keys of one address that are answered as such; those after them are answered as too
many. A right key is never refused for them, or one machine could lock out all who share
its address.
"""

UNLIMITED = Allowance()


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Whether keys are asked for, and what callers without one may do.

    Attributes:
        keys: `off` ignores them, `optional` lets callers without one in, `required` does not.
        anonymous: what each address without a key may do.
    """

    keys: Literal["off", "optional", "required"] = "off"
    anonymous: Allowance = UNLIMITED


@dataclass(frozen=True, slots=True)
class Usage:
    """What was done for a caller in this calendar month (UTC), what is under way included.

    Attributes:
        limit: characters that may be translated in the month; None if there is no limit.
    """

    characters: int
    requests: int
    limit: int | None
    begins: datetime
    ends: datetime


class Access:
    """The door of the service. It asks nothing of the store unless keys are on."""

    def __init__(self, policy: AccessPolicy, keys: Keys, ledger: Ledger | None = None) -> None:
        self.policy = policy
        self.ledger = ledger or Ledger()
        self.rates = Rates()
        self._ring = KeyRing(keys, self.ledger)
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep in step with the store, if keys are on."""
        if self.policy.keys != "off":
            self._task = asyncio.create_task(self._ring.keep_in_step(self._stop))

    async def close(self) -> None:
        """Write down what was done and is not written yet."""
        self._stop.set()
        if self._task:
            await self._task

    def troubles(self) -> list[str]:
        """Return why nobody can be let in; empty if somebody can."""
        is_shut = self.policy.keys == "required" and not self._ring.is_trusted
        return ["the API keys cannot be read"] if is_shut else []

    async def identify(
        self, key: str | None, address: str, scope: KeyScope | None = None
    ) -> "Caller":
        """Tell who asks, and draw one of the requests that he may make in a minute.

        Args:
            key: as it was sent; None or empty if none was.
            scope: what the key must be good for; None takes any.

        Raises:
            KeyRequired: there is no key, and there must be.
            Unauthorized: the key is none of ours, or has ended.
            Forbidden: it is not for this.
            RateLimited: too many requests, or too many wrong keys.
            StoreUnavailable: it cannot be told whether the key is good.
        """
        record = await self._record(key, address, scope)
        if record:
            caller = Caller(self, f"key {record.id}", record.id, record.allowance)
        else:
            caller = Caller(self, _network(address), ANONYMOUS, self.policy.anonymous)
        caller.draw("requests", caller.allowance.requests_per_minute)
        return caller

    async def _record(
        self, key: str | None, address: str, scope: KeyScope | None
    ) -> KeyRecord | None:
        may_lack = self.policy.keys == "optional" and scope != "admin"
        if self.policy.keys == "off" or (may_lack and not key):
            return None
        if not key:
            raise KeyRequired("this service needs an API key")
        record = await self._ring.find(key)
        if record is None:
            self.rates.draw(_network(address), "wrong API keys", MAX_FAILURES_PER_MINUTE)
            raise Unauthorized("the API key is not one of this service")
        state = record.state(self.ledger.now())
        if state != "good":
            raise Unauthorized(f"the API key is {state}")
        if scope and not record.scopes & {scope, "admin"}:
            raise Forbidden(f"the API key is not for {scope}")
        return record


class Caller:
    """Who asks: a key, or an address without one."""

    def __init__(self, access: Access, who: str, id: str, allowance: Allowance) -> None:
        self._access = access
        self._ledger = access.ledger
        self._who = who
        self._held: int | None = None
        self.id = id
        """Of the key, which is public; `ANONYMOUS` without one."""
        self.allowance = allowance

    def draw(self, what: str, limit: int | None, cost: int = 1) -> None:
        """Take `cost` of what the caller may have in a minute; None is no limit.

        Raises:
            RateLimited: there is not so much left.
        """
        if limit is not None and cost:
            self._access.rates.draw(self._who, what, limit, cost)

    def charge(self, characters: int) -> None:
        """Draw characters that are about to be translated, and hold them until `settle`.

        Raises:
            TextTooLong: so many can never be translated in a minute.
            RateLimited: they cannot in this one.
            QuotaExceeded: they cannot in this month.
        """
        a_minute = self.allowance.characters_per_minute
        if a_minute is not None and characters > a_minute:
            message = f"{characters} characters exceed {a_minute}, the most in a minute"
            raise TextTooLong(message, limit=a_minute)
        usage = self.usage()
        if usage.limit is not None and usage.characters + characters > usage.limit:
            raise QuotaExceeded(
                f"{characters} characters exceed the {max(0, usage.limit - usage.characters)} that "
                f"are left of {usage.limit} in this month",
                limit=usage.limit,
                retry_after_seconds=math.ceil((usage.ends - self._ledger.now()).total_seconds()),
            )
        self.draw("characters", a_minute, characters)
        self._hold(characters)

    def refund(self, characters: int) -> None:
        """Give back part of what is held, for texts that failed among others that did not."""
        self._hold(-characters)

    def _hold(self, characters: int) -> None:
        self._held = (self._held or 0) + characters
        self._ledger.hold(self.id, characters)

    def settle(self, *, is_done: bool) -> None:
        """Count what is held, with one request, or give it back."""
        if self._held is None:
            return
        self._ledger.hold(self.id, -self._held)
        if is_done:
            self._ledger.add(self.id, Work(self._held, 1))
        self._held = None

    def usage(self) -> Usage:
        """Tell what was done for the caller; without a key, for all such since the start."""
        begins, ends = _month_around(self._ledger.now())
        used = self._ledger.used(self.id)
        limit = self.allowance.characters_per_month
        return Usage(used.characters, used.requests, limit, begins, ends)


def _month_around(now: datetime) -> tuple[datetime, datetime]:
    begins = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return begins, (begins + timedelta(days=32)).replace(day=1)


def _network(address: str) -> str:
    """Return what one customer has of addresses: one of IPv4, 2^64 of IPv6."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address  # a Unix socket has none
    return str(ipaddress.ip_network((number, 64 if number.version == 6 else 32), strict=False))
