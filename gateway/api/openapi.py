"""The OpenAPI 3.1 document, made from the table of routes and the models. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway import __version__
from gateway.api.messages import JSON, PROBLEM, Query
from gateway.model.job import Problem

if TYPE_CHECKING:
    from gateway.api.routes import Route

_REFERENCE = "#/components/schemas/{model}"
_TOKEN = "token"


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document."""
    references, schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, references, schemas)
    queries = {references[route.query, "validation"].rpartition("/")[2] for route in routes}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Science Gateway",
            "version": __version__,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "security": [{_TOKEN: []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in queries},
            "securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(
    routes: Sequence[Route],
) -> tuple[dict[tuple[type[BaseModel], JsonSchemaMode], str], dict[str, Any]]:
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
    route: Route, references: dict[tuple[type[BaseModel], JsonSchemaMode], str], schemas: dict[str, Any]
) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.parameters
    ]
    if route.query is not Query:
        parameters += _query_parameters(schemas[references[route.query, "validation"].rpartition("/")[2]])
    parameters += _header_parameters(route)
    answer: dict[str, Any] = {"description": route.summary}
    content = {}
    for media_type in route.media_types:
        schema: dict[str, Any] = {"type": "string"} if media_type != JSON else {"type": "object"}
        if media_type == JSON and route.response_model is not None:
            schema = {"$ref": references[route.response_model, "serialization"]}
        content[media_type] = {"schema": schema}
    if content:
        answer["content"] = content
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": (route.function.__doc__ or "").strip(),
        "responses": {
            str(route.status): answer,
            **{str(status): {"description": meaning} for status, meaning in route.also},
            "default": {
                "description": "A problem (RFC 9457)",
                "content": {PROBLEM: {"schema": {"$ref": references[Problem, "serialization"]}}},
            },
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if route.request_model is not None:
        schema = {"$ref": references[route.request_model, "validation"]}
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if route.permission == "public":
        operation["security"] = []
    return operation


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, original in schema.get("properties", {}).items():
        described = dict(original)
        described.pop("title", None)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        if description := described.pop("description", None):
            parameter["description"] = description
        found.append({**parameter, "schema": described})
    return found


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    names = []
    if route.name == "submit_job":
        names.append(("Idempotency-Key", "The same key and body give the same job."))
    elif route.permission == "write" and "id" in route.parameters:
        names.append(("If-Match", "The job's ETag, its version: 412 where it changed."))
    if route.name.endswith("_events"):
        names.append(("Last-Event-ID", "Only events with a larger sequence."))
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in names
    ]
