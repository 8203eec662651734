"""Problem documents and the exceptions they stand for."""

from __future__ import annotations

import httpx
import pytest
from scripted_gateway import problem

from gateway import errors
from gateway.client.problems import raise_problem
from gateway.errors import ConfigurationError, GatewayError, InvalidRequest


def kinds(base: type[GatewayError] = GatewayError) -> list[type[GatewayError]]:
    found = [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]
    return [kind for kind in found if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", [k for k in kinds() if k not in (InvalidRequest, ConfigurationError)])
def test_a_problem_becomes_the_exception_it_came_from(kind: type[GatewayError]) -> None:
    response = httpx.Response(kind.status, json=problem(kind.problem, kind.status, "why", hint="do this"))
    with pytest.raises(GatewayError) as caught:
        raise_problem(response)
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint, caught.value.status) == ("why", "do this", kind.status)


def test_an_unknown_problem_keeps_its_status_and_words() -> None:
    with pytest.raises(GatewayError, match="why") as caught:
        raise_problem(httpx.Response(429, json=problem("too-many", 429)))
    assert caught.value.status == 429


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"detail": "x"}', b"\xff\xfe"])
def test_an_answer_without_a_problem_document_is_told_by_its_status(body: bytes) -> None:
    with pytest.raises(GatewayError, match="answered 502") as caught:
        raise_problem(httpx.Response(502, content=body))
    assert caught.value.status == 502


@pytest.mark.parametrize("fields", [None, "x", [1, None], [{"pointer": 3}]])
def test_mistakes_of_a_strange_shape_do_not_hide_the_problem(fields: object) -> None:
    with pytest.raises(InvalidRequest, match="why"):
        raise_problem(httpx.Response(422, json=problem("validation", 422, errors=fields)))


def test_an_answer_that_is_no_error_passes() -> None:
    raise_problem(httpx.Response(206))
