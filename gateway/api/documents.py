"""The functions behind the routes that describe the API itself."""

from __future__ import annotations

from functools import cache

from gateway.api.messages import Reply, Request, json_reply
from gateway.api.route import PUBLIC, Route
from gateway.app import Gateway
from gateway.jobs.views import API

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@cache
def _openapi() -> Reply:
    from gateway.api.openapi import document
    from gateway.api.routes import ROUTES

    return json_reply(document(ROUTES), headers={"Cache-Control": "no-cache"})


@cache
def _page() -> bytes:
    from gateway.api.docs_page import render
    from gateway.api.routes import ROUTES

    return render(ROUTES).encode()


async def openapi_json(gateway: Gateway, request: Request) -> Reply:  # noqa: ARG001
    """Give the OpenAPI document."""
    return _openapi()


async def api_openapi_json(gateway: Gateway, request: Request) -> Reply:  # noqa: ARG001
    """Give the OpenAPI document, below the API's own address."""
    return _openapi()


async def docs(gateway: Gateway, request: Request) -> Reply:  # noqa: ARG001
    """Give the documentation as a page that needs nothing from outside."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _PAGE_POLICY}
    return Reply(200, headers, _page())


ROUTES = (
    Route("GET", "/openapi.json", openapi_json, PUBLIC, "This description"),
    Route("GET", f"{API}/openapi.json", api_openapi_json, PUBLIC, "This description"),
    Route("GET", "/docs", docs, PUBLIC, "This description as a page", media_types=("text/html",)),
)
