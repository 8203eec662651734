"""The API's documentation as one page, without scripts and without anything from outside. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from gateway import __version__

if TYPE_CHECKING:
    from gateway.api.routes import Route

_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}h2{font-size:1.05rem;margin:2rem 0 .25rem}
h2 b{display:inline-block;min-width:4.5rem}table{border-collapse:collapse;margin:.5rem 0}
td,th{text-align:left;vertical-align:top;padding:.15rem 1rem .15rem 0;font-size:.9rem}
"""


def render(routes: Sequence[Route]) -> str:
    """Return the page."""
    from gateway.api.openapi import document

    paths = document(routes)["paths"]
    sections = "".join(_section(route, paths[route.template][route.method.lower()]) for route in routes)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Science Gateway API</title>'
        f"<style>{_STYLE}</style></head><body><h1>Science Gateway API {escape(__version__)}</h1>"
        "<p>Send <code>Authorization: Bearer &lt;token&gt;</code> with every request that is not marked open. "
        "Mistakes are answered as <code>application/problem+json</code>. The same in a form for programs: "
        '<a href="openapi.json">openapi.json</a>.</p>'
        f"<main>{sections}</main></body></html>"
    )


def _section(route: Route, operation: dict[str, Any]) -> str:
    mark = " <small>(open)</small>" if route.permission == "public" else ""
    rows = "".join(
        f"<tr><td><code>{escape(item['name'])}</code></td><td>{escape(item['in'])}</td>"
        f"<td>{escape(item.get('description', ''))}</td></tr>"
        for item in operation.get("parameters", ())
    )
    table = f"<table><tr><th>Parameter</th><th>In</th><th>Meaning</th></tr>{rows}</table>" if rows else ""
    return (
        f"<section><h2><b>{escape(route.method)}</b><code>{escape(route.template)}</code>{mark}</h2>"
        f"<p>{escape(operation['description'])} Answers {route.status}.</p>{table}</section>"
    )
