"""Patterns and trees of outputs."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.client.tree import fixed_part, matches

STEADY = settings(derandomize=True, deadline=None, max_examples=60)
NAMES = st.text("ab.", min_size=1, max_size=3)
WORDS = st.one_of(st.just("**"), st.text("ab.*?", min_size=1, max_size=3).filter(lambda word: "**" not in word))


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**", "a", True),
        ("**", "a/b/c", True),
        ("VTK/**", "VTK/a/b.vtk", True),
        ("VTK/", "VTK/a/b.vtk", True),
        ("VTK/**", "VTK", False),
        ("**/**", "a", True),
        ("VTK/**/*.vtk", "VTK/b.vtk", True),
        ("VTK/**/*.vtk", "VTK/a/c/b.vtk", True),
        ("VTK/*.vtk", "VTK/a/b.vtk", False),
        ("*.vtk", "a/b.vtk", False),
        ("**/*.vtk", "b.vtk", True),
        ("a?[12]", "ax2", True),
        ("A", "a", False),
        ("a", "a/b", False),
        ("log.*", "log.cavity", True),
    ],
)
def test_a_pattern_means_what_bash_means(pattern: str, path: str, fits: bool) -> None:
    assert matches(pattern, path) is fits


def slowly(words: list[str], parts: list[str]) -> bool:
    """Say the same by trying everything."""
    if not words:
        return not parts
    if words == ["**"]:
        return bool(parts)
    if words[0] == "**":
        return any(slowly(words[1:], parts[at:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], words[0]) and slowly(words[1:], parts[1:])


@STEADY
@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(NAMES, min_size=1, max_size=5))
def test_patterns_agree_with_trying_everything(words: list[str], parts: list[str]) -> None:
    assert matches("/".join(words), "/".join(parts)) is slowly(words, parts)


@STEADY
@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(NAMES, min_size=1, max_size=5))
def test_whatever_fits_lies_below_the_fixed_part(words: list[str], parts: list[str]) -> None:
    pattern, path = "/".join(words), "/".join(parts)
    assert not matches(pattern, path) or path.startswith(fixed_part(pattern))


def test_a_long_pattern_takes_no_time() -> None:
    assert not matches("/".join(["**", "a*"] * 200) + "/b", "/".join(["aa"] * 400))
