"""URLs of people: only where they may lead, only what they promise, and nothing half-kept."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import hashlib
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.errors import ConfigurationError, UrlError, UrlUnreachable
from gateway.urls import MAX_REDIRECTS, UrlOpener
from testbed.mirror import Fault, Mirror

DATA = b"mesh" * 1000
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()
LOCAL = ("127.0.0.1",)

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """An HTTP server whose paths answer as told, and what it was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                site.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                site.answers.get(self.path, give(b"", 404))(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients that refuse a certificate, or leave early

            def finish_request(self, request: Any, client_address: Any) -> None:
                if tls is not None:
                    request = tls.wrap_socket(request, server_side=True)
                super().finish_request(request, client_address)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, path: str, answer: Answer, host: str = "127.0.0.1", scheme: str = "http") -> str:
        self.answers[path] = answer
        return f"{scheme}://{host}:{self.port}{path}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def give(body: bytes, status: int = 200, length: int | None = None, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.send_header("Connection", "close")
        handler.close_connection = True
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirect(location: str, **headers: str) -> Answer:
    return give(b"", 302, Location=location, **headers)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.stop()


@pytest.fixture
def open_urls() -> Iterator[Callable[..., UrlOpener]]:
    made: list[UrlOpener] = []

    def make(*allow: str, **settings: Any) -> UrlOpener:
        made.append(UrlOpener(allow, **settings))
        return made[-1]

    yield make
    for opener in made:
        opener.close()


Open = Callable[..., UrlOpener]


def never(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was resolved")


async def refused(
    opener: UrlOpener, url: str, folder: Path, kind: type[UrlError] = UrlError, timeout: float = 20, **limits: Any
) -> str:
    """Fetch, prove that it fails and leaves nothing, and return the message."""
    with pytest.raises(UrlError) as caught:
        await opener.fetch(url, folder / "file", timeout=timeout, **limits)
    assert type(caught.value) is kind, caught.value
    assert list(folder.iterdir()) == []
    return caught.value.message


async def test_a_file_arrives_whole_with_its_digest(open_urls: Open, site: Site, tmp_path: Path) -> None:
    url = site.url("/mesh.bin?key=1", give(DATA))
    found = await open_urls(*LOCAL).fetch(url, tmp_path / "file", digest=DIGEST, timeout=60)
    assert (found.size, found.digest) == (len(DATA), DIGEST)
    assert (tmp_path / "file").read_bytes() == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


async def test_a_wrong_digest_leaves_nothing(open_urls: Open, site: Site, tmp_path: Path) -> None:
    url = site.url("/mesh.bin", give(DATA))
    wanted = "sha256:" + "0" * 64
    message = await refused(open_urls(*LOCAL), url, tmp_path, digest=wanted)
    assert message == f"127.0.0.1: the file's digest is {DIGEST}, not {wanted}"


@pytest.mark.parametrize("promised", [True, False])
async def test_a_file_over_the_limit_is_refused(open_urls: Open, site: Site, tmp_path: Path, promised: bool) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.close_connection = True
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    url = site.url("/big", give(DATA) if promised else endless)
    message = await refused(open_urls(*LOCAL), url, tmp_path, max_bytes=len(DATA) - 1)
    assert message == f"127.0.0.1: the file is larger than {len(DATA) - 1} bytes"


async def test_a_file_of_just_the_limit_arrives(open_urls: Open, site: Site, tmp_path: Path) -> None:
    url = site.url("/mesh.bin", give(DATA))
    found = await open_urls(*LOCAL).fetch(url, tmp_path / "file", max_bytes=len(DATA), timeout=60)
    assert found.size == len(DATA)


async def test_a_file_that_ends_early_is_not_kept(open_urls: Open, site: Site, tmp_path: Path) -> None:
    url = site.url("/short", give(DATA, length=len(DATA) + 1))
    message = await refused(open_urls(*LOCAL), url, tmp_path, UrlUnreachable)
    assert message.startswith("127.0.0.1: the connection ended too early")


async def test_a_silent_server_is_given_up(open_urls: Open, tmp_path: Path) -> None:
    with Mirror() as mirror:
        url = mirror.serve("/mesh.bin", DATA, Fault(stall=100))
        message = await refused(open_urls(*LOCAL, idle_timeout=0.2), url, tmp_path, UrlUnreachable)
        assert message == "127.0.0.1: the server stopped sending"


async def test_a_dripping_server_is_given_up_when_the_time_is_over(open_urls: Open, tmp_path: Path) -> None:
    with Mirror() as mirror:
        url = mirror.serve("/mesh.bin", DATA, Fault(rate=20))
        message = await refused(open_urls(*LOCAL), url, tmp_path, UrlUnreachable, timeout=0.5)
        assert message == "127.0.0.1: the file did not arrive within 0.5 s"


async def test_a_cancelled_fetch_leaves_nothing(open_urls: Open, tmp_path: Path) -> None:
    with Mirror() as mirror:
        url = mirror.serve("/mesh.bin", DATA, Fault(stall=100))
        task = asyncio.create_task(open_urls(*LOCAL).fetch(url, tmp_path / "file", timeout=60))
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, UrlError), (403, UrlError), (204, UrlError), (503, UrlUnreachable), (429, UrlUnreachable)],
)
async def test_a_status_says_whether_trying_again_helps(
    open_urls: Open, site: Site, tmp_path: Path, status: int, kind: type[UrlError]
) -> None:
    url = site.url("/x?token=geheim", give(b"", status))
    message = await refused(open_urls(*LOCAL), url, tmp_path, kind)
    assert message == f"127.0.0.1: the server answered with status {status}"


