"""People and tokens: who a secret belongs to, and what administrators change about that."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from gateway.db import people as table
from gateway.db.database import Database
from gateway.errors import Conflict, FieldError, Forbidden, GatewayError, InvalidRequest, NotFound, Unauthenticated
from gateway.model.people import SCOPES_OF, Person, Role, Scope
from gateway.model.users import NewlyMadeToken, NewToken, NewUser, Token, User, UserChange
from gateway.people.secrets import digest_of, looks_like_secret, make_secret

log = logging.getLogger(__name__)

FRESH = timedelta(seconds=5)
"""How long a change by another process may go unnoticed."""
USED_EVERY = timedelta(minutes=1)
MAX_KNOWN = 10_000
_REFUSED = "the token is not valid"


@dataclass(frozen=True)
class _Known:
    """What a secret was found to be: a person, or nobody for a reason."""

    person: Person | None
    expires_at: datetime | None
    until: datetime


class People:
    """Everybody who may use this gateway.

    Parameters
    ----------
    owner
        The account that the gateway runs as: always there, always an admin.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self.database = database
        self.owner = owner
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[_Known]] = {}
        self._used: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._owners: dict[tuple[str, str], str] = {}
        self._others: tuple[datetime, int] | None = None

    # --- Who is it

    async def identify(self, secret: str) -> Person:
        """Return whose token it is.

        Raises
        ------
        Unauthenticated
            It is nobody's, has expired or was revoked, or its person is disabled. All sound alike to a stranger.
        """
        if not looks_like_secret(secret):
            raise Unauthenticated(_REFUSED)
        digest, now = digest_of(secret), datetime.now(UTC)
        known = self._known.get(digest)
        if known is None or known.until <= now:
            known = await self._ask(digest)
        person = known.person
        if person is None or (known.expires_at is not None and known.expires_at <= now):
            raise Unauthenticated(_REFUSED, hint="it may have expired or been revoked: ask for a new one")
        if person.token is not None:
            self._note_use(person.token, now)
        return person

    async def _ask(self, digest: str) -> _Known:
        """Ask the database, once for all requests that come with the same secret at the same time."""
        task = self._asking.get(digest)
        if task is None:
            task = self._asking[digest] = asyncio.create_task(self._look_up(digest))
            task.add_done_callback(lambda _: self._asking.pop(digest, None))
        return await asyncio.shield(task)

    async def _look_up(self, digest: str) -> _Known:
        row = await self.database.read(lambda c: table.find_token(c, digest))
        now = datetime.now(UTC)
        person = None
        if row is not None and row["revoked_at"] is None and row["disabled_at"] is None:
            scopes = frozenset(Scope(scope) for scope in row["scopes"])
            role = Role.ADMIN if row["person"] == self.owner else Role(row["role"])
            person = Person(row["person"], role, scopes, row["id"])
        known = _Known(person, row["expires_at"] if row is not None else None, now + FRESH)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[digest] = known
        return known

    def _note_use(self, token: str, now: datetime) -> None:
        if now - self._used.get(token, datetime.min.replace(tzinfo=UTC)) < USED_EVERY:
            return
        if len(self._used) >= MAX_KNOWN:
            self._used.clear()
        self._used[token] = now
        task = asyncio.create_task(self._write_use(token, now))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_use(self, token: str, at: datetime) -> None:
        try:
            await self.database.write(lambda c: table.use_token(c, token, at))
        except GatewayError as error:
            log.warning("the use of a token could not be noted: %s", error)

    def forget(self) -> None:
        """Ask the database again about everybody: something changed."""
        self._known.clear()
        self._others = None

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._tasks, *self._asking.values(), return_exceptions=True)

    # --- On whose behalf

    async def owner_of(self, kind: str, thing: str) -> str | None:
        """Return whose job (``jobs``) or sweep (``sweeps``) it is; None where there is none. Owners never change."""
        found = self._owners.get((kind, thing))
        if found is None:
            query = table.owner_of_job if kind == "jobs" else table.owner_of_sweep
            found = await self.database.read(lambda c: query(c, thing))
            if found is not None:
                if len(self._owners) >= MAX_KNOWN:
                    self._owners.clear()
                self._owners[kind, thing] = found
        return found

    async def others(self) -> int:
        """Return how many people may use the gateway besides its own account; a few seconds old at most."""
        now = datetime.now(UTC)
        if self._others is None or self._others[0] <= now:
            count = await self.database.read(lambda c: table.count_enabled(c, self.owner))
            self._others = (now + FRESH, count)
        return self._others[1]

    # --- People

    async def users(self) -> list[User]:
        """Return everybody, the gateway's own account first."""
        rows = await self.database.read(table.list_people)
        others = [_user(row) for row in rows if row["name"] != self.owner]
        return [self._self(next((row for row in rows if row["name"] == self.owner), None)), *others]

    async def user(self, name: str) -> User:
        """Return one person; raises `NotFound`."""
        row = await self.database.read(lambda c: table.get_person(c, name))
        return self._self(row) if name == self.owner else _user(_there(row, name))

    def _self(self, row: RowMapping | None) -> User:
        at = row["created_at"] if row is not None else None
        return User(name=self.owner, role=Role.ADMIN, created_at=at, runs_gateway=True)

    async def add_user(self, new: NewUser) -> User:
        """Store a person; raises `Conflict` where there is one of that name."""
        taken = Conflict(f"there is a person named {new.name!r} already")
        if new.name == self.owner:
            raise taken
        try:
            await self.database.write(lambda c: table.insert_person(c, new.name, new.role, datetime.now(UTC)))
        except IntegrityError:
            raise taken from None
        self.forget()
        return await self.user(new.name)

    async def change_user(self, name: str, change: UserChange) -> User:
        """Change role and whether the person is disabled.

        Raises
        ------
        NotFound
        Conflict
            It is the account that runs the gateway: it stays an admin.
        """
        if name == self.owner:
            raise Conflict(f"{name} runs this gateway and stays its administrator")

        def write(connection: Connection) -> None:
            row = _there(table.get_person(connection, name), name)
            values: dict[str, Any] = {}
            if change.role is not None:
                values["role"] = str(change.role)
            if change.disabled is not None and change.disabled != (row["disabled_at"] is not None):
                values["disabled_at"] = datetime.now(UTC) if change.disabled else None
            if values:
                table.set_person(connection, name, **values)

        await self.database.write(write)
        self.forget()
        return await self.user(name)

    async def remove_user(self, name: str) -> None:
        """Forget a person with all tokens.

        Raises
        ------
        NotFound
        Conflict
            Jobs are theirs: somebody new of the same name would own them.
        """
        if name == self.owner:
            raise Conflict(f"{name} runs this gateway and stays its administrator")

        def write(connection: Connection) -> None:
            _there(table.get_person(connection, name), name)
            if count := table.count_jobs(connection, name):
                what = "job is" if count == 1 else "jobs are"
                raise Conflict(
                    f"{count} {what} theirs, and would be those of the next person of that name",
                    hint=f"disable {name} instead",
                )
            table.delete_person(connection, name)

        await self.database.write(write)
        self.forget()

    # --- Tokens

    async def tokens(self, person: str | None) -> list[Token]:
        """Return the tokens of a person, or of all, newest first."""
        rows = await self.database.read(lambda c: table.list_tokens(c, person))
        return [_token(row) for row in rows]

    async def add_token(self, new: NewToken, maker: Person) -> NewlyMadeToken:
        """Make a token. Its secret is in the answer and nowhere else.

        Raises
        ------
        Forbidden
            It is for somebody else, and the maker is no admin.
        NotFound
            There is no such person.
        InvalidRequest
            It would allow more than the person's role does, or (admins apart) more than the maker's own token.
        """
        name = new.person or maker.name
        if name != maker.name and not maker.may(Scope.ADMIN):
            raise Forbidden("only an administrator makes tokens for somebody else")
        secret = make_secret()

        def write(connection: Connection) -> RowMapping:
            now = datetime.now(UTC)
            row = table.get_person(connection, name)
            if row is None and name == self.owner:
                table.insert_person(connection, name, Role.ADMIN, now)
            elif row is None or row["disabled_at"] is not None:
                raise NotFound(f"there is no person {name[:128]!a} who may use this gateway")
            role = Role.ADMIN if name == self.owner else Role(row["role"]) if row is not None else Role.VIEWER
            made_by = table.get_token(connection, maker.token) if maker.token else None
            bound = made_by["expires_at"] if made_by is not None and not maker.may(Scope.ADMIN) else None
            values = {
                "id": str(uuid.uuid4()),
                "person": name,
                "label": new.label,
                "hash": digest_of(secret),
                "scopes": [str(scope) for scope in scopes_for(new, role, maker)],
                "created_at": now,
                "expires_at": expiry_for(new.expires_at, bound, now),
            }
            table.insert_token(connection, values)
            found = table.get_token(connection, str(values["id"]))
            assert found is not None
            return found

        made = await self.database.write(write)
        return NewlyMadeToken(**_token(made).model_dump(), secret=secret)

    async def revoke_token(self, token_id: str, by: Person) -> None:
        """Let a token open nothing any more; raises `NotFound` for one that is somebody else's."""

        def write(connection: Connection) -> None:
            row = table.get_token(connection, token_id[:64])
            if row is None or (row["person"] != by.name and not by.may(Scope.ADMIN)):
                raise NotFound(f"there is no token {token_id[:64]!a}")
            table.revoke_token(connection, token_id, datetime.now(UTC))

        await self.database.write(write)
        self.forget()


