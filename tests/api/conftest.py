"""A whole gateway behind a real server on loopback, with a real SQLite file; nothing drives its jobs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.server import Running, listening
from gateway.app import Gateway
from gateway.db import jobs, outputs
from gateway.errors import Conflict
from gateway.model.people import Person, Role, Scope
from gateway.model.states import State
from gateway.model.users import NewToken, NewUser
from gateway.settings import Settings, parse
from gateway.storage.stores.base import Place
from tests.databases import lay_database

JOBS = "/api/v1/jobs"
PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}
"""Options of clients that speak plain HTTP: reading certificates for TLS takes a while."""


def specification(**changes: Any) -> dict[str, Any]:
    """The smallest specification that is accepted."""
    return {"name": "flow", "command": ["true"], **changes}


def settings_for(data: Path, **changes: Any) -> Settings:
    """A gateway with a machine, a cluster and three stores."""
    raw: dict[str, Any] = {
        "gateway": {
            "listen": "127.0.0.1:0",
            "data": str(data),
            "default_target": "here",
            "default_store": "disk",
        },
        "targets": {
            "here": {"runtime": {"kind": "auto", "allow_host": True}, "poll_interval": 1},
            "cluster": {"scheduler": {"kind": "slurm", "options": ["qos"]}},
        },
        "stores": {
            "disk": {"kind": "directory", "path": "{data}/outputs"},
            "archive": {"kind": "directory", "path": "{data}/archive", "transfer": "relay"},
        },
    }
    for section, values in changes.items():
        raw[section] = {**raw[section], **values}
    return parse(raw)


@dataclass
class Site:
    """An open gateway, its server, and a client that carries the token."""

    gateway: Gateway
    running: Running
    http: httpx.AsyncClient
    token: str

    async def join(self, name: str, role: Role = Role.USER, scopes: tuple[Scope, ...] | None = None) -> str:
        """Let a person in and return a token of theirs."""
        people = self.gateway.people
        with contextlib.suppress(Conflict):
            await people.add_user(NewUser(name=name, role=role))
        admin = Person(self.gateway.owner, Role.ADMIN)
        return (await people.add_token(NewToken(person=name, scopes=scopes), admin)).secret

    async def submit(self, **changes: Any) -> dict[str, Any]:
        """Submit a job and return it."""
        answer = await self.http.post(JOBS, json=specification(**changes))
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def move(self, job_id: str, *states: State, **values: Any) -> None:
        """Do what the engine does: move a job along."""

        def change(connection: Any) -> None:
            for state in states:
                jobs.change_state(connection, job_id, state)
            if values:
                jobs.set_columns(connection, job_id, **values)

        await self.gateway.database.write(change)

    async def attempt(self, job_id: str, **values: Any) -> None:
        """Do what the engine does at staging."""

        def change(connection: Any) -> None:
            jobs.insert_attempt(connection, job_id, 1, f"gw-{job_id[:8]}{job_id[9:13]}")
            if values:
                jobs.set_attempt(connection, job_id, 1, **values)

        await self.gateway.database.write(change)

    async def store_file(
        self, job_id: str, path: str, data: bytes, *, store: str = "disk", row: dict[str, Any] | None = None
    ) -> None:
        """Put a file in a store and its row in the catalogue."""
        place = Place(job_id, self.gateway.owner)
        await self.gateway.stores[store].prepare(place)
        await self.gateway.stores[store].write(place, path, data, "text/plain")
        values = {"path": path, "size": len(data), "state": "final", "attempt": 1, **(row or {})}
        await self.gateway.database.write(lambda c: outputs.upsert(c, job_id, store, [outputs.OutputRow(**values)]))


@contextlib.asynccontextmanager
async def open_site(settings: Settings) -> AsyncIterator[Site]:
    """Open a gateway that serves and does not drive."""
    if settings.gateway.database.startswith("sqlite:///{data}/"):
        lay_database(settings.gateway.data_folder)
    async with Gateway(settings, drive=False) as gateway, listening(gateway) as running:
        token = running.token_file.read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=running.url, headers=headers, timeout=60, **PLAIN) as http:
            yield Site(gateway, running, http, token)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(settings_for(tmp_path / "data")) as opened:
        yield opened
