"""A file goes in as a stream and comes out translated; or nothing of it is kept."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.batches import Batch, Batches, BatchFiles, BatchLimits, Order, lines
from service.batches.files import PieceWriter
from service.engine import Translation
from service.errors import (
    InvalidDocument,
    NotFound,
    Overloaded,
    QuotaExceeded,
    ServiceError,
    StoreUnavailable,
    TextTooLong,
    TooLarge,
    UnsupportedPair,
)
from tests.jobs import InlineJobs
from tests.service.api.conftest import ShoutingModels

LIMITS = BatchLimits(max_lines=100, max_characters=50, max_batches=3, keep_seconds=3600)
LINES = Order("lines", "de", "en")


@pytest.fixture
def models() -> ShoutingModels:
    return ShoutingModels()


@pytest.fixture
def jobs() -> InlineJobs:
    return InlineJobs()


@pytest.fixture
def files(tmp_path) -> BatchFiles:
    return BatchFiles(tmp_path / "batches")


@pytest.fixture
def batches(files, models, jobs) -> Batches:
    return Batches(files, models, jobs, LIMITS)


def left(files: BatchFiles) -> list[str]:
    return files.folders.ids()


async def in_blocks(content: bytes, size: int = 5) -> AsyncIterator[bytes]:
    for i in range(0, len(content), size):
        yield content[i : i + size]


def submit(batches: Batches, content: bytes, order: Order = LINES, **given) -> Batch:
    return asyncio.run(batches.submit(order, in_blocks(content), **given))


def translated(batches: Batches, content: bytes, order: Order = LINES) -> bytes:
    async def go() -> bytes:
        batch = await batches.submit(order, in_blocks(content))
        return (await batches.result(batch.id)).path.read_bytes()

    return asyncio.run(go())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"one",
        b"one\n",
        b"one\r\n\r\ntwo\r\n",
        b"one\rtwo\r\rthree",
        b"\n\n  one \t\n \n",
        b"\xef\xbb\xbfone\n",
        "größe\u2028x\x0by\n".encode(),
        "größe\n".encode("utf-16"),
        "größe\n".encode("utf-32"),
        b"1\n2\n\n3",
        b"x\n" * 100,
    ],
)
def test_each_line_has_one_in_the_result_with_the_same_end(batches, content, monkeypatch):
    monkeypatch.setattr(lines, "PIECE_CHARACTERS", 10)
    encoding = {b"\xff\xfe\x00": "utf-32", b"\xff\xfeg": "utf-16"}.get(content[:3], "utf-8")

    # Capitals are no longer here, but for the sharp s, which no expectation here may forget.
    expected = content.decode(encoding).replace("größe", "GRÖSSE").encode(encoding)
    expected = expected if encoding != "utf-8" else expected.upper()

    assert translated(batches, content) == expected


def test_encoding_is_kept_unless_it_lacks_a_character(batches):
    order = Order("lines", "de", "en", encoding="latin-1")

    assert translated(batches, "größe".encode("latin-1"), order) == "GRÖSSE".encode("latin-1")
    # In capitals, this one is not in Latin-1.
    assert translated(batches, b"\xff", order) == "\u0178".encode()


def test_rows_get_their_translation_as_a_last_column(batches):
    table = b"id\tde\r\n1\teins\tx\r\n\r\n2\t zwei \r\n3\t\r\n4\t4"

    result = translated(batches, table, Order("tsv", "de", "en", column="de"))

    assert result == (
        b"id\tde\ten\r\n1\teins\tx\tEINS\r\n\r\n2\t zwei \t ZWEI \r\n3\t\t\r\n4\t4\t4"
    )


def test_units_without_the_target_get_a_variant(batches):
    memory = """<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header  srclang='de' />
<body>
  <tu tuid='1'>
    <tuv xml:lang="de-AT"><seg>grün</seg></tuv>
  </tu><!-- &amp; -->
  <tu><tuv xml:lang="de"><seg>a</seg></tuv><tuv xml:lang="en"><seg>b</seg></tuv></tu>
  <tu><tuv xml:lang="fr"><seg>c</seg></tuv></tu>
