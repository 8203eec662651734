"""Patterns against the real bash."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from generated_trees import REPEATABLE, TREES, make_tree, patterns
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.storage.filters import FilterError, OutputRule, find_collisions, land, matches, plan_transfers
from gateway.storage.patterns import parse_pattern


def typed(pattern: str) -> str:
    """The pattern as somebody types it in bash: what is not part of the pattern language stands in quotes."""
    if pattern.endswith("/"):
        pattern += "**"
    words = re.findall(r"\\.|.", pattern, re.DOTALL)
    raw = set("*?[]!^-/")
    return "".join(word if word[0] == "\\" or word in raw else "\\'" if word == "'" else f"'{word}'" for word in words)


def bash_matches(root: Path, patterns: Sequence[str]) -> list[set[str]]:
    loops = [f"for f in {typed(p)}; do [[ -f $f ]] && printf '%s\\0' \"$f\"; done; printf '\\0'" for p in patterns]
    script = "\n".join(["shopt -s globstar dotglob nullglob; shopt -s globskipdots 2>/dev/null", *loops, "exit 0"])
    run = subprocess.run(
        ["bash", "--noprofile", "--norc", "-s"],
        input=script.encode(),
        cwd=root,
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    assert run.stderr == b""
    answers: list[set[str]] = [set()]
    for name in run.stdout.decode().split("\0")[:-1]:
        if name:
            answers[-1].add(name)
        else:
            answers.append(set())
    return answers[:-1]


@st.composite
def trees_with_patterns(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    paths = draw(TREES)
    return paths, draw(st.lists(patterns(paths), min_size=12, max_size=12))


@settings(REPEATABLE, max_examples=60)
@given(trees_with_patterns())
@example((["a/b", "a/x/b", "b", "a/.x/.b"], ["a/**/b", "**/b", "a/**", "**", "*", "a/*/*", "**/.*", "a/"]))
@example(
    (
        ["a[1]", "a1", "a*", "a\\", "]", "-", "!", "^"],
        ["a[1]", "a\\[1]", "a\\*", "a\\\\", "[]]", "[a-]", "[!a]", "[^-]"],
    )
)
@example((["a/b", "a.b", "a0b", "a-b"], ["a[--0]b", "a[+-9]b", "a?b", "a[!x]b", "a*b"]))
def test_patterns_mean_what_bash_makes_of_them(case: tuple[list[str], list[str]]) -> None:
    paths, sources = case
    with tempfile.TemporaryDirectory() as folder:
        made = make_tree(Path(folder), paths)
        answers = bash_matches(Path(folder), sources)
    for source, answer in zip(sources, answers, strict=True):
        assert (source, {path for path in made if matches(source, path)}) == (source, answer)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("", "empty"),
        ("/", "starts with"),
        ("/etc/passwd", "starts with"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("a/\\.\\./b", "'..'"),
        ("./a", "'.'"),
        ("a//b", "empty segment"),
        (".gateway", "reserved"),
        (".gateway/", "reserved"),
        (".gateway/**", "reserved"),
        ("\\.gateway/x", "reserved"),
        ("a\nb", "control"),
        ("a\0b", "control"),
        ("a\tb", "control"),
        ("a\x7fb", "control"),
        ("\ud800", "Unicode"),
        ("é" * 513, "1026 bytes"),
        ("a[b", "without ']'"),
        ("[]", "without ']'"),
        ("[!]", "without ']'"),
        ("a[b/c]d", "without ']'"),
        ("[a\\]", "without ']'"),
        ("[z-a]", "backwards"),
        ("[[:alpha:]]", "named class"),
        ("[[=a=]]", "named class"),
        ("[a-[.z.]]", "named class"),
        ("a\\", "backslash"),
        ("a\\/b", "backslash"),
    ],
)
def test_a_pattern_that_means_nothing_certain_is_refused_in_a_sentence(source: str, word: str) -> None:
    for refused in (
        lambda: plan_transfers([OutputRule(source)], []),
        lambda: plan_transfers([], [source]),
        lambda: find_collisions([OutputRule(source)]),
        lambda: land([OutputRule(source)], [], "x"),
        lambda: land([], [source], "x"),
        lambda: matches(source, "x"),
    ):
        with pytest.raises(FilterError, match=re.escape(word)) as refusal:
            refused()
        assert str(refusal.value).endswith((".", ").", "character."))


def test_the_longest_pattern_is_accepted_and_wild_ones_are_matched_quickly() -> None:
    assert matches("x" * 1024, "x" * 1024)
    assert not matches("*a" * 512, "a" * 255 + "b")
    assert not matches("**/a/" * 204 + "b", "a/" * 2000 + "c")
    assert not find_collisions([OutputRule("x/" + "*a" * 400, "y"), OutputRule("z/" + "*a" * 400 + "b", "y")])


@pytest.mark.parametrize(
    ("pattern", "beginning", "ending"),
    [
        ("VTK/**/*.vtk", "VTK/", ".vtk"),
        ("VTK/", "VTK/", ""),
        ("a/b.txt", "a/b.txt", "b.txt"),
        ("run_?/x", "run_", "x"),
        ("**", "", ""),
        ("[ab]c/d*e", "", "e"),
        (r"\[a\]/\**", "[a]/*", ""),
    ],
)
def test_what_every_match_begins_and_ends_with_is_known(pattern: str, beginning: str, ending: str) -> None:
    parsed = parse_pattern(pattern)
    assert (parsed.beginning, parsed.ending) == (beginning, ending)
    for path in ("VTK/a.vtk", "VTK/b/c.vtk", "a/b.txt", "run_1/x", "ac/dee", "[a]/*", "[a]/*b", "x"):
        if parsed.matches(path):
            assert path.startswith(beginning)
            assert path.endswith(ending)
