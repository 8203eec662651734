"""Text for terminals: remote text made harmless, sizes and times for people. Pure."""

from __future__ import annotations

import codecs
import re
from datetime import UTC, datetime

_STRING = r"\x1b[\]PX^_][^\x07\x1b\n]{0,1000}"
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, moves of the cursor
    rf"|{_STRING}(?:\x07|\x1b\\)"  # titles, links, the clipboard
    r"|\x1b[ -/]*[0-~]"
)
_HALF = re.compile(rf"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*|{_STRING}\x1b?|\x1b[ -/]*|\r+)\Z")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LINE_ENDS = re.compile(r"\r+\n?")


def plain(text: str) -> str:
    """Take out what could steer a terminal: escape sequences, control characters, marks that turn text round."""
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", _ESCAPES.sub("", text)))


def line(text: str) -> str:
    """Return `text` as one harmless line."""
    return " ".join(plain(text).split())


class PlainStream:
    """Turns the bytes of a log, as they come, into harmless text; holds back what may be half of something."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, content: bytes, *, final: bool = False) -> str:
        """Return the text that can be shown now."""
        text = self._held + self._decoder.decode(content, final)
        self._held = ""
        if not final and (half := _HALF.search(text)):
            text, self._held = text[: half.start()], text[half.start() :]
        return plain(text)


def size(count: float) -> str:
    """Return bytes as people read them: ``512 B``, ``1.2 MB`` (1000-based)."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} PB"


def duration(seconds: float) -> str:
    """Return a length of time: ``9 s``, ``3 min 5 s``, ``2 h 10 min``, ``4 d``."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    days, hours = divmod(hours, 24)
    if days == 0:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago a moment was, roughly."""
    if moment is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"


def moment(value: datetime | None) -> str:
    """Return a moment in local time, to the second."""
    return "-" if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def number_of(count: int, thing: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
