"""An image comes to a cold cache.

The puller of every job's script gets an image of 256 MiB, of which it knows the hashes of the pieces (16 MiB), from
four mirrors: a real nginx on four addresses of loopback, each connection limited to 12 MiB/s, so that eight of them
fill a network of 1 Gbit/s. It verifies every piece and the whole, and has the file on the disk before it gets its name.
The baselines are aria2c with the same metalink and the same number of connections, which verifies the pieces, and one
curl with `sha256sum` after it. Where Apptainer is there, its own pull of the same file is one more.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.measure import Comparison, Run, rounds, timed
from gateway import templates
from gateway.images.entry import PIECE, ImageEntry, Mirror, Pieces
from gateway.images.metalink import render_metalink
from testbed.nginx import Nginx
from testbed.processes import require

SIZE = 256 * 1024 * 1024
RATE = 12 * 1024 * 1024
REPEATS = 3


def _make(nginx: Nginx) -> ImageEntry:
    """Serve an image and return what the catalogue would know of it."""
    noise, whole, hashes = os.urandom(PIECE - 8), hashlib.sha256(), []
    with (nginx.files / "image").open("wb") as stream:
        for number in range(SIZE // PIECE):
            piece = number.to_bytes(8) + noise
            stream.write(piece)
            whole.update(piece)
            hashes.append(hashlib.sha256(piece).digest())
    return ImageEntry(
        id="image",
        digest=f"sha256:{whole.hexdigest()}",
        names=("tool/1",),
        size=SIZE,
        media_type=None,
        pieces=Pieces(b"".join(hashes)),
        sources=(),
        mirrors=tuple(Mirror(nginx.url("image", number), state="alive") for number in (1, 2, 3, 4)),
        categories=(),
        commands=(),
        created_at=datetime.now(UTC),
    )


async def _get(folder: Path, line: str) -> float:
    """Run a line of bash that brings the image into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

    async def command() -> None:
        process = await asyncio.create_subprocess_exec("bash", "-c", line, cwd=folder, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0

    seconds = await timed(command())
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) >= SIZE
    return seconds


async def run() -> list[Comparison]:
    """Measure."""
    aria2c, curl = require("aria2c", "apt-get install aria2"), require("curl", "apt-get install curl")
    with Nginx(4, rate=RATE) as nginx, tempfile.TemporaryDirectory() as name:
        base = Path(name)
        entry = _make(nginx)
        (base / "pull.sh").write_text(templates.puller())
        (base / "image.meta4").write_text(render_metalink(entry))
        digest = str(entry.digest)
        bare = f"{aria2c} --no-conf -q -M ../image.meta4 --split=8 --max-connection-per-server=4 --min-split-size=8M"
        lines = {
            "puller": f"bash ../pull.sh --metalink ../image.meta4 . {digest} {nginx.url('image')}",
            "aria2c, pieces verified": f"{bare} --file-allocation=none --metalink-enable-unique-protocol=false",
            "one curl, and sha256sum": f"{curl} -sf -o image {nginx.url('image')} && sha256sum image",
        }
        if apptainer := shutil.which("apptainer"):
            lines["apptainer pull"] = f"{apptainer} pull --disable-cache image {nginx.url('image')}"
        runs: list[Run] = [partial(_get, base / f"cache{n}", line) for n, line in enumerate(lines.values())]
        mine, *others = await rounds(*runs, repeats=REPEATS)
        count = SIZE // 1024**2
        return [
            Comparison("256 MiB from four mirrors", against, count, "MiB", mine, seconds)
            for against, seconds in zip(list(lines)[1:], others, strict=True)
        ]
