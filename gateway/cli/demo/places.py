"""Where the demo keeps things: ``.demo`` in a checkout, else a folder of the person's cache."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway import templates
from gateway.client import find_gateway
from gateway.errors import GatewayError


@dataclass(frozen=True)
class Places:
    """The demo's folder and what is in it."""

    folder: Path

    @property
    def data(self) -> Path:
        """The gateway's data; replaced by the next demo."""
        return self.folder / "data"

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "gateway.toml"

    @property
    def specification(self) -> Path:
        """The job's specification."""
        return self.folder / "job.json"

    @property
    def images(self) -> Path:
        """Built images; kept."""
        return self.folder / "images"

    @property
    def built_images(self) -> Path:
        """Images of cases, as a gateway keeps them; kept."""
        return self.folder / "built-images"

    @property
    def log(self) -> Path:
        """What the gateway said."""
        return self.folder / "gateway.log"


def checkout() -> Path | None:
    """Return the checkout that this package runs from, None where it is installed."""
    top = templates.folder().parent
    return top if (top / "pyproject.toml").is_file() and (top / "testbed").is_dir() else None


def default_places() -> Places:
    """Return the demo's usual folder."""
    if (top := checkout()) is not None:
        return Places(top / ".demo")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Places(cache.absolute() / "science-gateway/demo")


@contextlib.contextmanager
def fresh(places: Places) -> Iterator[None]:
    """Empty the demo's folder but for the images, and keep other demos out of it meanwhile.

    Raises
    ------
    GatewayError
        Another demo, or a gateway that was started on its data, runs there; or the folder is not ours.
    """
    try:
        places.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(places.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise GatewayError(f"{places.folder} cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise GatewayError(f"another demo runs in {places.folder}") from None
        if find_gateway(places.data, environ={}) is not None:
            raise GatewayError(f"a gateway still serves the last demo's data in {places.data}", hint="stop it first")
        remove(places.data)
        yield
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder; unpacked images may hold folders that cannot be written.

    Raises
    ------
    GatewayError
        Something in it belongs to somebody else.
    """
    if not folder.exists():
        return
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(path.stat().st_mode | stat.S_IRWXU)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise GatewayError(f"{folder} cannot be removed: {error}") from None
