"""What a node needs to fetch an image from several mirrors, as a metalink (RFC 5854).

The digest of the whole, the hashes of the pieces, and the addresses, the best first. ``pull_read_metalink`` of the
puller reads it, and so does every program that knows metalinks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from gateway.images.entry import ImageEntry, Mirror

_ADDRESS = re.compile(r"https?://[^\s\"\\\x00-\x20\x7f]+\Z", re.IGNORECASE)
"""What the puller takes: one word, without quotes."""
_RANK = {"alive": 0, "unknown": 1, "dead": 2}


def addresses_of(entry: ImageEntry, rates: Mapping[str, float] | None = None) -> list[str]:
    """Return where the file itself is to be had, in order of preference. Mirrors known to be wrong are left out.

    Parameters
    ----------
    rates
        What the target saw of hosts, in bytes a second. Those it knows come before the others that are as alive.
    """

    def place(mirror: Mirror) -> tuple[int, float]:
        return _RANK[mirror.state], -(rates or {}).get(urlsplit(mirror.url).hostname or "", 0.0)

    usable = [m for m in entry.mirrors if m.state != "wrong" and _ADDRESS.match(m.url)]
    return list(dict.fromkeys(mirror.url for mirror in sorted(usable, key=place)))


def render_metalink(entry: ImageEntry, rates: Mapping[str, float] | None = None, further: Sequence[str] = ()) -> str:
    """Return the metalink of an image whose digest and size are known.

    Parameters
    ----------
    rates
        See `addresses_of`.
    further
        Addresses that come after those of the catalogue.

    Raises
    ------
    ValueError
        Digest or size is not known, or the pieces are not those of a file of this size.
    """
    if entry.digest is None or entry.size is None:
        raise ValueError(f"the image {entry.name} has no digest yet")
    if entry.pieces is not None and not entry.pieces.fits(entry.size):
        raise ValueError(f"the hashes of the image {entry.name} are not those of a file of {entry.size} bytes")
    digest = entry.digest.removeprefix("sha256:")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink">',
        f'<file name="{digest}">',
        f"<size>{entry.size}</size>",
        f'<hash type="sha-256">{digest}</hash>',
    ]
    if entry.pieces is not None:
        lines.append(f'<pieces length="{entry.pieces.size}" type="sha-256">')
        lines += [f"<hash>{piece}</hash>" for piece in entry.pieces]
        lines.append("</pieces>")
    addresses = dict.fromkeys([*addresses_of(entry, rates), *(url for url in further if _ADDRESS.match(url))])
    lines += [f'<url priority="{number}">{escape(url)}</url>' for number, url in enumerate(addresses, 1)]
    return "\n".join([*lines, "</file>", "</metalink>", ""])
