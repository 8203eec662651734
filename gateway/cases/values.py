"""Checks the values that people give against a case's parameters. Pure.

Numbers are compared as the decimals that were written: 0.3 is three steps of 0.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from gateway.cases.definition import Definition, Parameter
from gateway.errors import FieldError, InvalidRequest
from gateway.model.base import text_problem
from gateway.model.pointers import pointer
from gateway.model.specification import Input

WHOLE = 2**53
"""Whole numbers up to here are the same in every program that reads JSON."""
_FILE_KEYS = frozenset({"content", "url", "digest", "upload", "job", "output", "target_path"})


class ValueRefused(ValueError):
    """A value is not one that its parameter can have; the text says why."""


def complete(definition: Definition, given: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Return the value of every parameter: what was given, checked, else its default.

    A parameter that is not in use (`enabled_if`) has its default, or None.

    Parameters
    ----------
    partial
        Check and return only what was given: a set of values that is kept for later.

    Raises
    ------
    InvalidRequest
        Names each parameter whose value is wrong, missing or of no use.
    """
    parameters = {parameter.name: parameter for parameter in definition.parameters}
    errors = [
        FieldError(pointer(["values", name]), f"is not a parameter of this case ({_names(parameters)})")
        for name in given
        if name not in parameters
    ]
    found: dict[str, Any] = {}
    for name, parameter in parameters.items():
        try:
            if name in given:
                found[name] = check_value(parameter, given[name])
            elif partial:
                continue
            else:
                found[name] = default_of(parameter)
        except ValueRefused as refused:
            errors.append(FieldError(pointer(["values", name]), str(refused)))
    if not errors and not partial:
        errors = _unfit(definition, given, found)
    if errors:
        raise InvalidRequest(errors)
    return found


def default_of(parameter: Parameter) -> Any:
    """Return a parameter's default as a value; None without one."""
    return None if parameter.default is None else check_value(parameter, parameter.default)


def _unfit(definition: Definition, given: Mapping[str, Any], found: dict[str, Any]) -> list[FieldError]:
    """Find what is missing, and what was given for a parameter that is not in use."""
    errors = []
    used = in_use(definition, found)
    for parameter in definition.parameters:
        name = parameter.name
        place = pointer(["values", name])
        if name in used:
            missing = found[name] is None and not (parameter.type == "file" and not parameter.required)
            if missing:
                errors.append(FieldError(place, f"is needed: {_kind(parameter)}"))
        elif name in given and found[name] != default_of(parameter):
            errors.append(FieldError(place, f"has no effect: {_condition(parameter)}"))
        else:
            found[name] = default_of(parameter)
    return errors


def in_use(definition: Definition, values: Mapping[str, Any]) -> frozenset[str]:
    """Return the parameters that are in use: those whose conditions hold, on parameters that are in use."""
    parameters = {parameter.name: parameter for parameter in definition.parameters}
    known: dict[str, bool] = {}

    def used(name: str) -> bool:
        if name not in known:
            known[name] = False  # a circle, which the check of the case refuses, ends here
            known[name] = all(
                other in parameters and used(other) and any(same(values.get(other), value) for value in several(wanted))
                for other, wanted in parameters[name].enabled_if.items()
            )
        return known[name]

    return frozenset(name for name in parameters if used(name))


def check_value(parameter: Parameter, value: Any) -> Any:
    """Return a value as it is kept: a choice as it was published, whole numbers without a fraction.

    Raises
    ------
    ValueRefused
    """
    return _CHECKS[parameter.type](parameter, value)


