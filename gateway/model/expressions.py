"""POSIX extended regular expressions, as bash on a node matches them. Pure.

What Python, Perl and POSIX read in different ways is refused, so that a pattern means the same to its author and to
every node.
"""

from __future__ import annotations

import re

MAX_LENGTH = 500
MAX_REPEAT = 64
"""Largest number in ``{m,n}``: larger ones, nested, cost a node its memory."""
MAX_DEPTH = 8
_ESCAPABLE = frozenset(".[]\\()*+?{}|^$/")
_CLASSES = frozenset(
    ("alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "print", "graph", "cntrl", "xdigit")
)
_BOUND = re.compile(r"\{(\d{1,3})(?:(,)(\d{1,3})?)?\}")


class ExpressionError(ValueError):
    """The text is not an expression that every node reads alike."""


def expression_problem(text: str, *, groups: int = 1) -> str | None:
    """Say why `text` is not a usable expression with exactly `groups` groups, or None."""
    if not text:
        return "is empty"
    if len(text) > MAX_LENGTH:
        return f"must be at most {MAX_LENGTH} characters"
    if not text.isascii() or not text.isprintable():
        return "must be printable ASCII in one line"
    try:
        found = _Reader(text).read()
    except ExpressionError as error:
        return str(error)
    if found != groups:
        wanted = "exactly one group (…), which gives the value," if groups == 1 else f"exactly {groups} groups"
        return f"must have {wanted} and has {found}"
    return None


class _Reader:
    """A recursive-descent reader of the grammar in POSIX, without what it leaves undefined."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = 0

    def read(self) -> int:
        """Return the number of groups; raises `ExpressionError`."""
        self._alternatives(0)
        if self.at < len(self.text):
            raise self._wrong("')' has no '('")
        return self.groups

    def _wrong(self, detail: str) -> ExpressionError:
        return ExpressionError(f"is not a POSIX extended regular expression: {detail} at character {self.at + 1}")

    @property
    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _alternatives(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._wrong("groups are nested too deeply")
        self._branch(depth)
        while self._next == "|":
            self.at += 1
            self._branch(depth)

    def _branch(self, depth: int) -> None:
        begun = self.at
        while self._next and self._next not in "|)":
            repeatable = self._atom(depth)
            self._repeat(repeatable)
        if self.at == begun:
            raise self._wrong("there is nothing to match")

    def _atom(self, depth: int) -> bool:
        """Pass over one atom; say whether it can be repeated."""
        first = self._next
        if first in "*+?{":
            raise self._wrong(f"{first!r} repeats nothing (write \\{first} for the character)")
        if first == "}":
            raise self._wrong("'}' closes nothing (write \\} for the character)")
        if first == "[":
            self._set()
            return True
        if first == "(":
            if self.text.startswith("(?", self.at):
                raise self._wrong("'(?' is not POSIX (every group is a plain one)")
            self.at += 1
            self.groups += 1
            self._alternatives(depth + 1)
            if self._next != ")":
                raise self._wrong("'(' is not closed")
        if first == "\\":
            self.at += 1
            if self._next not in _ESCAPABLE or not self._next:
                raise self._wrong(f"'\\{self._next}' is not POSIX (digits are [0-9], spaces [[:space:]])")
        self.at += 1
        return first not in "^$"

    def _repeat(self, repeatable: bool) -> None:
        sign = self._next
        if not sign or sign not in "*+?{":
            return
        if not repeatable:
            raise self._wrong(f"{sign!r} cannot repeat '^' or '$'")
        length = 1
        if sign == "{":
            bound = _BOUND.match(self.text, self.at)
            if bound is None:
                raise self._wrong("'{' begins no number of repeats such as {2,5} (write \\{ for the character)")
            low, high = int(bound[1]), int(bound[3] or bound[1])
            if max(low, high) > MAX_REPEAT or high < low:
                raise self._wrong(f"a number of repeats must be a range up to {MAX_REPEAT}")
            length = len(bound[0])
        self.at += length
        if self._next and self._next in "*+?{":
            raise self._wrong(f"{self._next!r} after a repeat is not POSIX")

    def _set(self) -> None:
        self.at += 1
        if self._next == "^":
            self.at += 1
        begun = self.at
        while self._next != "]" or self.at == begun:
            self._set_item()
            if self._next == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                low = self.text[self.at - 1]
                self.at += 1
                if self._next == "[" or self._next < low:
                    raise self._wrong("a range in [...] ends before it begins")
                self._set_item()
        self.at += 1

    def _set_item(self) -> None:
        if not self._next:
            raise self._wrong("'[' is not closed")
        if self._next == "[" and self.text[self.at + 1 : self.at + 2] in (":", ".", "="):
            end = self.text.find(":]", self.at)
            if end < 0 or self.text[self.at + 2 : end] not in _CLASSES or self.text[self.at + 1] != ":":
                raise self._wrong("there is no such class of characters (they are [:alpha:], [:digit:], [:space:] …)")
            self.at = end + 2
            return
        if self._next == "\\":
            self.at += 1
            if self._next != "\\":
                raise self._wrong("in [...] a backslash is only itself: write it twice, or leave it out")
        self.at += 1
