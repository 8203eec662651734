"""Neurodesk's list of containers, ``apps.json``, as images of the catalogue. Pure.

The list is tool → ``apps`` → ``"<image> <version>"``, or ``"<label>-<image> <version>"`` for a further way to start the
same image, → ``version`` (the day it was built), ``exec`` (what it starts, or nothing); and the tool's ``categories``.
The file of an image is ``<image>_<version>_<day>.simg``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway.images.entry import is_name
from gateway.model.image import MirrorPattern

PUBLIC = (MirrorPattern(pattern="https://neurocontainers.s3.us-east-2.amazonaws.com/{file}", region="us-east-2"),)
"""Where Neurodesk's own scripts look."""
MOST = 20_000
"""Apps that are read."""

_DAY = re.compile(r"(19|20)[0-9]{6}\Z", re.ASCII)
_COMMAND = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,127}\Z")
_SHELLS = frozenset({"bash", "sh", "env"})


@dataclass
class Listed:
    """An image of the list.

    Attributes
    ----------
    day
        When it was built, as ``20210714``.
    commands
        What its apps start.
    """

    tool: str
    version: str
    day: str
    categories: tuple[str, ...]
    commands: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """``tool/version``: of the latest build."""
        return f"{self.tool}/{self.version}"

    @property
    def build(self) -> str:
        """``tool/version_day``: of this very build."""
        return f"{self.name}_{self.day}"

    @property
    def image(self) -> str:
        """Name of the file, without its ending."""
        return f"{self.tool}_{self.version}_{self.day}"

    def mirrors(self, patterns: Iterable[MirrorPattern]) -> list[tuple[str, str | None]]:
        """Return address and region of each mirror."""
        values = {"{file}": f"{self.image}.simg", "{image}": self.image, "{tool}": self.tool}
        return [(_filled(item.pattern, values), item.region) for item in patterns]


def _filled(pattern: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{(file|image|tool)\}", lambda match: quote(values[match[0]], safe="+"), pattern)


@dataclass(frozen=True)
class Problem:
    """An entry that cannot be taken over."""

    entry: str
    detail: str


def read_apps(document: Mapping[str, Any]) -> tuple[list[Listed], list[Problem]]:
    """Read the list: what can be used of it, by name, and what not."""
    found: dict[str, Listed] = {}
    problems: list[Problem] = []
    apps = 0
    for tool, section in document.items():
        label = ascii(tool)[1:-1][:80]
        if not isinstance(section, dict) or not isinstance(section.get("apps"), dict):
            problems.append(Problem(label, "has no apps"))
            continue
        categories, detail = _categories(section.get("categories", []))
        if detail is not None:
            problems.append(Problem(label, detail))
        for app, about in section["apps"].items():
            apps += 1
            if apps > MOST:
                problems.append(Problem(label, f"the list has more than {MOST} apps: the rest was left out"))
                return _by_name(found), problems
            entry = f"{label}: {ascii(app)[1:-1][:120]}"
            try:
                _take(found, _listed(tool, app, about, categories), about)
            except ValueError as error:
                problems.append(Problem(entry, str(error)))
    return _by_name(found), problems


def _by_name(found: Mapping[str, Listed]) -> list[Listed]:
    return [found[key] for key in sorted(found)]


def _categories(given: Any) -> tuple[tuple[str, ...], str | None]:
    if not isinstance(given, list):
        return (), "its categories are not a list: they were left out"
    good = [item for item in given if isinstance(item, str) and 0 < len(item) <= 64 and item.isprintable()]
    detail = None if len(good) == len(given) else "some of its categories are no names: they were left out"
    return tuple(sorted(dict.fromkeys(good)))[:32], detail


def _listed(tool: str, app: str, about: Any, categories: tuple[str, ...]) -> Listed:
    """Read one app; raises ValueError with what is wrong."""
    if not isinstance(about, dict):
        raise ValueError("is not an object")
    image, space, version = app.strip().rpartition(" ")
    if not space or not image or not version:
        raise ValueError("its name is not '<image> <version>'")
    if image != tool and image.endswith(f"-{tool}"):
        image = tool
    elif image != tool and "-" in image:
        image = image.partition("-")[2]
    day = about.get("version")
    if not isinstance(day, str) or not _DAY.match(day):
        raise ValueError("its version is not the day of a build, such as 20210714")
    found = Listed(image, version, day, categories)
    if not is_name(found.name) or not is_name(found.build):
        raise ValueError("its name cannot be one of the catalogue")
    return found


def _take(found: dict[str, Listed], listed: Listed, about: Mapping[str, Any]) -> None:
    known = found.setdefault(listed.name, listed)
    if known.day < listed.day:
        known = found[listed.name] = listed
    if known.day != listed.day:
        return
    words = str(about.get("exec") or "").split()
    if words and words[0] not in _SHELLS and _COMMAND.match(words[0]) and words[0] not in known.commands:
        known.commands.append(words[0])
