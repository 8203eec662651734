"""`gateway target add`: find out what a machine is, and write its section of gateway.toml."""

from __future__ import annotations

import asyncio
import json
import os
import posixpath
import re
import tempfile
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from gateway.compute import scripts
from gateway.compute.transport.host_keys import HostKey
from gateway.compute.transport.ssh import SshTransport
from gateway.compute.transport.ssh_connection import fetch_host_key
from gateway.compute.transport.ssh_login import SshSettings, route
from gateway.errors import ConfigurationError, FieldError, HostKeyChanged
from gateway.settings import built_in

RUNTIMES = {"ch-run": "charliecloud"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


@dataclass(frozen=True)
class ShownKey:
    """The host key that a machine showed, for a person to compare.

    Attributes
    ----------
    known
        Whether the person's own known_hosts already vouches for it.
    """

    host: str
    line: str
    fingerprint: str
    known: bool


@dataclass(frozen=True)
class Proposal:
    """A target's section as it would be written.

    Attributes
    ----------
    section
        Keys and values of ``[targets.<name>]``, sub-sections as mappings.
    notes
        What was found, and what to look at, one sentence each.
    """

    name: str
    section: Mapping[str, Any]
    key: ShownKey
    notes: tuple[str, ...] = field(default=())


Confirm = Callable[[ShownKey], Awaitable[bool]]


async def propose(
    user_at_host: str,
    confirm: Confirm,
    *,
    name: str | None = None,
    port: int | None = None,
    key_file: Path | None = None,
    agent: bool = False,
    ssh_config_file: Path | None = None,
) -> Proposal:
    """Look at a machine and propose its section.

    Parameters
    ----------
    user_at_host
        ``alice@login.example.org``, or an alias of ``ssh_config``.
    confirm
        Asked before anything is sent to the machine; False ends it.
    name
        Of the target; the host's first label by default.

    Raises
    ------
    HostKeyChanged
        The person did not accept the key.
    ConfigurationError, TargetUnreachable, LoginRefused
    """
    transport_section = _transport_section(user_at_host, port, key_file, agent, ssh_config_file)
    settings = _settings(transport_section)
    hops = route(settings)
    passphrase = None
    shown = await asyncio.to_thread(fetch_host_key, hops, passphrase, settings.connect_timeout)
    key = ShownKey(hops[-1].host, shown.line, shown.fingerprint, _already_known(transport_section, shown))
    if not await confirm(key):
        raise HostKeyChanged(f"the host key of {key.host} was not accepted: {key.fingerprint}")
    transport_section["host_key"] = [shown.line]
    with tempfile.TemporaryDirectory() as state:
        transport = SshTransport(_settings(transport_section), env={}, path=None, state_folder=Path(state))
        try:
            functions = scripts.read("check")
            result = await transport.run(f"{functions}\ngw_check_site\n")
        finally:
            await transport.close()
    section, notes = read_site(result.text()[0])
    chosen = name or re.sub(r"[^A-Za-z0-9_-]", "-", user_at_host.rpartition("@")[2].partition(".")[0])
    if not _NAME.match(chosen):
        raise ConfigurationError(f"{chosen!r} cannot be the name of a target", hint="give one with --name")
    return Proposal(chosen, {**section, "transport": transport_section}, key, notes)


def _transport_section(
    user_at_host: str, port: int | None, key_file: Path | None, agent: bool, config_file: Path | None
) -> dict[str, Any]:
    username, _, host = user_at_host.rpartition("@")
    section: dict[str, Any] = {"kind": "ssh"}
    file = (config_file or Path("~/.ssh/config")).expanduser()
    if _is_alias(file, host):
        section["ssh_config"] = host
        if config_file:
            section["ssh_config_file"] = str(config_file)
    else:
        section["host"] = host
    section |= {"port": port} if port else {}
    section |= {"username": username} if username else {}
    section |= {"key_file": str(key_file)} if key_file else {}
    section |= {"agent": True} if agent else {}
    return section


def _is_alias(file: Path, host: str) -> bool:
    """Tell whether ssh_config says more of `host` than its name."""
    try:
        config = paramiko.SSHConfig.from_path(str(file))
    except (OSError, paramiko.SSHException, UnicodeDecodeError):
        return False
    found = config.lookup(host)
    return any(key in found for key in ("user", "port", "identityfile", "proxyjump", "proxycommand")) or (
        found.get("hostname") != host
    )


def _settings(section: Mapping[str, Any]) -> SshSettings:
    try:
        return SshSettings.model_validate(dict(section))
    except ValueError as error:
        raise ConfigurationError(f"this is not a host to log in to: {section.get('host')!r} ({error})") from None


def _already_known(section: Mapping[str, Any], shown: HostKey) -> bool:
    hosts = _settings({**section, "known_hosts": "~/.ssh/known_hosts"})
    return route(hosts)[-1].known.accepts(shown)


def read_site(stdout: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Turn what the machine said into keys of its section and sentences about it. Pure."""
    schedulers, runtimes, rooms, wrapped = {}, [], [], False
    for line in stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word == "scheduler":
            program, _, where = rest.partition(" ")
            schedulers[program] = where
        elif word == "runtime":
            runtimes.append(RUNTIMES.get(rest, rest))
        elif word == "room":
            rooms.append(rest)
        wrapped = wrapped or word == "wrapped"
    notes = []
    section: dict[str, Any] = {}
    program = "qsub" if "qsub" in schedulers and not ("sbatch" in schedulers or wrapped) else "sbatch"
    kind = {"qsub": "pbs", "sbatch": "slurm"}[program] if program in schedulers else "direct"
    if wrapped and "sbatch" not in schedulers:
        kind, program = "pbs", "qsub"
    where = schedulers.get(program, "here")
    if where != "here":
        section["path"] = posixpath.dirname(where)
        notes.append(f"{program} is on PATH in login shells only: path = {section['path']}")
    notes.append(f"scheduler: {kind}" + ("" if kind != "direct" else " (no sbatch, no qsub: jobs run on it directly)"))
    notes.append(f"runtimes: {', '.join(runtimes)}" if runtimes else "no container runtime was found on the login node")
    room = rooms[0].rstrip("/") if rooms else "~"
    section["workdir"] = f"{room}/gateway"
    section["image_cache"] = f"{room}/gateway-images"
    section["scheduler"] = {"kind": kind}
    section["runtime"] = {"kind": "auto"}
    notes.append(f"folders: below {room}")
    return section, tuple(notes)


def write_target(config_file: Path, proposal: Proposal) -> None:
    """Append the section to the configuration; what stands there, comments too, is kept as it is.

    A file that is not there is begun with the built-in default, so that the target ``local`` stays.

    Raises
    ------
    ConfigurationError
        The name is taken, or the file cannot be read or written.
    """
    file = config_file.expanduser().resolve()
    try:
        text = file.read_text() if file.exists() else _beginning()
        known = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from None
    if proposal.name in known.get("targets", {}):
        place = f"targets.{proposal.name}"
        raise ConfigurationError(
            f"{file} has a target {proposal.name!r} already", [FieldError(place, "is taken")], hint="give --name"
        )
    full = text.rstrip("\n") + ("\n\n" if text.strip() else "") + render_section(proposal)
    try:
        written = tomllib.loads(full)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the section does not fit into {file}: {error}") from None
    if written["targets"].pop(proposal.name) is None or written.get("targets") != known.get("targets", {}):
        raise ConfigurationError(f"the section does not fit into {file}")
    _replace(file, full)


def render_section(proposal: Proposal) -> str:
    """Return the section as TOML."""
    return _toml(f"targets.{_key(proposal.name)}", proposal.section)


def _beginning() -> str:
    return "\n".join(
        _toml(f"{group}.{name}" if isinstance(value, dict) else group, value if isinstance(value, dict) else section)
        for group, section in built_in().items()
        for name, value in (section.items() if group != "gateway" else [("", None)])
    )


def _toml(place: str, section: Mapping[str, Any]) -> str:
    lines = [f"[{place}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in section.items() if not isinstance(value, Mapping)]
    text = "\n".join(lines) + "\n"
    for key, value in section.items():
        if isinstance(value, Mapping):
            text += _toml(f"{place}.{_key(key)}", value)
    return text


def _key(key: str) -> str:
    return key if re.match(r"[A-Za-z0-9_-]+\Z", key) else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(text)
        temporary.chmod(mode)
        temporary.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None
