"""Every address and verb of the extension, for whoever may not: a handler without guards fails here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_server.auth import Authorizer, User
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from tornado.httpclient import HTTPClientError

from tests.jupyter_extension.raw_gateway import RawGateway, document
from tests.jupyter_extension.serving import JUPYTER_TOKEN, PLAIN, ROOT, Served, jupyter

VERBS = ("get", "head", "post", "put", "patch", "delete")
READING = ("get", "head")
SAMPLES = {r"science-gateway/api/v1/(.*)": "science-gateway/api/v1/jobs"}
"""An address of each pattern that is none itself."""


class Refusing(Authorizer):  # type: ignore[misc]
    """Lets nobody do anything here, and notes what was asked."""

    asked: list[tuple[str, str]] = []

    def is_authorized(self, handler: JupyterHandler, user: User, action: str, resource: str) -> bool:
        """Refuse."""
        self.asked.append((action, resource))
        return False


def verbs_of(served: Served) -> list[tuple[str, str]]:
    """Return every verb of every handler of the extension, as (verb, address)."""
    found = []
    for pattern, handler, _ in served.extension.handlers:
        address = SAMPLES.get(pattern, pattern)
        assert not re.search(r"[()\[\]*+?\\]", address), f"{pattern} needs a sample"
        mine = [verb for verb in VERBS if getattr(handler, verb) is not getattr(web.RequestHandler, verb)]
        assert mine, pattern
        found += [(verb, f"{ROOT.removesuffix('science-gateway')}{address}") for verb in mine]
    return found


async def ask(served: Served, verb: str, address: str, **options: Any) -> int:
    """Return the status of an answer."""
    if address.endswith("/socket"):
        try:
            (await served.socket(options.get("query", ""))).close()
        except HTTPClientError as error:
            return int(error.code)
        return 101
    body = {"content": b"{}"} if verb in ("post", "put", "patch") else {}
    async with httpx.AsyncClient(base_url=served.url, follow_redirects=False, **PLAIN) as http:
        return (await http.request(verb, address, headers=options.get("headers"), **body)).status_code


@pytest.mark.parametrize("closed", [True, False])
async def test_nobody_without_credentials_gets_anywhere(
    tmp_path: Path, elsewhere: RawGateway, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    monkeypatch.setenv("SCIENCE_GATEWAY_TOKEN", elsewhere.token)
    elsewhere.answer = document({})
    settings = {"url": elsewhere.url, "data": str(tmp_path)}
    async with jupyter(tmp_path, settings, allow_unauthenticated_access=not closed) as served:
        for verb, address in verbs_of(served):
            assert await ask(served, verb, address) == 403, (verb, address)
            wrong = {"Authorization": "token wrong"}
            assert await ask(served, verb, address, headers=wrong) == 403, (verb, address)
    assert elsewhere.asked == []


async def test_whoever_may_not_is_refused_before_anything_is_sent_to_the_gateway(
    tmp_path: Path, elsewhere: RawGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCIENCE_GATEWAY_TOKEN", elsewhere.token)
    elsewhere.answer = document({})
    settings = {"url": elsewhere.url, "data": str(tmp_path)}
    async with jupyter(tmp_path, settings, authorizer_class=Refusing) as served:
        headers = {"Authorization": f"token {JUPYTER_TOKEN}"}
        for verb, address in verbs_of(served):
            Refusing.asked.clear()
            status = await ask(served, verb, address, headers=headers, query=f"?token={JUPYTER_TOKEN}")
            assert status == 403, (verb, address)
            action = "read" if verb in READING else "write"
            assert set(Refusing.asked) == {(action, "gateway")}, (verb, address)
    assert elsewhere.asked == []


async def test_other_verbs_are_not_possible(remote: Served) -> None:
    mine = set(verbs_of(remote))
    for _, address in mine:
        for verb in VERBS:
            if (verb, address) not in mine and not address.endswith("/socket"):
                answer = await remote.http.request(verb, address)
                assert answer.status_code == 405, (verb, address)


async def log_in(browser: httpx.AsyncClient) -> None:
    """Get the cookies that a browser has."""
    login = f"{ROOT.removesuffix('science-gateway')}login"
    assert (await browser.get(login)).status_code == 200
    assert (await browser.get(f"{login}?token={JUPYTER_TOKEN}", follow_redirects=False)).status_code == 302


async def test_a_browser_needs_the_xsrf_token_to_change_anything(remote: Served, elsewhere: RawGateway) -> None:
    elsewhere.answer = document({})
    async with httpx.AsyncClient(base_url=remote.url, **PLAIN) as browser:
        await log_in(browser)
        page = {"Referer": f"{remote.url}{ROOT}"}
        assert (await browser.get(f"{ROOT}/status", headers=page)).status_code == 200
        elsewhere.asked.clear()
        changing = [(verb, address) for verb, address in verbs_of(remote) if verb not in READING]
        for verb, address in changing:
            answer = await browser.request(verb, address, headers=page, content=b"{}")
            assert answer.status_code == 403, (verb, address)
            assert "_xsrf" in answer.json()["detail"]
        assert elsewhere.asked == []
        good = {**page, "X-XSRFToken": browser.cookies["_xsrf"]}
        answer = await browser.post(f"{ROOT}/api/v1/jobs", headers=good, json={})
        assert answer.status_code == 200
        assert "cookie" not in elsewhere.last.headers
        foreign = {**good, "Origin": "https://elsewhere.example.org"}
        assert (await browser.post(f"{ROOT}/api/v1/jobs", headers=foreign, json={})).status_code == 404


async def test_a_page_of_another_origin_gets_no_connection(remote: Served) -> None:
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    async with httpx.AsyncClient(base_url=remote.url, **PLAIN) as browser:
        await log_in(browser)
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    url = f"ws://127.0.0.1:{remote.port}{ROOT}/socket"
    with pytest.raises(HTTPClientError) as refused:
        await websocket_connect(
            HTTPRequest(url, headers={"Cookie": cookies, "Origin": "https://elsewhere.example.org"})
        )
    assert refused.value.code == 403
    opened = await websocket_connect(HTTPRequest(url, headers={"Cookie": cookies, "Origin": remote.url}))
    assert "hello" in json.loads(await opened.read_message() or "")
    opened.close()
