"""The OpenAPI 3.1 document, made from the table of routes and the models. Pure.

``python -m gateway.api.openapi`` prints it, for tools that make types of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway import __version__
from gateway.api.messages import JSON, PROBLEM, Query
from gateway.api.problems import ProblemType, problem_types
from gateway.model.job import Job, Problem

if TYPE_CHECKING:
    from gateway.api.route import Route

_REFERENCE = "#/components/schemas/{model}"
_TOKEN = "token"
_BYTES = "application/octet-stream"
_ABOUT = """\
Launch containerised simulations on clusters and cloud machines, and see every output.

Every mistake is answered as a problem (RFC 9457) with a stable `type`. Lists answer `items` and `next_cursor`: send it
as `cursor` for the next page. An `ETag` sent back in `If-Match` makes a change happen only where nobody was faster.
"""
PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "format": "uuid"},
    "stream": {"type": "string", "enum": ["stdout", "stderr", "pull", "sync"]},
    "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
}
"""What a part of an address looks like, by its name; any text where it is not here."""

References = dict[tuple[type[BaseModel], JsonSchemaMode], str]


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document."""
    references, schemas = _schemas(routes)
    statuses = _by_status(problem_types())
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, references, schemas, statuses)
    queries = {references[route.query, "validation"].rpartition("/")[2] for route in routes}
    problem = references[Problem, "serialization"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Science Gateway",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "security": [{_TOKEN: []}],
        "tags": [{"name": name} for name in dict.fromkeys(tag_of(route) for route in routes)],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in queries},
            "responses": {
                f"Problem{status}": _problem_response(problem, kinds) for status, kinds in sorted(statuses.items())
            }
            | {"Problem": _problem_response(problem, ())},
            "securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}},
        },
    }


def tag_of(route: Route) -> str:
    """Return the group that a route stands in: the module of its function, in words."""
    return route.function.__module__.rpartition(".")[2].replace("_", " ")


def _schemas(routes: Sequence[Route]) -> tuple[References, dict[str, Any]]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for route in routes:
        wanted[route.query, "validation"] = None
        if route.request_model is not None:
            wanted[route.request_model, "validation"] = None
        if route.response_model is not None:
            wanted[route.response_model, "serialization"] = None
    found, definitions = models_json_schema(list(wanted), ref_template=_REFERENCE)
    return {key: found[key]["$ref"] for key in wanted}, definitions["$defs"]


def _operation(
    route: Route, references: References, schemas: dict[str, Any], statuses: dict[int, list[ProblemType]]
) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": PATH_SCHEMAS.get(name, {"type": "string", "minLength": 1}),
        }
        for name in route.parameters
    ]
    if route.query is not Query:
        parameters += _query_parameters(schemas[references[route.query, "validation"].rpartition("/")[2]])
    parameters += [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in _request_headers(route)
    ]
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [tag_of(route)],
        "summary": route.summary,
        "description": (route.function.__doc__ or "").strip(),
        "responses": _responses(route, references, statuses),
    }
    if parameters:
        operation["parameters"] = parameters
    if route.request_model is not None:
        schema = {"$ref": references[route.request_model, "validation"]}
        content = {kind: {"schema": schema} for kind in route.request_types}
        operation["requestBody"] = {"required": route.body_needed, "content": content}
    elif route.streams_body:
        operation["requestBody"] = {"required": True, "content": {_BYTES: {"schema": {}}}}
    if route.permission == "public":
        operation["security"] = []
    return operation


def _responses(route: Route, references: References, statuses: dict[int, list[ProblemType]]) -> dict[str, Any]:
    content = {}
    for media_type in route.media_types:
        schema: dict[str, Any] = {}
        if media_type == JSON:
            model = route.response_model
            schema = {"type": "object"} if model is None else {"$ref": references[model, "serialization"]}
        elif media_type.startswith("text/"):
            schema = {"type": "string"}
        content[media_type] = {"schema": schema}
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in _answer_headers(route)}
    answer: dict[str, Any] = {"description": route.summary, "headers": headers}
    if content:
        answer["content"] = content
    also = {}
    for status, meaning in route.also:
        kept = {name: header for name, header in headers.items() if name in ("X-Request-ID", "ETag")}
        also[str(status)] = {"description": meaning, "headers": kept}
        if content and status < 300 and status != 204:
            also[str(status)]["content"] = content
    problems = {
        str(status): {"$ref": f"#/components/responses/Problem{status}"}
        for status in _problem_statuses(route)
        if status in statuses and str(status) not in also
    }
    return {str(route.status): answer, **also, **problems, "default": {"$ref": "#/components/responses/Problem"}}


