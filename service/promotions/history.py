"""What the promotions of the past say: which versions are pinned, and where to roll back to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from service.store import Action, PromotionRecord

PromotionMode = Literal["newest", "evaluated"]

_PINNING: Mapping[PromotionMode, set[Action]] = {
    # Whoever goes back to `newest` wants the newest, unless somebody has chosen another himself.
    "newest": {"pinned", "rolled_back"},
    "evaluated": {"adopted", "promoted", "pinned", "rolled_back"},
}


class History:
    """All promotions, which never change."""

    def __init__(self, records: Iterable[PromotionRecord] = ()) -> None:
        self.records = tuple(records)
        self._by_name: dict[str, list[PromotionRecord]] = defaultdict(list)
        for record in self.records:
            self._by_name[record.name].append(record)

    def of(self, name: str) -> Sequence[PromotionRecord]:
        """Return the promotions of a model, the oldest first."""
        return self._by_name.get(name, [])

    def pins(self, mode: PromotionMode) -> dict[str, str]:
        """Return the versions that are to serve whatever newer ones there are, by name."""
        last = {name: records[-1] for name, records in self._by_name.items()}
        return {name: r.version for name, r in last.items() if r.action in _PINNING[mode]}

    def has_served(self, name: str) -> set[str]:
        """Return the versions of a model that have served, as far as is known."""
        records = self.of(name)
        return {r.version for r in records} | {r.previous for r in records if r.previous}

    def before(self, name: str, serving: str) -> list[str]:
        """Return the versions that served before the present one, the last of them first.

        What was rolled back is not among them.
        """
        line: list[str] = []
        for record in self.of(name):
            if record.previous and record.previous not in line[-1:]:
                line.append(record.previous)  # it came to serve by itself
            if record.action == "rolled_back":
                line = line[: line.index(record.version)] if record.version in line else []
            line.append(record.version)
        if serving not in line[-1:]:
            line.append(serving)
        return [version for version in reversed(line[:-1]) if version != serving]

    def following(  # one argument for each field that is not known here
        self, name: str, version: str, previous: str | None, action: Action, now: datetime
    ) -> PromotionRecord:
        """Return the record of the next promotion of a model."""
        records = self.of(name)
        number = records[-1].number + 1 if records else 1
        return PromotionRecord(name, number, version, previous, action, None, now)
