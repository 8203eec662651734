"""nginx: real mirrors on several addresses of loopback, and every way in which a mirror is bad."""

from __future__ import annotations

import ipaddress
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testbed.processes import Part, accepts, free_ports, require

FAULTS = ("404", "503", "html", "loop", "trickle", "truncated", "wrong", "tls", "dead")
"""What `Nginx.bad` knows."""
_SITE = """
  server {{
    listen {address}:{port}{tls};
    root {root};
    default_type application/octet-stream;
    {rate}
    location /404/ {{ return 404; }}
    location /503/ {{ return 503; }}
    location /html/ {{ default_type text/html; return 200 "<!DOCTYPE html><html>please sign in</html>"; }}
    location /loop/ {{ return 302 $request_uri; }}
    location /trickle/ {{ alias {root}/; limit_rate 1; }}
  }}
"""
_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error;
events {{ worker_connections 4096; }}
http {{
  log_format bytes '$server_addr $request_method $status $body_bytes_sent $uri';
  access_log {folder}/nginx.access bytes;
  sendfile on;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  {sites}
}}
"""


class Nginx(Part):
    """Mirrors on 127.0.0.1, 127.0.0.2 … with the same files: to a downloader each address is a server of its own.

    Parameters
    ----------
    count
        How many.
    rate
        Bytes a second of each connection; None: as fast as it goes.
    """

    def __init__(self, count: int = 3, rate: int | None = None) -> None:
        self._count = count
        self._rate = rate

    def _start(self) -> None:
        program = require("nginx", "apt-get install nginx-light")
        self.port, self._tls_port, self._dead_port = free_ports(3)
        self.files = self.dir / "files"
        self.files.mkdir()
        key, certificate = self._certificate()
        rate = f"limit_rate {self._rate};" if self._rate else ""
        site = {"root": self.files, "rate": rate}
        sites = [
            _SITE.format(address=f"127.0.0.{number}", port=self.port, tls="", **site)
            for number in range(1, self._count + 1)
        ]
        tls = f" ssl; ssl_certificate {certificate}; ssl_certificate_key {key}"
        sites.append(_SITE.format(address="127.0.0.1", port=self._tls_port, tls=tls, **site))
        config = self.dir / "nginx.conf"
        config.write_text(_CONFIG.format(folder=self.dir, sites="".join(sites)))
        self.keeper.start("nginx", [program, "-e", str(self.dir / "nginx.start"), "-c", str(config)])
        self.keeper.wait("nginx", lambda: accepts(self.port), seconds=60)

    def _certificate(self) -> tuple[Path, Path]:
        """Make a certificate that nobody has signed."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mirror")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=2))
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(key, hashes.SHA256())
        key_file, file = self.dir / "tls.key", self.dir / "tls.pem"
        key_file.touch(mode=0o600)
        plain = serialization.NoEncryption()
        pem = serialization.Encoding.PEM
        key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        file.write_bytes(made.public_bytes(pem))
        return key_file, file

    def put(self, name: str, data: bytes) -> None:
        """Serve bytes under a name at every mirror, and what `bad` makes of them."""
        half = len(data) // 2
        (self.files / name).write_bytes(data)
        for fault, changed in (
            ("truncated", data[:half]),
            ("wrong", data[:half] + bytes(byte ^ 0xFF for byte in data[half : half + 64]) + data[half + 64 :]),
        ):
            (self.files / fault).mkdir(exist_ok=True)
            (self.files / fault / name).write_bytes(changed)

    def url(self, name: str, mirror: int = 1) -> str:
        """Return where mirror number `mirror` has a file."""
        return f"http://127.0.0.{mirror}:{self.port}/{name}"

    def bad(self, fault: str, name: str, mirror: int = 1) -> str:
        """Return an address at which the file cannot be had, or not as it is; `fault` is one of `FAULTS`."""
        if fault == "dead":
            return f"http://127.0.0.{mirror}:{self._dead_port}/{name}"
        if fault == "tls":
            return f"https://127.0.0.1:{self._tls_port}/{name}"
        return f"http://127.0.0.{mirror}:{self.port}/{fault}/{name}"

    def sent(self) -> Counter[str]:
        """Return how many bytes of bodies each address has sent, by answers that have ended."""
        found: Counter[str] = Counter()
        for line in (self.dir / "nginx.access").read_text().splitlines():
            address, _, _, count, _ = line.split(" ", 4)
            found[address] += int(count)
        return found

    def gets(self, name: str) -> int:
        """Return how many GETs of a file have ended, at all mirrors."""
        lines = (self.dir / "nginx.access").read_text().splitlines()
        return sum(line.split(" ", 4)[1::3] == ["GET", f"/{name}"] for line in lines)
