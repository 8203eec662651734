"""Where the files of a job land, and the rclone runs and filter lines that bring them there.

rclone has a pattern language of its own (unanchored, ``/**/`` needs a folder in between, braces, trimmed
lines), so patterns (`gateway.storage.patterns`) are translated, never passed on. It also sees other names:
control characters as their pictures (a newline as U+240A), its escape character U+201B doubled. ``*`` and
``**`` match such names and literals are translated, but ``?`` and classes see what rclone sees.

Passes need ``--local-encoding Raw`` (``--sftp-encoding Raw``) and ``--no-unicode-normalization``. Otherwise
rclone fails to open some files, and drops one of two whose names differ in normal form only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal

from gateway.storage.patterns import (
    ANY_NAME,
    DEPTH,
    RESERVED,
    CharacterClass,
    FilterError,
    Pattern,
    Segment,
    Token,
    Wild,
    matches,
    overlap,
    parse_destination,
    parse_pattern,
)

__all__ = [
    "Collision",
    "FilterError",
    "Landing",
    "OutputRule",
    "Transfer",
    "When",
    "find_collisions",
    "land",
    "matches",
    "plan_transfers",
]

_RESERVED_LINES = (f"- /{RESERVED}/**", f"- /{RESERVED}")
# Each `**` in the middle doubles the glob lines; from here on it is a regular expression, for which rclone
# walks every folder.
_MAX_DEPTHS_AS_GLOBS = 3
# That many rules of a transfer have an order of their own where time is short.
_MAX_URGENT = 8
_GLOB_SPECIAL = frozenset("{}?[]\\")
_RCLONE_ESCAPE = "\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}"
_RCLONE_ESCAPED = frozenset(
    {_RCLONE_ESCAPE, "\N{FULLWIDTH SOLIDUS}", "\N{SYMBOL FOR DELETE}", *map(chr, range(0x2400, 0x2420))}
)

When = Literal["running", "end"]
Folder = tuple[str, ...]


@dataclass(frozen=True)
class OutputRule:
    """One entry of a specification's ``outputs``.

    Parameters
    ----------
    source
        Pattern relative to the job's folder.
    destination
        Folder below the job's place in the store for what follows the pattern's fixed folder (its leading
        segments without wildcards; for a single file, the file's folder). Always a folder, with or without a
        slash at its end; ``""`` or ``"."`` is the top. None keeps the path.
    content_type
        Media type stored with each file; None leaves it to the store.
    follow
        The file is only ever appended to: readers are offered it as a growing log, and while the payload runs it
        is sent up to the end of its last whole line. No part in filtering.
    when
        ``running``: in background and final passes; ``end``: in final passes only.
    """

    source: str
    destination: str | None = None
    content_type: str | None = None
    follow: bool = False
    when: When = "running"


@dataclass(frozen=True)
class Transfer:
    """One rclone run of a pass: copies a folder of the job to a folder of its place in the store.

    `source_folder` may not exist (yet: rclone's exit status 3), and the payload may have put a symbolic link
    there, which rclone would follow out of the job's folder: enter it, compare ``pwd -P``, copy from ``.``.

    Parameters
    ----------
    source_folder, destination_folder
        Without slashes at the ends; ``""`` is the whole.
    content_type
        Media type for all its files, None for the store's choice.
    running, final
        Lines for ``--filter-from`` in background and final passes; `running` is empty where there is nothing
        to copy before the end.
    follow
        Its files are only ever appended to.
    urgent
        Where it has several rules: lines for what the first, the first two, … of them take at the end. Where time is
        short, that is copied first.
    """

    source_folder: str
    destination_folder: str
    content_type: str | None
    running: tuple[str, ...]
    final: tuple[str, ...]
    follow: bool = False
    urgent: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Landing:
    """Where one file of a job lands; `rule` is the output rule's index, None where there are no rules."""

    destination: str
    content_type: str | None
    when: When
    rule: int | None


@dataclass(frozen=True)
class Collision:
    """Two output rules, by index, that could land two different files on one path."""

    first: int
    second: int
    sentence: str


@dataclass(frozen=True)
class _Placed:
    """A parsed rule: what a match is called below `source` it is called below `destination`.

    Both are as short as possible, so rules that move files alike have the same pair.
    """

    pattern: Pattern
    source: Folder
    destination: Folder


@lru_cache(maxsize=1024)
def _place(rule: OutputRule) -> _Placed:
    pattern = parse_pattern(rule.source)
    if rule.destination is None:
        return _Placed(pattern, (), ())
    source, destination = pattern.fixed_folder(), parse_destination(rule.destination)
    while source and destination and source[-1] == destination[-1]:
        source, destination = source[:-1], destination[:-1]
    return _Placed(pattern, source, destination)


def land(outputs: Sequence[OutputRule], exclude: Sequence[str], path: str) -> tuple[Landing, ...]:
    """Where the file at `path` (relative to the job's folder) lands; ``()`` is nowhere.

    The first rule that takes a file to a path decides about its content type and `when` there.
    """
    names = path.split("/")
    if names[0] == RESERVED or any(matches(pattern, path) for pattern in exclude):
        return ()
    if not outputs:
        return (Landing(path, None, "running", None),)
    landings: dict[str, Landing] = {}
    for index, rule in enumerate(outputs):
        placed = _place(rule)
        if not placed.pattern.matches(path):
            continue
        landed = (*placed.destination, *names[len(placed.source) :])
        if landed[0] != RESERVED:
            destination = "/".join(landed)
            landings.setdefault(destination, Landing(destination, rule.content_type, rule.when, index))
    return tuple(landings.values())


def find_collisions(outputs: Sequence[OutputRule]) -> list[Collision]:
    """Pairs of rules that could land two different files on one path; errs on the side of seeing one.

    Raises
    ------
    FilterError
        A pattern or a destination is refused.
    """
    placed = [_place(rule) for rule in outputs]
    landed = [(*map(tuple, rule.destination), *rule.pattern.segments[len(rule.source) :]) for rule in placed]
    moves = [(rule.source, rule.destination) for rule in placed]
    return [
        Collision(first, second, _collision_sentence(outputs[first], outputs[second]))
        for second in range(len(outputs))
        for first in range(second)
        # Two rules that move files alike can only bring the same file to the same path.
        if moves[first] != moves[second] and overlap(landed[first], landed[second])
    ]


def _collision_sentence(first: OutputRule, second: OutputRule) -> str:
    rules = " and ".join(
        repr(rule.source) + ("" if rule.destination is None else f" (to {rule.destination!r})")
        for rule in (first, second)
    )
    return f"The outputs {rules} could put two different files at one path; give them other destinations."


def plan_transfers(outputs: Sequence[OutputRule], exclude: Sequence[str]) -> tuple[Transfer, ...]:
    """The rclone runs that bring every file to where `land` says, each path written by only one of them.

    Without `outputs` that is one run over the whole folder, otherwise one for each way of moving files, each
    content type, and what is followed or not.

    Raises
    ------
    FilterError
        A pattern or a destination is refused.
    """
    excluded = [parse_pattern(pattern) for pattern in exclude]
    if not outputs:
        lines = _opening((), (), excluded)
        return (Transfer("", "", None, lines, lines),)
    groups: dict[tuple[Folder, Folder], list[tuple[OutputRule, tuple[Segment, ...]]]] = {}
    for rule in outputs:
        placed = _place(rule)
        below = placed.pattern.segments[len(placed.source) :]
        groups.setdefault((placed.source, placed.destination), []).append((rule, below))
    transfers = []
    for (source, destination), rules in groups.items():
        opening = _opening(source, destination, excluded)
        for kind in dict.fromkeys((rule.content_type, rule.follow) for rule, _ in rules):
            mine = [((rule.content_type, rule.follow) == kind, rule.when, below) for rule, below in rules]
            running = _filter(opening, [(own and when == "running", below) for own, when, below in mine])
            final = _filter(opening, [(own, below) for own, _, below in mine])
            urgent = _urgent(opening, [(own, below) for own, _, below in mine])
            transfers.append(
                Transfer("/".join(source), "/".join(destination), kind[0], running, final, kind[1], urgent)
            )
    return tuple(transfers)


def exactly(names: Iterable[str]) -> tuple[str, ...]:
    """Return lines for ``--filter-from`` that take these files only. No name may hold a line's end."""
    lines = ["+ /" + "/".join(_glob(tuple(part)) for part in name.split("/")) for name in names]
    # rclone takes white space at a line's end away.
    return (*(f"{line[:-1]}[{line[-1]}]" if line[-1].isspace() else line for line in lines), "- *")


def _opening(source: Folder, destination: Folder, exclude: Sequence[Pattern]) -> tuple[str, ...]:
    """What a transfer never takes: names reserved at either end, and excluded files."""
    lines = [] if source and destination else list(_RESERVED_LINES)
    for pattern in exclude:
        for position in sorted(pattern.reached(source)):
            if position < len(pattern.segments):
                lines += _lines("-", pattern.segments[position:])
    return tuple(dict.fromkeys(lines))


def _filter(opening: Sequence[str], rules: Sequence[tuple[bool, tuple[Segment, ...]]]) -> tuple[str, ...]:
    """A whole filter file. There, as among rules, the first match decides: other rules' files get a ``-``."""
    while rules and not rules[-1][0]:
        rules = rules[:-1]
    if not rules:
        return ()
    lines = [line for taken, below in rules for line in _lines("+" if taken else "-", below)]
    return (*dict.fromkeys((*opening, *lines)), "- **")


def _urgent(opening: Sequence[str], rules: Sequence[tuple[bool, tuple[Segment, ...]]]) -> tuple[tuple[str, ...], ...]:
    """Filters of what the first, the first two, … of several rules take."""
    own = [index for index, (taken, _) in enumerate(rules) if taken][:_MAX_URGENT]
    return tuple(_filter(opening, rules[: index + 1]) for index in own[: len(own) - 1])


def _lines(sign: str, segments: Sequence[Segment]) -> list[str]:
    """One pattern as lines of rclone's globs, from which rclone infers the folders that it need not walk."""
    every_below = segments[-2:] == (DEPTH, ANY_NAME)
    last, folders = ("**", segments[:-2]) if every_below else (_glob(segments[-1]), segments[:-1])
    few = folders.count(DEPTH) <= _MAX_DEPTHS_AS_GLOBS
    depth = ["", "**/"] if few else ["{{(?:[^/]+/)*}}"]
    choices = [depth if folder == DEPTH else [_glob(folder) + "/"] for folder in folders]
    return [_untrimmed(f"{sign} /{''.join(choice)}{last}") for choice in product(*choices)]


def _untrimmed(line: str) -> str:
    """White space at the end of a line as a class, because rclone trims lines."""
    return f"{line[:-1]}[{line[-1]}]" if line[-1].isspace() else line


def _glob(segment: Segment) -> str:
    return "".join(map(_glob_token, segment))


def _glob_token(part: Token) -> str:
    if isinstance(part, Wild):
        return part.value
    if isinstance(part, CharacterClass):
        ranges = [_class_character(low) + "-" + _class_character(high) for low, high in part.ranges]
        return "[" + "^\\x2f" * part.negated + "".join(ranges) + "]"
    if part == "*":
        return "[*]"  # rclone looks for "**" in the text of a line, whether or not a star is escaped
    if part in _GLOB_SPECIAL:
        return "\\" + part
    return _RCLONE_ESCAPE + part if part in _RCLONE_ESCAPED else part


def _class_character(character: str) -> str:
    """A character of a class; rclone passes classes on as they are, but looks for brackets, '/' and '**'."""
    return character if character.isalnum() or not character.isascii() else f"\\x{ord(character):02x}"