async def test_a_file_is_kept_as_it_lies_on_the_server(open_urls: Open, site: Site, tmp_path: Path) -> None:
    packed = gzip.compress(DATA)
    url = site.url("/mesh.bin.gz", give(packed, Content_Encoding="gzip"))
    await open_urls(*LOCAL).fetch(url, tmp_path / "file", timeout=60)
    assert (tmp_path / "file").read_bytes() == packed
    assert site.asked[0][1]["accept-encoding"] == "identity"


# ---- addresses

FORBIDDEN = [
    ("127.0.0.1", "loopback"),
    ("127.8.9.1", "loopback"),
    ("0.0.0.0", "unspecified"),
    ("10.0.0.1", "private"),
    ("172.16.5.4", "private"),
    ("192.168.1.1", "private"),
    ("169.254.169.254", "link-local"),
    ("100.100.100.200", "reserved"),
    ("168.63.129.16", "reserved"),
    ("192.0.0.192", "reserved"),
    ("224.0.0.1", "multicast"),
    ("::1", "loopback"),
    ("::", "unspecified"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fd00:ec2::254", "private"),
    ("ff02::1", "multicast"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "link-local"),
    ("64:ff9b::a00:1", "private"),
    ("2002:7f00:1::", "reserved"),
    ("::7f00:1", "reserved"),
]


@pytest.mark.parametrize(("address", "kind"), FORBIDDEN)
async def test_a_name_that_leads_to_an_address_inside_is_refused(
    open_urls: Open, tmp_path: Path, address: str, kind: str
) -> None:
    opener = open_urls(resolver=lambda host, port: [address])
    message = await refused(opener, "http://files.example.org/mesh.bin", tmp_path)
    assert message == f"files.example.org: it has a {kind} address, and gateway.allow_urls does not name it"


async def test_one_address_inside_among_public_ones_is_refused(open_urls: Open, tmp_path: Path) -> None:
    opener = open_urls(resolver=lambda host, port: ["93.184.215.14", "10.0.0.1"])
    assert "private" in await refused(opener, "https://files.example.org/", tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "127.1", "127.0.0.1."])
async def test_every_spelling_of_an_address_is_refused(open_urls: Open, site: Site, tmp_path: Path, host: str) -> None:
    url = site.url("/x", give(DATA), host)
    assert "loopback" in await refused(open_urls(resolver=never), url, tmp_path)
    assert site.asked == []


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "files.test", "Files.Test."])
async def test_what_the_configuration_names_is_reached(
    open_urls: Open, site: Site, tmp_path: Path, allowed: str
) -> None:
    url = site.url("/mesh.bin", give(DATA), "files.test")
    opener = open_urls(allowed, resolver=lambda host, port: ["127.0.0.1"])
    await opener.fetch(url, tmp_path / "file", timeout=60)
    assert site.asked[0][1]["host"] == f"files.test:{site.port}"


