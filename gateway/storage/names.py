"""Names of files as stores, rclone and folders write them. Pure.

One form is used everywhere above the stores: rclone's standard names. In them a control character of a name
on disk is its picture (a newline is U+240A), the escape character U+201B stands twice, and a byte that is not
UTF-8 is the escape character and two hexadecimal digits. rclone's own listings show U+FFFD for such a byte;
`comparable` makes both forms one.
"""

from __future__ import annotations

import re

from gateway.errors import StoreError

ESCAPE = "\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}"
_PICTURES = {**{chr(code): chr(0x2400 + code) for code in range(32)}, "\x7f": "\N{SYMBOL FOR DELETE}"}
_FROM_PICTURES = {picture: character for character, picture in _PICTURES.items()}
_ESCAPED = frozenset({ESCAPE, "\N{FULLWIDTH SOLIDUS}", *_FROM_PICTURES})
_INVALID_BYTE = re.compile(f"{ESCAPE}(?:{ESCAPE}|([0-9A-F]{{2}}))")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WIDE_BACKSLASH, _WIDE_PERIOD = "\N{FULLWIDTH REVERSE SOLIDUS}", "\N{FULLWIDTH FULL STOP}"
_NO_NAMES = frozenset({"", ".", ".."})
MAX_PATH_BYTES = 4096


def clean_path(path: str, *, empty: bool = False) -> str:
    """Return `path` if it is relative, without ``.``, ``..``, empty names and control characters.

    Parameters
    ----------
    empty
        Whether the empty path (the place itself) is one.

    Raises
    ------
    StoreError
        It is not.
    """
    if path == "" and empty:
        return path
    names = path.split("/")
    bad = not _NO_NAMES.isdisjoint(names) or len(path) > MAX_PATH_BYTES
    if bad or _CONTROL.search(path):
        raise StoreError(f"{path[:200]!a} is not a path below the job's outputs")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise StoreError(f"{path[:200]!a} is not valid Unicode") from None
    return path


def from_disk(path: bytes) -> str:
    """Return the standard form of a relative path as it stands on a file system."""
    characters = []
    for character in path.decode("utf-8", "surrogateescape"):
        if "\udc80" <= character <= "\udcff":
            characters.append(f"{ESCAPE}{ord(character) - 0xDC00:02X}")
        else:
            characters.append((ESCAPE if character in _ESCAPED else "") + _PICTURES.get(character, character))
    return "".join(characters)


def to_disk(path: str) -> bytes:
    """Return the bytes of a standard path on a file system; the inverse of `from_disk`."""
    out = bytearray()
    at = 0
    while at < len(path):
        character = path[at]
        at += 1
        if character == ESCAPE and at < len(path):
            byte = path[at : at + 2]
            if re.fullmatch("[0-9A-F]{2}", byte):
                out.append(int(byte, 16))
                at += 2
                continue
            if path[at] in _ESCAPED:
                out += path[at].encode()
                at += 1
                continue
        out += _FROM_PICTURES.get(character, character).encode()
    return bytes(out)


def comparable(path: str) -> str:
    """Return `path` with every byte that is not UTF-8 as U+FFFD, as rclone's JSON shows it."""
    if ESCAPE not in path:
        return path
    return _INVALID_BYTE.sub(lambda found: "\N{REPLACEMENT CHARACTER}" if found[1] else found[0], path)


def to_azure(path: str) -> str:
    """Return the blob's name for a standard path, as rclone's azureblob backend writes it.

    Azure takes a backslash for a slash and drops a full stop at the end of a name, so both have stand-ins.
    """
    text = path.replace(_WIDE_BACKSLASH, ESCAPE + _WIDE_BACKSLASH).replace("\\", _WIDE_BACKSLASH)
    return "/".join(_end_of_azure_name(name) for name in text.split("/"))


def _end_of_azure_name(name: str) -> str:
    if name.endswith(_WIDE_PERIOD):
        return name[:-1] + ESCAPE + _WIDE_PERIOD
    return name[:-1] + _WIDE_PERIOD if name.endswith(".") else name


def from_azure(name: str) -> str:
    """Return the standard path of a blob's name; the inverse of `to_azure`."""
    return "/".join(_from_azure_name(part) for part in name.split("/"))


def _from_azure_name(name: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(name):
        character, following = name[at], name[at + 1 : at + 2]
        last = at + 1 == len(name)
        if character == ESCAPE and following == ESCAPE:
            out.append(ESCAPE * 2)
            at += 1
        elif character == ESCAPE and (
            following == _WIDE_BACKSLASH or (following == _WIDE_PERIOD and at + 2 == len(name))
        ):
            out.append(following)
            at += 1
        elif character == _WIDE_BACKSLASH:
            out.append("\\")
        else:
            out.append("." if character == _WIDE_PERIOD and last else character)
        at += 1
    return "".join(out)
