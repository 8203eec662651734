"""Stores on the real thing, each with a place of its own."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.transport.base import Transport
from gateway.compute.transport.local import LocalSettings, LocalTransport
from gateway.compute.transport.ssh import SshTransport
from gateway.compute.transport.ssh_login import SshSettings
from gateway.storage.stores.azure import AzureStore
from gateway.storage.stores.base import Place, Store, StoreContext
from gateway.storage.stores.directory import DirectoryStore
from gateway.storage.stores.rclone import RcloneStore
from testbed.azurite import Azurite
from testbed.processes import free_ports
from testbed.seaweed import Seaweed
from testbed.sshd import SshSite

MakeStore = Callable[..., Store]


@pytest.fixture
def dead_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    return free_ports(1)[0]


@pytest.fixture
def place() -> Place:
    return Place(str(uuid.uuid4()), owner="alice", case="cavity")


@pytest.fixture
def local_transport(tmp_path: Path) -> LocalTransport:
    return LocalTransport(LocalSettings(kind="local"), env={}, path=None, state_folder=tmp_path / "state")


@pytest.fixture
def ssh_settings(plain_sshd: SshSite) -> SshSettings:
    return SshSettings(
        host="127.0.0.1",
        port=plain_sshd.ssh_port,
        username=plain_sshd.accounts[0].name,
        key_file=plain_sshd.client_key,
        host_key=(plain_sshd.host_key,),
    )


@pytest.fixture
async def ssh_transport(ssh_settings: SshSettings, tmp_path: Path) -> AsyncIterator[SshTransport]:
    transport = SshTransport(ssh_settings, env={}, path=None, state_folder=tmp_path / "state")
    yield transport
    await transport.close()


@pytest.fixture
async def make_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeStore]:
    """Make a store of a class from a section; it is closed at the end."""
    made: list[Store] = []

    def make(kind: type[Store], *, transport: Transport | None = None, **section: Any) -> Store:
        context = StoreContext(
            "blobs",
            tmp_path / "data",
            transport,
            transport.username if transport else "",
            "cluster" if transport else None,
            frozenset({"here"}),
        )
        store = kind(kind.Settings.model_validate({"kind": kind.kind, **section}), context)
        made.append(store)
        return store

    yield make
    for store in made:
        await store.close()


@pytest.fixture
def azure_section(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("TEST_ACCOUNT_KEY", azurite.key)
    return {
        "account_url": azurite.account_url,
        "container": "jobs-" + secrets.token_hex(6),
        "credential": {"account_key": {"env": "TEST_ACCOUNT_KEY"}},
    }


@pytest.fixture
def s3_section(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("TEST_S3_ID", seaweed.access_key)
    monkeypatch.setenv("TEST_S3_KEY", seaweed.secret_key)
    return {
        "remote": {"type": "s3", "provider": "SeaweedFS", "endpoint": seaweed.endpoint},
        "secrets": {"access_key_id": {"env": "TEST_S3_ID"}, "secret_access_key": {"env": "TEST_S3_KEY"}},
        "root": f"{seaweed.bucket}/{secrets.token_hex(6)}",
    }


@pytest.fixture(params=["azure prefix", "azure container", "s3", "directory", "directory on a target"])
async def store(request: pytest.FixtureRequest, make_store: MakeStore, tmp_path: Path, place: Place) -> Store:
    """Each kind of store in turn, prepared for `place`."""
    if request.param.startswith("azure"):
        section = request.getfixturevalue("azure_section")
        made = make_store(AzureStore, **section, layout=request.param.split()[1])
    elif request.param == "s3":
        made = make_store(RcloneStore, **request.getfixturevalue("s3_section"))
    else:
        transport = request.getfixturevalue("local_transport") if "target" in request.param else None
        target = {"target": "cluster"} if transport else {}
        made = make_store(DirectoryStore, transport=transport, path=str(tmp_path / "outputs"), **target)
    await made.prepare(place)
    return made
