"""The proxy between gateway and server does to connections what the weather says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from testbed.proxy import FAIR, Proxy, Weather


class Echo:
    """A server that sends every byte back."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        workers = []
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                break
            workers.append(threading.Thread(target=self.echo, args=(connection,)))
            workers[-1].start()
        for worker in workers:
            worker.join(30)

    @staticmethod
    def echo(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(30)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    echo = Echo()
    with Proxy(echo.port) as made:
        yield made
    echo.close()


def call(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=30)


def test_in_fair_weather_every_byte_arrives(proxy: Proxy) -> None:
    data = bytes(range(256)) * 1000
    with call(proxy) as line:
        threading.Thread(target=line.sendall, args=(data,)).start()
        found = b""
        while len(found) < len(data):
            found += line.recv(65536)
    assert found == data
    assert proxy.connections == 1


def test_refused_connections_are_possible_again_at_the_same_port(proxy: Proxy) -> None:
    proxy.set(Weather(refuse=True))
    with pytest.raises(ConnectionRefusedError):
        call(proxy)
    proxy.set(FAIR)
    with call(proxy) as line:
        line.sendall(b"x")
        assert line.recv(10) == b"x"


def test_a_cut_resets_what_is_open(proxy: Proxy) -> None:
    with call(proxy) as line:
        line.sendall(b"x")
        assert line.recv(10) == b"x"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            line.recv(10)


def test_an_answer_is_cut_off_after_so_many_bytes(proxy: Proxy) -> None:
    proxy.set(Weather(truncate_after=3))
    with call(proxy) as line:
        line.sendall(b"abcdef")
        found = b""
        while piece := line.recv(10):
            found += piece
        assert found == b"abc"


def test_a_connection_is_reset_after_so_many_bytes(proxy: Proxy) -> None:
    proxy.set(Weather(reset_after=3))
    with call(proxy) as line:
        line.sendall(b"abcdef")
        with pytest.raises(ConnectionResetError):
            while line.recv(10):
                pass


def test_a_black_hole_takes_everything_and_gives_nothing(proxy: Proxy) -> None:
    with call(proxy) as line:
        proxy.set(Weather(silent=True))
        line.sendall(b"x")
        line.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.recv(10)
