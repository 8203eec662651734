"""A target: where jobs run. Transport, scheduler, runtimes and folders, put together from the configuration."""

from __future__ import annotations

import asyncio
import copy
import posixpath
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gateway import plugins
from gateway.compute.relay_turns import RelayTurns
from gateway.compute.runtime.base import Runtime
from gateway.compute.runtime.settings import ORDER, RuntimeSettings
from gateway.compute.scheduler.base import Scheduler
from gateway.compute.scheduler.settings import SchedulerSettings
from gateway.compute.transport.base import Transport
from gateway.compute.transport.budget import Budget
from gateway.errors import ConfigurationError, FieldError, RemoteCommandFailed
from gateway.model.base import text_problem
from gateway.settings import GatewaySettings, PluginSettings, TargetSettings, field_errors

REMOTE_DATA = "~/.local/share/science-gateway"
"""What ``{data}`` means in the folders of a target that is another machine."""


@dataclass(frozen=True)
class TargetPaths:
    """Absolute folders on the target.

    Attributes
    ----------
    workdir
        Holds the jobs' folders.
    control_root
        ``<workdir>/.gateway``.
    tools
        Programs that the gateway brought.
    image_cache
        Verified images.
    """

    workdir: str
    control_root: str
    tools: str
    image_cache: str


class Target:
    """A configured target. Holds one transport; see `build_target`.

    Attributes
    ----------
    name
        Of its loop in the engine: ``target@person`` where it is a person's own account there.
    public_name
        Of the target, as people know it.
    runtimes
        In the order in which a node tries them.
    allow_host
        Whether jobs without an image are allowed.
    binds
        Host folders that every job sees, read-only.
    bind_roots
        Host folders below which jobs may ask to see more of them.
    relay
        What the gateway's own passes may take.
    """

    def __init__(
        self,
        name: str,
        settings: TargetSettings,
        transport: Transport,
        scheduler: Scheduler,
        scheduler_settings: SchedulerSettings,
        runtimes: tuple[Runtime, ...],
        runtime_settings: RuntimeSettings,
        data: str,
    ) -> None:
        self.name = name
        self.public_name = name.partition("@")[0]
        self.settings = settings
        self.transport = transport
        self.scheduler = scheduler
        self.scheduler_settings = scheduler_settings
        self.runtimes = runtimes
        self.runtime_settings = runtime_settings
        self.allow_host = runtime_settings.allow_host
        self.binds = runtime_settings.binds
        self.bind_roots = runtime_settings.bind_roots
        self.relay = RelayTurns(settings.relay)
        self._data = data
        self._paths: TargetPaths | None = None
        self._machine: str | None = settings.architecture
        self._resolving = asyncio.Lock()

    @property
    def workdir(self) -> str:
        """The configured folder; a leading ``~`` is not resolved yet."""
        return self._fill(self.settings.workdir)

    @property
    def image_cache(self) -> str:
        """The configured folder; a leading ``~`` is not resolved yet."""
        return self._fill(self.settings.image_cache)

    def _fill(self, text: str) -> str:
        return text.replace("{data}", self._data).replace("{username}", self.transport.username)

    async def paths(self) -> TargetPaths:
        """Return the folders, absolute; asks the target once for its home folder if one begins with it.

        Raises
        ------
        ConfigurationError
            A folder is not absolute in the end.
        TargetError
        """
        async with self._resolving:
            if self._paths is None:
                home = await self._home() if self._needs_home() else ""
                workdir = absolute(self.workdir, home, f"targets.{self.public_name}.workdir")
                cache = absolute(self.image_cache, home, f"targets.{self.public_name}.image_cache")
                root = posixpath.join(workdir, ".gateway")
                self._paths = TargetPaths(workdir, root, posixpath.join(root, "tools"), cache)
            return self._paths

    async def architecture(self) -> str:
        """Return what the nodes are (``uname -m``): as configured, else what the login node is, asked once.

        Raises
        ------
        TargetError
        """
        if self._machine is None:
            result = await self.transport.run("uname -m")
            said = result.text()[0].strip()
            if result.exit_status != 0 or not said.replace("_", "").isalnum():
                raise RemoteCommandFailed(f"{self.public_name} does not say what machine it is")
            self._machine = said
        return self._machine

    def _needs_home(self) -> bool:
        return any(not folder.startswith("/") for folder in (self.workdir, self.image_cache))

    async def _home(self) -> str:
        result = await self.transport.run("cd && pwd")
        home = result.text()[0].strip("\n")
        if result.exit_status != 0 or not home.startswith("/"):
            raise RemoteCommandFailed(f"the account {self.transport.username} has no home folder on {self.public_name}")
        return home

    async def make_folders(self) -> None:
        """Make the folders that are not there; ``.gateway`` is for the account alone.

        Raises
        ------
        RemoteCommandFailed
            One cannot be made; the message holds mkdir's words.
        """
        paths = await self.paths()
        folders = shlex.join([paths.workdir, paths.image_cache])
        root = shlex.quote(paths.control_root)
        result = await self.transport.run(f"mkdir -p -- {folders} && (umask 077; mkdir -p -- {root})")
        if result.exit_status != 0:
            raise RemoteCommandFailed(" ".join(result.text()[1].split())[:300])

    def over(self, transport: Transport) -> Target:
        """Return the same target over another transport to it."""
        found = copy.copy(self)
        found.transport = transport
        return found

    async def close(self) -> None:
        """End the connection."""
        await self.transport.close()


