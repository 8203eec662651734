"""The client's side of `testbed.keeper`: start daemons, wait for them, share them between test workers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from testbed import keeper as _keeper

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class TestbedError(Exception):
    """A part of the test bed could not be started or did not end."""

    __test__ = False


class MissingPart(TestbedError):
    """A program or package that the test bed needs is not installed; the message names how to get it."""


class KeeperGone(TestbedError):
    """The keeper of a shared part has ended."""


def require(command: str, install: str) -> str:
    """Return the path of a program.

    Parameters
    ----------
    command
        Name of the program; also looked for beside this Python and in the system's sbin folders.
    install
        The line that installs it.

    Raises
    ------
    MissingPart
        The program is not there.
    """
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), SYSTEM_PATH])
    found = shutil.which(command, path=search)
    if found is None:
        raise MissingPart(f"{command} is missing; install it with: {install}")
    return found


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nothing uses.

    They lie below the range of outgoing connections, so that none is taken while its server is stopped
    for a moment, and are drawn at random, so that parallel test workers do not meet.
    """
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            probe = stack.enter_context(socket.socket())
            port = random.SystemRandom().randrange(15000, 32000)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def accepts(port: int) -> bool:
    """Tell whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Keeper:
    """A folder, and the processes that end (and the folder that goes) when the last holder leaves or dies.

    Attributes
    ----------
    dir
        A new folder with a short path (socket names have a limit), readable by every account.
    pid
        The keeper's process.
    """

    def __init__(self) -> None:
        # /tmp and not TMPDIR: the path must stay short and every account must reach it.
        self.dir = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
        try:
            (self.dir / "keeper").mkdir(mode=0o700)
            self.dir.chmod(0o755)
            self._address = str(self.dir / "keeper" / "socket")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(self._address)
                listener.listen(64)
                subprocess.run(
                    [sys.executable, "-I", "-S", _keeper.__file__, str(listener.fileno())],
                    pass_fds=[listener.fileno()],
                    stdin=subprocess.DEVNULL,
                    cwd="/",
                    env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
                    check=True,
                )
            self._connect()
            self._ask(op="defer", remove=str(self.dir))
        except BaseException:
            shutil.rmtree(self.dir, ignore_errors=True)
            raise

    @classmethod
    def attach(cls, directory: str) -> Keeper:
        """Join the keeper of a folder, as one more holder.

        Raises
        ------
        KeeperGone
            It has ended.
        """
        joined = cls.__new__(cls)
        joined.dir = Path(directory)
        joined._address = str(joined.dir / "keeper" / "socket")
        try:
            joined._connect()
        except OSError as error:
            raise KeeperGone(f"no keeper in {directory}") from error
        return joined

    def __reduce__(self) -> tuple[Callable[[str], Keeper], tuple[str]]:
        return Keeper.attach, (str(self.dir),)

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(self._address)
        self._file = self._socket.makefile("rwb")
        self._serial = 0
        self._lock = threading.Lock()
        self.pid: int = self._ask(op="hello")["pid"]
        self._pidfd = os.pidfd_open(self.pid)

    def _ask(self, **request: Any) -> dict[str, Any]:
        with self._lock:
            self._serial += 1
            self._file.write(json.dumps({"id": self._serial, **request}).encode() + b"\n")
            self._file.flush()
            answer = self._answer()
            while answer.get("id") != self._serial:  # the late answer of a request that Ctrl-C cut short
                answer = self._answer()
        if "error" in answer:
            raise TestbedError(answer["error"])
        return answer

    def _answer(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise KeeperGone("the keeper ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Start a program with a small, clean environment and return its pid; it writes to `log(name)`."""
        environment = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": str(self.dir), **(env or {})}
        log = str(self._log_path(name))
        answer = self._ask(op="start", name=name, argv=list(argv), env=environment, cwd="/", log=log)
        return int(answer["pid"])

    def stop(self, name: str, *, number: int = signal.SIGTERM, timeout: float = 5, sessions: bool = False) -> int:
        """End a program (SIGKILL after `timeout` seconds) and return its status.

        With `sessions`, its children of the same name are killed too (an SSH server's connections).
        """
        answer = self._ask(op="stop", name=name, signal=int(number), timeout=timeout, sessions=sessions)
        return int(answer["status"])

    def alive(self, name: str) -> bool:
        """Tell whether the program runs."""
        return bool(self._ask(op="status", name=name)["alive"])

    def processes(self) -> list[int]:
        """Return the pids of everything that runs below the keeper."""
        return list(self._ask(op="processes")["pids"])

    def defer(self, argv: Sequence[str]) -> None:
        """Have a command run at the end, when no process is left."""
        self._ask(op="defer", argv=list(argv))

    def defer_removal(self, path: str | Path) -> None:
        """Have a file or folder removed at the end."""
        self._ask(op="defer", remove=str(path))

    def log(self, name: str) -> str:
        """Return what the program has written so far."""
        with contextlib.suppress(FileNotFoundError):
            return self._log_path(name).read_text(errors="replace")
        return ""

    def _log_path(self, name: str) -> Path:
        return self.dir / f"{name}.log"

    def wait(self, name: str, ready: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until `ready()` holds.

        Raises
        ------
        TestbedError
            The program died, or was not ready in time; with the end of its log.
        """
        until = time.monotonic() + seconds
        while not ready():
            if not self.alive(name):
                raise TestbedError(f"{name} died: {self.log(name)[-2000:]}")
            if time.monotonic() > until:
                raise TestbedError(f"{name} is not ready after {seconds} s: {self.log(name)[-2000:]}")
            time.sleep(0.02)

    def leave(self) -> None:
        """Give the keeper up; the last holder waits until everything has ended.

        Raises
        ------
        TestbedError
            Processes could not be ended.
        """
        if self._socket.fileno() == -1:
            return
        left: list[int] = []
        try:
            if self._ask(op="leave")["last"]:
                left = self._answer()["left"]
                select.select([self._pidfd], [], [], 10)
        except (KeeperGone, OSError):
            pass  # it ended before us: nothing is left to wait for
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            self._socket.close()
            os.close(self._pidfd)
        if left:
            raise TestbedError(f"processes left: {left}")


class Part:
    """Base of everything that owns a keeper: a context manager whose `stop` may be called twice.

    A part is picklable: loading it joins its keeper, which is how test workers share one.
    """

    keeper: Keeper

    def start(self) -> Self:
        """Start everything and wait until it answers."""
        self.keeper = Keeper()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """End everything, or leave it to the other holders."""
        if "keeper" in self.__dict__:
            self.keeper.leave()

    @property
    def dir(self) -> Path:
        """The part's folder, gone after `stop`."""
        return self.keeper.dir

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


P = TypeVar("P", bound=Part)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file (made when missing) or folder."""
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def shared(make: Callable[[], P], directory: Path, name: str) -> P:
    """Join the part that another process of the same run has started, or start it.

    Its keeper ends when the last process that joined has called `stop` or died.

    Parameters
    ----------
    make
        Makes the part, not started.
    directory
        A private folder that the processes of the run share.
    name
        The part's name in it.
    """
    record = directory / f"{name}.part"
    with locked(directory / f"{name}.lock"):
        if record.exists():
            with contextlib.suppress(KeeperGone):
                part: P = pickle.loads(record.read_bytes())
                return part
        part = make().start()
        try:
            record.write_bytes(pickle.dumps(part))
        except BaseException:
            part.stop()
            raise
        return part
