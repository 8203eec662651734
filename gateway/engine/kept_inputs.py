"""What inputs that came from elsewhere were when a job was staged: small ones whole, of all of them size and digest.

They wait in a folder of the gateway's own until the job has ended and its record is written.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.crates.record import FetchedInput
from gateway.model.crate import MAX_KEPT_INPUT

log = logging.getLogger(__name__)

FOLDER = "staged-inputs"
"""Of the gateway's data folder."""
_INDEX = "index.json"


class KeptInputs:
    """Keeps inputs of jobs that have not ended. Blocking; what fails is left out and logged."""

    def __init__(self, data: Path) -> None:
        self.folder = data / FOLDER

    def keep(self, job_id: str, files: Mapping[str, Path]) -> None:
        """Note what the files of a job are, by the inputs' paths; what was noted before stays."""
        place = self.folder / job_id
        if not files or (place / _INDEX).exists():
            return
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            index = {}
            for number, (path, file) in enumerate(files.items()):
                with file.open("rb") as stream:
                    digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
                    size = stream.tell()
                small = size <= MAX_KEPT_INPUT
                if small:
                    shutil.copyfile(file, place / str(number))
                index[path] = {"size": size, "digest": digest, "file": str(number) if small else None}
            part = place / f"{_INDEX}.part"
            part.write_text(json.dumps(index))
            part.replace(place / _INDEX)
        except OSError as error:
            log.warning("job %s: its inputs are not kept for its record: %s", job_id, error)

    def read(self, job_id: str) -> dict[str, FetchedInput]:
        """Return what was kept of a job, by the inputs' paths."""
        place = self.folder / job_id
        try:
            index = json.loads((place / _INDEX).read_text())
            return {
                path: FetchedInput(item["size"], item["digest"], _content(place, item)) for path, item in index.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("job %s: its inputs cannot be read for its record: %s", job_id, error)
            return {}

    def forget(self, job_id: str) -> None:
        """Remove what was kept of a job."""
        shutil.rmtree(self.folder / job_id, ignore_errors=True)

    def clear(self, is_live: Callable[[str], bool]) -> None:
        """Remove what was kept of jobs that have ended."""
        if not self.folder.is_dir():
            return
        for place in self.folder.iterdir():
            if not is_live(place.name):
                shutil.rmtree(place, ignore_errors=True)


def _content(place: Path, item: Mapping[str, str | None]) -> bytes | None:
    name = item["file"]
    return (place / name).read_bytes() if name is not None and name.isdigit() else None
