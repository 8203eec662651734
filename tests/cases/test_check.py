"""The check of a case: every template, with defaults, minima, maxima and each choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway import templates
from gateway.cases.check import check_folder, variants
from gateway.cases.example import write_example
from gateway.cases.values import complete
from gateway.errors import Conflict
from gateway.jobs.acceptance import output_errors
from tests.cases.written import FILES, definition, tank, write_tank


def mistakes(parent: Path, texts: dict[str, str] = FILES, **changes: Any) -> list[str]:
    return [str(item) for item in check_folder(write_tank(parent, texts, **changes), output_errors).mistakes]


SHIPPED = sorted(path.parent.name for path in (templates.folder() / "cases").glob("*/case.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_case_is_good(name: str) -> None:
    checked = check_folder(templates.folder() / "cases" / name, output_errors)
    assert checked.mistakes == ()
    assert checked.rendered >= 3


def test_a_new_case_is_good_as_it_stands(tmp_path: Path) -> None:
    write_example("my-tank_2", tmp_path / "my-tank_2")
    checked = check_folder(tmp_path / "my-tank_2", output_errors)
    assert checked.mistakes == ()
    assert checked.case is not None
    with pytest.raises(Conflict, match="is there already"):
        write_example("my-tank_2", tmp_path / "my-tank_2")


def test_every_set_of_values_is_one_that_a_job_could_have() -> None:
    case = tank().definition
    found = dict(variants(case))
    assert {"with the defaults", "with the minima", "with the maxima", "with model 'w'", "with heated True"} <= set(
        found
    )
    for values in found.values():
        assert complete(case, {name: value for name, value in values.items() if value is not None}) == values
    assert found["with the maxima"]["speed"] == 2
    assert found["with the minima"]["cells"] == 2
    assert found["with heated True"]["heat"] == 1


def test_the_largest_value_lies_on_a_step() -> None:
    case = definition({"name": "x", "type": "float", "default": 0.1, "min": 0.1, "max": 1, "step": 0.2})
    assert dict(variants(case))["with the maxima"] == {"x": 0.9}


def test_a_choice_is_tried_with_what_it_needs() -> None:
    case = definition(
        {"name": "on", "type": "bool", "default": False},
        {"name": "kind", "type": "choice", "choices": ["a", "b"], "default": "a", "enabled_if": {"on": True}},
    )
    assert dict(variants(case))["with kind 'b'"] == {"on": True, "kind": "b"}


def test_every_wrong_template_is_named_with_its_line(tmp_path: Path) -> None:
    texts = {"settings": "ok\n{nosuch}\n{other}\n", "run.sh": ""}
    found = mistakes(tmp_path, texts, command=["tank", "{sped}"], env={"A": "{x}"})
    lines = (tmp_path / "tank/case.yaml").read_text().splitlines()
    expected = [
        ("case.yaml", lines.index("- '{sped}'") + 1, "{sped}"),
        ("case.yaml", lines.index("  A: '{x}'") + 1, "{x}"),
        ("settings", 2, "{nosuch}"),
        ("settings", 3, "{other}"),
    ]
    assert [text.partition(" names")[0] for text in found] == [f"{f}:{n}: {word}" for f, n, word in expected]


def test_what_is_wrong_only_in_a_corner_is_told_with_the_corner(tmp_path: Path) -> None:
    texts = {**FILES, "settings": "${1 / speed}"}
    found = mistakes(tmp_path, texts, syntax="mako", command=["tank"], env={}, resources={}, save_and_stop=None)
    assert found == [
        "settings:1: the template cannot be filled in: ZeroDivisionError: division by zero (with the minima)"
    ]


def test_what_a_case_gives_is_checked_as_a_job_would_be(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        resources={"walltime": "{speed} hours", "cpus": 1},
        outputs=[{"source": "a[b"}],
        env={"LD_PRELOAD": "x"},
    )
    assert any("resources.walltime: must be seconds" in text for text in found)
    found = mistakes(tmp_path, outputs=[{"source": "out/**"}, {"source": "a[b"}])
    assert len(found) == 1
    assert "outputs.1.source: The pattern 'a[b' has a '[' without ']'" in found[0]
    assert any("LD_PRELOAD" in text for text in mistakes(tmp_path, env={"LD_PRELOAD": "x"}))
