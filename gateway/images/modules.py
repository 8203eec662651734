"""Lmod modules for people on a cluster: a command of each image's, as if it were installed.

Below one folder, which can be copied and moved as a whole: ``modulefiles/<tool>/<version>.lua``,
``tools/<tool>/<version>/bin/<command>`` and what they run, ``lib/run-tool``.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from gateway import templates
from gateway.errors import ImageError
from gateway.images.entry import ImageEntry, is_name
from gateway.images.metalink import addresses_of, render_metalink

_COMMAND = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,127}\Z")
_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;/()+-]")
_LOCAL = re.compile(r"(file://)?/\S+\Z")
_WRAPPER = """#!/bin/sh
# Written by: gateway images modules
here=$(cd -P -- "${0%/*}" && pwd) || exit 126
exec /bin/bash "$here/../../../../lib/run-tool" "${here%/bin}" "${0##*/}" "$@"
"""
MEMBERS = ("apptainer", "singularity", "charliecloud", "podman")
"""The runtimes that commands of modules can use."""


@dataclass(frozen=True)
class Place:
    """Where modules are used.

    Attributes
    ----------
    cache
        The folder of images on that cluster; people must be able to read it.
    binds
        Folders of its nodes that commands see, besides the home folder, the present one and ``/tmp``.
    runtimes
        To try, in order.
    """

    cache: str
    binds: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = MEMBERS


def write_modules(entry: ImageEntry, place: Place, folder: Path) -> list[Path]:
    """Write the modules of an image, one for each of its names; return their files.

    Raises
    ------
    ImageError
        The image cannot be offered: nobody knows its commands, its digest or a place of it; or nothing can be written.
    """
    problem = _problem(entry)
    if problem:
        raise ImageError(f"{entry.name}: {problem[0]}", hint=problem[1])
    try:
        _write(folder / "lib" / "run-tool", _program(), 0o755)
        return [_write_one(entry, name, place, folder) for name in entry.names]
    except OSError as error:
        raise ImageError(f"{folder} cannot be written: {error.strerror}") from None


def _problem(entry: ImageEntry) -> tuple[str, str] | None:
    if entry.digest is None:
        return "nobody read it yet", f"gateway images check --full {entry.name}"
    if not [name for name in entry.commands if _COMMAND.match(name)]:
        return "its commands are not known", f"gateway images scan {entry.name}"
    if not _sources(entry):
        return "it has no mirror that has it", f"gateway images show {entry.name}"
    return None


def _sources(entry: ImageEntry) -> list[str]:
    local = [mirror.url for mirror in entry.mirrors if mirror.state != "wrong" and _LOCAL.match(mirror.url)]
    return [*local, *addresses_of(entry)]


def _write_one(entry: ImageEntry, name: str, place: Place, folder: Path) -> Path:
    if not is_name(name):
        raise ImageError(f"{name[:100]!a} cannot be the name of a module")
    tool = folder / "tools" / name
    _write(tool / "image", _description(entry, name, place), 0o644)
    if entry.size is not None and addresses_of(entry):
        _write(tool / "image.meta4", render_metalink(entry), 0o644)
    commands = {command for command in entry.commands if _COMMAND.match(command)}
    for command in sorted(commands):
        _write(tool / "bin" / command, _WRAPPER, 0o755)
    for old in (tool / "bin").iterdir():
        if old.name not in commands:
            old.unlink()
    module = folder / "modulefiles" / f"{name}.lua"
    _write(module, _module(entry, name), 0o644)
    return module


def _description(entry: ImageEntry, name: str, place: Place) -> str:
    rows = [("name", name), ("digest", str(entry.digest)), ("cache", place.cache)]
    rows += [("source", source) for source in _sources(entry)]
    rows += [("bind", bind) for bind in place.binds] + [("runtime", kind) for kind in place.runtimes]
    return "".join(f"{word} {value}\n" for word, value in rows)


def _module(entry: ImageEntry, name: str) -> str:
    tool, version = name.split("/")
    summary = entry.summary or f"{tool} {version}, each command in a container"
    commands = ", ".join(sorted(entry.commands)[:50])
    return "\n".join(
        [
            "-- Written by: gateway images modules",
            f"help({_lua(f'{summary}. Commands: {commands}')})",
            f"whatis({_lua(f'Name: {tool}')})",
            f"whatis({_lua(f'Version: {version}')})",
            *([f"whatis({_lua('Category: ' + ', '.join(entry.categories))})"] if entry.categories else []),
            f"whatis({_lua(f'Description: {summary}')})",
            'local root = myFileName():match("^(.*)/modulefiles/[^/]+/[^/]+$")',
            f'prepend_path("PATH", pathJoin(root, "tools", {_lua(tool)}, {_lua(version)}, "bin"))',
            "",
        ]
    )


def _lua(text: str) -> str:
    """Return `text` as a literal: every byte that is not harmless as its number."""
    return '"' + "".join(chr(b) if _PLAIN.match(chr(b)) else f"\\{b:03d}" for b in text.encode()) + '"'


def _program() -> str:
    parts = ["#!/bin/bash", "GW_INLINED=yes", templates.puller()]
    names = ("payload.sh", "runtime_charliecloud.sh", "runtime_podman.sh", "module_run.sh")
    parts += [templates.library(name) for name in names]
    return "\n".join([*parts, "set -u", 'module_main "$@"', ""])


def _write(file: Path, text: str, mode: int) -> None:
    """Put a file in its place by rename: somebody may be reading the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name[:100]}.{secrets.token_hex(4)}")
    try:
        part.write_text(text, encoding="utf-8")
        part.chmod(mode)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
