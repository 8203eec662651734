"""Install a dependency group of pyproject.toml with whatever pip this environment has; further words are pip's.

``pip install --group`` needs pip 25.1; Debian's is older.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

group, *options = sys.argv[1:]
project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
sys.exit(subprocess.run([*command, *options, *project["dependency-groups"][group]], check=False).returncode)
