"""Names inside archives: always below one folder, whatever the names of outputs are. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

MAX_FOLDER = 100
"""Characters of the folder's name."""
_HOSTILE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]|%(?=[0-9A-F]{2})")
_ODD = re.compile(r"[^\w .+=,@()#-]")


def entry_name(folder: str, path: str) -> str:
    """Return the name of an entry for an output.

    Parts that lead elsewhere (``..``, empty ones), backslashes, which some programs take for slashes, and control
    characters become ``%`` and hexadecimal digits, as in URLs; two outputs never get one name.
    """
    return "/".join([folder, *(_part(part) for part in path.split("/"))])


def root_name(path: str, taken: Collection[str]) -> str:
    """Return the name of an entry at an archive's root; what would have one of the names `taken` gets another."""
    name = "/".join(_part(part) for part in path.split("/"))
    return name[:-1] + f"%{ord(name[-1]):02X}" if name in taken else name


def _part(name: str) -> str:
    if name in (".", ".."):
        return name.replace(".", "%2E")
    if not name:
        return "%00"
    return _HOSTILE.sub(lambda found: "".join(f"%{byte:02X}" for byte in _bytes(found[0])), name)


def _bytes(character: str) -> bytes:
    return b"\0\0" if character == "\0" else character.encode("utf-8", "surrogatepass")


def folder_name(job_name: str, job_id: str) -> str:
    """Return the folder of a job in its archive: its name as far as every file system takes it, else its id."""
    text = _ODD.sub("_", job_name)[:MAX_FOLDER].strip(" .")
    plain = text.encode("utf-8", "ignore").decode()
    return plain if plain and plain != "job" and plain.strip("_") else job_id
