"""PostgreSQL: a server of our own on a socket in a private folder, with as many databases as tests want."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from pathlib import Path

from testbed.accounts import provide_accounts
from testbed.processes import MissingPart, Part, TestbedError, require

INSTALL = "apt-get install --no-install-recommends postgresql"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
}
"""Quick, and worthless after a crash of the machine."""


class Postgres(Part):
    """A server. As root it runs as a temporary account: PostgreSQL refuses root."""

    def _start(self) -> None:
        self._programs = _programs()
        self.account = provide_accounts(self.keeper, 1, "/bin/sh")[0]
        self._folder = self.dir / "postgres"
        self._folder.mkdir(mode=0o700)
        os.chown(self._folder, self.account.uid, -1)
        self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-D", self._data)
        self.up()

    def up(self) -> None:
        """Start the server (again, with its data) and wait until it answers."""
        settings = {**SETTINGS, "unix_socket_directories": str(self._folder)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.keeper.start(
            "postgres", [*self._as_account(), str(self._programs / "postgres"), "-D", self._data, *options]
        )
        self.keeper.wait("postgres", self._ready)

    def down(self, *, immediate: bool = False) -> None:
        """Stop the server, with everybody's connections; what was committed stays. `immediate`: without a last word."""
        self.keeper.stop("postgres", number=signal.SIGQUIT if immediate else signal.SIGINT, timeout=10)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _as_account(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        program = require("setpriv", "apt-get install util-linux")
        return [program, f"--reuid={self.account.uid}", f"--regid={self.account.uid}", "--clear-groups"]

    def _run(self, program: str, *arguments: str) -> str:
        argv = [*self._as_account(), str(self._programs / program), *arguments]
        environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", env=environment)
        if done.returncode != 0:
            raise TestbedError(f"{program}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def _ready(self) -> bool:
        ask = [*self._as_account(), str(self._programs / "pg_isready"), "-q", "-h", str(self._folder)]
        return subprocess.run(ask, check=False, cwd="/").returncode == 0

    def make_database(self) -> str:
        """Make an empty database and return its URL for SQLAlchemy."""
        name = f"gw{secrets.token_hex(8)}"
        self._run("createdb", "-h", str(self._folder), name)
        return f"postgresql+psycopg://{self.account.name}@/{name}?host={self._folder}"

    def drop_database(self, url: str) -> None:
        """Remove a database, with everybody who is still connected to it."""
        name = url.partition("@/")[2].partition("?")[0]
        self._run("dropdb", "--force", "-h", str(self._folder), name)


def _programs() -> Path:
    """Return the folder of the newest server's programs: Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise MissingPart(f"PostgreSQL is missing; install it with: {INSTALL}")
    return found[-1].parent
