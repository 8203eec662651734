"""Images of tools, made from the test image: programs that show what they were called with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from testbed.images import TestImage, pack

SHOW = """#!/bin/sh
printf '%s of %s in %s umask %s\\n' "${0##*/}" "$(cat /etc/tool)" "$PWD" "$(umask)"
for word do printf '<%s>\\n' "$word"; done
"""
PROGRAMS = {
    "show": SHOW,
    "count-bytes": "#!/bin/sh\nwc -c | tr -d ' '\n",
    "tell": '#!/bin/sh\nprintf "%s" "${1}=" && eval "printf \\"%s\\" \\"\\${$1-unset}\\""\n',
    "fail": '#!/bin/sh\necho "no such thing" >&2\nexit "${1:-3}"\n',
    "killed": "#!/bin/sh\nkill -KILL $$\n",
    "stubborn": """#!/bin/bash
trap 'echo asked; exit 7' TERM
trap 'echo one' USR1
touch "${READY:-/job/ready}"
for step in {1..6000}; do sleep 0.02; done
""",
    "write": '#!/bin/sh\numask 027\nprintf "%s" "$2" >"$1"\n',
}


def tool_image(base: TestImage, folder: Path, name: str, programs: Mapping[str, str], declares: str = "") -> Path:
    """Pack an image whose programs are in ``/opt/<name>/bin``; `declares` is shell text that sets its variables."""
    root = folder / f"{name}-root"
    shutil.copytree(base.rootfs, root, symlinks=True)
    (root / "etc" / "tool").write_text(f"{name}\n")
    programs_folder = root / "opt" / name / "bin"
    programs_folder.mkdir(parents=True)
    for program, text in programs.items():
        (programs_folder / program).write_text(text)
        (programs_folder / program).chmod(0o755)
    environment = root / ".singularity.d" / "env"
    environment.mkdir(parents=True)
    lines = f'export PATH="/opt/{name}/bin:$PATH"\n{declares}\n'
    (environment / "90-environment.sh").write_text(lines)
    file = folder / f"{name}.sqfs"
    pack(root, file)
    shutil.rmtree(root)
    return file