async def test_an_allowed_name_does_not_open_the_address_to_others(open_urls: Open, site: Site, tmp_path: Path) -> None:
    opener = open_urls("files.test", resolver=lambda host, port: ["127.0.0.1"])
    await refused(opener, site.url("/x", give(DATA), "other.test"), tmp_path)
    await refused(opener, site.url("/x", give(DATA), "x.files.test"), tmp_path)
    assert site.asked == []


async def test_a_name_is_resolved_once_and_cannot_change_its_mind(open_urls: Open, site: Site, tmp_path: Path) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    url = site.url("/mesh.bin", give(DATA), "rebinding.test")
    found = await open_urls(*LOCAL, resolver=rebinding).fetch(url, tmp_path / "file", timeout=60)
    assert (found.size, asked, len(site.asked)) == (len(DATA), ["rebinding.test"], 1)


async def test_a_name_that_turns_inside_between_redirects_is_refused(
    open_urls: Open, site: Site, tmp_path: Path
) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    url = site.url("/start", redirect("/next"), "rebinding.test")
    site.url("/next", give(DATA))
    opener = open_urls(*LOCAL, resolver=lambda host, port: next(answers))
    assert "loopback" in await refused(opener, url, tmp_path)
    assert [path for path, _ in site.asked] == ["/start"]


async def test_the_next_address_is_tried_where_one_does_not_answer(open_urls: Open, site: Site, tmp_path: Path) -> None:
    url = site.url("/mesh.bin", give(DATA), "files.test")
    opener = open_urls("127.0.0.0/8", "::1", resolver=lambda host, port: ["::1", "127.0.0.1"])
    assert (await opener.fetch(url, tmp_path / "file", timeout=60)).digest == DIGEST


async def test_a_name_without_an_address_may_have_one_later(open_urls: Open, tmp_path: Path) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    message = await refused(open_urls(resolver=unknown), "http://nowhere.example/x", tmp_path, UrlUnreachable)
    assert message == "nowhere.example: the name cannot be resolved: Name or service not known"


async def test_a_closed_port_may_be_open_later(open_urls: Open, tmp_path: Path) -> None:
    made = Site()
    url = made.url("/x", give(DATA))
    made.stop()
    assert (await refused(open_urls(*LOCAL), url, tmp_path, UrlUnreachable)).startswith("127.0.0.1: no connection")


# ---- redirects


async def test_redirects_are_followed_without_cookies(open_urls: Open, site: Site, tmp_path: Path) -> None:
    url = site.url("/a", redirect("/b/", Set_Cookie="session=1; Path=/"))
    site.url("/b/", redirect(f"http://127.0.0.1:{site.port}/c#part", Set_Cookie="session=2; Path=/"))
    site.url("/c", give(DATA))
    await open_urls(*LOCAL).fetch(url, tmp_path / "file", timeout=60)
    assert [path for path, _ in site.asked] == ["/a", "/b/", "/c"]
    assert not any({"cookie", "authorization", "referer"} & set(headers) for _, headers in site.asked)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://127.0.0.2:{port}/x", "loopback"),
        ("http://[::1]:{port}/x", "loopback"),
        ("http://[::ffff:127.0.0.2]:{port}/x", "loopback"),
        ("//169.254.169.254/latest/meta-data/", "link-local"),
        ("http://user:geheim@127.0.0.1:{port}/x", "user name"),
        ("//user@127.0.0.1:{port}/x", "user name"),
        ("file:///etc/passwd", "must begin with"),
        ("ftp://127.0.0.1/x", "must begin with"),
        ("http:///x", "must name a host"),
        ("", "is missing"),
    ],
)
async def test_a_redirect_is_checked_like_the_first_url(
    open_urls: Open, site: Site, tmp_path: Path, location: str, words: str
) -> None:
    site.url("/x", give(DATA))
    url = site.url("/start", redirect(location.format(port=site.port)))
    message = await refused(open_urls(*LOCAL), url, tmp_path)
    assert words in message
    assert "geheim" not in message
    assert [path for path, _ in site.asked] == ["/start"]


