"""The demo's job: the specification that is sent, and reading how far the solver is."""

from __future__ import annotations

import re
from typing import Any

from gateway.images.build import BuiltImage

REYNOLDS = 100
END_TIME = 0.5
"""Seconds that the solver simulates."""
_TIME = re.compile(rb"^Time = ([0-9.e+-]+)$", re.MULTILINE)


def specification(target: str, image_url: str, image: BuiltImage) -> dict[str, Any]:
    """Return the body of ``POST /api/v1/jobs``."""
    command = ["cavity", "--reynolds", str(REYNOLDS), "--end-time", str(END_TIME)]
    return {
        "name": f"cavity Re={REYNOLDS}",
        "target": target,
        "stores": ["results"],
        "image": {"ref": image_url, "digest": image.digest},
        # The pace slows the solver down, to watch results arrive.
        "command": [*command, "--write-interval", "20", "--pace", "3"],
        "outputs": [
            {"source": "VTK/**"},
            {"source": "*/U"},
            {"source": "*/p"},
            {"source": "postProcessing/**"},
            {"source": "log.cavity", "content_type": "text/plain", "follow": True},
        ],
        "resources": {"cpus": 1, "memory": "512M", "walltime": "00:05:00"},
        "sync": {"interval": 2, "settle": 1, "reserve": 30},
        "tags": {"study": "demo"},
    }


def simulated(log: bytes) -> float | None:
    """Return the last time step in a piece of the solver's log, in simulated seconds."""
    found = _TIME.findall(log)
    return float(found[-1]) if found else None
