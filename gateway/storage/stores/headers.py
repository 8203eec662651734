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
