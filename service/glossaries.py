"""Glossaries: terms that callers lay down, by pair of languages, to be used in translations.

Every caller sees their own. The calls block: asynchronous code makes them in a thread.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

from service.engine import Term, Terms, is_same_language
from service.entries import (
    EntriesFormat,
    GlossaryLimits,
    check_entries,
    invalid,
    parse_entries,
    too_many_entries,
)
from service.errors import NotFound
from service.store import DictionaryRecord, GlossaryRecord, GlossaryTable, Store

T = TypeVar("T")

_LANGUAGE = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The entries of a glossary for one pair of languages; no two have one source."""

    source: str
    target: str
    entries: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class DictionaryInfo:
    """A dictionary without its entries."""

    source: str
    target: str
    entry_count: int


@dataclass(frozen=True, slots=True)
class Glossary:
    """A glossary without its entries."""

    id: str
    name: str
    created: datetime
    dictionaries: tuple[DictionaryInfo, ...]
    """By source, then by target."""


_Change = Callable[[str, Sequence[Dictionary]], tuple[str, Sequence[Dictionary]]]


class Glossaries:
    """The glossaries that are kept, each of which belongs to one owner.

    Whatever takes an id raises NotFound if its owner has no such glossary; whatever takes
    dictionaries raises InvalidRequest if they break a limit or contradict themselves.
    """

    def __init__(self, store: Store, limits: GlossaryLimits) -> None:
        self._table = GlossaryTable(store)
        self._limits = limits

    def create(self, name: str, dictionaries: Sequence[Dictionary], owner: str) -> Glossary:
        """Keep a new glossary."""
        limit = self._limits.max_glossaries
        records = self._records(name, dictionaries)
        num_entries = {(each.source, each.target): len(each.entries) for each in records}
        record = GlossaryRecord(str(uuid4()), owner, name, datetime.now(UTC), num_entries)
        if not self._table.add(record, records, limit):
            message = f"there are {limit} glossaries already"
            raise invalid(message, field="glossary", limit=limit)
        return _glossary(record)

    def find_all(self, owner: str) -> list[Glossary]:
        """Return all glossaries, the newest first."""
        return [_glossary(each) for each in self._table.read_all(owner)]

    def find(self, id: str, owner: str) -> Glossary:
        """Return a glossary."""
        return _glossary(_known(self._table.read(owner, id)))

    def dictionaries(self, id: str, owner: str) -> list[Dictionary]:
        """Return the dictionaries of a glossary with their entries."""
        return [_dictionary(each) for each in _known(self._table.read_dictionaries(owner, id))]

    def entries(self, id: str, source: str, target: str, owner: str) -> Dictionary:
        """Return the dictionary for a pair of languages.

        Raises:
            NotFound: the glossary has none for it.
        """
        return _pick(self.dictionaries(id, owner), source, target)

    def check(self, entries: Sequence[Term]) -> Terms:
        """Return entries that are not kept, but held to the limits of those that are.

        Raises:
            InvalidRequest: an entry breaks a limit or comes twice, or there are none.
        """
        return Terms(check_entries(entries, self._limits))

    def terms(self, id: str, source: str, target: str, owner: str) -> Terms:
        """Return what to use in a translation: the entries for these languages or variants of them.

        Raises:
            NotFound: the glossary has none for them.
        """
        found = [
            each
            for each in self.dictionaries(id, owner)
            if is_same_language(each.source, source) and is_same_language(each.target, target)
        ]
        # The variant that is named is nearer than another.
        wanted = source.lower(), target.lower()
        if not found:
            raise _no_dictionary(*wanted)
        return Terms(min(found, key=lambda each: _pair(each) != wanted).entries)

    def replace(
        self, id: str, name: str, dictionaries: Sequence[Dictionary], owner: str = ""
    ) -> Glossary:
        """Give a glossary another name and other dictionaries."""
        return self._change(id, owner, lambda _, __: (name, dictionaries))

    def patch(
        self, id: str, name: str | None, dictionaries: Sequence[Dictionary], owner: str = ""
    ) -> Glossary:
        """Rename a glossary, unless None, and add entries, which replace those of the same source.

        A dictionary that it has not yet is added.
        """

        def merge(old_name: str, old: Sequence[Dictionary]) -> tuple[str, Sequence[Dictionary]]:
            self._records(old_name if name is None else name, dictionaries)
            by_pair = {_pair(each): each for each in old}
            for new in dictionaries:
                known = by_pair.get(_pair(new))
                entries = {each.source: each for each in (known.entries if known else ())}
                entries |= {each.source: each for each in new.entries}
                by_pair[_pair(new)] = Dictionary(*_pair(new), tuple(entries.values()))
            return old_name if name is None else name, list(by_pair.values())

        return self._change(id, owner, merge)

    def put_dictionary(self, id: str, dictionary: Dictionary, owner: str) -> Glossary:
        """Give a glossary a dictionary, instead of the one it may have for the same languages."""

        def put(name: str, old: Sequence[Dictionary]) -> tuple[str, Sequence[Dictionary]]:
            return name, [*(x for x in old if _pair(x) != _pair(dictionary)), dictionary]

        return self._change(id, owner, put)

    def delete_dictionary(self, id: str, source: str, target: str, owner: str) -> Glossary:
        """Take a dictionary from a glossary, which may be left without any.

        Raises:
            NotFound: the glossary has none for these languages.
        """

        def take(name: str, old: Sequence[Dictionary]) -> tuple[str, Sequence[Dictionary]]:
            taken = _pick(old, source, target)
            return name, [each for each in old if each is not taken]

        return self._change(id, owner, take)

    def delete(self, id: str, owner: str) -> None:
        """Forget a glossary."""
        if not self._table.delete(owner, id):
            _known(None)

    def parse(self, text: str, form: EntriesFormat) -> tuple[Term, ...]:
        """Read entries, one in a line: see `parse_entries`."""
        return parse_entries(text, form, self._limits)

    def _change(self, id: str, owner: str, change: _Change) -> Glossary:
        def rewrite(
            name: str, old: list[DictionaryRecord]
        ) -> tuple[str, Sequence[DictionaryRecord]]:
            new_name, dictionaries = change(name, [_dictionary(each) for each in old])
            return new_name, self._records(new_name, dictionaries)

        return _glossary(_known(self._table.change(owner, id, rewrite)))

    def _records(self, name: str, dictionaries: Sequence[Dictionary]) -> list[DictionaryRecord]:
        self._check(name, dictionaries)
        return [
            DictionaryRecord(
                *_pair(each),
                [list(astuple(term)) for term in check_entries(each.entries, self._limits)],
            )
            for each in dictionaries
        ]

    def _check(self, name: str, dictionaries: Sequence[Dictionary]) -> None:
        limits = self._limits
        if not name.strip() or len(name) > limits.max_name_characters:
            limit = limits.max_name_characters
            raise invalid(f"a name has 1 to {limit} characters", field="name", limit=limit)
        if len(dictionaries) > limits.max_dictionaries:
            message = f"{len(dictionaries)} dictionaries exceed {limits.max_dictionaries}"
            raise invalid(message, field="dictionaries", limit=limits.max_dictionaries)
        pairs = Counter(map(_pair, dictionaries))
        for pair, times in pairs.items():
            if times > 1:
                raise invalid(f"{'-'.join(pair)} has {times} dictionaries", field="dictionaries")
            if not all(map(_LANGUAGE.fullmatch, pair)) or is_same_language(*pair):
                raise invalid(f"{'-'.join(pair)} is no pair of languages", field="dictionaries")
        total = sum(len(each.entries) for each in dictionaries)
        if total > limits.max_entries:
            raise too_many_entries(total, limits)


def _glossary(record: GlossaryRecord) -> Glossary:
    infos = (DictionaryInfo(*pair, number) for pair, number in sorted(record.num_entries.items()))
    return Glossary(record.id, record.name, record.created, tuple(infos))


def _dictionary(record: DictionaryRecord) -> Dictionary:
    terms = tuple(Term(*entry) for entry in record.entries)
    return Dictionary(record.source, record.target, terms)


def _pair(dictionary: Dictionary) -> tuple[str, str]:
    return dictionary.source.lower(), dictionary.target.lower()


def _pick(dictionaries: Sequence[Dictionary], source: str, target: str) -> Dictionary:
    wanted = source.lower(), target.lower()
    for each in dictionaries:
        if _pair(each) == wanted:
            return each
    raise _no_dictionary(*wanted)


def _no_dictionary(source: str, target: str) -> NotFound:
    return NotFound(f"the glossary has no dictionary {source}-{target}", field="glossary")


def _known(found: T | None) -> T:
    if found is None:
        raise NotFound("there is no such glossary", field="glossary")
    return found
