"""A folder of the target as an sftp remote of the gateway's own rclone; host keys are checked there too."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import paramiko

from gateway.compute.rclone_program import own_rclone
from gateway.compute.transport.base import RcloneRemote
from gateway.compute.transport.host_keys import host_name
from gateway.compute.transport.ssh_login import Hop, SshSettings
from gateway.errors import TargetError

SFTP_TIMEOUT = 20.0


def check_sftp(channel: paramiko.Channel) -> str | None:
    """Say what is wrong with the SFTP subsystem, or None. Blocks."""
    channel.settimeout(SFTP_TIMEOUT)
    try:
        channel.invoke_subsystem("sftp")
    except (paramiko.SSHException, EOFError, OSError):
        return "no SFTP subsystem"
    try:
        paramiko.SFTPClient(channel).normalize(".")
    except (paramiko.SSHException, paramiko.SFTPError, EOFError, OSError, ValueError):
        return "an SFTP subsystem that does not work (do start-up files print something?)"
    return None


def sftp_remote(settings: SshSettings, hops: Sequence[Hop], folder: str, state_folder: Path) -> RcloneRemote:
    """Return the remote. Writes known_hosts (and, with jump hosts, an ssh_config) below `state_folder`.

    Raises
    ------
    TargetError
        It needs a program that this machine has not.
    """
    target = hops[-1]
    name = hashlib.sha256(repr([(hop.name, hop.known) for hop in hops]).encode()).hexdigest()[:16]
    known_hosts = state_folder / f"known_hosts-{name}"
    _write(known_hosts, "".join(_known_lines(hop) for hop in hops))
    options = {
        "type": "sftp",
        "shell_type": "none",
        "disable_hashcheck": "true",
        "set_modtime": "true",
        "known_hosts_file": str(known_hosts),
    }
    if len(hops) > 1 or target.proxy_command:
        if shutil.which("ssh") is None:
            raise TargetError(
                f"outputs of {target.host} are relayed through jump hosts by the program ssh, which is not installed"
            )
        config = state_folder / f"ssh_config-{name}"
        _write(config, "".join(_stanza(hops, index, known_hosts) for index in range(len(hops))))
        options |= {"ssh": f'"ssh" "-F" "{config}" "hop{len(hops) - 1}"'}
        return RcloneRemote(options, folder)
    algorithms = [name for key in target.known.accepted for name in key.algorithms]
    options |= {
        "host": target.host,
        "port": str(target.port),
        "user": target.username,
        "host_key_algorithms": " ".join(dict.fromkeys(algorithms)),
    }
    options |= _credentials(settings, target)
    return RcloneRemote(options, folder)


def _credentials(settings: SshSettings, hop: Hop) -> dict[str, str]:
    key = next((path for path in hop.key_files if path.exists()), None)
    if key is None:
        return {"key_use_agent": "true"}
    options = {"key_file": str(key)}
    if settings.passphrase:
        options["key_file_pass"] = _obscured(settings.passphrase.reveal())
    beside = Path(f"{key}-cert.pub")
    certificate = hop.certificate_file or (beside if beside.exists() else None)
    if certificate:
        options["pubkey_file"] = str(certificate)
    return options


def _obscured(secret: str) -> str:
    """Return a secret in the form that rclone wants; it goes by standard input, never by arguments."""
    argv = [str(own_rclone()), "obscure", "-"]
    done = subprocess.run(argv, input=secret, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TargetError("rclone did not take the key's passphrase")
    return done.stdout.strip()


def _known_lines(hop: Hop) -> str:
    name = host_name(hop.host, hop.port)
    lines = [f"{name} {key.line}\n" for key in hop.known.accepted]
    return "".join(lines)


def _stanza(hops: Sequence[Hop], index: int, known_hosts: Path) -> str:
    """Return one host's part of an ssh_config that OpenSSH can follow without asking."""
    hop = hops[index]
    lines = [
        f"Host hop{index}",
        f"HostName {hop.host}",
        f"Port {hop.port}",
        f"User {hop.username}",
        f'UserKnownHostsFile "{known_hosts}"',
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "BatchMode yes",
        "ControlMaster no",
        "LogLevel ERROR",
        f"IdentitiesOnly {'no' if hop.agent else 'yes'}",
        *(f'IdentityFile "{path}"' for path in hop.key_files),
    ]
    if hop.certificate_file:
        lines.append(f'CertificateFile "{hop.certificate_file}"')
    if index:
        lines.append(f"ProxyJump hop{index - 1}")
    elif hop.proxy_command:
        lines.append(f"ProxyCommand {hop.proxy_command.replace('%', '%%')}")
    return "\n    ".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    """Write a small private file by rename, unless it is there as it should be."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.read_text() == text:
        return
    # Several jobs of one target are prepared at the same time, each in a thread of its own.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)
