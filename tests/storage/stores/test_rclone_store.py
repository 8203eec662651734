from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from rclone_python import utils as library_utils

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import StoreError, StoreUnreachable
from gateway.storage.rclone import Rclone, address
from gateway.storage.rclone_library import RcloneLibrary, configuration
from gateway.storage.stores.base import Place
from gateway.storage.stores.rclone import RcloneStore
from gateway.storage.stores.rclone_settings import RcloneSettings
from testbed.seaweed import Seaweed

MakeStore = Callable[..., Any]


def settings(**change: Any) -> RcloneSettings:
    section = {
        "kind": "rclone",
        "remote": {"type": "s3", "provider": "Other", "endpoint": "http://127.0.0.1:1"},
        "root": "bucket/jobs",
        **change,
    }
    return RcloneSettings.model_validate(section)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"remote": {"type": "s3,env_auth=true"}}, "backends"),
        ({"remote": {"type": ":sftp,ssh='touch x':"}}, "backends"),
        ({"remote": {"provider": "Other"}}, "backends"),
        ({"remote": {"type": "alias", "remote": "/"}}, "another remote"),
        ({"remote": {"type": "union", "upstreams": "a: b:"}}, "another remote"),
        ({"remote": {"type": "crypt", "remote": "x:"}}, "another remote"),
        ({"remote": {"type": "local"}}, "directory"),
        ({"remote": {"type": "sftp", "ssh": "touch x"}}, "run a program"),
        ({"remote": {"type": "sftp", "server_command": "x"}}, "run a program"),
        ({"remote": {"type": "sftp", "sha256sum_command": "x"}}, "run a program"),
        ({"remote": {"type": "webdav", "bearer_token_command": "x"}}, "run a program"),
        ({"remote": {"type": "s3"}, "secrets": {"ssh": {"env": "X"}}}, "run a program"),
        ({"remote": {"type": "s3", "global.config": "x"}}, "not the name"),
        ({"remote": {"type": "s3", "override.x": "x"}}, "not the name"),
        ({"remote": {"type": "s3", "secret_access_key": "abc"}}, "is a secret"),
        ({"remote": {"type": "sftp", "pass": "abc"}}, "is a secret"),
        ({"remote": {"type": "s3", "endpoint": "a\nb"}}, "control"),
        ({"root": "../x"}, "plain path"),
        ({"root": "a//b"}, "plain path"),
        ({"root": "other:bucket"}, "path only"),
        ({"root": ""}, "plain path"),
        ({"layout": "container"}, "prefix only"),
    ],
)
def test_remotes_that_could_run_something_or_lead_elsewhere_are_refused(change: dict[str, Any], word: str) -> None:
    settings()
    with pytest.raises(ValueError, match=word):
        settings(**change)


@pytest.mark.real
async def test_only_push_by_choice_hands_the_secrets_to_the_node(
    make_store: MakeStore, s3_section: dict[str, Any], place: Place, seaweed: Seaweed
) -> None:
    relayed = make_store(RcloneStore, **s3_section)
    assert await relayed.push_remote(place, timedelta(hours=1), target="cluster") is None
    pushed = await make_store(RcloneStore, **s3_section, transfer="push").push_remote(
        place, timedelta(hours=1), target="cluster"
    )
    assert pushed is not None
    assert pushed.options["secret_access_key"] == seaweed.secret_key
    assert seaweed.secret_key not in " ".join([*pushed.arguments, pushed.root])
    assert not any("\n" in argument for argument in pushed.arguments)


@pytest.mark.real
async def test_objects_carry_job_case_owner_and_content_type_from_their_upload(
    make_store: MakeStore, s3_section: dict[str, Any], tmp_path: Path, place: Place
) -> None:
    store = make_store(RcloneStore, **s3_section)
    remote = await store.relay_remote(Place(place.job_id, owner="ünal", case="cavity"))
    (tmp_path / "a.vtk").write_text("x")
    arguments = ["copy", "--header-upload", "Content-Type: application/vnd.vtk", *remote.arguments]
    done = await Rclone().run([*arguments, str(tmp_path / "a.vtk"), address("S", remote, folder=True)], {"S": remote})
    assert done.exit_status == 0, done.message
    listed = await Rclone().run(["lsjson", "--metadata", address("S", remote, folder=True)], {"S": remote})
    text = listed.stdout.decode()
    for part in (f'"job":"{place.job_id}"', '"case":"cavity"', '"owner":"%C3%BCnal"', "application/vnd.vtk"):
        assert part in text
    found = await store.stat(place, "a.vtk")
    assert found is not None
    assert found.content_type == "application/vnd.vtk"


