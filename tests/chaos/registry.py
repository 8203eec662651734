"""The named scenarios: functions that break something while a job is on its way, and look for harm."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.scene import Scene

Play = Callable[["Scene"], str]
"""Plays a scenario and returns what was seen, in one sentence; raises where something was harmed."""


@dataclass(frozen=True)
class Scenario:
    """One fault at one moment.

    Attributes
    ----------
    name
        A sentence: what is broken, and when.
    what
        What is done, in one line.
    quick
        Whether it is part of `make test`.
    """

    name: str
    what: str
    quick: bool
    play: Play


_scenarios: dict[str, Scenario] = {}


def add(name: str, what: str, play: Play, *, quick: bool = False) -> None:
    """Add a scenario; for tables of them."""
    assert name not in _scenarios, f"there is a scenario of that name already: {name}"
    assert "|" not in name + what, "the report is a table"
    _scenarios[name] = Scenario(name, what, quick, play)


def scenario(name: str, what: str, *, quick: bool = False) -> Callable[[Play], Play]:
    """Add the function below as a scenario."""

    def added(play: Play) -> Play:
        add(name, what, play, quick=quick)
        return play

    return added


def all_scenarios(*, quick: bool = False) -> list[Scenario]:
    """Return the scenarios of all modules of `tests.chaos.scenarios`, by module and place in it."""
    package = importlib.import_module("tests.chaos.scenarios")
    for module in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"tests.chaos.scenarios.{module}")
    return [found for found in _scenarios.values() if found.quick or not quick]
