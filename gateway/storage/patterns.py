"""The patterns of ``outputs`` and ``exclude``: what they mean, and which are refused.

They mean what bash makes of them on a command line with ``shopt -s globstar dotglob globskipdots`` in a
UTF-8 locale, for files only:

- ``*``, ``?`` and classes (``[abc]``, ``[!a-z]``, ``[^a]``) stay within one folder and match a leading dot;
- ``**`` as a whole segment is any depth, including none; as the last segment it is every file below;
  elsewhere it is ``*``;
- a backslash takes the next character literally; braces are plain characters;
- a pattern without wildcards names one file; naming a folder, it matches nothing. ``VTK/`` is ``VTK/**``;
- nothing floats: ``*.dat`` is a file at the root of the job's folder, ``**/*.dat`` is one anywhere.

What bash leaves to the locale, the version or chance is refused (`FilterError`): an unclosed ``[``,
``[[:alpha:]]``, a range that runs backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TypeVar

MAX_PATTERN_BYTES = 1024
RESERVED = ".gateway"
_NAMED_CLASSES = ("[:", "[.", "[=")


class FilterError(ValueError):
    """A pattern or destination that is refused; the text is a sentence for the person who wrote it."""


class Wild(Enum):
    """Wildcards; `DEPTH` is always a segment of its own."""

    ONE = "?"
    MANY = "*"
    DEPTH = "**"


@dataclass(frozen=True)
class CharacterClass:
    """``[…]``: ranges of code points, ends included, never with ``/``."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def has(self, character: str) -> bool:
        """Whether the class matches one character."""
        return any(low <= character <= high for low, high in self.ranges) != self.negated


