"""What pulls by pieces are tried with: metalinks, and kills in the middle."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from gateway.images.entry import ImageEntry, Pieces
from gateway.images.entry import Mirror as Place
from gateway.images.metalink import render_metalink
from tests.images.pull_site import Image, Node, children, command_line, kill_group

PIECE = 65536


def metalink(folder: Path, image: Image, *urls: str, piece: int = PIECE) -> str:
    """Write the metalink of an image and return its path."""
    parts = [image.data[start : start + piece] for start in range(0, len(image.data), piece)]
    hashes = b"".join(hashlib.sha256(part).digest() for part in parts)
    entry = ImageEntry(
        id="1",
        digest=image.digest,
        names=("tool/1",),
        size=len(image.data),
        media_type=None,
        pieces=Pieces(hashes, piece),
        sources=(),
        mirrors=tuple(Place(url, state="alive") for url in urls),
        categories=(),
        commands=(),
        created_at=datetime.now(UTC),
    )
    path = folder / "image.meta4"
    path.write_text(render_metalink(entry))
    return str(path)


VICTIMS = ("shell", "downloader", "group", "tree")


def kill(process: subprocess.Popen[str], victim: str) -> None:
    """Kill a part of a running pull."""
    started = children(process.pid)
    if victim in ("shell", "tree"):
        process.kill()
    elif victim == "group":
        with contextlib.suppress(ProcessLookupError):  # it may have come to its end meanwhile
            kill_group(process)
    for pid in started:
        if victim == "tree" or (victim == "downloader" and re.match(r"(curl|aria2c) ", command_line(pid))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def far_enough(node: Node, process: subprocess.Popen[str], most: int) -> bool:
    """Whether so many bytes have arrived, or all is over."""
    return arrived(node) >= most or process.poll() is not None or bool(list(node.cache.glob("*.sif")))


def arrived(node: Node) -> int:
    """Bytes of the largest part."""
    sizes = [0]
    for path in node.cache.glob("*.part"):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_blocks * 512)
    return max(sizes)