def same(one: Any, other: Any) -> bool:
    """Say whether two values are the same; true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _float(parameter: Parameter, value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueRefused(_wanted(parameter, "a number", value))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueRefused("must be a number that a computer can hold")
    kept = int(number) if number.is_integer() and abs(number) < WHOLE else number
    _check_range(parameter, kept)
    return kept


def _int(parameter: Parameter, value: Any) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueRefused(_wanted(parameter, "a whole number", value))
    if abs(value) >= 2**63:
        raise ValueRefused("must be a number of at most 63 bits")
    _check_range(parameter, value)
    return value


def _check_range(parameter: Parameter, value: float) -> None:
    exact = _exact(value)
    if parameter.min is not None and exact < _exact(parameter.min):
        raise ValueRefused(f"must be at least {text_of(parameter.min)}{_unit(parameter)}")
    if parameter.max is not None and exact > _exact(parameter.max):
        raise ValueRefused(f"must be at most {text_of(parameter.max)}{_unit(parameter)}")
    if parameter.step is not None:
        base = _exact(parameter.min or 0)
        if (exact - base) % _exact(parameter.step):
            counted = f" counted from {text_of(parameter.min)}" if parameter.min else ""
            raise ValueRefused(f"must be a multiple of {text_of(parameter.step)}{_unit(parameter)}{counted}")


def _exact(value: float) -> Fraction:
    return Fraction(repr(value))


def _bool(parameter: Parameter, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueRefused(_wanted(parameter, "true or false", value))
    return value


def _choice(parameter: Parameter, value: Any) -> Any:
    for choice in parameter.choices:
        if same(choice.value, value):
            return choice.value
    shown = ", ".join(text_of(choice.value)[:60] for choice in parameter.choices[:20])
    more = ", …" if len(parameter.choices) > 20 else ""
    raise ValueRefused(f"must be one of: {shown}{more}")


def _text(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueRefused(_wanted(parameter, "a text", value))
    if problem := text_problem(value, newlines=parameter.multiline):
        raise ValueRefused(problem if parameter.multiline else f"{problem} (it is one line)")
    if len(value) > parameter.max_length:
        raise ValueRefused(f"must have at most {parameter.max_length} characters")
    if parameter.pattern is not None and _compiled(parameter.pattern).fullmatch(value) is None:
        raise ValueRefused(f"must match {parameter.pattern}")
    return value


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _file(parameter: Parameter, value: Any) -> dict[str, Any] | None:
    if value is None and not parameter.required:
        return None
    if not isinstance(value, dict) or not value or set(value) - _FILE_KEYS:
        keys = ", ".join(sorted(_FILE_KEYS))
        raise ValueRefused(f"must be an object that says where the file comes from, as an input does ({keys})")
    try:
        Input.model_validate({"path": parameter.name, **value})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise ValueRefused(place + first["msg"].removeprefix("Value error, ")) from None
    return dict(value)


_CHECKS: Mapping[str, Callable[[Parameter, Any], Any]] = {
    "float": _float,
    "int": _int,
    "bool": _bool,
    "choice": _choice,
    "text": _text,
    "file": _file,
}


def text_of(value: Any) -> str:
    """Return a value as templates show it: numbers in the shortest form that reads back, true and false, text as is.

    Raises
    ------
    ValueError
        It is a file, which stands in no text.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        shown = repr(value)
        return shown.removesuffix(".0")
    if isinstance(value, dict):
        raise ValueError("a file cannot stand in a text: give it a path under inputs")
    return str(value)


def several(wanted: Any) -> tuple[Any, ...]:
    """Return the values that a condition allows."""
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _wanted(parameter: Parameter, what: str, value: Any) -> str:
    quoted = " (without quotes)" if isinstance(value, str) and parameter.type != "text" else ""
    return f"must be {what}{quoted}"


def _unit(parameter: Parameter) -> str:
    return f" {parameter.unit}" if parameter.unit else ""


def _kind(parameter: Parameter) -> str:
    return {"float": "a number", "int": "a whole number", "bool": "true or false", "file": "a file"}.get(
        parameter.type, f"a {parameter.type}"
    )


def _condition(parameter: Parameter) -> str:
    parts = [
        f"{name} is {' or '.join(text_of(value) for value in several(wanted))}"
        for name, wanted in parameter.enabled_if.items()
    ]
    return f"it is used only where {' and '.join(parts)}"


def _names(parameters: Mapping[str, Parameter]) -> str:
    shown = ", ".join(list(parameters)[:50])
    return shown or "it has none"
