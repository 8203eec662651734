"""Another person who speaks to a site."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx

from tests.api.conftest import PLAIN, Site


@contextlib.asynccontextmanager
async def stranger(site: Site, name: str = "stranger", role: str = "user") -> AsyncIterator[httpx.AsyncClient]:
    """Yield the client of a new person."""
    added = await site.http.post("/api/v1/users", json={"name": name, "role": role})
    assert added.status_code == 201, added.text
    made = await site.http.post("/api/v1/tokens", json={"person": name, "label": "tests"})
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['secret']}"}
    async with httpx.AsyncClient(base_url=site.running.url, headers=headers, timeout=60, **PLAIN) as client:
        yield client
