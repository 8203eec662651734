"""Which commands an image exports: what it declares, else what is where images have programs of their own.

An image declares them by the variables or labels ``DEPLOY_BINS`` (names) and ``DEPLOY_PATH`` (folders), with colons
between them. The file is read by the puller's own functions and ``unsquashfs``; nothing in it is run.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway import templates
from gateway.errors import ImageError

MAX_COMMANDS = 5000
_COMMAND = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,127}\Z")
_DECLARED = ("DEPLOY_BINS", "DEPLOY_PATH")
_OWN = re.compile(r"(?:opt/[^/]+|usr/local)/bin\Z")
_NOT_EXPORTED = frozenset({"bin", "sbin", "usr/bin", "usr/sbin", ""})
_MAX_LISTING = 512 * 1024 * 1024
_LIST = """
pull_begin /nowhere
pull_partition "$1" || { printf '%s\\n' "$pull_words" >&2; exit 3; }
from=()
if ((pull_offset > 0)); then from=(-o "$pull_offset"); fi
cd -- "$2" || exit
unsquashfs -no-progress -no-xattrs -d meta ${from[@]+"${from[@]}"} "$1" .singularity.d >/dev/null 2>&1 </dev/null
exec unsquashfs -no-progress -lln -d '' ${from[@]+"${from[@]}"} "$1" </dev/null
"""


async def commands_of(file: Path) -> tuple[str, ...]:
    """Return the commands that an image file exports, sorted.

    Parameters
    ----------
    file
        Its absolute path.

    Raises
    ------
    ImageError
        It is no image, or cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-scan-") as folder:
        listing = await _listing(file, folder)
        declared = await asyncio.to_thread(_declared, Path(folder) / "meta" / ".singularity.d")
    return exported(declared, listing)


async def _listing(file: Path, folder: str) -> list[str]:
    script = f"set -u\nGW_INLINED=1\n{templates.puller()}\n{_LIST}"
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "--noprofile", "--norc", "-c", 'eval "$(cat)"', "scan", str(file), folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, problem = await process.communicate(script.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        words = problem.decode(errors="replace").strip().rpartition("\n")[2][:300]
        raise ImageError(f"the image cannot be read: {words or 'unsquashfs failed'}")
    if len(said) > _MAX_LISTING:
        raise ImageError("the image has too many files to be read")
    return said.decode(errors="replace").splitlines()


def _declared(folder: Path) -> dict[str, str]:
    """Read what an image says of itself; a link in it is not followed."""
    found: dict[str, str] = {}
    for name in ("labels.json", "env/10-docker2singularity.sh", "env/90-environment.sh"):
        file = folder / name
        if file.is_symlink() or file.parent.is_symlink() or folder.is_symlink() or not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")[: 1024 * 1024]
        found |= labels(text) if name.endswith(".json") else variables(text)
    return found


def labels(text: str) -> dict[str, str]:
    """Return what labels (JSON) declare. Pure."""
    try:
        known = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: known[name] for name in _DECLARED if isinstance(known.get(name), str) and known[name]}


def variables(text: str) -> dict[str, str]:
    """Return what lines such as ``export DEPLOY_PATH="${DEPLOY_PATH:-"/opt/x/bin"}"`` declare. Pure."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*(?:export\s+)?(DEPLOY_BINS|DEPLOY_PATH)=(.*)\Z", line)
        if match is None:
            continue
        value = match[2].strip()
        if inner := re.match(r'"?\$\{' + match[1] + r':?-(.*)\}"?\Z', value):
            value = inner[1]
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        if words and words[0] and "$" not in words[0]:
            found[match[1]] = words[0]
    return found


def exported(declared: Mapping[str, str], listing: Iterable[str]) -> tuple[str, ...]:
    """Return the commands of an image from what it declares and the lines of ``unsquashfs -lln``. Pure."""
    if declared:
        folders = {_folder(text) for text in declared.get("DEPLOY_PATH", "").split(":")} - _NOT_EXPORTED
        named = set(declared.get("DEPLOY_BINS", "").split(":"))
    else:
        folders, named = None, set()
    for line in listing:
        place = _program(line)
        if place is None:
            continue
        folder, _, name = place.rpartition("/")
        if folder in folders if folders is not None else _OWN.match(folder):
            named.add(name)
    return tuple(sorted(name for name in named if _COMMAND.match(name)))[:MAX_COMMANDS]


def _folder(text: str) -> str:
    return text.strip().strip("/")


def _program(line: str) -> str | None:
    """Return the path of a program, or of a link (which may lead to one), in a line of a listing."""
    fields = line.split(None, 5)
    if len(fields) < 6 or len(fields[0]) != 10:
        return None
    mode, place = fields[0], fields[5].lstrip("/")
    if mode[0] == "l":
        return place.partition(" -> ")[0]
    return place if mode[0] == "-" and mode[3] in "xs" else None
