"""Transports to the real machines of the test bed, closed after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.transport.local import LocalSettings, LocalTransport
from gateway.compute.transport.ssh import SshTransport
from gateway.compute.transport.ssh_login import SshSettings
from testbed.sshd import SshSite

MakeSsh = Callable[..., SshTransport]


@pytest.fixture
async def make_ssh(tmp_path: Path) -> AsyncIterator[MakeSsh]:
    """Make transports to a site; keywords replace settings."""
    made: list[SshTransport] = []

    def make(
        site: SshSite, env: dict[str, str] | None = None, path: str | None = None, **settings: Any
    ) -> SshTransport:
        given: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": site.ssh_port,
            "username": site.user,
            "key_file": site.client_key,
            "host_key": (site.host_key,),
        } | settings
        typed = SshSettings.model_validate({"kind": "ssh"} | {k: v for k, v in given.items() if v is not None})
        made.append(SshTransport(typed, env=env or {}, path=path, state_folder=tmp_path / "state"))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


@pytest.fixture
def local(tmp_path: Path) -> LocalTransport:
    """Commands on this machine."""
    return LocalTransport(LocalSettings(), env={}, path=None, state_folder=tmp_path / "state")