async def test_a_loop_of_redirects_ends(open_urls: Open, site: Site, tmp_path: Path) -> None:
    url = site.url("/loop", redirect("/loop"))
    message = await refused(open_urls(*LOCAL), url, tmp_path)
    assert message == f"127.0.0.1: more than {MAX_REDIRECTS} redirects"
    assert len(site.asked) == MAX_REDIRECTS + 1


# ---- what a URL must be


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mesh.bin",
        "//files.example.org/x",
        "ftp://files.example.org/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///x",
        "http://user:geheim@files.example.org/x",
        "http://@files.example.org/x",
        "http://good.example.org\\@evil.example.org/",
        "http://files.example.org/a b",
        "http://files.example.org/a\nb",
        "http://files%2eexample.org/",
        "http://files.example.org:99999/",
        "http://files.example.org:0/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        ":remote,type=local:/etc/passwd",
        "http://127.0.0.1/x",
        "http://[::1]/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://10.1.2.3/x",
        "http://2130706433/x",
        "http://0x7f.1/x",
        "http://0/x",
        "http://0177.0.0.1/x",
        "http://127.0.0.1./x",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
async def test_a_url_that_can_never_be_opened_is_told_at_once(open_urls: Open, tmp_path: Path, url: str) -> None:
    opener = open_urls(resolver=never)
    problem = opener.problem(url)
    assert problem is not None
    assert "geheim" not in problem
    if not problem.startswith("must not point"):
        assert "geheim" not in await refused(opener, url, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example.org/mesh.bin?a=b%20c@d#part",
        "HTTP://FILES.example.org:8080/@user/x",
        "https://exämple.org/x",
        "http://8.8.8.8/x",
        "https://[2606:4700::1111]/x",
        "http://10.1.2.3/x",
        "http://lab:8080/x",
    ],
)
def test_a_good_url_has_no_problem_and_is_not_resolved(open_urls: Open, url: str) -> None:
    assert open_urls("10.1.0.0/16", resolver=never).problem(url) is None


@pytest.mark.parametrize("entry", ["http://lab/", "10.0.0.0/99", "lab:80", "a b", "", "2130706433"])
def test_a_wrong_entry_of_the_configuration_is_named(entry: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        UrlOpener(["lab", entry])
    assert caught.value.errors[0].pointer == "gateway.allow_urls.1"


# ---- TLS


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context for a host name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    folder.mkdir()
    (folder / "both.pem").write_bytes(secret + text)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=text.decode())


@pytest.fixture
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, ssl.SSLContext]]:
    server, client = certificate(tmp_path_factory.mktemp("tls") / "files", "files.test")
    made = Site(server)
    yield made, client
    made.stop()


async def test_tls_is_verified_against_the_name(open_urls: Open, secure: Any, tmp_path: Path) -> None:
    site, tls = secure
    opener = open_urls(*LOCAL, resolver=lambda host, port: ["127.0.0.1"], tls=tls)
    await opener.fetch(site.url("/x", give(DATA), "files.test", "https"), tmp_path / "file", timeout=60)
    (tmp_path / "file").unlink()
    message = await refused(opener, site.url("/x", give(DATA), "other.test", "https"), tmp_path)
    assert message.startswith("other.test: its certificate is refused: ")
    assert len(site.asked) == 1


async def test_a_certificate_of_nobody_is_refused(open_urls: Open, secure: Any, tmp_path: Path) -> None:
    site, _ = secure
    url = site.url("/x", give(DATA), scheme="https")
    assert "certificate" in await refused(open_urls(*LOCAL), url, tmp_path)
    assert site.asked == []


async def test_https_is_left_for_http_only_where_a_digest_proves_the_file(
    open_urls: Open, secure: Any, site: Site, tmp_path: Path
) -> None:
    safe, tls = secure
    opener = open_urls(*LOCAL, tls=tls)
    url = safe.url("/x", redirect(site.url("/plain", give(DATA))), scheme="https")
    assert "without a digest" in await refused(opener, url, tmp_path)
    assert site.asked == []
    await opener.fetch(url, tmp_path / "file", digest=DIGEST, timeout=60)