def absolute(folder: str, home: str, place: str) -> str:
    """Resolve a leading ``~`` or ``$HOME``.

    Raises
    ------
    ConfigurationError
        The folder is not absolute in the end, or not clean; `place` is its key.
    """
    for prefix in ("~", "$HOME", "${HOME}"):
        if folder == prefix or folder.startswith(f"{prefix}/"):
            folder = home + folder.removeprefix(prefix)
    problem = text_problem(folder)
    if not folder.startswith("/") or ".." in folder.split("/"):
        problem = "must be absolute (or begin with ~ or $HOME) and must not contain '..'"
    elif ":" in folder or "," in folder:
        problem = "must not contain ':' or ',', which container runtimes take for separators"
    if problem:
        raise ConfigurationError(f"{place}: {folder!r} {problem}", [FieldError(place, problem)])
    return posixpath.normpath("/" + folder.lstrip("/"))


def build_target(name: str, settings: TargetSettings, gateway: GatewaySettings, person: str | None = None) -> Target:
    """Put a target together from its section. Opens no connection.

    Parameters
    ----------
    person
        Whose account `settings` have; None for the target's own.

    Raises
    ------
    ConfigurationError
        Something in the section is wrong; `errors` name every mistake found.
    """
    place = f"targets.{name}"
    mistakes: list[FieldError] = []
    message = ""
    sections: dict[str, tuple[Any, Any]] = {}
    for group, raw in (("transports", settings.transport), ("schedulers", settings.scheduler)):
        try:
            sections[group] = plugins.read_settings(group, raw, f"{place}.{group.removesuffix('s')}")
        except ConfigurationError as error:
            mistakes += error.errors
            message = message or error.message
    try:
        runtime_settings = read_runtime(settings.runtime, f"{place}.runtime")
        runtimes = _runtimes(runtime_settings)
    except ConfigurationError as error:
        mistakes += error.errors
        message = message or error.message
    if mistakes:
        raise ConfigurationError(message, mistakes)
    transport_class, transport_settings = sections["transports"]
    scheduler_class, scheduler_settings = sections["schedulers"]
    local = cast(PluginSettings, transport_settings).kind == "local"
    lane = name if person is None else f"{name}@{person}"
    state: Path = gateway.data_folder / "targets" / lane
    transport = transport_class(transport_settings, env=settings.env, path=settings.path, state_folder=state)
    transport.budget = Budget(settings.budget)
    return Target(
        lane,
        settings,
        transport,
        scheduler_class(scheduler_settings),
        scheduler_settings,
        runtimes,
        runtime_settings,
        str(gateway.data_folder) if local else REMOTE_DATA,
    )


def read_runtime(raw: dict[str, Any], place: str) -> RuntimeSettings:
    """Type the runtime's section; ``auto`` is no plugin of its own.

    Raises
    ------
    ConfigurationError
    """
    if raw.get("kind", "auto") != "auto":
        return cast(RuntimeSettings, plugins.read_settings("runtimes", raw, place)[1])
    try:
        return RuntimeSettings.model_validate(raw)
    except ValueError as error:
        raise ConfigurationError(f"{place} has mistakes", field_errors(cast(Any, error), place)) from None


def _runtimes(settings: RuntimeSettings) -> tuple[Runtime, ...]:
    kinds = ORDER if settings.kind == "auto" else (settings.kind,)
    return tuple(cast(Callable[[], Runtime], plugins.load("runtimes", kind))() for kind in kinds)
