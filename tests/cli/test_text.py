"""Text for terminals."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli.text import PlainStream, ago, duration, line, number_of, plain, size

# A busy machine is no reason to fail.
STEADY = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;5;9mred\x1b[m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07", ""),
        ("\x1bPq#0;2\x1b\\x", "x"),
        ("\x1b(Bx\x1bc", "x"),
        ("\x9b31mx", "x"),
        ("a\x1b", "a"),
        ("10 %\r20 %\r\n", "10 %\n20 %\n"),
        ("a\x00b\x07c\x08d\x7fe", "abcde"),
        ("left\u202eright\u2066", "leftright"),
        ("äöü → 漢字 🙂", "äöü → 漢字 🙂"),
        ("\x1b\x00[31mx", "[31mx"),
    ],
)
def test_what_could_steer_a_terminal_is_taken_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_one_line_stays_one_line() -> None:
    assert line(" a\nb\r\n\tc\x1b[2J ") == "a b c"


PIECES = st.sampled_from(
    ["\x1b", "[", "]", "31", "m", ";", "\x07", "\\", "\r", "\n", "a", "ä", "\x9b", "P", "(", "0", "\x00", " "]
)


@STEADY
@given(st.lists(PIECES, max_size=30), st.lists(st.integers(0, 60), max_size=6))
def test_a_log_in_pieces_gives_the_same_text_as_the_whole(words: list[str], cuts: list[int]) -> None:
    content = "".join(words).encode()
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    stream = PlainStream()
    shown = "".join(stream.feed(content[a:b]) for a, b in itertools.pairwise(edges))
    shown += stream.feed(b"", final=True)
    assert shown == plain(content.decode())


@STEADY
@given(st.text())
def test_nothing_that_steers_a_terminal_is_ever_left(text: str) -> None:
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in plain(text))


def test_bytes_that_are_no_text_do_not_stop_a_log() -> None:
    stream = PlainStream()
    assert stream.feed(b"a\xff\xc3") + stream.feed(b"\xa4b") == "a\ufffdäb"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (38_600_000, "38.6 MB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (5e15, "5.0 PB"),
    ],
)
def test_sizes_are_told_as_people_read_them(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (9.4, "9 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (7200, "2 h"),
        (7800, "2 h 10 min"),
        (4 * 86400, "4 d"),
        (100_000, "1 d 3 h"),
    ],
)
def test_lengths_of_time_are_told_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_moment_is_told_by_its_distance() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    told = [ago(now - timedelta(seconds=s), now) for s in (-5, 5, 119, 120, 7200, 200_000)]
    assert told == ["0 s ago", "5 s ago", "119 s ago", "2 min ago", "2 h ago", "2 d ago"]
    assert ago(None) == "-"


def test_one_is_not_many() -> None:
    assert (number_of(1, "file"), number_of(0, "file")) == ("1 file", "0 files")
