"""What is made from the table of routes: authorisation, OpenAPI, the documentation page."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.api.auth import check_host, load_or_create_token
from gateway.api.messages import Misdirected
from gateway.api.openapi import document
from gateway.api.routes import ROUTES
from gateway.errors import ConfigurationError
from tests.api.conftest import Site


def references(value: Any) -> list[str]:
    """All ``$ref`` in a document."""
    if isinstance(value, dict):
        mine = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return mine + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


async def test_the_openapi_document_has_every_route_and_every_reference_leads_somewhere(site: Site) -> None:
    answer = await site.http.get("/openapi.json")
    found = answer.json()
    assert found["openapi"] == "3.1.0"
    assert (await site.http.get("/api/v1/openapi.json")).json() == found
    operations = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    assert operations == {(route.method, route.template) for route in ROUTES}
    for reference in references(found):
        assert reference.startswith("#/")
        place: Any = found
        for part in reference[2:].split("/"):
            place = place[part]
    names = [operation["operationId"] for path in found["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_the_openapi_document_names_every_parameter_of_the_address() -> None:
    for path, methods in document(ROUTES)["paths"].items():
        for operation in methods.values():
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"\{([a-z_]+)\}", path))
            places = [(p["in"], p["name"]) for p in operation.get("parameters", [])]
            assert len(places) == len(set(places))
            assert operation["description"]


async def test_the_documentation_page_needs_nothing_from_outside(site: Site) -> None:
    answer = await site.http.get("/docs")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.search(r"https?://|<script|src=", answer.text)
    assert all(f"<code>{route.template}</code>" in answer.text for route in ROUTES)


def test_the_token_is_made_once_for_this_account_only(tmp_path: Path) -> None:
    file = tmp_path / "made/token"
    token = load_or_create_token(file)
    assert len(token) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_or_create_token(file) == token
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(("content", "mode"), [("x" * 40, 0o640), ("x" * 40, 0o604), ("", 0o600), ("short", 0o600)])
def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path: Path, content: str, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(ConfigurationError):
        load_or_create_token(file)


@pytest.mark.parametrize(
    ("host", "listen", "right"),
    [
        ("gateway.example.org:8480", "gateway.example.org:8480", True),
        ("gateway.example.org.", "Gateway.Example.Org:80", True),
        ("any.example.org", "0.0.0.0:80", True),
        ("any.example.org", ":80", True),
        ("[2001:db8::1]:80", "127.0.0.1:80", True),
        ("other.example.org", "gateway.example.org:80", False),
        ("", "127.0.0.1:80", False),
        ("127.0.0.1@evil.example", "127.0.0.1:80", False),
        ("0x7f.1", "127.0.0.1:80", False),
    ],
)
def test_the_host_header_must_name_this_gateway(host: str, listen: str, right: bool) -> None:
    if right:
        check_host(host, listen)
        return
    with pytest.raises(Misdirected):
        check_host(host, listen)