async def test_a_store_that_is_down_is_unreachable_and_no_error_shows_a_secret(
    make_store: MakeStore, dead_port: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_S3_ID", "identity-of-someone")
    monkeypatch.setenv("TEST_S3_KEY", "secret-of-someone")
    store = make_store(
        RcloneStore,
        remote={"type": "s3", "provider": "Other", "endpoint": f"http://127.0.0.1:{dead_port}"},
        secrets={"access_key_id": {"env": "TEST_S3_ID"}, "secret_access_key": {"env": "TEST_S3_KEY"}},
        root="bucket",
    )
    async with asyncio.timeout(40):
        with pytest.raises(StoreUnreachable) as listing:
            assert [item async for item in store.list(place)]
        with pytest.raises(StoreUnreachable) as writing:
            await store.write(place, "x", b"1", "text/plain")
        [probe] = await store.probe()
    assert probe.status == "failed"
    for text in (str(listing.value), str(writing.value), probe.detail):
        assert "someone" not in text


async def test_an_unknown_backend_is_named(make_store: MakeStore, place: Place) -> None:
    store = make_store(RcloneStore, remote={"type": "nosuchthing"}, root="x")
    with pytest.raises(StoreError, match="nosuchthing"):
        await store.relay_remote(place)


async def test_passwords_are_obscured_for_rclone(
    make_store: MakeStore, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PASSWORD", "correct horse")
    store = make_store(
        RcloneStore,
        remote={"type": "sftp", "host": "127.0.0.1"},
        secrets={"pass": {"env": "TEST_PASSWORD"}},
        root="/data",
    )
    remote = await store.relay_remote(place)
    assert remote.root == f"/data/{place.job_id}"
    assert "correct horse" not in str(remote.options)
    revealed = await Rclone().run(["reveal", "--", remote.options["pass"]])
    assert revealed.stdout.decode().strip() == "correct horse"


async def test_no_hostile_name_reaches_the_shell_of_rclone_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library runs a shell (first part: it does execute); through `RcloneLibrary` nothing of a name gets there."""
    monkeypatch.chdir(tmp_path)
    hostile = "a\"; touch executed; $(touch executed) `touch executed` 'b"
    lines: list[str] = []
    real = library_utils.subprocess.run

    def watched(command: str, *arguments: Any, **options: Any) -> Any:
        lines.append(command)
        return real(command, *arguments, **options)

    monkeypatch.setattr(library_utils.subprocess, "run", watched)
    data = tmp_path / "data"
    library = RcloneLibrary(lambda: Rclone().binary, data)
    remote = RcloneRemote(
        {"type": "local"}, str(tmp_path / hostile), ("--local-encoding", "Raw", "--header-upload", f"x: {hostile}")
    )
    await library.make(remote)
    rows = await library.top(RcloneRemote({"type": "local"}, str(tmp_path)))
    assert (await library.version()).startswith("v")
    library.close()
    assert not (tmp_path / "executed").exists()
    assert (tmp_path / hostile).is_dir()
    assert hostile in {row["Name"] for row in rows}
    assert len(lines) == 3
    assert not any("touch" in line for line in lines)
    assert list(data.iterdir()) == []


def test_the_shell_of_rclone_python_does_execute_what_it_is_given(tmp_path: Path) -> None:
    """Why `RcloneLibrary` is as narrow as it is."""
    proof = tmp_path / "executed"
    library_utils.run_rclone_cmd(f'version "$(touch {proof})"', raise_errors=False)
    assert proof.exists()


@pytest.mark.parametrize("value", ["a\nb", " a", "a\r"])
def test_options_that_a_configuration_file_cannot_hold_are_refused(value: str) -> None:
    with pytest.raises(StoreError, match="sas_url"):
        configuration(RcloneRemote({"type": "azureblob", "sas_url": value}, "x"))


async def test_a_signed_url_opens_one_object_for_a_short_time(
    make_store: MakeStore, s3_section: dict[str, Any], place: Place
) -> None:
    store = make_store(RcloneStore, **s3_section)
    await store.write(place, "page.html", b"0123456789", "text/html")
    await store.write(place, "other", b"2", "text/plain")
    url = await store.signed_url(place, "page.html", timedelta(minutes=5), "page.html")
    assert httpx.URL(url).params["X-Amz-Expires"] == "300"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url, headers={"Range": "bytes=2-4"})
        assert (answer.status_code, answer.content) == (206, b"234")
        assert (await client.get(url.replace("page.html", "other"))).status_code == 403
        assert (await client.get(url.replace("X-Amz-Expires=300", "X-Amz-Expires=86400"))).status_code == 403
        assert (await client.put(url, content=b"x")).status_code == 403
        assert (await client.delete(url)).status_code == 403
    assert b"".join([piece async for piece in store.read(place, "page.html")]) == b"0123456789"
