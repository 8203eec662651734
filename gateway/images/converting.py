"""Makes one squashfs image of the layers of an OCI image: ``python -m gateway.images.converting PLAN``.

A process of its own, as builds are (`gateway.images.building`): it keeps a core busy for a while, and reads what
strangers packed. The plan is a JSON file with the layers' files; the image is put beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import ImageError, MissingProgram
from gateway.images import layers
from gateway.images.build import PACKAGES, BuiltImage, Progress, packing
from gateway.images.building import run_beside, tell
from gateway.images.manifests import Config

CONVERTER = "1"
"""Changes whenever the same layers would give another image than before."""


@dataclass(frozen=True)
class Conversion:
    """What to make an image of.

    Attributes
    ----------
    folder
        For this conversion alone.
    files
        The layers, the lowest first.
    """

    folder: Path
    files: tuple[Path, ...]
    config: Config


async def convert_beside(conversion: Conversion, on_progress: Progress) -> BuiltImage:
    """Convert in a process of its own; raises `MissingProgram`, `ImageError`."""
    plan = conversion.folder / "plan.json"
    described: dict[str, Any] = {
        "layers": [str(file) for file in conversion.files],
        "env": dict(conversion.config.env),
        "labels": dict(conversion.config.labels),
    }
    plan.write_text(json.dumps(described))
    return await run_beside(__name__, [str(plan)], on_progress)


def convert(plan: Path, on_progress: Progress) -> BuiltImage:
    """Make the image; raises `MissingProgram`, `ImageError`."""
    if shutil.which("mksquashfs") is None:
        raise MissingProgram(
            "Converting an image needs mksquashfs, not found on this machine.",
            hint=f"as root: apt-get install -y --no-install-recommends {PACKAGES['mksquashfs']}",
        )
    described = json.loads(plan.read_text())
    files = [Path(text) for text in described["layers"]]
    tree = layers.merge(files, lambda number: on_progress(f"reading layer {number + 1} of {len(files)}"))
    labels = json.dumps(described["labels"], indent=1, sort_keys=True).encode() if described["labels"] else b""
    layers.complete(tree, described["env"], labels)
    packed = plan.with_name("image.sqfs")
    packed.unlink(missing_ok=True)
    _pack(tree, files, packed, on_progress)
    with packed.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    packed.chmod(0o644)
    return BuiltImage(packed, f"sha256:{digest}", packed.stat().st_size)


def _pack(tree: layers.Tree, files: Sequence[Path], packed: Path, on_progress: Progress) -> None:
    log = packed.with_name("mksquashfs.log")
    environment = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    with log.open("wb") as said:
        packer = subprocess.Popen(
            packing(packed), stdin=subprocess.PIPE, stdout=said, stderr=said, env={**environment, "LC_ALL": "C"}
        )
        assert packer.stdin is not None
        try:
            layers.write(
                tree, files, packer.stdin, lambda number: on_progress(f"packing layer {number + 1} of {len(files)}")
            )
        except BrokenPipeError:
            pass  # its own words say why
        except BaseException:
            packer.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                packer.stdin.close()
            status = packer.wait()
    if status != 0:
        words = log.read_text(errors="replace").split()
        raise ImageError(f"The image could not be packed: {' '.join(words)[-300:] or f'status {status}'}")


if __name__ == "__main__":
    sys.exit(tell(lambda progress: convert(Path(sys.argv[1]), progress)))
