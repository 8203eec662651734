"""Trees of files with awkward names, and patterns that are likely to match some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gateway.storage.filters import FilterError, matches

REPEATABLE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def make_tree(root: Path, paths: Sequence[str]) -> list[str]:
    """Write each file with its own path as content; a path that runs through another file is left out."""
    made = []
    for path in paths:
        try:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(path.encode())
            made.append(path)
        except (NotADirectoryError, FileExistsError, IsADirectoryError):
            continue
    return sorted(set(made))


CHARACTERS = "aab..[]{}-#% é*?\\!^',~+9\t\n\u3000"
PLAIN = st.sampled_from([c for c in CHARACTERS if c not in "\t\n"])
NAMES = st.one_of(
    st.sampled_from(["a", "b", "a b", ".a", "-a", "#", "ab", "a.b", "[1]", "1", "{a,b}", " a", "a "]),
    st.text(st.sampled_from(CHARACTERS), min_size=1, max_size=3).filter(lambda name: name not in (".", "..")),
    st.sampled_from([".gateway", "a\nb", "é", "e\u0301", "**"]),
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
TREES = st.lists(PATHS, min_size=3, max_size=25)


def escaped(character: str) -> str:
    return "?" if character < " " else "\\" + character if character in "*?[]\\!^-" else character


@st.composite
def classes(draw: st.DrawFn) -> str:
    members = draw(
        st.lists(
            st.one_of(
                PLAIN.map(escaped),
                st.sampled_from(["a-z", "+-9", " -~", "\\[-\\]", "0-9", "A-é", "a-a", "^", "!"]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    negation = draw(st.sampled_from(["", "", "!", "^"]))
    return (
        "["
        + negation
        + draw(st.sampled_from(["", "", "]"]))
        + "".join(members)
        + draw(st.sampled_from(["", "-"]))
        + "]"
    )


@st.composite
def segments(draw: st.DrawFn, name: str) -> str:
    """A segment of a pattern that has a good chance of matching `name`."""
    kind = draw(st.integers(0, 9))
    if kind < 2:
        return "**"
    if kind < 3:
        return draw(st.sampled_from(["*", "***", "**a", "?*", "*?", "a**"]))
    parts = []
    for character in name:
        change = draw(st.integers(0, 11))
        options = {0: "*", 1: "?", 2: f"[{escaped(character)}]", 3: "[!a]", 4: "**"}
        parts.append(draw(classes()) if change == 5 else options.get(change, escaped(character)))
    return "".join(parts)


@st.composite
def patterns(draw: st.DrawFn, paths: Sequence[str]) -> str:
    names = draw(st.one_of(st.sampled_from(list(paths)), PATHS)).split("/")
    names = names[: draw(st.integers(1, len(names)))]
    pattern = "/".join([draw(segments(name)) for name in names]) + draw(st.sampled_from(["", "", "", "/**", "/", "/*"]))
    pattern = draw(st.sampled_from(["", "", "", "**/"])) + pattern
    try:
        matches(pattern, "x")
    except FilterError:
        return "**"
    return pattern
