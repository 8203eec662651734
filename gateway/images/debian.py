"""Where this machine's Debian packages come from, so that images are built from the same place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import ImageError


@dataclass(frozen=True)
class AptSettings:
    """How apt reaches its mirrors: options, and `environment` for proxies (they may hold a password)."""

    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()


def apt_settings() -> AptSettings:
    """Answer what this machine's apt is configured with; nothing where there is no apt."""
    if shutil.which("apt-config") is None:
        return AptSettings()
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return parse_apt_settings(dumped)


def parse_apt_settings(dumped: str) -> AptSettings:
    """Pick from ``apt-config dump`` what concerns reaching mirrors. Proxies of the environment go first."""
    environment: dict[str, str] = {}
    options: list[str] = []
    for line in dumped.splitlines():
        if match := re.fullmatch(r'Acquire::(https?)::Proxy "(.+)";', line):
            name = f"{match[1]}_proxy"
            if name not in os.environ:
                environment[name] = match[2]
        elif re.fullmatch(r'Acquire::(Check-Date|Check-Valid-Until|ForceIPv[46]|Retries) "\w+";', line):
            options.append(line.removesuffix(";"))
    return AptSettings(environment, tuple(options))


def package_sources(etc: Path) -> list[Path]:
    """Answer the machine's own files of package sources, those of its distribution. Raises `ImageError`."""
    folder = etc / "apt/sources.list.d"
    usual = [etc / "apt/sources.list", folder / "debian.sources", folder / "ubuntu.sources"]
    found = [path for path in usual if path.is_file() and suites_of(path)]
    if not found and folder.is_dir():
        found = sorted(path for path in folder.iterdir() if path.suffix in {".list", ".sources"} and suites_of(path))
    if not found:
        raise ImageError(
            "This machine has no Debian package sources, and images are built from them.",
            hint="build the image on a Debian machine",
        )
    return found


def suites_of(path: Path) -> list[str]:
    """Answer the suites that a file of package sources names, in its order (both of apt's formats)."""
    suites: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := re.match(r"Suites:\s*(.+)", line, re.IGNORECASE):
            suites += match[1].split()
        elif match := re.match(r"deb\s+(?:\[[^]]*\]\s+)?\S+\s+(\S+)", line):
            suites.append(match[1])
    return suites


def choose_suite(wanted: str, sources: Sequence[Path]) -> str:
    """Answer the wanted suite if the sources have it, else the first one that they name."""
    suites = [suite for path in sources for suite in suites_of(path)]
    return wanted if wanted in suites else suites[0]
