"""The page of `make chaos`."""

from __future__ import annotations

from tests.chaos.__main__ import replaced, report
from tests.chaos.playing import Played
from tests.chaos.registry import all_scenarios


def test_what_is_played_again_replaces_its_row_and_the_count() -> None:
    first, second = all_scenarios()[:2]
    page = report([Played(first, "it was | lost", 2.0, "a trace"), Played(second, "all was well", 1.0)])
    assert "2 scenarios, 1 of them failed." in page
    assert f"| {first.name} | {first.what} | **FAILED** it was \\| lost | 2 |" in page
    again = replaced(page, [Played(first, "found", 3.0)])
    assert again == report([Played(first, "found", 3.0), Played(second, "all was well", 1.0)])
