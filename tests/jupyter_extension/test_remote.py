"""A shared gateway, and the token that only the server knows."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.client.discovery import find_gateway
from gateway.errors import ConfigurationError, InvalidRequest
from science_gateway_jupyter.kept_tokens import KeptTokens, checked_token
from science_gateway_jupyter.remote import checked_url
from tests.api.conftest import open_site, settings_for
from tests.jupyter_extension.raw_gateway import TOKEN, RawGateway, document, plain
from tests.jupyter_extension.serving import API, ROOT, Served, jupyter


async def served_status(tmp_path: Path, **settings: Any) -> dict[str, Any]:
    """Return the status of a Jupyter server with these settings."""
    async with jupyter(tmp_path, {"data": str(tmp_path / "data"), **settings}) as served:
        return await served.status()


async def test_the_status_names_the_person_and_never_the_token(remote: Served, elsewhere: RawGateway) -> None:
    answer = await remote.http.get(f"{ROOT}/status")
    status = answer.json()
    assert (status["mode"], status["state"]) == ("remote", "ready")
    assert (status["person"], status["role"], status["url"]) == ("alice", "user", elsewhere.url)
    assert (status["lease"], status["can_add_targets"]) == (None, False)
    assert TOKEN not in answer.text


async def test_without_a_token_a_person_is_asked_for_one(tmp_path: Path, elsewhere: RawGateway) -> None:
    async with jupyter(tmp_path, {"url": elsewhere.url, "data": str(tmp_path / "data")}) as served:
        status = await served.status()
        assert (status["state"], status["person"]) == ("needs_token", None)
        assert "paste" in status["hint"]
        answer = await served.http.get(f"{API}/jobs")
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:science-gateway:problem:needs-token")
    assert elsewhere.asked == []


async def test_a_pasted_token_is_kept_for_this_account_alone(tmp_path: Path, elsewhere: RawGateway) -> None:
    settings = {"url": elsewhere.url, "data": str(tmp_path / "data")}
    async with jupyter(tmp_path, settings) as served:
        answer = await served.http.put(f"{ROOT}/token", json={"token": f"  {TOKEN}\n"})
        assert (answer.status_code, answer.json()["state"]) == (200, "ready")
        assert TOKEN not in answer.text
        assert (await served.http.get(f"{ROOT}/token")).status_code == 405
    (file,) = (tmp_path / "data/tokens").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    async with jupyter(tmp_path, settings) as served:
        assert (await served.status())["state"] == "ready"
        answer = await served.http.delete(f"{ROOT}/token")
        assert answer.json()["state"] == "needs_token"
    assert not file.exists()


async def test_a_pasted_token_that_the_gateway_refuses_is_not_kept(remote: Served, elsewhere: RawGateway) -> None:
    answer = await remote.http.put(f"{ROOT}/token", json={"token": "another-token"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "#/token", "detail": "the gateway does not take this token"}]
    assert "another-token" not in answer.text
    assert (await remote.status())["state"] == "ready"


@pytest.mark.parametrize(
    "body", ['"x"', "{}", '{"token": 7}', '{"token": ""}', '{"token": "short"}', '{"token": "two words here"}',
             '{"token": "with\\r\\nHeader: x"}', '{"token": "ümlaut-token"}', '{"token": "aaaaaaaaaa", "x": 1}']
)  # fmt: skip
async def test_what_is_no_token_is_refused(remote: Served, body: str) -> None:
    answer = await remote.http.put(f"{ROOT}/token", content=body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_token_that_is_refused_later_is_asked_for_again(remote: Served, elsewhere: RawGateway) -> None:
    assert (await remote.status())["state"] == "ready"
    elsewhere.token = "renewed-elsewhere"
    status = await remote.status()
    assert (status["state"], status["message"]) == (
        "needs_token",
        f"the gateway at {elsewhere.url} does not take the token",
    )


async def test_a_token_file_is_read_anew_and_a_pasted_token_comes_first(tmp_path: Path, elsewhere: RawGateway) -> None:
    file = tmp_path / "token"
    file.write_text("old-token-of-mine\n")
    settings = {"url": elsewhere.url, "token_file": str(file), "data": str(tmp_path / "data")}
    async with jupyter(tmp_path, settings) as served:
        assert (await served.status())["state"] == "needs_token"
        file.write_text(TOKEN + "\n")
        assert (await served.status())["state"] == "ready"
        file.write_text("")
        assert (await served.status())["message"] == f"the token file {file} holds no token"
        assert (await served.http.put(f"{ROOT}/token", json={"token": TOKEN})).json()["state"] == "ready"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (plain("200 OK", b"<html>", "Content-Type: text/html"), "is not a gateway (status 200)"),
        (document({"name": "x"}), "is not a gateway (status 200)"),
        (plain("302 Found", b"", "Location: https://elsewhere.example.org"), "is not a gateway (status 302)"),
        (b"rubbish\r\n\r\n", "broke off"),
    ],
)
async def test_what_is_no_gateway_is_told_by_the_status(
    tmp_path: Path, elsewhere: RawGateway, monkeypatch: pytest.MonkeyPatch, answer: bytes, message: str
) -> None:
    monkeypatch.setenv("SCIENCE_GATEWAY_TOKEN", TOKEN)
    elsewhere.answer = answer
    status = await served_status(tmp_path, url=f"{elsewhere.url}/sub")
    assert status["state"] == "unreachable"
    assert message in status["message"]
    assert elsewhere.asked[0].target == "/sub/api/v1/me"


async def test_a_gateway_that_is_away_is_told_by_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIENCE_GATEWAY_TOKEN", TOKEN)
    status = await served_status(tmp_path, url="http://127.0.0.1:1")
    assert (status["state"], status["message"]) == (
        "unreachable",
        "the gateway at http://127.0.0.1:1 cannot be reached",
    )


@pytest.mark.parametrize(
    "url", ["ftp://x", "x", "https://", "https://user:secret@x", "https://x?token=secret", "https://x#secret", "//x"]
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        checked_url(url)
    assert "secret" not in str(refused.value)


async def test_an_address_that_cannot_be_used_is_told_by_the_status(tmp_path: Path) -> None:
    async with jupyter(tmp_path, {"url": "https://user:secret@x"}) as served:
        status = await served.status()
        assert (status["mode"], status["state"]) == ("remote", "failed")
        assert "ScienceGateway.url" in status["message"]
        answer = await served.http.get(f"{API}/jobs")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:science-gateway:problem:gateway-failed")
        assert "secret" not in answer.text


def test_an_address_has_one_form() -> None:
    assert checked_url(" https://Gateway.example.org/ ") == "https://gateway.example.org"
    assert checked_url("https://x.example.org/gw/") == "https://x.example.org/gw"


def test_tokens_of_two_gateways_are_kept_apart_and_one_that_others_can_read_is_not_taken(tmp_path: Path) -> None:
    one, two = KeptTokens(tmp_path, "https://one"), KeptTokens(tmp_path, "https://two")
    one.write("token-of-one")
    assert (one.read(), two.read()) == ("token-of-one", None)
    one.file.chmod(0o640)
    with pytest.raises(ConfigurationError) as refused:
        one.read()
    assert "token-of-one" not in str(refused.value)
    one.write("token-again")
    assert one.read() == "token-again"


def test_a_token_that_is_refused_is_in_no_message() -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked_token("se cret")
    assert "cret" not in str(refused.value)


async def test_kernels_find_the_same_gateway_as_the_same_person(
    tmp_path: Path, elsewhere: RawGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"url": elsewhere.url, "data": str(tmp_path / "data")}
    async with jupyter(tmp_path, settings) as served:
        await served.http.put(f"{ROOT}/token", json={"token": TOKEN})
        found = find_gateway()
        assert found is not None
        assert (found.url, found.token) == (elsewhere.url, TOKEN)
    assert find_gateway() is None


async def test_two_people_of_a_shared_gateway_do_not_see_each_others_jobs(tmp_path: Path) -> None:
    async with open_site(settings_for(tmp_path / "shared")) as site:
        for name in ("alice", "bob"):
            token = await site.join(name)
            (tmp_path / name).write_text(token)
        seen = {}
        for name in ("alice", "bob"):
            settings = {
                "url": site.running.url,
                "token_file": str(tmp_path / name),
                "data": str(tmp_path / f"{name}-d"),
            }
            async with jupyter(tmp_path, settings) as served:
                assert (await served.status())["person"] == name
                job = (await served.http.post(f"{API}/jobs", json={"script": "true", "name": f"of {name}"})).json()
                others = [await served.http.get(f"{API}/jobs/{other}") for other in seen.values()]
                assert [answer.status_code for answer in others] == [404] * len(seen)
                names = [item["name"] for item in (await served.http.get(f"{API}/jobs")).json()["items"]]
                assert names == [f"of {name}"]
                seen[name] = job["id"]
                page = await served.page()
                await page.send({"open": 1, "path": f"/api/v1/jobs/{seen['alice']}/events"})
                message = await page.next()
                assert message["problem"]["status"] == 404 if name == "bob" else "event" in message
