"""The state diagram that people read is the table that the code goes by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.model.diagram import drawn_into, main, mermaid
from gateway.model.states import ENDED, TRANSITIONS, State

PAGE = Path(__file__).resolve().parents[2] / "docs/how-a-job-is-driven.md"


def test_the_page_shows_the_diagram_of_the_table_of_transitions() -> None:
    page = PAGE.read_text()
    assert drawn_into(page) == page, "run: python -m gateway.model.diagram docs/how-a-job-is-driven.md"


def test_the_diagram_has_an_arrow_for_each_legal_transition_and_no_other() -> None:
    arrows = set(re.findall(r"^ +(\w+) --> (\w+)", mermaid(), re.MULTILINE))
    assert arrows == {(str(a), str(b)) for a, found in TRANSITIONS.items() for b in found if a is not b}
    assert set(re.findall(r"^ +(\w+) --> \[\*\]", mermaid(), re.MULTILINE)) == {str(state) for state in ENDED}


def test_every_state_can_be_left_or_is_an_end() -> None:
    for state in State:
        assert state in ENDED or TRANSITIONS[state]


def test_the_diagram_is_drawn_into_a_page_or_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text().replace("draft --> accepted", "draft --> lost"))
    main([str(page)])
    assert page.read_text() == PAGE.read_text()
    main([])
    assert capsys.readouterr().out == mermaid() + "\n"
    with pytest.raises(ValueError, match="0 places"):
        drawn_into("nothing")
