"""What stores put into HTTP headers. Pure."""

from __future__ import annotations

from urllib.parse import quote


def attachment(name: str) -> str:
    """Return a ``Content-Disposition`` that saves under `name`, whatever characters it holds."""
    last = name.rsplit("/", 1)[-1] or "download"
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in last)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='', errors='replace')}"


def metadata_value(text: str) -> str:
    """Return `text` as a header can carry it: percent-encoded but for printable ASCII."""
    kept = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%") + " "
    return quote(text.strip(), safe=kept, errors="replace")


def tag_value(text: str) -> str:
    """Return `text` as an index tag can carry it, in a header: all but letters, digits, ``.-_/`` as ``:C3:BC``."""
    plain = (c if c.isascii() and (c.isalnum() or c in ".-_/") else _escaped(c) for c in text.strip())
    return "".join(plain)[:256]


def _escaped(character: str) -> str:
    return "".join(f":{byte:02X}" for byte in character.encode("utf-8", "replace"))
