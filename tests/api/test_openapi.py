"""The OpenAPI document says everything about every route, in valid JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.api.openapi import _READS, PATH_SCHEMAS, document
from gateway.api.routes import ROUTES, Permission, Route

DOCUMENT = document(ROUTES)
NAMES = [f"{route.method} {route.path}" for route in ROUTES]


def operation_of(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][route.template][route.method.lower()]
    return found


def schemas(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("schema"), dict):
            yield value["schema"]
        for inner in value.values():
            yield from schemas(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from schemas(inner)


def test_every_schema_is_one() -> None:
    found = [*DOCUMENT["components"]["schemas"].values(), *schemas(DOCUMENT["paths"])]
    assert len(found) > len(ROUTES)
    for schema in found:
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_an_operation_names_its_body_and_every_problem_of_its_kind(route: Route) -> None:
    operation = operation_of(route)
    assert operation["summary"]
    assert operation["tags"]
    has_body = route.request_model is not None or route.streams_body
    assert ("requestBody" in operation) == has_body
    if route.request_model is not None:
        assert tuple(operation["requestBody"]["content"]) == route.request_types
    problems = set(operation["responses"])
    assert {"422", "default", str(route.status)} <= problems
    assert ("401" in problems) == (route.permission is not Permission.PUBLIC)
    assert ("404" in problems) == bool(route.parameters)
    assert ("403" in problems) == (route.permission in (Permission.WRITE, Permission.ADMIN))
    assert not has_body or "413" in problems


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_what_answers_no_body_promises_none(route: Route) -> None:
    good = operation_of(route)["responses"][str(route.status)]
    assert ("content" in good) == (route.status != 204)
    assert "X-Request-ID" in good["headers"]


def test_nothing_is_described_that_is_not_there() -> None:
    assert set(_READS) <= {route.name for route in ROUTES}
    assert set(PATH_SCHEMAS) <= {name for route in ROUTES for name in route.parameters}


def test_an_answer_always_has_the_fields_that_are_not_left_out_on_purpose() -> None:
    job = DOCUMENT["components"]["schemas"]["Job"]
    assert set(job["properties"]) - set(job["required"]) == {"spec", "changes", "preview"}


def test_a_parameter_is_never_null_in_an_address() -> None:
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                assert {"type": "null"} not in parameter["schema"].get("anyOf", ()), parameter
