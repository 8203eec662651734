"""Pages are made once for many readers, and are never older than the question."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from gateway.db.changes import Changes
from gateway.db.database import Database
from gateway.jobs.pages import Pages

INSERT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO words VALUES ('theirs')")
connection.commit()
"""


class Unknowable(Changes):
    """Of a database that cannot tell about changes."""

    def __init__(self) -> None:
        super().__init__(create_engine("sqlite://"))


class Counted(Unknowable):
    """Of a database whose changes the test makes."""

    value = 0

    def number(self) -> int:
        return self.value


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/pages.db")
    await opened.write(lambda c: c.execute(text("CREATE TABLE words (word TEXT)")))
    yield opened
    opened.close()


@pytest.fixture
async def pages(database: Database) -> AsyncIterator[Pages]:
    made = Pages(Changes(database.engine))
    yield made
    await made.close()


async def read(pages: Pages, database: Database, made: list[None] | None = None) -> bytes:
    async def make() -> bytes:
        if made is not None:
            made.append(None)
        return await database.read(lambda c: " ".join(c.scalars(text("SELECT word FROM words"))).encode())

    return (await pages.get("words", make)).data


async def test_a_page_is_made_once_while_nothing_is_written(pages: Pages, database: Database) -> None:
    made: list[None] = []
    for _ in range(3):
        assert await read(pages, database, made) == b""
    assert len(made) == 1


async def test_a_page_read_after_a_write_of_this_process_shows_it(pages: Pages, database: Database) -> None:
    for number in range(5):
        await database.write(lambda c, n=number: c.execute(text(f"INSERT INTO words VALUES ('w{n}')")))  # type: ignore[misc]
        assert f"w{number}".encode() in await read(pages, database)


async def test_a_page_read_after_a_write_of_another_process_shows_it(
    pages: Pages, database: Database, tmp_path: Path
) -> None:
    assert await read(pages, database) == b""
    command = [sys.executable, "-c", INSERT, str(tmp_path / "pages.db")]
    await asyncio.to_thread(subprocess.run, command, check=True)
    assert await read(pages, database) == b"theirs"


async def test_what_is_not_committed_changes_nothing(pages: Pages, database: Database, tmp_path: Path) -> None:
    made: list[None] = []
    await read(pages, database, made)
    other = sqlite3.connect(tmp_path / "pages.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO words VALUES ('perhaps')")
    assert await read(pages, database, made) == b""
    assert len(made) == 1
    other.execute("COMMIT")
    other.close()
    assert await read(pages, database, made) == b"perhaps"


@pytest.mark.parametrize("changes", [Counted(), Unknowable()])
async def test_all_who_ask_at_once_share_one_page_and_who_comes_later_shares_the_next(changes: Changes) -> None:
    pages = Pages(changes)
    made: list[asyncio.Future[bytes]] = []

    async def make() -> bytes:
        made.append(asyncio.get_running_loop().create_future())
        return await made[-1]

    first = [asyncio.create_task(pages.get("key", make)) for _ in range(20)]
    while not made:
        await asyncio.sleep(0)
    if isinstance(changes, Counted):
        changes.value += 1
    second = [asyncio.create_task(pages.get("key", make)) for _ in range(20)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(made) == 1
    made[0].set_result(b"old")
    assert {page.data for page in await asyncio.gather(*first)} == {b"old"}
    while len(made) < 2:
        await asyncio.sleep(0)
    made[1].set_result(b"new")
    assert {page.data for page in await asyncio.gather(*second)} == {b"new"}
    await pages.close()


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    pages = Pages(Counted())
    calls = 0

    async def make() -> bytes:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("no")
        return b"yes"

    answers = await asyncio.gather(*(pages.get("key", make) for _ in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["no"] * 3
    assert (await pages.get("key", make)).data == b"yes"


async def test_a_reader_that_leaves_takes_the_page_from_nobody() -> None:
    pages = Pages(Counted())
    go = asyncio.Event()

    async def make() -> bytes:
        await go.wait()
        return b"page"

    leaving, staying = (asyncio.create_task(pages.get("key", make)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    go.set()
    assert (await staying).data == b"page"


@given(
    sizes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300)), max_size=40),
    writes=st.sets(st.integers(0, 39), max_size=3),
)
@settings(max_examples=50, deadline=None)
def test_kept_pages_stay_within_their_bytes_and_are_those_of_their_key(
    sizes: list[tuple[int, int]], writes: set[int]
) -> None:
    async def run() -> None:
        changes = Counted()
        pages = Pages(changes, max_bytes=500)
        for number, (key, size) in enumerate(sizes):
            changes.value += number in writes
            wanted = (f"{key}:{changes.value}:".encode() * 300)[:size]
            page = await pages.get(key, lambda wanted=wanted: asyncio.sleep(0, wanted))  # type: ignore[misc]
            assert page.data[:4] == f"{key}:{changes.value}:".encode()[: len(page.data[:4])]
            kept = [page.data for page in pages._kept.values()]
            assert sum(map(len, kept)) == pages._bytes <= 500

    asyncio.run(run())


@given(script=st.lists(st.sampled_from(["write", "read", "turn"]), max_size=40), counted=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_page_is_older_than_the_question_for_it(script: list[str], counted: bool) -> None:
    async def run() -> None:
        changes = Counted() if counted else Unknowable()
        pages = Pages(changes)
        stored = 0

        async def make() -> bytes:
            await asyncio.sleep(0)
            seen = stored
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return str(seen).encode()

        async def check(least: int) -> None:
            assert int((await pages.get("key", make)).data) >= least

        readers = []
        for step in script:
            if step == "write":
                stored += 1
                if isinstance(changes, Counted):
                    changes.value += 1
            elif step == "read":
                readers.append(asyncio.create_task(check(stored)))
            else:
                await asyncio.sleep(0)
        await asyncio.gather(*readers)
        await pages.close()

    asyncio.run(run())
