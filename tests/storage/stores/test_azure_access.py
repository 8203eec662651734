"""What nodes get of an Azure account: it ends, can be ended before, and tells whose blobs are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import UserDelegationKey
from pydantic import ValidationError

from gateway.compute.transport.base import RcloneRemote
from gateway.storage.rclone import address, find_rclone
from gateway.storage.stores.azure import AzureStore
from gateway.storage.stores.azure_access import PrincipalCredential
from gateway.storage.stores.azure_client import AzureSettings
from gateway.storage.stores.base import Place

MakeStore = Callable[..., Any]
SECRET = "very-secret-of-the-application"

pytestmark = pytest.mark.real


def push(remote: RcloneRemote, source: Path) -> subprocess.CompletedProcess[str]:
    """Copy a folder as the node does."""
    argv = [str(find_rclone()), "copy", str(source), address("S0", remote, folder=True), *remote.arguments]
    env = {"RCLONE_CONFIG": os.devnull, "PATH": "/usr/bin:/bin", **remote.environment("S0")}
    return subprocess.run([*argv, "--retries", "1"], env=env, capture_output=True, text=True, timeout=60)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    (made / "a.vtk").write_text("hello")
    return made


async def test_credentials_of_a_job_end_before_its_outputs_are_looked_at(
    make_store: MakeStore, azure_section: dict[str, Any], place: Place, source: Path
) -> None:
    store = make_store(AzureStore, **azure_section, layout="container")
    await store.prepare(place)
    first = await store.push_remote(place, timedelta(hours=1), target="cluster")
    renewed = await store.push_remote(place, timedelta(days=2), target="cluster")
    assert push(first, source).returncode == 0
    assert await store.revoke_push(place)
    (source / "late").write_text("x")
    for remote in (first, renewed):
        assert push(remote, source).returncode != 0
    assert await store.stat(place, "late") is None
    again = await store.push_remote(place, timedelta(hours=1), target="cluster")
    assert push(first, source).returncode != 0
    assert push(again, source).returncode == 0
    assert await store.revoke_push(place)
    assert await store.revoke_push(Place(place.job_id[:-1] + "0", "alice"))
    assert push(await store.relay_remote(place), source).returncode == 0


async def test_in_one_container_for_all_the_store_says_that_it_cannot_end_them(
    make_store: MakeStore, azure_section: dict[str, Any], place: Place
) -> None:
    assert not await make_store(AzureStore, **azure_section).revoke_push(place)


async def test_blobs_tell_whose_they_are_from_the_moment_they_are_there(
    make_store: MakeStore, azure_section: dict[str, Any], place: Place, source: Path
) -> None:
    store = make_store(AzureStore, **azure_section, layout="container")
    mine = Place(place.job_id, owner="ünal@example.org", case="cavity")
    await store.prepare(mine)
    done = push(await store.push_remote(mine, timedelta(hours=1), target="cluster"), source)
    assert done.returncode == 0, done.stderr
    [blob] = store._client(mine.job_id).list_blobs(include=["tags", "metadata"])
    assert blob.tags == {"job": mine.job_id, "case": "cavity", "owner": ":C3:BCnal:40example.org"}
    assert blob.content_settings.content_disposition == "attachment"
    found = list(store._service.find_blobs_by_tags(f"\"job\"='{mine.job_id}'"))
    assert [item.name for item in found] == ["a.vtk"]
    [known] = [item async for item in store.list(mine)]
    await store.annotate(mine, "a.vtk", known.content_type, {"owner": "ünal", "sha256": "0" * 64}, known)
    after = await store.stat(mine, "a.vtk")
    assert (after.metadata["owner"], after.metadata["sha256"]) == ("%C3%BCnal", "0" * 64)
    assert (after.md5, after.modified_at, after.content_type) == (known.md5, known.modified_at, known.content_type)
    await store.annotate(mine, "a.vtk", "model/vtk", {"owner": "ünal"}, after)
    [blob] = store._client(mine.job_id).list_blobs(include=["tags"])
    assert (blob.content_settings.content_type, blob.content_settings.content_disposition) == (
        "model/vtk",
        "attachment",
    )
    assert bytes(blob.content_settings.content_md5).hex() == known.md5
    assert blob.tags is not None


class Authority:
    """A sign-in service on this machine."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.paths: list[str] = []
        self.status = 200
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                authority.asked.append(parse_qs(body))
                authority.paths.append(self.path)
                good = {"access_token": f"token-{len(authority.asked)}", "expires_in": 3600}
                bad = {"error": "invalid_client", "error_description": f"AADSTS7000215: Invalid secret '{SECRET}'."}
                data = json.dumps(good if authority.status == 200 else bad).encode()
                self.send_response(authority.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def authority() -> Iterator[Authority]:
    made = Authority()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_token_is_asked_for_once_and_its_refusal_names_no_secret(authority: Authority) -> None:
    credential = PrincipalCredential(authority.url, "tenant", "application", lambda: SECRET)
    scope = "https://storage.azure.com/.default"
    assert credential.get_token(scope).token == credential.get_token(scope).token == "token-1"
    assert authority.paths == ["/tenant/oauth2/v2.0/token"]
    form = {"grant_type": ["client_credentials"], "client_id": ["application"], "scope": [scope]}
    assert authority.asked == [{**form, "client_secret": [SECRET]}]
    authority.status = 401
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215") as caught:
        credential.get_token("other")
    assert SECRET not in str(caught.value)


PRINCIPAL = {"tenant_id": "tenant", "client_id": "application", "client_secret": {"env": "TEST_APPLICATION_SECRET"}}


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> UserDelegationKey:
    """The key that the service lends."""
    monkeypatch.setenv("TEST_APPLICATION_SECRET", SECRET)
    key = UserDelegationKey()
    key.signed_oid, key.signed_tid, key.signed_service, key.signed_version = "object", "tenant", "b", "2025-11-05"
    now = datetime.now(UTC).replace(microsecond=0)
    key.signed_start, key.signed_expiry = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (now, now + timedelta(days=7)))
    key.value = base64.b64encode(b"k" * 32).decode()
    return key


