"""A real SSH server: a plain machine (the "cloud VM") by itself, and the way in of every other site."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.accounts import Account, give, provide_accounts
from testbed.processes import SYSTEM_PATH, Part, TestbedError, accepts, free_ports, require

SSH_PACKAGES = "apt-get install openssh-server openssh-client"


def no_files(account: Account) -> Mapping[str, str]:
    """Return no files for a home folder."""
    return {}


@dataclass(frozen=True)
class Login:
    """What greets a person who logs in.

    Attributes
    ----------
    shell
        Login shell of the accounts. An ordinary user's own login shell cannot be changed: the server then
        runs commands by this shell with ``ForceCommand``.
    files
        Files of the home folder, by name.
    options
        Lines of ``sshd_config``; ``None`` takes a line out.
    """

    shell: str = "/bin/bash"
    files: Callable[[Account], Mapping[str, str]] = no_files
    options: Mapping[str, str | None] = field(default_factory=dict)


class SshSite(Part):
    """A machine with an SSH server, accounts and a key that opens them.

    Parameters
    ----------
    users
        As root: the number of temporary accounts, or names of existing ones. An ordinary user's site has that
        user's own account, with a home folder of the site's.
    login
        Login shell, files of the home folders, server options.
    sshd_options
        More lines of ``sshd_config``, over those of `login`; ``None`` takes a line out.

    Attributes
    ----------
    ssh_port
        The server's port on 127.0.0.1.
    host_key
        Its public key: ``ssh-ed25519 AAAA…``.
    client_key
        Private key file that opens every account.
    accounts, users
        The accounts, and their names.
    """

    def __init__(
        self,
        users: int | Sequence[str] = 1,
        *,
        login: Login | None = None,
        sshd_options: Mapping[str, str | None] | None = None,
    ) -> None:
        self._wanted = users
        self._login = login or Login()
        self._options = dict(sshd_options or {})

    def _start(self) -> None:
        self._start_ssh({})

    def _start_ssh(self, environment: Mapping[str, str]) -> None:
        """Make accounts and keys and start the server; `environment` is what remote commands get."""
        self._sshd = require("sshd", SSH_PACKAGES)
        keygen = require("ssh-keygen", SSH_PACKAGES)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.ssh_port = free_ports(1)[0]
        self.accounts = provide_accounts(self.keeper, self._wanted, self._login.shell)
        self.users = [account.name for account in self.accounts]
        keys = self.dir / "keys"
        keys.mkdir()
        for name in ("host", "client"):
            argv = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", str(keys / name)]
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        self.host_key = " ".join((keys / "host.pub").read_text().split()[:2])
        self.client_key = keys / "client"
        for account in self.accounts:
            (keys / f"{account.name}.authorized").write_text((keys / "client.pub").read_text())
            for file, text in self._login.files(account).items():
                give(account, account.home / file, text)
        self.known_hosts = keys / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.ssh_port} {self.host_key}\n")
        (self.dir / "sshd_config").write_text(self._config(environment))
        self.start_sshd()

    def _config(self, environment: Mapping[str, str]) -> str:
        """Return the text of ``sshd_config``."""
        lines: dict[str, str | None] = {
            "ListenAddress": "127.0.0.1",
            "Port": str(self.ssh_port),
            "HostKey": str(self.dir / "keys" / "host"),
            "PidFile": "none",
            "AuthorizedKeysFile": f"{self.dir}/keys/%u.authorized",
            "AuthenticationMethods": "publickey",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "UsePAM": "no",
            "UseDNS": "no",
            "StrictModes": "no",  # keys lie below /tmp
            "PrintMotd": "no",
            "AllowUsers": " ".join(self.users),
            "MaxStartups": "100:30:200",
            "MaxSessions": "100",
            "Subsystem": "sftp internal-sftp",
        }
        if os.geteuid() != 0 and self._login.shell != Login.shell:
            lines["ForceCommand"] = str(self._imitate_shell())
        lines |= self._login.options
        lines |= self._options
        text = "".join(f"{key} {value}\n" for key, value in lines.items() if value is not None)
        for account in self.accounts:
            own = {**environment, "HOME": account.home, "XDG_RUNTIME_DIR": account.runtime_dir}
            text += f"Match User {account.name}\n    SetEnv {' '.join(f'{k}={v}' for k, v in own.items())}\n"
        return text

    def _imitate_shell(self) -> Path:
        """Write the program that hands a remote command to the login shell, as sshd does."""
        shell = self._login.shell
        program = self.dir / "login"
        program.write_text(
            "#!/bin/sh\n"
            'cd "$HOME" || exit 1\n'
            f"SHELL={shell}; export SHELL\n"
            f'[ -n "${{SSH_ORIGINAL_COMMAND+x}}" ] || exec {shell} -l\n'
            f'exec {shell} -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        program.chmod(0o755)
        return program

    def start_sshd(self) -> None:
        """Start the server (again, on the same port) and wait until it answers."""
        self.keeper.start("sshd", [self._sshd, "-D", "-e", "-f", str(self.dir / "sshd_config")])
        self.keeper.wait("sshd", lambda: accepts(self.ssh_port))

    def stop_sshd(self) -> None:
        """Stop the server and cut its connections; what was started over them lives on."""
        self.keeper.stop("sshd", sessions=True)

    def logins(self) -> int:
        """Return how many connections were let in since `start`."""
        return self.keeper.log("sshd").count("Accepted publickey for ")

    @property
    def user(self) -> str:
        """The first account's name."""
        return self.users[0]

    @property
    def home(self) -> Path:
        """The first account's home folder at the site."""
        return self.accounts[0].home

    def ssh_command(self, *command: str, user: str | None = None) -> list[str]:
        """Return the command line of OpenSSH's client that runs a command here."""
        options = {
            "UserKnownHostsFile": str(self.known_hosts),
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        argv = [
            require("ssh", SSH_PACKAGES),
            "-F",
            "none",
            "-p",
            str(self.ssh_port),
            "-i",
            str(self.client_key),
        ]
        for key, value in options.items():
            argv += ["-o", f"{key}={value}"]
        return [*argv, "-T", "-l", user or self.user, "127.0.0.1", *command]

    def run(self, script: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a bash script over SSH, the way the gateway does: by a bash without rc files, on its input."""
        return subprocess.run(
            self.ssh_command("/bin/bash --noprofile --norc -s", user=user),
            input=script,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": SYSTEM_PATH, "HOME": str(self.dir)},
        )

    def check(self, script: str, user: str | None = None) -> str:
        """Run a bash script over SSH and return what it printed.

        Raises
        ------
        TestbedError
            It failed.
        """
        done = self.run(script, user)
        if done.returncode != 0:
            raise TestbedError(f"status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout
