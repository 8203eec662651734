"""Build JupyterLab's panel and compare it with the bundle that is committed: people install that one, without node."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "jupyter_extension/ui"
BUNDLE = ROOT / "jupyter_extension/science_gateway_jupyter/labextension"


def digests() -> dict[str, str]:
    """Return the digest of every file of the bundle."""
    return {
        str(file.relative_to(BUNDLE)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(BUNDLE.rglob("*"))
        if file.is_file()
    }


before = digests()
environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
built = subprocess.run(
    ["npm", "run", "--silent", "build"], cwd=UI, env=environ, capture_output=True, text=True, check=False
)
if built.returncode:
    sys.exit(built.stdout + built.stderr)
after = digests()
different = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
if different:
    sys.exit("\n".join(["the bundle was not built from these sources: commit what `make ui` has made", *different]))
print(f"the bundle equals its sources: {len(after)} files")
