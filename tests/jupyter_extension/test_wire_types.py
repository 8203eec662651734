"""The panel's types of the wire are those of the gateway."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

UI = Path(__file__).resolve().parent.parent.parent / "jupyter_extension/ui"


def test_the_committed_types_are_made_from_the_current_description(tmp_path: Path) -> None:
    described, made = tmp_path / "openapi.json", tmp_path / "schema.ts"
    with described.open("wb") as file:
        subprocess.run([sys.executable, "-m", "gateway.api.openapi"], stdout=file, check=True)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [UI / "node_modules/.bin/openapi-typescript", described, "--output", made]
    subprocess.run([*map(str, command)], cwd=UI, env=environ, check=True, capture_output=True)
    assert made.read_text() == (UI / "src/api/schema.ts").read_text(), "run: make ui"
