"""``NAME=VALUE`` on the command line: values of a case by their types, changes of a specification by their places."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.cli.exits import UsageMistake
from gateway.client import Gateway
from gateway.errors import NotFound
from gateway.model.case import CaseInfo, ParameterInfo


def split(text: str, option: str) -> tuple[str, str]:
    """Return name and value of ``NAME=VALUE``; `UsageMistake` where it is something else."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageMistake(f"{option} {text!r} must be NAME=VALUE")
    return name, value


def parameters_of(gateway: Gateway, case: str | None, version: str | None = None) -> dict[str, ParameterInfo]:
    """Return a case's parameters; none without a case, or where it is not there (the gateway says so itself)."""
    if case is None:
        return {}
    try:
        info: CaseInfo = gateway.case(case, version)
    except NotFound:
        return {}
    return {parameter.name: parameter for family in info.families for parameter in family.parameters}


def typed(text: str, parameter: ParameterInfo | None) -> Any:
    """Return a value as its parameter takes it; what does not fit stays text, for the gateway to refuse."""
    if parameter is None:
        return loose(text)
    if parameter.type == "file":
        return {"file": text}
    if parameter.type == "text":
        return text
    if parameter.type == "choice":
        return next((choice.value for choice in parameter.choices if _shown(choice.value) == text), text)
    found = loose(text)
    return found if isinstance(found, bool | int | float) else text


def loose(text: str) -> Any:
    """Return a number, true, false, null, a list or an object where it reads as one; else the text."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def values_of(given: Iterable[str], parameters: Mapping[str, ParameterInfo], option: str = "--set") -> dict[str, Any]:
    """Return the values of a case from ``NAME=VALUE``."""
    pairs = [split(text, option) for text in given]
    return {name: typed(value, parameters.get(name)) for name, value in pairs}


def grid_of(given: Iterable[str], parameters: Mapping[str, ParameterInfo]) -> dict[str, list[Any]]:
    """Return a grid from ``NAME=VALUE,VALUE…``; a list in JSON is taken as it is."""
    made: dict[str, list[Any]] = {}
    for text in given:
        name, values = split(text, "--grid")
        whole = loose(values)
        if isinstance(whole, list):
            made[name] = whole
        elif name.startswith(("/env/", "/command/")):
            made[name] = values.split(",")
        else:
            made[name] = [typed(value, parameters.get(name)) for value in values.split(",")]
    return made


def tags_of(given: Iterable[str]) -> dict[str, str | None]:
    """Return tags from ``NAME=VALUE``; without a value (``NAME=``) the tag is to go."""
    return {name: value or None for name, value in (split(text, "--tag") for text in given)}