async def test_with_a_service_principal_a_key_that_the_service_lends_signs(
    make_store: MakeStore, authority: Authority, place: Place, lent: UserDelegationKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = {"account_url": "https://acct.blob.core.windows.net", "layout": "container", "index_tags": False}
    principal = {**PRINCIPAL, "authority": authority.url}
    store = make_store(AzureStore, **section, credential={"service_principal": principal})
    asked: list[tuple[datetime, datetime]] = []

    def lend(start: datetime, expiry: datetime, **_options: Any) -> UserDelegationKey:
        asked.append((start, expiry))
        return lent

    monkeypatch.setattr(store._service, "get_user_delegation_key", lend)
    remote = await store.push_remote(place, timedelta(days=30), target="cluster")
    url = urlsplit(remote.options["sas_url"])
    fields = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (fields["skoid"], fields["sktid"], fields["sks"], fields["sr"], fields["sp"]) == (
        "object",
        "tenant",
        "b",
        "c",
        "rcwlt",
    )
    assert set(fields) >= {"skt", "ske", "skv", "se", "st", "sig", "sv"}
    life = datetime.fromisoformat(fields["se"]) - datetime.now(UTC)
    assert timedelta(days=6) < life < timedelta(days=7)
    assert len(base64.b64decode(fields["sig"])) == len(hmac.new(b"k" * 32, b"", hashlib.sha256).digest())
    assert await store.signed_url(place, "a b", timedelta(minutes=5), "a b") is not None
    await store.relay_remote(place)
    assert len(asked) == 1
    assert not await store.revoke_push(place)
    assert SECRET not in unquote(str(remote))
    assert SECRET not in repr(store.settings)


@pytest.mark.parametrize(
    ("account_url", "authority"),
    [
        ("http://acct.blob.core.windows.net", "https://login.microsoftonline.com"),
        ("https://acct.blob.core.windows.net", "http://login.example.org"),
        ("https://acct.blob.core.windows.net", "https://login.example.org/path?x"),
    ],
)
def test_an_application_s_secret_and_tokens_are_sent_over_https_only(account_url: str, authority: str) -> None:
    credential = {"service_principal": {**PRINCIPAL, "authority": authority}}
    section = {"kind": "azure", "account_url": account_url, "container": "jobs", "credential": credential}
    with pytest.raises(ValidationError):
        AzureSettings.model_validate(section)
