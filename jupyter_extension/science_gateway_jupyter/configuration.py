"""The configuration of the embedded gateway: gateway.toml and the environment, and what Jupyter's says on top."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigurationError
from gateway.settings import Settings, apply_environment, built_in, load, parse

ANY_PORT = "127.0.0.1:0"


@dataclass(frozen=True)
class Configuration:
    """Where the configuration is.

    Attributes
    ----------
    file
        As Jupyter's configuration names it.
    data
        The data folder, instead of the one that the file names.
    """

    file: Path | None = None
    data: Path | None = None

    def place(self, environ: Mapping[str, str] | None = None) -> Path:
        """Return the file that is read, or would be if it were there.

        The folder that Jupyter was started in is not looked at: it may be somebody else's work, and a configuration
        says what is run.
        """
        environ = os.environ if environ is None else environ
        if self.file is not None:
            return self.file.expanduser()
        if named := environ.get("GATEWAY_CONFIG"):
            return Path(named).expanduser()
        home = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
        return home / "science-gateway/gateway.toml"

    def load(self, port: int = 0, environ: Mapping[str, str] | None = None) -> Settings:
        """Read it.

        Parameters
        ----------
        port
            On the loopback address where the configuration names no address; 0 for any.

        Raises
        ------
        ConfigurationError
        """
        environ = os.environ if environ is None else environ
        file = self.place(environ)
        named = self.file is not None or bool(environ.get("GATEWAY_CONFIG"))
        there = named or file.is_file()
        settings = load(file, environ) if there else parse(apply_environment(built_in(), environ))
        section = settings.gateway
        listen = section.listen if "listen" in section.model_fields_set else f"127.0.0.1:{port}"
        changes: dict[str, object] = {"listen": listen if is_free(listen) else ANY_PORT}
        if self.data is not None:
            changes["data"] = self.data
        return settings.model_copy(update={"gateway": section.model_copy(update=changes)})


def is_free(listen: str) -> bool:
    """Say whether one can listen at an address: another Jupyter server of the same person may do so already.

    Raises
    ------
    ConfigurationError
        It is no address of this machine.
    """
    from gateway.jobs.configured import parse_listen  # takes a while to import

    host, port = parse_listen(listen)
    if port == 0:
        return True
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigurationError(f"gateway.listen: {listen} cannot be used: {error.strerror}") from None
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(address)
            except OSError:
                return False
    return True
