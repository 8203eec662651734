"""The API's documentation as one page, without scripts and without anything from outside. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from gateway import __version__
from gateway.api.openapi import document, tag_of
from gateway.api.problems import problem_types

if TYPE_CHECKING:
    from gateway.api.route import Route

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--dim:#7a7a7a}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:17rem 1fr}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;border-right:1px solid var(--line);font-size:.85rem}
nav h2{font-size:.8rem;margin:1rem 0 .2rem;color:var(--dim);text-transform:capitalize}
nav ul{list-style:none;margin:0;padding:0}
nav a{text-decoration:none;color:inherit}nav a:hover{text-decoration:underline}nav i{color:var(--dim)}
main{padding:1.5rem 2rem;max-width:66rem;min-width:0}h1{margin:0 0 .5rem}h2{text-transform:capitalize;margin:2.5rem 0 0}
code,pre{font-family:ui-monospace,monospace;font-size:.88em;overflow-wrap:anywhere}
section.route{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0;padding:.8rem 1rem}
h3{font-size:1rem;margin:0;display:flex;gap:.7rem;align-items:baseline;flex-wrap:wrap}
h3 b{font:700 .78rem ui-monospace,monospace;padding:.1rem .5rem;border-radius:.3rem;background:var(--soft)}
.get b{color:#2a7de1}.post b{color:#1d9a5b}.delete b{color:#d1453b}.patch b,.put b{color:#b7791f}
small{color:var(--dim)}p{margin:.4rem 0}table{border-collapse:collapse;margin:.5rem 0;width:100%}
td:first-child code{white-space:nowrap}
td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;font-size:.88rem;border-top:1px solid var(--line)}
th{color:var(--dim);font-weight:500;border:0}details{margin:.3rem 0}summary{cursor:pointer}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto;border:0}main{padding:1rem}}
"""
_NEEDS = {
    "public": "open",
    "read": "needs a token that may read",
    "write": "needs a token that may write",
    "admin": "needs an administrator",
}


def render(routes: Sequence[Route]) -> str:
    """Return the page."""
    described = document(routes)
    groups: dict[str, list[Route]] = {}
    for route in routes:
        groups.setdefault(tag_of(route), []).append(route)
    paths, schemas = described["paths"], described["components"]["schemas"]
    menu = "".join(_menu(name, found) for name, found in groups.items())
    sections = "".join(
        f"<h2>{escape(name)}</h2>"
        + "".join(_section(route, paths[route.template][route.method.lower()]) for route in found)
        for name, found in groups.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Science Gateway API</title>'
        f"<style>{_STYLE}</style></head><body><nav><strong>Science Gateway</strong>{menu}"
        '<h2>More</h2><ul><li><a href="#problems">Problems</a></li><li><a href="#shapes">Shapes</a></li>'
        '<li><a href="openapi.json">openapi.json</a></li></ul></nav>'
        f"<main><h1>Science Gateway API <small>{escape(__version__)}</small></h1>"
        "<p>Send <code>Authorization: Bearer &lt;token&gt;</code> with every request that is not marked open. "
        'Mistakes are answered as <code>application/problem+json</code>: see <a href="#problems">Problems</a>. '
        'The same in a form for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{sections}{_problems()}{_shapes(schemas)}</main></body></html>"
    )


def _menu(name: str, routes: Iterable[Route]) -> str:
    items = "".join(
        f'<li><a href="#{escape(route.name)}">{escape(route.summary)}</a> <i>{escape(route.method)}</i></li>'
        for route in routes
    )
    return f"<h2>{escape(name)}</h2><ul>{items}</ul>"


def _section(route: Route, operation: dict[str, Any]) -> str:
    rows = [
        (f"<code>{escape(item['name'])}</code>", item["in"], _kind(item["schema"]), _text(item.get("description", "")))
        for item in operation.get("parameters", ())
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        rows.append(("body", escape(kind), _kind(content["schema"]), ""))
    answers = [
        (f"<code>{status}</code>", _text(answer["description"]), _content(answer), _header_names(answer))
        for status, answer in operation["responses"].items()
        if "$ref" not in answer
    ]
    problems = ", ".join(
        f'<a href="#problem-{status}">{status}</a>'
        for status, answer in operation["responses"].items()
        if "$ref" in answer and status != "default"
    )
    return (
        f'<section class="route {escape(route.method.lower())}" id="{escape(route.name)}">'
        f"<h3><b>{escape(route.method)}</b><code>{escape(route.template)}</code>"
        f"<small>{_NEEDS[route.permission]}</small></h3>{_paragraphs(operation['description'])}"
        f"{_table(('Parameter', 'In', 'Type', 'Meaning'), rows)}"
        f"{_table(('Answer', 'Meaning', 'Body', 'Headers'), answers)}"
        f"<p><small>Problems: {problems}</small></p></section>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(' '.join(part.split()))}</p>" for part in text.split("\n\n"))


def _text(text: str) -> str:
    """Return text as HTML; what stands between backticks as code."""
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(text))


def _content(answer: dict[str, Any]) -> str:
    kinds = answer.get("content", {})
    return "<br>".join(f"{escape(kind)} {_kind(content['schema'])}" for kind, content in kinds.items())


def _header_names(answer: dict[str, Any]) -> str:
    return ", ".join(f"<code>{escape(name)}</code>" for name in answer.get("headers", {}))


def _kind(schema: dict[str, Any]) -> str:
    """Say in a few words what a value looks like, linked where it has a name."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in values)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " | ".join(dict.fromkeys(_kind(choice) for choice in schema[word]))
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {})) or 'anything'}"
    inner = schema.get("additionalProperties")
    if kind == "object" and isinstance(inner, dict) and (found := _kind(inner)):
        return f"object of {found}"
    limits = [f"{sign} {schema[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    if "default" in schema and not isinstance(schema["default"], dict | list):
        limits.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    words = " ".join([str(schema.get("format") or kind or ""), *([f"({', '.join(limits)})"] if limits else [])])
    return escape(words.strip())


def _problems() -> str:
    seen: set[int] = set()
    rows = []
    for item in problem_types():
        place = "" if item.status in seen else f' id="problem-{item.status}"'
        seen.add(item.status)
        rows.append(
            (
                f"<span{place}>{item.status}</span>",
                f"<code>{escape(item.type)}</code>",
                _text(f"{item.title}. {item.meaning}"),
                _text(item.advice),
            )
        )
    return f'<h2 id="problems">Problems</h2>{_table(("Status", "Type", "Meaning", "What to do"), rows)}'


def _shapes(schemas: dict[str, Any]) -> str:
    found = []
    for name, schema in sorted(schemas.items()):
        needed = set(schema.get("required", ()))
        rows = [
            (
                f"<code>{escape(field)}</code>{'' if field in needed else ' <small>optional</small>'}",
                _kind(inner),
                _text(inner.get("description", "")),
            )
            for field, inner in schema.get("properties", {}).items()
        ]
        body = _table(("Field", "Type", "Meaning"), rows) or f"<p>{_kind(schema)}</p>"
        found.append(
            f'<details id="shape-{escape(name)}" open><summary><strong>{escape(name)}</strong></summary>'
            f"{_paragraphs(schema.get('description', ''))}{body}</details>"
        )
    return f'<h2 id="shapes">Shapes</h2>{"".join(found)}'
