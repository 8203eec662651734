"""The gateway, and a bare server, each as a process of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.db.database import Database
from gateway.jobs.configured import make_data_folder
from gateway.jobs.driving_lock import DrivingLock

TOP = Path(__file__).resolve().parent.parent

CONFIGURATION = """\
[gateway]
listen = "127.0.0.1:0"
data = {data}
[targets.local]
[stores.local]
kind = "directory"
path = "{{data}}/outputs"
"""


@dataclass(frozen=True)
class Served:
    """Where a process listens on 127.0.0.1, and what a request to it must carry."""

    port: int
    headers: dict[str, str]


def new_database(data: Path) -> Database:
    """Make a data folder with an empty database."""
    make_data_folder(data)
    database = Database(f"sqlite:///{data}/gateway.db")
    database.migrate()
    return database


@contextlib.contextmanager
def gateway_server(data: Path) -> Iterator[Served]:
    """Run ``gateway serve`` over a data folder. It serves and does not drive: this process holds the folder's lock."""
    make_data_folder(data)
    lock = DrivingLock(data)
    assert lock.take()
    config = data / "gateway.toml"
    config.write_text(CONFIGURATION.format(data=json.dumps(str(data))))
    with _process([sys.executable, "-m", "gateway.cli.main", "--config", str(config), "serve"]):
        server = json.loads((data / "server.json").read_text())
        token = Path(server["token_file"]).read_text().strip()
        yield Served(int(server["url"].rpartition(":")[2]), {"Authorization": f"Bearer {token}"})
    lock.release()


@contextlib.contextmanager
def bare_server(kind: str, file: Path) -> Iterator[Served]:
    """Run a handler of `benchmarks.bare_server`."""
    with _process([sys.executable, "-m", "benchmarks.bare_server", kind, str(file)]) as line:
        yield Served(int(line), {})


@contextlib.contextmanager
def _process(argv: list[str]) -> Iterator[str]:
    """Run a server and give the first line that it prints, which it does when it listens."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            if not (line := process.stdout.readline()):
                log.seek(0)
                raise RuntimeError(f"{argv[2]} did not start: {log.read()[-2000:]}")
            yield line
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
