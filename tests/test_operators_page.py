"""What the operator's page quotes is what the gateway says; its commands, metrics and states are real ones."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

from gateway.cli.main import app
from gateway.model.states import Reason, State

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/operators.md").read_text()


def words_of_the_code() -> str:
    """Every text in the gateway's code, its parts joined as Python joins them; what is filled in is a ``…``."""
    found = []
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def quoted() -> list[str]:
    """The sentences after **Says**: one code span, or several with dots between them."""
    chains = re.findall(r"\*\*Says\*\*((?:\s+(?:·\s+)?`[^`]+`)+)", PAGE)
    return [span for chain in chains for span in re.findall(r"`([^`]+)`", chain)]


def test_the_page_quotes_many_sentences() -> None:
    assert len(quoted()) > 35


@pytest.mark.parametrize("sentence", sorted(set(quoted())))
def test_what_the_page_quotes_is_said_by_the_code(sentence: str, words: str) -> None:
    for part in sentence.split("…"):
        assert part.strip() in words


@pytest.fixture(scope="module")
def words() -> str:
    return words_of_the_code()


def test_the_commands_that_the_page_names_exist() -> None:
    group = typer.main.get_command(app)
    for line in set(re.findall(r"`gateway ([a-z][a-z -]*)", PAGE)):
        found = group
        for word in line.split():
            found = found.commands[word]  # type: ignore[attr-defined]


def test_the_metrics_that_the_page_names_exist() -> None:
    code = (ROOT / "gateway/metrics.py").read_text()
    for name in set(re.findall(r"`(gateway_[a-z_]+)`", PAGE)):
        assert f'"{name.removesuffix("_total")}"' in code, name


def test_the_states_and_reasons_that_the_page_names_exist() -> None:
    named = {"unknown", "lost", "failed", "finalizing", "staging_failed", "scheduler_rejected"}
    assert named <= {*map(str, State), *map(str, Reason)}
    board = (ROOT / "gateway/jobs/board.py").read_text()
    for word in re.findall(r"^## The target is `(\w+)`", PAGE, re.MULTILINE):
        assert f"``{word}``" in board
