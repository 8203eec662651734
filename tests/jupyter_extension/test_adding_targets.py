"""Adding a target from the panel: a real machine is looked at, shown, written and used."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from testbed.sshd import SshSite
from tests.jupyter_extension.raw_gateway import RawGateway
from tests.jupyter_extension.serving import API, ROOT, Served

LOOK, ADD = f"{ROOT}/targets/look", f"{ROOT}/targets"


def machine(site: SshSite, **more: Any) -> dict[str, Any]:
    """Return what a person says about a machine."""
    host = f"{site.user}@127.0.0.1"
    return {"host": host, "port": site.ssh_port, "key_file": str(site.client_key), "name": "vm", **more}


@pytest.mark.real
async def test_a_machine_becomes_a_target_once_its_fingerprint_is_accepted(
    embedded: Served, plain_sshd: SshSite, tmp_path: Path
) -> None:
    before = plain_sshd.logins()
    shown = await embedded.http.post(LOOK, json=machine(plain_sshd))
    assert shown.status_code == 200, shown.text
    key = shown.json()["key"]
    assert shown.json() == {"key": {"host": "127.0.0.1", "fingerprint": key["fingerprint"], "known": False}}
    assert plain_sshd.logins() == before

    wanted = machine(plain_sshd, accept_fingerprint=key["fingerprint"])
    looked = (await embedded.http.post(LOOK, json=wanted)).json()
    assert (looked["name"], looked["key"]["fingerprint"]) == ("vm", key["fingerprint"])
    assert looked["section"]["transport"]["host"] == "127.0.0.1"
    assert looked["section"]["scheduler"]["kind"] in looked["notes"][0]
    assert {probe["name"] for probe in looked["probes"]} >= {"ssh", "workdir"}
    assert "vm" not in tomllib.loads((tmp_path / "gateway.toml").read_text())["targets"]

    added = await embedded.http.post(ADD, json=wanted)
    assert (added.status_code, added.json()["name"]) == (201, "vm")
    assert "vm" in tomllib.loads((tmp_path / "gateway.toml").read_text())["targets"]
    targets = (await embedded.http.get(f"{API}/targets")).json()["items"]
    assert sorted(target["name"] for target in targets) == ["here", "vm"]

    again = await embedded.http.post(ADD, json=wanted)
    assert (again.status_code, again.json()["detail"]) == (409, "there is a target named 'vm' already")


@pytest.mark.real
async def test_nothing_is_sent_to_a_machine_that_shows_another_key(embedded: Served, plain_sshd: SshSite) -> None:
    before = plain_sshd.logins()
    wanted = machine(plain_sshd, accept_fingerprint="SHA256:" + "A" * 43)
    for address in (LOOK, ADD):
        answer = await embedded.http.post(address, json=wanted)
        assert answer.status_code == 409
        assert "shows another key now" in answer.json()["detail"]
    assert plain_sshd.logins() == before


async def test_a_machine_that_cannot_be_reached_is_told(embedded: Served) -> None:
    answer = await embedded.http.post(LOOK, json={"host": "alice@127.0.0.1", "port": 1})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:science-gateway:problem:target-unreachable")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/host"),
        ({"host": ""}, "#/host"),
        ({"host": "-oProxyCommand=touch"}, "#/host"),
        ({"host": "alice@host name"}, "#/host"),
        ({"host": "alice@host\nname"}, "#/host"),
        ({"host": "h", "port": 0}, "#/port"),
        ({"host": "h", "key_file": "a\0b"}, "#/key_file"),
        ({"host": "h", "name": "../x"}, "#/name"),
        ({"host": "h", "accept_fingerprint": "MD5:x"}, "#/accept_fingerprint"),
        ({"host": "h", "password": "x"}, "#/password"),
    ],
)
async def test_what_is_no_machine_is_refused(embedded: Served, body: dict[str, Any], pointer: str) -> None:
    answer = await embedded.http.post(LOOK, content=json.dumps(body))
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_machine_is_not_added_before_its_fingerprint_is_accepted(embedded: Served) -> None:
    answer = await embedded.http.post(ADD, json={"host": "alice@127.0.0.1", "name": "vm"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/accept_fingerprint"


async def test_targets_of_a_shared_gateway_are_not_added_here(remote: Served, elsewhere: RawGateway) -> None:
    for address in (LOOK, ADD):
        answer = await remote.http.post(address, json={"host": "alice@127.0.0.1"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:science-gateway:problem:conflict")
    assert elsewhere.asked == []
