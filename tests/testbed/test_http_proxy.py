"""The proxy before an object store does to requests what its mood says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from testbed.http_proxy import HttpProxy, Mood


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def proxy() -> Iterator[HttpProxy]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    with HttpProxy(server.server_address[1]) as made:
        yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(proxy: HttpProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, trust_env=False) as made:
        yield made


def test_a_fair_proxy_passes_bodies_on(client: httpx.Client, proxy: HttpProxy) -> None:
    answer = client.put("/a", content=b"content")
    assert (answer.status_code, answer.content) == (201, b"content")
    assert (proxy.served, proxy.failed) == (1, 0)


def test_some_requests_are_passed_on_before_the_others_fail(client: httpx.Client, proxy: HttpProxy) -> None:
    proxy.mood = Mood(status=507, methods=("PUT",), after=2, body=b"full")
    assert [client.put("/a").status_code for _ in range(3)] == [201, 201, 507]
    assert client.get("/a").status_code == 200
    proxy.mood = Mood(status=507, after=1)
    assert [client.get("/a").status_code for _ in range(2)] == [200, 507]


def test_addresses_that_were_used_can_be_revoked_and_new_ones_are_not(client: httpx.Client, proxy: HttpProxy) -> None:
    assert client.get("/a?sv=1&sig=old").status_code == 200
    assert client.get("/a").status_code == 200
    assert proxy.revoke() == 1
    assert client.get("/b?sig=old&x=1").status_code == 403
    assert client.get("/a?sig=new").status_code == 200
    assert client.get("/a").status_code == 200
