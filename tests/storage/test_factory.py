from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway import plugins
from gateway.compute.transport.base import Transport
from gateway.errors import ConfigurationError
from gateway.settings import GatewaySettings
from gateway.storage.factory import build_store
from gateway.storage.stores.azure import AzureStore
from gateway.storage.stores.directory import DirectoryStore
from gateway.storage.stores.rclone import RcloneStore

SECRET = {"env": "TEST_FACTORY_KEY"}
SECTIONS: list[tuple[dict[str, Any], type]] = [
    (
        {
            "kind": "azure",
            "account_url": "https://a.blob.core.windows.net",
            "container": "jobs",
            "credential": {"account_key": SECRET},
        },
        AzureStore,
    ),
    (
        {
            "kind": "rclone",
            "remote": {"type": "s3", "provider": "Other", "endpoint": "http://127.0.0.1:8333"},
            "secrets": {"access_key_id": SECRET, "secret_access_key": SECRET},
            "root": "bucket/jobs",
        },
        RcloneStore,
    ),
    ({"kind": "directory", "path": "{data}/outputs"}, DirectoryStore),
    ({"kind": "directory", "path": "/project/{username}/simulations", "target": "cluster"}, DirectoryStore),
]


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_FACTORY_KEY", "a2V5LW9mLWFjY291bnQ=")


@pytest.mark.parametrize(("section", "kind"), SECTIONS)
async def test_each_section_of_the_contract_becomes_its_store(
    section: dict[str, Any], kind: type, tmp_path: Path, local_transport: Transport
) -> None:
    settings = GatewaySettings(data=tmp_path)
    store = build_store("blobs", section, settings, {"cluster": local_transport})
    assert type(store) is kind
    assert store.name == "blobs"
    assert store.context.local_targets == {"cluster"}
    assert store.context.target == section.get("target")
    await store.close()


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({}, "stores.x.kind"),
        ({"kind": "ftp"}, "stores.x.kind"),
        ({"kind": "directory"}, "stores.x.path"),
        ({"kind": "directory", "path": "/x", "colour": "red"}, "stores.x.colour"),
        ({"kind": "directory", "path": "/x", "target": "nowhere"}, "stores.x.target"),
        ({"kind": "directory", "path": "x"}, "stores.x"),
        ({**SECTIONS[0][0], "credential": {"account_key": {"env": "TEST_NOT_SET"}}}, "stores.x"),
    ],
)
def test_a_mistake_is_named_by_its_key(section: dict[str, Any], key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_store("x", section, GatewaySettings(data=tmp_path), {})
    assert [error.pointer for error in caught.value.errors] == [key]
    assert "a2V5" not in str(caught.value)


def test_the_kinds_are_entry_points() -> None:
    assert set(plugins.known("stores")) >= {"azure", "directory", "rclone"}
