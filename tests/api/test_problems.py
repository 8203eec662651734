"""The types of problems are listed, and the list is the truth."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import gateway
from gateway.api.docs_page import render
from gateway.api.problems import ADVICE, ProblemType, markdown, problem_types
from gateway.api.routes import ROUTES
from gateway.errors import GatewayError

PAGE = Path(__file__).parents[2] / "docs" / "problems.md"
TYPES = problem_types()


def test_the_page_lists_every_problem_that_the_gateway_can_answer() -> None:
    assert PAGE.read_text() == markdown(), "write it anew: python -m gateway.api.problems > docs/problems.md"


def test_every_exception_of_the_server_has_its_line() -> None:
    listed = {(item.status, item.name) for item in TYPES}
    packages = [part for part in pkgutil.iter_modules(gateway.__path__) if part.name not in ("cli", "client")]
    names = [f"gateway.{part.name}" for part in packages]
    for package in [part for part in packages if part.ispkg]:
        folder = str(Path(gateway.__path__[0], package.name))
        names += [f"gateway.{package.name}.{part.name}" for part in pkgutil.iter_modules([folder])]
    kinds = [
        kind
        for name in names
        for kind in vars(importlib.import_module(name)).values()
        if isinstance(kind, type) and issubclass(kind, GatewayError)
    ]
    assert {(kind.status, kind.problem) for kind in kinds} == listed


@pytest.mark.parametrize("item", TYPES, ids=lambda item: item.name)
def test_every_problem_says_what_it_means_and_what_to_do(item: ProblemType) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", item.name)
    assert 400 <= item.status < 600
    assert item.title
    assert item.meaning.endswith(".")
    assert item.advice.endswith(".")


def test_there_is_no_advice_about_problems_that_do_not_exist() -> None:
    assert set(ADVICE) == {item.name for item in TYPES}


def test_the_documentation_page_lists_the_problems_too() -> None:
    page = render(ROUTES)
    assert all(item.type in page for item in TYPES)
    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page, target
