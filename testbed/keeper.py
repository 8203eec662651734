"""The program that runs the daemons of a test bed and lets none of them outlive it.

It is started by path and needs the standard library only. Clients hold a connection to its socket: requests
are lines of JSON, and when the last connection closes (also because its owner was killed) everything that was
started ends, deferred commands run, folders are removed. It is a *child subreaper*, so that daemonised
descendants (job steps, container monitors) become its children and end with it.
"""

import contextlib
import ctypes
import errno
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FIRST_CLIENT_SECONDS = 20.0
_libc = ctypes.CDLL(None, use_errno=True)


def parents() -> dict[int, tuple[int, str, str]]:
    """Return every process of the machine as ``pid -> (parent's pid, command name, state)``."""
    found: dict[int, tuple[int, str, str]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue
        head, _, tail = text.rpartition(")")
        state, parent = tail.split()[:2]
        found[int(entry.name)] = (int(parent), head.partition("(")[2], state)
    return found


def running() -> set[int]:
    """Return the processes of the machine, zombies left out."""
    return {pid for pid, (_, _, state) in parents().items() if state != "Z"}


def descendants(root: int) -> list[int]:
    """Return the processes below `root`, zombies left out."""
    table = parents()
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found, queue = [], list(children.get(root, []))
    while queue:
        pid = queue.pop()
        queue.extend(children.get(pid, []))
        if table[pid][2] != "Z":
            found.append(pid)
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def remove_tree(path: str) -> None:
    """Remove a file or folder, also one with files of a user's subordinate ids (left by podman)."""
    with contextlib.suppress(OSError):
        Path(path).unlink()
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path) and os.geteuid() != 0:
        subprocess.run(
            ["unshare", "--user", "--map-auto", "--map-root-user", "rm", "-rf", "--", path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )


class Keeper:
    """The named processes, the deferred work and the clients of one test bed."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.processes: dict[str, int] = {}
        self.exits: dict[int, int] = {}
        self.deferred: list[dict[str, Any]] = []
        self.clients: dict[socket.socket, bytes] = {}
        self.ending = False
        self.had_client = False

    def reap(self) -> bool:
        """Collect the children that have ended; return whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.exits[pid] = os.waitstatus_to_exitcode(status)

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a named process."""
        pid = os.fork()
        if pid == 0:
            _become(request)
        self.processes[request["name"]] = pid
        return {"pid": pid}

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """End a named process; with `sessions` also its descendants of the same command name."""
        pid = self.processes.pop(request["name"], 0)
        if pid == 0:
            return {"error": f"{request['name']} is not running"}
        targets = [pid]
        if request.get("sessions"):
            table = parents()
            name = table.get(pid, (0, "", ""))[1]
            targets += [child for child in descendants(pid) if table.get(child, (0, "", ""))[1] == name]
        for target in targets:
            _signal(target, request["signal"] if target == pid else signal.SIGKILL)
        until = time.monotonic() + request["timeout"]
        while pid not in self.exits and time.monotonic() < until:
            time.sleep(0.005)
            self.reap()
        if pid not in self.exits:
            _signal(pid, signal.SIGKILL)
        while pid not in self.exits:
            time.sleep(0.005)
            self.reap()
        return {"status": self.exits[pid]}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks and return the reply."""
        operation = request["op"]
        if operation == "start":
            return self.start(request)
        if operation == "stop":
            return self.stop(request)
        if operation == "status":
            self.reap()
            pid = self.processes.get(request["name"], 0)
            return {"pid": pid, "alive": pid != 0 and pid not in self.exits, "status": self.exits.get(pid)}
        if operation == "defer":
            self.deferred.append(request)
            return {}
        if operation == "processes":
            return {"pids": descendants(os.getpid())}
        if operation == "hello":
            return {"pid": os.getpid()}
        if operation == "leave":
            self.ending = len(self.clients) == 1
            return {"last": self.ending}
        return {"error": f"unknown operation {operation}"}

    def read(self, client: socket.socket) -> bool:
        """Answer what a client sent; return whether it is still there."""
        try:
            data = client.recv(65536)
        except OSError:
            data = b""
        if not data:
            return False
        *lines, rest = (self.clients[client] + data).split(b"\n")
        self.clients[client] = rest
        for line in lines:
            request = json.loads(line)
            try:
                reply = self.answer(request)
            except Exception as error:  # the client raises it; the keeper must live on
                reply = {"error": f"{type(error).__name__}: {error}"}
            try:
                client.sendall(json.dumps({"id": request["id"], **reply}).encode() + b"\n")
            except OSError:
                return False
        return True

    def run(self, wakeup: socket.socket) -> None:
        """Serve until the last client has gone; `wakeup` receives the numbers of signals."""
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ)
        selector.register(wakeup, selectors.EVENT_READ)
        until = time.monotonic() + FIRST_CLIENT_SECONDS
        while not self.ending and (self.clients or not self.had_client) and time.monotonic() < until:
            for key, _ in selector.select(None if self.had_client else 1.0):
                if key.fileobj is self.listener:
                    client, _address = self.listener.accept()
                    self.clients[client] = b""
                    self.had_client, until = True, float("inf")
                    selector.register(client, selectors.EVENT_READ)
                elif key.fileobj is wakeup:
                    self.ending |= signal.SIGTERM in wakeup.recv(4096)
                    self.reap()
                elif isinstance(key.fileobj, socket.socket) and not self.read(key.fileobj):
                    selector.unregister(key.fileobj)
                    del self.clients[key.fileobj]
                    key.fileobj.close()
        selector.close()

    def end(self) -> None:
        """End every descendant, undo what was deferred (last first), tell the client that waits for it."""
        self.listener.close()
        until = time.monotonic() + 15
        while self.reap() and time.monotonic() < until:
            for pid in descendants(os.getpid()):
                _signal(pid, signal.SIGKILL)
            time.sleep(0.005)
        left = descendants(os.getpid())
        for work in reversed(self.deferred):
            if "remove" in work:
                remove_tree(work["remove"])
            else:
                subprocess.run(
                    work["argv"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.sendall(json.dumps({"left": left}).encode() + b"\n")


def _become(request: dict[str, Any]) -> None:
    """In the new child: set up what the daemon inherits and turn into it. Never returns."""
    try:
        os.setsid()
        # The second line of defence, should the keeper itself be killed.
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(request["cwd"])
        os.execve(request["argv"][0], request["argv"], request["env"])
    except BaseException as error:
        os.write(2, f"{request['argv'][0]}: {error}\n".encode())
    os._exit(127)


def main(listener_fd: int) -> None:
    """Detach from the program that started this one, then serve until the last client has gone."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(errno.ENOSYS, "PR_SET_CHILD_SUBREAPER")
    listener = socket.socket(fileno=listener_fd)
    listener.set_inheritable(False)
    receive, send = socket.socketpair()
    send.setblocking(False)
    signal.set_wakeup_fd(send.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    keeper = Keeper(listener)
    try:
        keeper.run(receive)
    finally:
        keeper.end()


if __name__ == "__main__":
    main(int(sys.argv[1]))
