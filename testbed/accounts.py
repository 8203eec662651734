"""The accounts that people log in to: temporary ones as root, the own account otherwise."""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.processes import Keeper, TestbedError, locked

# useradd rewrites several files of this folder and gives up when another one is at it.
ACCOUNTS_LOCK = Path("/etc")


@dataclass(frozen=True)
class Account:
    """An account of a site.

    Attributes
    ----------
    name, uid
        As the system knows it.
    home
        Its home folder *at the site*: inside the site's folder, so that the person's real home stays
        untouched (except for existing accounts that root named).
    runtime_dir
        Its ``XDG_RUNTIME_DIR``, where a rootless container engine keeps its state.
    """

    name: str
    uid: int
    home: Path
    runtime_dir: Path


def provide_accounts(keeper: Keeper, users: int | Sequence[str], shell: str) -> list[Account]:
    """Return the accounts of a site.

    Parameters
    ----------
    keeper
        The site's keeper; it deletes the temporary accounts at the end.
    users
        As root: how many temporary accounts to make, or the names of existing ones. An ordinary user has only
        the own account.
    shell
        Login shell of temporary accounts.

    Raises
    ------
    TestbedError
        An ordinary user asked for more than the own account, or an account could not be made.
    """
    homes, runtime = keeper.dir / "home", keeper.dir / "run"
    homes.mkdir()
    runtime.mkdir()
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid())
        if users not in (1, [own.pw_name], (own.pw_name,)):
            raise TestbedError("an ordinary user can only log in to the own account")
        (homes / own.pw_name).mkdir(mode=0o700)
        accounts = [Account(own.pw_name, own.pw_uid, homes / own.pw_name, runtime / own.pw_name)]
    elif isinstance(users, int):
        accounts = [_create(keeper, homes, runtime, shell) for _ in range(users)]
    else:
        known = [pwd.getpwnam(name) for name in users]
        accounts = [Account(k.pw_name, k.pw_uid, Path(k.pw_dir), runtime / k.pw_name) for k in known]
    for account in accounts:
        account.runtime_dir.mkdir(mode=0o700)
        os.chown(account.runtime_dir, account.uid, -1)
    return accounts


def _create(keeper: Keeper, homes: Path, runtime: Path, shell: str) -> Account:
    name = f"gwtest{secrets.token_hex(4)}"
    home = homes / name
    # First the undoing, then the doing: an interruption in between leaves nothing.
    keeper.defer(["flock", str(ACCOUNTS_LOCK), "userdel", "-f", name])
    # '*' is a password that nobody has; without one the account counts as locked and sshd refuses it.
    argv = ["useradd", "-m", "-d", str(home), "-s", shell, "-p", "*", "-c", "Science Gateway test", name]
    with locked(ACCOUNTS_LOCK):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TestbedError(f"useradd: {done.stderr.strip()}")
    uid = pwd.getpwnam(name).pw_uid
    # What rootless podman leaves outside of its home; the next account may get the same uid.
    for left in (
        f"/tmp/podman-run-{uid}",
        f"/tmp/containers-user-{uid}",
        f"/run/user/{uid}",
        f"/tmp/run-{uid}",
        f"/dev/shm/libpod_rootless_lock_{uid}",
    ):
        keeper.defer_removal(left)
    return Account(name, uid, home, runtime / name)


def give(account: Account, path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that belongs to the account."""
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, account.uid, -1)
