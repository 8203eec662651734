"""A real registry of containers (Debian's docker-registry) on loopback: open, with a login, or with a token server."""

from __future__ import annotations

import base64
import datetime
import hashlib
import http.client
import json
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import bcrypt
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from testbed.processes import Part, TestbedError, accepts, free_ports, require

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SIF_CONFIG = "application/vnd.sylabs.sif.config.v1+json"
SIF_LAYER = "application/vnd.sylabs.sif.layer.v1.sif"
ISSUER, SERVICE = "testbed", "testbed-registry"


class TokenServer:
    """Gives tokens as registries' token servers do: to anybody for what is public, else to one account.

    Attributes
    ----------
    host
        ``127.0.0.1:PORT``.
    asked
        What it was asked: the query, and the Authorization header or None.
    refuses
        Statuses that it answers with instead, one for each further request.
    """

    def __init__(self, username: str, password: str) -> None:
        self.username, self.password = username, password
        self.public: set[str] = set()
        self.asked: list[tuple[dict[str, list[str]], str | None]] = []
        self.refuses: list[int] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.datetime.now(datetime.UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                status, body = server._answer(urlsplit(self.path).query, self.headers.get("Authorization"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def certificate(self) -> bytes:
        """What the registry trusts (PEM)."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, query: str, authorization: str | None) -> tuple[int, bytes]:
        asked = parse_qs(query)
        self.asked.append((asked, authorization))
        if self.refuses:
            return self.refuses.pop(0), b"{}"
        login = "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        if authorization not in {None, login}:
            return 401, b"{}"
        access = []
        for scope in asked.get("scope", []):
            kind, name, actions = scope.split(":")
            if authorization == login or (name in self.public and actions == "pull"):
                access.append({"type": kind, "name": name, "actions": actions.split(",")})
        return 200, json.dumps({"token": self._token(access), "expires_in": 300}).encode()

    def _token(self, access: list[dict[str, Any]]) -> str:
        chain = base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": "", "aud": SERVICE, "iat": now, "nbf": now - 10, "exp": now + 300}
        head = {"typ": "JWT", "alg": "RS256", "x5c": [chain]}
        text = ".".join(_words(json.dumps(part).encode()) for part in (head, {**claims, "jti": "1", "access": access}))
        return f"{text}.{_words(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _words(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass(frozen=True)
class Pushed:
    """What was put into a registry."""

    digest: str
    size: int
    media_type: str = OCI_MANIFEST


class DockerRegistry(Part):
    """A registry, and how to put images into it.

    Parameters
    ----------
    login
        ``none``; ``basic``: a login for everything; ``token``: a token server.

    Attributes
    ----------
    host
        ``127.0.0.1:PORT``, as references name it.
    username, password
        The account (new for each start).
    tokens
        The token server, in this process.
    """

    def __init__(self, login: Literal["none", "basic", "token"] = "none") -> None:
        self.login = login
        self.username, self.password = "robot", secrets.token_urlsafe(12)
        self.tokens: TokenServer | None = None
        self.host = ""

    def _start(self) -> None:
        program = require("docker-registry", "apt-get install docker-registry")
        (self._port,) = free_ports(1)
        self.host = f"127.0.0.1:{self._port}"
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(self.dir / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.host, "secret": secrets.token_hex(16)},
        }
        if self.login == "basic":
            known = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
            (self.dir / "htpasswd").write_text(f"{self.username}:{known}\n")
            config["auth"] = {"htpasswd": {"realm": "testbed", "path": str(self.dir / "htpasswd")}}
        elif self.login == "token":
            self.tokens = TokenServer(self.username, self.password)
            bundle = self.dir / "tokens.pem"
            bundle.write_bytes(self.tokens.certificate)
            realm = f"http://{self.tokens.host}/token"
            known_by = {"issuer": ISSUER, "service": SERVICE, "realm": realm, "rootcertbundle": str(bundle)}
            config["auth"] = {"token": known_by}
        (self.dir / "config.yml").write_text(yaml.safe_dump(config))
        self._program = program
        self.up()

    def up(self) -> None:
        """Start it (again, with its data) and wait until it answers."""
        self.keeper.start("registry", [self._program, "serve", str(self.dir / "config.yml")])
        self.keeper.wait("registry", lambda: accepts(self._port), seconds=60)

    def down(self) -> None:
        """Stop it; its data stay."""
        self.keeper.stop("registry")

    def stop(self) -> None:
        """End everything."""
        if self.tokens is not None:
            self.tokens.stop()
            self.tokens = None
        super().stop()

    def push(
        self,
        name: str,
        tag: str,
        layers: Sequence[bytes],
        *,
        config: Mapping[str, Any] | None = None,
        layer_type: str = OCI_LAYER,
        config_type: str = OCI_CONFIG,
    ) -> Pushed:
        """Put an image (or an artefact) there under a tag."""
        document = {"architecture": "amd64", "os": "linux", "config": {}, **(config or {})}
        body = json.dumps(document).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": config_type, "digest": self.put_blob(name, body), "size": len(body)},
            "layers": [
                {"mediaType": layer_type, "digest": self.put_blob(name, data), "size": len(data)} for data in layers
            ],
        }
        return self.put_manifest(name, tag, manifest)

    def push_sif(self, name: str, tag: str, sif: bytes) -> Pushed:
        """Put a SIF file there, as Apptainer does with ``oras://``."""
        return self.push(name, tag, [sif], layer_type=SIF_LAYER, config_type=SIF_CONFIG)

    def push_index(self, name: str, tag: str, images: Mapping[str, Pushed]) -> Pushed:
        """Put an index there: an image for each architecture."""
        members = [
            {
                "mediaType": image.media_type,
                "digest": image.digest,
                "size": image.size,
                "platform": {"architecture": architecture, "os": "linux"},
            }
            for architecture, image in images.items()
        ]
        return self.put_manifest(name, tag, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members})

    def put_manifest(self, name: str, tag: str, manifest: Mapping[str, Any]) -> Pushed:
        """Put any manifest there."""
        body = json.dumps(manifest).encode()
        kind = str(manifest.get("mediaType", OCI_MANIFEST))
        self._ask("PUT", f"/v2/{name}/manifests/{tag}", name, body, {"Content-Type": kind})
        return Pushed(f"sha256:{hashlib.sha256(body).hexdigest()}", len(body), kind)

    def put_blob(self, name: str, data: bytes) -> str:
        """Put bytes there and return their digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        where = self._ask("POST", f"/v2/{name}/blobs/uploads/", name)["location"]
        parts = urlsplit(where)
        query = f"{parts.query}&digest={digest}" if parts.query else f"digest={digest}"
        self._ask("PUT", f"{parts.path}?{query}", name, data, {"Content-Type": "application/octet-stream"})
        return digest

    def requests(self) -> list[str]:
        """Return what it was asked so far: ``GET /v2/…``, from its log."""
        found = []
        for line in self.keeper.log("registry").splitlines():
            if '"GET /v2/' in line or '"HEAD /v2/' in line:
                found.append(line.split('"')[1].rsplit(" ", 1)[0])
        return found

    def _ask(
        self, method: str, path: str, name: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Send one request with full rights; return the answer's headers in lower case."""
        sent = dict(headers or {})
        if self.login == "basic":
            sent["Authorization"] = "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        elif self.tokens is not None:
            access = [{"type": "repository", "name": name, "actions": ["pull", "push", "delete"]}]
            sent["Authorization"] = "Bearer " + self.tokens._token(access)
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status >= 300:
                raise TestbedError(f"{method} {path}: {answer.status} {said[:300]!r}")
            return {key.lower(): value for key, value in answer.getheaders()}
        finally:
            connection.close()