def scopes_for(new: NewToken, role: Role, maker: Person) -> list[Scope]:
    """Return the scopes of a new token, in their order.

    Raises
    ------
    InvalidRequest
        One is more than the person's role or the maker's own token allows.
    """
    allowed = SCOPES_OF[role]
    if not maker.may(Scope.ADMIN):
        allowed &= maker.scopes
    wanted: Iterable[Scope] = new.scopes if new.scopes is not None else allowed
    excess = sorted(set(wanted) - allowed)
    if excess:
        detail = f"{', '.join(excess)}: the most that can be given is {', '.join(s for s in Scope if s in allowed)}"
        raise InvalidRequest([FieldError("#/scopes", detail)])
    return [scope for scope in Scope if scope in set(wanted)]


def expiry_for(wanted: datetime | None, bound: datetime | None, now: datetime) -> datetime | None:
    """Return when a new token expires; `bound` is when the token that makes it does.

    Raises
    ------
    InvalidRequest
        The moment has passed, or is later than `bound`.
    """
    if wanted is not None and wanted <= now:
        raise InvalidRequest([FieldError("#/expires_at", "has passed already")])
    if wanted is not None and bound is not None and wanted > bound:
        raise InvalidRequest([FieldError("#/expires_at", f"is later than that of your own token, {bound:%Y-%m-%d}")])
    return wanted or bound


def _there(row: RowMapping | None, name: str) -> RowMapping:
    if row is None:
        raise NotFound(f"there is no person {name[:128]!a}")
    return row


def _user(row: Mapping[str, Any] | RowMapping) -> User:
    return User(name=row["name"], role=Role(row["role"]), created_at=row["created_at"], disabled_at=row["disabled_at"])


def _token(row: RowMapping) -> Token:
    return Token(**{name: row[name] for name in Token.model_fields})
