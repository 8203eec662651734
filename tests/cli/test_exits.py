"""Exit statuses and how errors are told."""

from __future__ import annotations

import pytest

from gateway import errors
from gateway.cli.exits import Exit, UsageMistake, status_of, tell
from gateway.client import GatewayNotRunning
from gateway.errors import FieldError, GatewayError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("x"), Exit.NOT_FOUND),
        (GatewayNotRunning("x"), Exit.UNREACHABLE),
        (errors.TargetUnreachable("x"), Exit.UNREACHABLE),
        (errors.LoginRefused("x"), Exit.UNREACHABLE),
        (errors.InvalidRequest([FieldError("#", "x")]), Exit.REFUSED),
        (errors.Conflict("x"), Exit.REFUSED),
        (errors.Unauthenticated("x"), Exit.REFUSED),
        (errors.PayloadTooLarge("x"), Exit.REFUSED),
        (errors.ConfigurationError("x"), Exit.USAGE),
        (UsageMistake("x"), Exit.USAGE),
        (GatewayError("x"), Exit.UNEXPECTED),
    ],
)
def test_each_error_has_its_status(error: GatewayError, status: Exit) -> None:
    assert status_of(error) is status


def test_an_error_is_told_with_its_cause_and_what_to_do() -> None:
    assert tell(GatewayError("it\x1b[31m broke", hint="mend it")) == ["gateway: it broke", "  mend it"]


def test_many_mistakes_are_cut_off() -> None:
    told = tell(errors.InvalidRequest([FieldError(f"#/{n}", "no") for n in range(50)]))
    assert len(told) == 22
    assert told[-1] == "  … and 30 more"
