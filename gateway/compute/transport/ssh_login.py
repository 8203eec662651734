"""How to log in: settings, ``ssh_config``, the chain of hosts, and the keys. Reads files, opens no connection."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

import paramiko
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gateway.compute.transport.host_keys import KnownHosts, host_name, load_known_hosts, parse_host_key
from gateway.errors import ConfigurationError, LoginRefused
from gateway.settings import PluginSettings, Secret

HostText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\[][A-Za-z0-9_.:%\[\]-]{0,254}$")]
UserText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@+$-]{0,127}$")]
DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
MAX_HOPS = 8


def _host_key(text: str) -> str:
    parse_host_key(text)
    return text


class SshSettings(PluginSettings):
    """``[targets.<name>.transport]`` with kind ``ssh``.

    Attributes
    ----------
    ssh_config
        A host alias of `ssh_config_file`; what is given here besides goes before it.
    host_key
        Lines such as ``ssh-ed25519 AAAA…``: all keys that the host may show (login nodes rotate).
    connect_timeout, keepalive
        Seconds.
    """

    kind: Literal["ssh"] = "ssh"
    host: HostText | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    username: UserText | None = None
    key_file: Path | None = None
    passphrase: Secret | None = None
    agent: bool = False
    certificate_file: Path | None = None
    ssh_config: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    ssh_config_file: Path = Path("~/.ssh/config")
    host_key: tuple[Annotated[str, AfterValidator(_host_key)], ...] = ()
    known_hosts: Path | None = None
    connect_timeout: float = Field(default=20, gt=0, le=600)
    keepalive: float = Field(default=30, gt=0, le=3600)

    @model_validator(mode="after")
    def _some_host(self) -> Self:
        if self.host is None and self.ssh_config is None:
            raise ValueError("needs host, or ssh_config with an alias")
        return self


@dataclass(frozen=True)
class Hop:
    """One host on the way, the target being the last.

    Attributes
    ----------
    key_files
        Private keys to try, in this order.
    known
        Keys that it may show. Empty: it is refused.
    proxy_command
        A program whose streams are the connection (first hop only).
    """

    host: str
    port: int
    username: str
    key_files: tuple[Path, ...]
    agent: bool
    certificate_file: Path | None = None
    known: KnownHosts = field(default_factory=KnownHosts)
    proxy_command: str | None = None

    @property
    def name(self) -> str:
        """``user@host`` with the port where it is not 22, for messages."""
        return f"{self.username}@{self.host}" + ("" if self.port == 22 else f":{self.port}")


def route(settings: SshSettings) -> tuple[Hop, ...]:
    """Return the hosts from the first jump to the target.

    Raises
    ------
    ConfigurationError
        ``ssh_config`` cannot be read, or goes round in a circle.
    """
    config = _read_config(settings) if settings.ssh_config else paramiko.SSHConfig()
    alias = settings.ssh_config or settings.host
    assert alias is not None
    return _route(settings, config, alias, None, (alias,))


def _read_config(settings: SshSettings) -> paramiko.SSHConfig:
    path = settings.ssh_config_file.expanduser()
    try:
        return paramiko.SSHConfig.from_text("\n".join(_config_lines(path, 0)))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except (paramiko.SSHException, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be understood: {error}") from None


def _config_lines(path: Path, depth: int) -> Iterator[str]:
    """Yield the lines of an ssh_config with the files that it includes."""
    for line in path.read_text().splitlines():
        match = re.match(r"\s*include\s*[=\s]\s*(.+)", line, re.IGNORECASE)
        if not match:
            yield line
            continue
        if depth >= MAX_HOPS:
            raise ConfigurationError(f"{path}: Include is nested too deep")
        for pattern in match[1].replace('"', "").split():
            full = Path("~/.ssh").expanduser() / Path(pattern).expanduser()
            for found in sorted(Path("/").glob(str(full).lstrip("/"))):
                yield from _config_lines(found, depth + 1)


def _route(
    settings: SshSettings,
    config: paramiko.SSHConfig,
    alias: str,
    jump: re.Match[str] | None,
    seen: tuple[str, ...],
    follow: bool = True,
) -> tuple[Hop, ...]:
    """Return the way to `alias`; `jump` is what ProxyJump says of it, None for the target itself."""
    try:
        found: dict[str, object] = {**config.lookup(alias)}
    except (paramiko.SSHException, ValueError, KeyError, ImportError) as error:
        raise ConfigurationError(f"ssh_config: {alias} cannot be looked up: {error}") from None
    jumps = str(found.get("proxyjump") or "none")
    before: tuple[Hop, ...] = ()
    if follow and jumps.lower() != "none":
        for index, text in enumerate(jumps.split(",")):
            match = re.match(r"\s*(?:ssh://)?(?:([^@\s]+)@)?(\[[^\]]+\]|[^:\s/]+)(?::(\d+))?/?\s*\Z", text)
            if not match or match[2] in seen or len(seen) >= MAX_HOPS:
                raise ConfigurationError(f"ssh_config: ProxyJump {jumps!r} of {alias} cannot be followed")
            before += _route(settings, config, match[2].strip("[]"), match, (*seen, match[2]), index == 0)
    hop = _hop(settings, found, alias, jump, first=not before)
    return (*before, hop)


def _hop(
    settings: SshSettings, found: dict[str, object], alias: str, jump: re.Match[str] | None, *, first: bool
) -> Hop:
    own = jump is None  # settings of the section are about the target; jump hosts have ssh_config
    host = (settings.host if own else None) or str(found.get("hostname") or alias)
    given_port = settings.port if own else (int(jump[3]) if jump and jump[3] else None)
    port = given_port or int(str(found.get("port") or 22))
    username = (settings.username if own else (jump[1] if jump else None)) or str(found.get("user") or _me(settings))
    files = found.get("identityfile")
    key_files = tuple(Path(str(f)).expanduser() for f in files) if isinstance(files, list) else ()
    if settings.key_file and (own or not key_files):
        key_files = (settings.key_file.expanduser(),)
    agent = settings.agent
    if not key_files and not agent:
        agent = bool(os.environ.get("SSH_AUTH_SOCK"))
        key_files = tuple(p for p in (Path(k).expanduser() for k in DEFAULT_KEYS) if p.exists())
    elif not settings.key_file and str(found.get("identitiesonly", "no")) != "yes":
        agent = agent or bool(os.environ.get("SSH_AUTH_SOCK"))
    certificate = (settings.certificate_file if own else None) or found.get("certificatefile")
    command = found.get("proxycommand") if first and not found.get("proxyjump") else None
    return Hop(
        host=host,
        port=port,
        username=username,
        key_files=key_files,
        agent=agent,
        certificate_file=Path(str(certificate)).expanduser() if certificate else None,
        known=_known(settings, found, host, port, own=own),
        proxy_command=str(command) if command else None,
    )


def _me(settings: SshSettings) -> str:
    return settings.username or getpass.getuser()


def _known(settings: SshSettings, found: dict[str, object], host: str, port: int, *, own: bool) -> KnownHosts:
    known = KnownHosts()
    name = host_name(str(found["hostkeyalias"]), 22) if found.get("hostkeyalias") else host_name(host, port)
    if own:
        known += KnownHosts(tuple(parse_host_key(line) for line in settings.host_key))
    if settings.known_hosts:
        known += load_known_hosts([settings.known_hosts], name)
    elif not (own and settings.host_key) and settings.ssh_config:
        files = str(found.get("userknownhostsfile") or "~/.ssh/known_hosts ~/.ssh/known_hosts2").split()
        system = str(found.get("globalknownhostsfile") or "/etc/ssh/ssh_known_hosts").split()
        known += load_known_hosts([Path(file) for file in (*files, *system)], name)
    return known


def load_keys(hop: Hop, passphrase: str | None) -> list[paramiko.PKey]:
    """Load the private keys of a hop; those of several that cannot be read are left out.

    Raises
    ------
    LoginRefused
        Not one of the files that are named can be used; the message says why.
    """
    keys, problem = [], ""
    for path in hop.key_files:
        try:
            key = _load_key(path, passphrase)
            if hop.certificate_file:
                key.load_certificate(str(hop.certificate_file))
            keys.append(key)
        except FileNotFoundError as error:
            problem = problem or f"{error.filename or path} does not exist"
        except OSError as error:
            problem = problem or f"{error.filename or path} cannot be read: {error.strerror}"
        except (paramiko.SSHException, ValueError, TypeError) as error:
            problem = problem or f"the key {path} cannot be used: {_why(error, passphrase)}"
    if not keys and hop.key_files and not hop.agent:
        raise LoginRefused(f"{hop.name}: {problem}", hint="set key_file, or agent = true")
    return keys


def _load_key(path: Path, passphrase: str | None) -> paramiko.PKey:
    path.read_bytes()  # so that a missing file is one, whatever paramiko makes of it
    problem: Exception | None = None
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            key: paramiko.PKey = kind.from_private_key_file(str(path), passphrase)
            beside = Path(f"{path}-cert.pub")
            if beside.is_file():
                key.load_certificate(str(beside))
            return key
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, ValueError, TypeError) as error:
            problem = problem or error
    raise problem or ValueError("unknown kind of key")


def _why(error: Exception, passphrase: str | None) -> str:
    if isinstance(error, paramiko.PasswordRequiredException):
        return "it has a passphrase (set passphrase, or use an agent)"
    return "wrong passphrase, or not a private key" if passphrase else str(error)