</body></tmx>
"""
    expected = memory.replace("tuid='1'", 'tuid="1"').replace(
        "<seg>grün</seg></tuv>\n",
        '<seg>grün</seg></tuv>\n    <tuv xml:lang="en"><seg>GRÜN</seg></tuv>\n',
    )

    result = translated(batches, memory.encode("latin-1"), Order("tmx", "de", "en"))

    assert result.decode("latin-1") == expected


def test_options_reach_the_engine(batches, models):
    submit(batches, b"a", Order("lines", "de", "en", beam=3, length_penalty=0.5, split="lines"))

    assert [(each.beam, each.length_penalty, each.split) for each in models.options] == [
        (3, 0.5, "lines")
    ]


def test_batch_tells_what_it_is(batches):
    batch = submit(batches, b"eins zwei\n\n  drei\n4\n")

    assert (batch.record.size, batch.record.characters) == (4, len("eins zweidrei"))
    assert asyncio.run(batches.find(batch.id)).summary.models == ("shout/1",)


@pytest.mark.parametrize(
    ("content", "order", "failure", "message"),
    [
        (b"a\nb\nc\xff\n", LINES, InvalidDocument, "line 3: not utf-8"),
        (b"a\n\xed\xa0\x80", LINES, InvalidDocument, "line 2: not utf-8"),
        (b"a\r\n" * 9 + b"\xc3", LINES, InvalidDocument, "line 10: not utf-8"),
        (b"a\n\nb\0", LINES, InvalidDocument, "line 3: the character NUL"),
        (b"\xff\xfea\0\n\0\0\xd8\n\0", LINES, InvalidDocument, "line 2: not utf-16-le"),
        (b"x" * 51, LINES, TextTooLong, "line 1: more than 50 characters"),
        (b"x\n" * 101, LINES, TooLarge, "more than 100 lines"),
        (b"x", Order("lines", "de", "en", encoding="x"), InvalidDocument, "encoding 'x'"),
        (b"x", Order("lines", "de", "xx"), UnsupportedPair, "de-xx"),
        (b"x", Order("tmx", "de", "en"), InvalidDocument, "line 1: the XML is not well-formed"),
        (b"x\n", Order("tsv", "de", "en", column="2"), InvalidDocument, "line 1: 1 columns"),
    ],
)
def test_what_cannot_be_translated_is_refused_and_nothing_stays(
    batches, files, content, order, failure, message
):
    with pytest.raises(failure, match=message):
        submit(batches, content, order)

    assert left(files) == []


def test_first_line_at_fault_ends_the_upload(batches):
    taken = []

    async def blocks() -> AsyncIterator[bytes]:
        for block in (b"a" * 1024, b"\n\xff\n", b"never"):
            taken.append(block)
            yield block

    batches = Batches(batches._files, ShoutingModels(), InlineJobs(), BatchLimits(9, 2000, 9, 9))
    with pytest.raises(InvalidDocument, match="line 2"):
        asyncio.run(batches.submit(LINES, blocks()))

    assert len(taken) == 2


def test_nothing_is_asked_for_that_will_not_be_translated(batches):
    async def blocks() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    with pytest.raises(UnsupportedPair):
        asyncio.run(batches.submit(Order("lines", "de", "xx"), blocks()))


class Departed(Exception):
    pass


def test_upload_that_breaks_off_leaves_nothing(batches, files):
    seen = []

    async def blocks() -> AsyncIterator[bytes]:
        yield b"eins\n" * 50
        seen.extend(left(files))
        raise Departed

    with pytest.raises(Departed):
        asyncio.run(batches.submit(LINES, blocks()))

    assert len(seen) == 1
    assert left(files) == []


def test_upload_that_is_cancelled_leaves_nothing(batches, files):
    async def go() -> None:
        has_begun = asyncio.Event()

        async def blocks() -> AsyncIterator[bytes]:
            yield b"eins\n" * 50
            has_begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(batches.submit(LINES, blocks()))
        await has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())

    assert left(files) == []


def test_upload_beyond_the_quota_leaves_nothing(batches, files):
    told = []

    def refuse(characters: int) -> None:
        told.append(characters)
        raise QuotaExceeded("no", limit=1, retry_after_seconds=1)

    with pytest.raises(QuotaExceeded):
        submit(batches, b"eins\nzwei\n", charge=refuse)

    assert told == [8]
    assert left(files) == []


class FullDisk(BatchFiles):
    """A disk on which nothing has room but names."""

    @staticmethod
    @contextmanager
    def writing(folder: Path) -> Iterator[PieceWriter]:
        with Path("/dev/full").open("wb") as pieces, (folder / "index").open("wb") as index:
            yield PieceWriter(pieces, index)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_full_disk_is_told_and_leaves_nothing(tmp_path, models, jobs):
    files = FullDisk(tmp_path / "batches")

    with pytest.raises(StoreUnavailable, match="the disk is full"):
        submit(Batches(files, models, jobs, LIMITS), b"eins\n" * 10)

    assert left(files) == []


def test_folder_that_cannot_be_written_to_is_told(tmp_path, models, jobs):
    (tmp_path / "data").write_text("in the way")
    files = BatchFiles(tmp_path / "data" / "batches")

    with pytest.raises(StoreUnavailable, match="batches cannot be kept now"):
        submit(Batches(files, models, jobs, LIMITS), b"eins\n")


def test_job_that_cannot_be_queued_leaves_nothing(files, models, monkeypatch):
    class NoJobs(InlineJobs):
        def submit(self, kind: str, id: str) -> None:
            raise StoreUnavailable("jobs cannot be kept now")

    with pytest.raises(StoreUnavailable, match="jobs cannot be kept"):
        submit(Batches(files, models, NoJobs(), LIMITS), b"eins\n")

    assert left(files) == []


def test_number_of_batches_has_a_limit_which_those_on_the_way_are_part_of(batches):
    async def go() -> None:
        may_end = asyncio.Event()
        are_coming = [asyncio.Event() for _ in range(3)]

        async def blocks(is_coming: asyncio.Event) -> AsyncIterator[bytes]:
            is_coming.set()
            await may_end.wait()
            yield b"eins\n"

        tasks = [asyncio.create_task(batches.submit(LINES, blocks(each))) for each in are_coming]
        for each in are_coming:
            await each.wait()
        with pytest.raises(Overloaded, match="3 batches are kept already"):
            await batches.submit(LINES, in_blocks(b"eins\n"))
        may_end.set()
        await asyncio.gather(*tasks)

    asyncio.run(go())


def test_damaged_upload_fails_the_job_with_a_sentence(batches, files, jobs):
    jobs.is_held = True
    batch = submit(batches, b"eins\n" * 10)
    pieces = files.folders.path(batch.id) / "pieces"
    os.truncate(pieces, 20)

    with pytest.raises(InvalidDocument, match="has been damaged on the disk"):
        jobs.run(batch.id)


def test_piece_that_is_done_twice_is_in_the_result_once(batches, files, jobs, monkeypatch):
    monkeypatch.setattr(lines, "PIECE_CHARACTERS", 10)
    jobs.is_held = True
    batch = submit(batches, b"eins\nzwei\ndrei\n")
    work = jobs._work["batch"]
    for piece in (0, 0, 1, 1):
        result = work.run(batch.id, piece, lambda: None)

    work.finish(batch.id, [result] * 2, lambda: None)
    work.finish(batch.id, [result] * 2, lambda: None)  # killed before this was written down

    assert files.result(batch.id).read_bytes() == b"EINS\nZWEI\nDREI\n"


def test_only_the_result_is_kept_when_it_is_there(batches, files):
    batch = submit(batches, b"eins\n")

    kept = {path.name for path in files.folders.path(batch.id).iterdir()}
    assert kept == {"batch.json", "summary.json", "result"}


def test_full_disk_while_it_is_put_together_leaves_the_pieces(batches, files, jobs):
    jobs.is_held = True
    batch = submit(batches, b"eins\n")
    work = jobs._work["batch"]
    result = work.run(batch.id, 0, lambda: None)

    def fail() -> None:
        raise OSError(errno.ENOSPC, "no room")

    with pytest.raises(OSError, match="no room"):
        work.finish(batch.id, [result], fail)
    assert files.result(batch.id) is None
    work.finish(batch.id, [result], lambda: None)
    assert files.result(batch.id).read_bytes() == b"EINS\n"


def test_model_that_has_gone_fails_the_job(batches, jobs, models, monkeypatch):
    jobs.is_held = True
    batch = submit(batches, b"eins\n")
    monkeypatch.setattr("tests.service.api.conftest.PAIRS", set())

    jobs.run(batch.id)

    failure = asyncio.run(batches.find(batch.id)).failure
    assert (failure.code, str(failure)) == ("unsupported_pair", "de-en is not served")


class Versions:
    """A library whose model is another version whenever it is held."""

    def __init__(self) -> None:
        self._version = 0

    @contextmanager
    def hold(self) -> Iterator["Versions"]:
        self._version += 1
        yield self

    def find(self, source: str, target: str) -> "Versions":
        return self

    def translate_all(self, texts, options) -> Iterator[Translation]:
        reason = "length" if self._version == 3 else "eos"
        for text in texts:
            model = f"m/{self._version}"
            yield Translation(text.upper(), "de", "en", model, -1.0, reason, [], lost=("x",))


def test_models_reloaded_in_the_middle_are_named_and_counts_are_added_up(files, jobs, monkeypatch):
    monkeypatch.setattr(lines, "PIECE_CHARACTERS", 10)
    batches = Batches(files, Versions(), jobs, LIMITS)

    batch = submit(batches, b"eins\nzwei\ndrei\nvier\n")  # the first to hold one is `submit`

    summary = asyncio.run(batches.find(batch.id)).summary
    assert summary.models == ("m/2", "m/3")
    assert (summary.truncated, summary.placeholder_lost, summary.empty) == (2, 4, 0)


def test_batch_of_an_owner_is_not_found_by_others(batches):
    async def go() -> None:
        order = Order("lines", "de", "en", owner="k1")
        batch = await batches.submit(order, in_blocks(b"eins"))
        for owner in ("k2", None):
            for ask in (batches.find, batches.cancel, batches.delete, batches.result):
                with pytest.raises(NotFound):
                    await ask(batch.id, owner=owner)
            assert await batches.list(owner=owner) == ()
        assert [each.id for each in await batches.list(owner="k1")] == [batch.id]

    asyncio.run(go())


def test_list_is_of_a_state_and_has_the_newest_first(batches, jobs):
    first, second = submit(batches, b"eins"), submit(batches, b"zwei")
    jobs.is_held = True
    third = submit(batches, b"drei")

    def ids(**chosen) -> list[str]:
        return [each.id for each in asyncio.run(batches.list(**chosen))]

    assert ids() == [third.id, second.id, first.id]
    assert ids(state="done", most=1) == [second.id]
    assert ids(state="queued") == [third.id]


def test_expired_batch_is_not_found_and_is_swept_away(files, models, jobs):
    batches = Batches(files, models, jobs, BatchLimits(100, 50, 3, keep_seconds=0.0))
    batch = submit(batches, b"eins")

    with pytest.raises(NotFound):
        asyncio.run(batches.find(batch.id))
    with pytest.raises(TimeoutError):  # for ever, but the first round comes before a pause
        asyncio.run(asyncio.wait_for(batches.sweep(), timeout=0.2))

    assert left(files) == []


def test_batch_that_waits_for_its_turn_does_not_expire(files, models, jobs):
    batches = Batches(files, models, jobs, BatchLimits(100, 50, 3, keep_seconds=0.001))
    jobs.is_held = True
    batch = submit(batches, b"eins")
    os.utime(files.folders.path(batch.id), (0, 0))

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(batches.sweep(), timeout=0.2))
    assert asyncio.run(batches.find(batch.id)).state == "queued"
    assert [each.id for each in asyncio.run(batches.list())] == [batch.id]

    jobs.run(batch.id)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(batches.sweep(), timeout=0.2))
    assert left(files) == []


def test_upload_that_a_crash_ended_is_swept_away_and_one_on_its_way_is_not(files, models, jobs):
    batches = Batches(files, models, jobs, BatchLimits(100, 50, 3, keep_seconds=0.001))
    dead = files.folders.path("." + "0" * 32)
    dead.mkdir(parents=True)
    os.utime(dead, (0, 0))

    async def go() -> Batch:
        async def blocks() -> AsyncIterator[bytes]:
            yield b"eins\n"
            [coming] = {*left(files)} - {"0" * 32}
            os.utime(files.folders.path(f".{coming}"), (0, 0))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(batches.sweep(), timeout=0.2)
            assert left(files) == [coming]

        return await batches.submit(LINES, blocks())

    assert asyncio.run(go()).record.size == 1


def test_failures_name_no_text(batches):
    for content in (b"geheim\xff", b"geheim\0", b"geheim" * 10):
        with pytest.raises(ServiceError) as caught:
            submit(batches, content)
        assert "geheim" not in str(caught.value)