def _problem_statuses(route: Route) -> list[int]:
    """Return the statuses of the problems that a request can make by itself."""
    found = {421, 422}
    if route.permission != "public":
        found |= {401, 429}
    if route.permission in ("write", "admin"):
        found |= {403, 409}
    if route.parameters:
        found.add(404)
    if any(name == "If-Match" for name, _ in _request_headers(route)):
        found.add(412)
    if any(name == "Range" for name, _ in _request_headers(route)):
        found.add(416)
    if route.request_model is not None:
        found |= {400, 413, 415}
    if route.streams_body:
        found |= {413, 507}
    return sorted(found)


def _by_status(kinds: Iterable[ProblemType]) -> dict[int, list[ProblemType]]:
    found: dict[int, list[ProblemType]] = {}
    for kind in kinds:
        found.setdefault(kind.status, []).append(kind)
    return found


def _problem_response(reference: str, kinds: Sequence[ProblemType]) -> dict[str, Any]:
    words = "; ".join(f"{kind.title} (`{kind.type}`)" for kind in kinds)
    return {
        "description": words or "Any other problem (RFC 9457)",
        "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in _ALWAYS},
        "content": {PROBLEM: {"schema": {"$ref": reference}}},
    }


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, original in schema.get("properties", {}).items():
        described = _without_null(original)
        described.pop("title", None)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        if description := described.pop("description", None):
            parameter["description"] = description
        found.append({**parameter, "schema": described})
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: there is no null in an address; it is left out instead."""
    found = dict(schema)
    if isinstance(found.get("anyOf"), list):
        choices = [choice for choice in found["anyOf"] if choice != {"type": "null"}]
        if len(choices) == 1:
            found = {**{key: value for key, value in found.items() if key != "anyOf"}, **choices[0]}
    if found.get("default", ...) is None or isinstance(found.get("default"), list):
        del found["default"]
    return found


_ALWAYS = (("X-Request-ID", "Of this request, as in the gateway's log."),)


_IF_MATCH = ("If-Match", "The ETag, that is the version, that is meant: 412 where it has changed.")
_KEY = ("Idempotency-Key", "The same key and body give the same thing.")
_IF_NONE_MATCH = ("If-None-Match", "The ETag that is there already: 304 where it has not changed.")
_RANGE = (("Range", "One range of bytes."), ("If-Range", "The ETag that the range is of."))
_LAST_EVENT = (("Last-Event-ID", "Only events with a larger sequence."),)
_READS: dict[str, tuple[tuple[str, str], ...]] = {
    "submit_job": (_KEY,),
    "rerun_job": (_KEY,),
    "clone_job": (_KEY,),
    "delete_job": (_IF_MATCH,),
    "put_value_set": (_IF_MATCH, ("If-None-Match", "`*`: only where there is none of this name.")),
    "delete_value_set": (_IF_MATCH,),
    "get_output": _RANGE,
    "job_events": _LAST_EVENT,
    "all_events": _LAST_EVENT,
}
_NEW_JOB = ("submit_job", "rerun_job", "clone_job")
_LOG = (("X-Log-Size", "Bytes of the whole log."), ("X-Log-Offset", "Where to read on."))


def _request_headers(route: Route) -> tuple[tuple[str, str], ...]:
    """Return the headers that a route says it reads, and those that all of its kind read."""
    found = dict((*route.headers, *_READS.get(route.name, ())))
    changes_job = route.permission == "write" and route.response_model is Job and "id" in route.parameters
    if changes_job and route.name not in _NEW_JOB:
        found.setdefault(*_IF_MATCH)
    if any(status == 304 for status, _ in route.also):
        found.setdefault(*_IF_NONE_MATCH)
    return tuple(found.items())


def _answer_headers(route: Route) -> tuple[tuple[str, str], ...]:
    found = dict((*_ALWAYS, *route.sends, *(_LOG if route.name == "get_log" else ())))
    if route.response_model is Job:
        found.setdefault("ETag", "The job's version.")
    if route.name in _NEW_JOB:
        found.setdefault("Location", "The new job.")
    return tuple(found.items())


if __name__ == "__main__":
    from gateway.api.routes import ROUTES

    sys.stdout.write(json.dumps(document(ROUTES), indent=1) + "\n")
