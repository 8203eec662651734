"""People and tokens: who is let in, and what a token can give on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.db import people as table
from gateway.db import people_tables
from gateway.db.database import Database
from gateway.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from gateway.model.people import Person, Role, Scope
from gateway.model.users import NewToken, NewUser, UserChange
from gateway.people import service
from gateway.people.audit import AuditWriter, Entry
from gateway.people.secrets import PREFIX, looks_like_secret, make_secret
from gateway.people.service import People

OWNER = Person("root", Role.ADMIN)


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    database = Database(f"sqlite:///{tmp_path}/g.db")
    database.migrate()
    found = People(database, "root")
    await found.add_user(NewUser(name="alice"))
    yield found
    await found.close()
    database.close()


async def _token(people: People, by: Person = OWNER, **values: object) -> str:
    return (await people.add_token(NewToken.model_validate({"person": "alice", **values}), by)).secret


async def test_a_token_is_known_by_its_secret_which_is_stored_nowhere(people: People) -> None:
    secret = await _token(people)
    person = await people.identify(secret)
    assert (person.name, person.role, person.scopes) == ("alice", Role.USER, {Scope.READ, Scope.WRITE})
    rows = await people.database.read(lambda c: str(list(c.execute(select(people_tables.tokens)))))
    assert secret not in rows
    assert secret.startswith(PREFIX)
    assert len(secret) == len(PREFIX) + 43


async def test_what_is_no_token_is_refused_without_a_word_about_why(people: People) -> None:
    expired = await _token(people, expires_at=(datetime.now(UTC) + timedelta(seconds=0.05)).isoformat())
    await asyncio.sleep(0.06)
    refused = {str(await _refusal(people, text)) for text in (make_secret(), expired)}
    assert len(refused) == 1
    for text in ("", "sgw_", "x" * 47, make_secret() + "\n", "sgw_" + "ü" * 43):
        assert not looks_like_secret(text)
        await _refusal(people, text)


async def _refusal(people: People, secret: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await people.identify(secret)
    return caught.value


async def test_a_change_holds_from_the_next_request_on(people: People) -> None:
    secret = await _token(people)
    person = await people.identify(secret)
    await people.change_user("alice", UserChange(role=Role.VIEWER))
    assert (await people.identify(secret)).role is Role.VIEWER
    await people.change_user("alice", UserChange(disabled=True))
    await _refusal(people, secret)
    await people.change_user("alice", UserChange(disabled=False, role=Role.USER))
    assert person.token is not None
    await people.revoke_token(person.token, await people.identify(secret))
    await _refusal(people, secret)


async def test_what_another_process_changed_is_seen_after_some_seconds(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await _token(people)
    monkeypatch.setattr(service, "FRESH", timedelta(0))
    await people.identify(secret)
    at = datetime.now(UTC)
    await people.database.write(lambda c: table.set_person(c, "alice", disabled_at=at))
    await _refusal(people, secret)


async def test_a_thousand_requests_with_one_token_ask_the_database_once(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await _token(people)
    asked = 0
    read = people.database.read

    async def counting(function: object) -> object:
        nonlocal asked
        asked += 1
        return await read(function)  # type: ignore[arg-type]

    monkeypatch.setattr(people.database, "read", counting)
    await asyncio.gather(*(people.identify(secret) for _ in range(1000)))
    assert asked == 1


async def test_the_use_of_a_token_is_noted(people: People) -> None:
    secret = await _token(people)
    await people.identify(secret)
    await people.close()
    (token,) = await people.tokens("alice")
    assert token.used_at is not None


@pytest.mark.parametrize(
    ("maker", "values", "problem"),
    [
        (Person("alice", Role.USER, frozenset({Scope.READ})), {"scopes": ["write"]}, InvalidRequest),
        (Person("alice", Role.USER), {"scopes": ["admin"]}, InvalidRequest),
        (OWNER, {"scopes": ["admin"]}, InvalidRequest),
        (Person("bob", Role.USER), {}, Forbidden),
        (OWNER, {"person": "nobody"}, NotFound),
        (OWNER, {"expires_at": "2001-01-01T00:00:00Z"}, InvalidRequest),
    ],
)
async def test_a_token_never_allows_more_than_its_maker_and_its_person_may(
    people: People, maker: Person, values: dict[str, object], problem: type[Exception]
) -> None:
    with pytest.raises(problem):
        await _token(people, maker, **values)


async def test_a_token_that_ends_makes_none_that_outlives_it(people: People) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    maker = await people.identify(await _token(people, expires_at=soon.isoformat()))
    made = await people.add_token(NewToken(), maker)
    assert made.expires_at is not None
    assert abs(made.expires_at - soon) < timedelta(seconds=1)
    with pytest.raises(InvalidRequest):
        await people.add_token(NewToken(expires_at=soon + timedelta(days=1)), maker)


async def test_the_account_that_runs_the_gateway_is_always_its_administrator(people: People) -> None:
    secret = (await people.add_token(NewToken(), OWNER)).secret
    assert (await people.identify(secret)).role is Role.ADMIN
    users = await people.users()
    assert [(user.name, user.role, user.runs_gateway) for user in users] == [
        ("root", Role.ADMIN, True),
        ("alice", Role.USER, False),
    ]
    for change in (people.change_user("root", UserChange(disabled=True)), people.remove_user("root")):
        with pytest.raises(Conflict):
            await change
    with pytest.raises(Conflict):
        await people.add_user(NewUser(name="alice"))


async def test_a_person_goes_with_all_tokens(people: People) -> None:
    secret = await _token(people)
    await people.identify(secret)
    assert await people.others() == 1
    await people.remove_user("alice")
    await _refusal(people, secret)
    assert await people.others() == 0
    with pytest.raises(NotFound):
        await people.user("alice")


async def test_the_audit_log_forgets_what_is_older_than_it_goes_back_and_nothing_else(people: People) -> None:
    writer = AuditWriter(people.database, days=400)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    ages = [0, 399, 401, 5000] + [500] * 700
    entries = [
        Entry("alice", None, f"r{age}", "act", "POST", "/", "alice", 202, at=now - timedelta(days=age)) for age in ages
    ]
    await asyncio.gather(*(writer.write(entry) for entry in entries))
    assert await writer.forget(now) == 702
    rows = await people.database.read(lambda c: list(table.audit_page(c, table.AuditFilter(), limit=100)))
    assert {row["request"] for row in rows} == {"r0", "r399"}
    assert await AuditWriter(people.database, days=0).forget(now + timedelta(days=9999)) == 0


async def test_audit_rows_of_one_moment_share_a_transaction_and_none_is_lost(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, writes = AuditWriter(people.database), 0
    write = people.database.write

    async def counting(function: object) -> object:
        nonlocal writes
        writes += 1
        return await write(function)  # type: ignore[arg-type]

    monkeypatch.setattr(people.database, "write", counting)
    entries = [Entry("alice", None, f"r{n}", "act", "POST", "/" + "x" * 5000, "alice", 202) for n in range(50)]
    waiting = [asyncio.create_task(writer.write(entry)) for entry in entries]
    await asyncio.sleep(0)
    waiting[7].cancel()
    await writer.close()
    rows = await people.database.read(lambda c: list(table.audit_page(c, table.AuditFilter(), limit=100)))
    assert {row["request"] for row in rows} == {f"r{n}" for n in range(50)}
    assert writes <= 2