Item = TypeVar("Item")
Token = str | Wild | CharacterClass
"""Part of a segment; a string is one character that stands for itself."""
Segment = tuple[Token, ...]
DEPTH: Segment = (Wild.DEPTH,)
ANY_NAME: Segment = (Wild.MANY,)


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern, one item per segment. ``**`` never comes last: there it is ``**/*``."""

    segments: tuple[Segment, ...]

    def matches(self, path: str) -> bool:
        """Whether the file at `path` (relative to the job's folder) matches."""
        return len(self.segments) in self.reached(path.split("/"))

    def reached(self, names: Sequence[str]) -> set[int]:
        """How many leading segments can be used up by exactly these names."""
        positions = {0}
        for name in names:
            following: set[int] = set()
            for position in positions:
                at = position
                while self.segments[at : at + 1] == (DEPTH,):
                    following.add(at)
                    at += 1
                if at < len(self.segments) and _matches_name(self.segments[at], name):
                    following.add(at + 1)
            positions = following
        return positions

    def fixed_folder(self) -> tuple[str, ...]:
        """The leading segments without wildcards; for one file's name, its folder."""
        fixed: list[str] = []
        for segment in self.segments[:-1]:
            name = _literal(segment)
            if name is None:
                break
            fixed.append(name)
        return tuple(fixed)

    @property
    def beginning(self) -> str:
        """The characters that every path begins with that matches."""
        folder = "".join(f"{name}/" for name in self.fixed_folder())
        segment = self.segments[len(self.fixed_folder())]
        return folder + _leading(segment)

    @property
    def ending(self) -> str:
        """The characters that every path ends with that matches."""
        return _leading(reversed(self.segments[-1]))[::-1]


def matches(pattern: str, path: str) -> bool:
    """Whether the file at `path` (relative to the job's folder) matches; FilterError for a bad pattern."""
    return parse_pattern(pattern).matches(path)


@lru_cache(maxsize=1024)
def parse_pattern(pattern: str) -> Pattern:
    """Parse a pattern.

    Raises
    ------
    FilterError
        It is empty, too long, absolute, has ``.``, ``..`` or empty segments, begins with ``.gateway``,
        contains control characters, or is not well formed.
    """
    _check_text(pattern, "pattern")
    names = pattern.split("/")
    if names[-1] == "":
        names[-1] = "**"
    segments: list[Segment] = []
    for name in names:
        segment = DEPTH if name == "**" else tuple(_tokens(name, pattern))
        if segment != DEPTH or segments[-1:] != [DEPTH]:
            segments.append(segment)
    _check_names([_literal(segment) for segment in segments], pattern, "pattern")
    if segments[-1] == DEPTH:
        segments.append(ANY_NAME)
    return Pattern(tuple(segments))


def parse_destination(destination: str) -> tuple[str, ...]:
    """Parse a destination: a folder, with or without a slash at its end; ``""`` and ``"."`` are the top.

    Raises
    ------
    FilterError
        For the same reasons as a pattern's, but nothing in it is a wildcard.
    """
    if destination in ("", ".", "./"):
        return ()
    _check_text(destination, "destination")
    names = tuple(destination.removesuffix("/").split("/"))
    _check_names(names, destination, "destination")
    return names


def overlap(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Whether one path can match both. Two classes are taken to share a character, so it may err to True."""
    return _overlap(left, right, DEPTH, lambda one, other: _overlap(one, other, Wild.MANY, _share_character))


def _check_text(text: str, what: str) -> None:
    if text == "":
        raise FilterError(f"The {what} is empty.")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise FilterError(f"The {what} {text!a} is not valid Unicode.") from None
    if size > MAX_PATTERN_BYTES:
        raise FilterError(f"The {what} has {size} bytes; {MAX_PATTERN_BYTES} are allowed.")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise FilterError(f"The {what} {text!a} contains a control character.")
    if text.startswith("/"):
        raise FilterError(f"The {what} {text!r} starts with '/': paths are relative to the job's folder.")


def _check_names(names: Sequence[str | None], text: str, what: str) -> None:
    if "" in names:
        raise FilterError(f"The {what} {text!r} contains an empty segment ('//').")
    if "." in names or ".." in names:
        raise FilterError(f"The {what} {text!r} contains the segment '.' or '..'.")
    if names[0] == RESERVED:
        raise FilterError(f"The {what} {text!r} begins with {RESERVED!r}, which is reserved for the gateway.")


def _tokens(name: str, pattern: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(name):
        if name[at] == "*":
            if tokens[-1:] != [Wild.MANY]:
                tokens.append(Wild.MANY)
            at += 1
        elif name[at] == "?":
            tokens.append(Wild.ONE)
            at += 1
        elif name[at] == "[":
            character_class, at = _character_class(name, at + 1, pattern)
            tokens.append(character_class)
        else:
            character, at = _character(name, at, pattern)
            tokens.append(character)
    return tokens


def _character(name: str, at: int, pattern: str) -> tuple[str, int]:
    """The character at a position, its backslash taken off, and the position after it."""
    if name[at] == "\\":
        at += 1
        if at == len(name):
            raise FilterError(f"The pattern {pattern!r} has a backslash before '/' or at its end.")
    return name[at], at + 1


def _character_class(name: str, at: int, pattern: str) -> tuple[CharacterClass, int]:
    """The class whose bracket stands before a position, and the position after it."""
    negated = name[at : at + 1] in ("!", "^")
    first = at = at + negated
    ranges: list[tuple[str, str]] = []
    while name[at : at + 1] != "]" or at == first:
        if at >= len(name):
            raise FilterError(f"The pattern {pattern!r} has a '[' without ']'; write '\\[' for the character.")
        if name.startswith(_NAMED_CLASSES, at):
            raise FilterError(f"The pattern {pattern!r} has a named class; write ranges such as [0-9].")
        low, at = _character(name, at, pattern)
        high = low
        if name[at : at + 1] == "-" and name[at + 1 : at + 2] not in ("", "]"):
            if name.startswith(_NAMED_CLASSES, at + 1):
                raise FilterError(f"The pattern {pattern!r} has a named class; write ranges such as [0-9].")
            high, at = _character(name, at + 1, pattern)
        if high < low:
            raise FilterError(f"The pattern {pattern!r} has the range '{low}-{high}', which runs backwards.")
        # No class matches a slash, also not in the middle of a range.
        ranges += [(low, "."), ("0", high)] if low < "/" < high else [(low, high)]
    return CharacterClass(tuple(ranges), negated), at + 1


def _leading(tokens: Iterable[Token]) -> str:
    """The characters before the first wildcard."""
    found: list[str] = []
    for token in tokens:
        if not isinstance(token, str):
            break
        found.append(token)
    return "".join(found)


def _literal(segment: Segment) -> str | None:
    """The one name that a segment matches, None if it has wildcards."""
    characters = [token for token in segment if isinstance(token, str)]
    return "".join(characters) if len(characters) == len(segment) else None


def _matches_name(segment: Segment, name: str) -> bool:
    """Match one name, going back to the last ``*`` only: at most len(segment) * len(name) steps."""
    token = at = 0
    star = mark = -1
    while at < len(name):
        if token < len(segment) and segment[token] is Wild.MANY:
            star, mark = token, at
            token += 1
        elif token < len(segment) and _share_character(segment[token], name[at]):
            token += 1
            at += 1
        elif star >= 0:
            mark += 1
            token, at = star + 1, mark
        else:
            return False
    return all(rest is Wild.MANY for rest in segment[token:])


def _share_character(left: Token, right: Token) -> bool:
    """Whether two tokens that each match one character can match the same one."""
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if isinstance(left, CharacterClass) and isinstance(right, str):
        return left.has(right)
    if isinstance(left, str) and isinstance(right, CharacterClass):
        return right.has(left)
    return True


def _overlap(left: Sequence[Item], right: Sequence[Item], many: Item, meet: Callable[[Item, Item], bool]) -> bool:
    """Whether one sequence can match both, where `many` stands for any number of items."""
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        i, j = waiting.pop()
        if i == len(left) and j == len(right):
            return True
        steps = []
        if many in (*left[i : i + 1], *right[j : j + 1]):
            steps = [(i + 1, j)] * (i < len(left)) + [(i, j + 1)] * (j < len(right))
        elif i < len(left) and j < len(right) and meet(left[i], right[j]):
            steps = [(i + 1, j + 1)]
        waiting += [step for step in steps if step not in seen]
        seen.update(steps)
    return False
