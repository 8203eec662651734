"""Which host keys are accepted, and how they are written down. Host keys are always checked."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HostKey:
    """A public host key.

    Attributes
    ----------
    kind
        ``ssh-ed25519``, ``ssh-rsa``, ``ecdsa-sha2-nistp256`` …
    blob
        The key itself as it goes over the wire.
    """

    kind: str
    blob: bytes

    @property
    def line(self) -> str:
        """The key as OpenSSH writes it: kind and base64."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``, as ``ssh-keygen -l`` shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Signature algorithms that prove this key."""
        return ("rsa-sha2-512", "rsa-sha2-256") if self.kind == "ssh-rsa" else (self.kind,)


def parse_host_key(text: str) -> HostKey:
    """Read ``ssh-ed25519 AAAA… comment``.

    Raises
    ------
    ValueError
        It is not a public key.
    """
    parts = text.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
        length = struct.unpack(">I", blob[:4])[0]
        if blob[4 : 4 + length].decode("ascii") != parts[0]:
            raise ValueError
    except (IndexError, ValueError, binascii.Error, struct.error):
        raise ValueError("a host key is a line such as 'ssh-ed25519 AAAA…'") from None
    return HostKey(parts[0], blob)


def host_name(host: str, port: int) -> str:
    """Return the name under which known_hosts keeps a host."""
    return host if port == 22 else f"[{host}]:{port}"


@dataclass(frozen=True)
class KnownHosts:
    """Accepted and revoked keys of one host."""

    accepted: tuple[HostKey, ...] = ()
    revoked: frozenset[bytes] = frozenset()

    def __add__(self, other: KnownHosts) -> KnownHosts:
        return KnownHosts(self.accepted + other.accepted, self.revoked | other.revoked)

    def accepts(self, key: HostKey) -> bool:
        """Tell whether the host may show this key."""
        return key.blob not in self.revoked and any(key.blob == known.blob for known in self.accepted)

    def preferred(self, offered: Iterable[str]) -> list[str]:
        """Order signature algorithms so that the host is asked for a key that is known."""
        offered = list(offered)
        known = [name for key in self.accepted for name in key.algorithms if name in offered]
        return list(dict.fromkeys([*known, *offered]))


def read_known_hosts(lines: Iterable[str], name: str) -> KnownHosts:
    """Find the keys of `name` in a known_hosts file; authorities and lines that make no sense are skipped."""
    accepted, revoked = [], set()
    for line in lines:
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3 or marker not in ("", "@revoked") or not _names(fields[0], name):
            continue
        try:
            key = parse_host_key(f"{fields[1]} {fields[2]}")
        except ValueError:
            continue
        if marker:
            revoked.add(key.blob)
        else:
            accepted.append(key)
    return KnownHosts(tuple(accepted), frozenset(revoked))


def load_known_hosts(files: Iterable[Path], name: str) -> KnownHosts:
    """Read known_hosts files; one that is not there holds nothing."""
    found = KnownHosts()
    for file in files:
        try:
            found += read_known_hosts(file.expanduser().read_text(errors="replace").splitlines(), name)
        except OSError:
            continue
    return found


def _names(patterns: str, name: str) -> bool:
    """Tell whether the first field of a line means `name`."""
    if patterns.startswith("|1|"):
        try:
            _, _, salt, digest = patterns.split("|")
            mine = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
            return hmac.compare_digest(mine, base64.b64decode(digest))
        except (ValueError, binascii.Error):
            return False
    named = False
    for pattern in patterns.lower().split(","):
        plain = pattern.removeprefix("!").replace("[", "[[]")  # brackets are not classes here
        if fnmatch.fnmatchcase(name.lower(), plain):
            if pattern.startswith("!"):
                return False
            named = True
    return named
