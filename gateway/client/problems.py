"""Problems on the wire back to the exceptions they came from."""

from __future__ import annotations

from typing import Any

import httpx

from gateway import errors
from gateway.errors import ConfigurationError, FieldError, GatewayError, InvalidRequest

PREFIX = "urn:science-gateway:problem:"


def _kinds() -> dict[str, type[GatewayError]]:
    """Map problem types to the exceptions of `gateway.errors` that take a message and a hint."""
    found: dict[str, type[GatewayError]] = {}
    waiting: list[type[GatewayError]] = [GatewayError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__ == errors.__name__ and not issubclass(kind, InvalidRequest | ConfigurationError):
            found[kind.problem] = kind
    return found


_KINDS = _kinds()


def raise_problem(response: httpx.Response) -> None:
    """Raise the exception that a problem document stands for; return where the answer is not an error."""
    if not response.is_error:
        return
    try:
        problem: dict[str, Any] = response.json()
        detail, kind = str(problem["detail"]), str(problem["type"]).removeprefix(PREFIX)
    except (ValueError, KeyError, TypeError):
        raise _with_status(
            GatewayError(f"the gateway answered {response.status_code} without saying why"), response
        ) from None
    if kind == InvalidRequest.problem:
        raise _with_status(InvalidRequest(_fields(problem.get("errors")), detail), response)
    hint = problem.get("hint")
    error = _KINDS.get(kind, GatewayError)(detail, hint=hint if isinstance(hint, str) else None)
    raise _with_status(error, response)


def _fields(items: object) -> list[FieldError]:
    rows = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [FieldError(str(row.get("pointer", "#")), str(row.get("detail", ""))) for row in rows]


def _with_status(error: GatewayError, response: httpx.Response) -> GatewayError:
    error.status = response.status_code
    return error
