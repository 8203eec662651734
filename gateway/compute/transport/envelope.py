"""The envelope around a remote script: how it gets through any login shell, and how its answer is found. Pure.

What is sent on standard input is one bash compound command that ends in ``exit``, then the script's own data. bash
reads a compound command whole before it runs it, byte by byte where the input is a pipe or a socket, so the data is
left for the script. A long script would take long that way: it follows the command instead, is read in one go, and
runs only where all of it arrived. What comes back stands between markers with a nonce: a login shell's banners stay
outside.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.compute.transport.base import CommandResult
from gateway.errors import ConfigurationError, RemoteCommandFailed, RemoteTimeout

COMMAND = "/bin/bash --noprofile --norc -s"
"""The whole remote command: words without quotes, so that every login shell reads it alike."""

LONG = 2048
"""Bytes from which on a script follows the command instead of standing in it."""

SHOWN = 300
"""Characters of an answer without markers that an error shows."""

_CUT_OFF = 74
"""Exit status where a script did not arrive whole: it has not run."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

# What an rc file (by BASH_ENV, an exported function or SHELLOPTS) may have left: it must not change what scripts do.
_CLEAN = (
    "\\unset -f builtin unset unalias export set printf exit eval cd command test [ 2>/dev/null\n"
    "\\unalias -a 2>/dev/null; unset BASH_ENV ENV CDPATH GREP_OPTIONS GLOBIGNORE LANGUAGE POSIXLY_CORRECT TAR_OPTIONS\n"
    "set +eufCvx; export LC_ALL=C\n"
)


@dataclass(frozen=True)
class Answer(CommandResult):
    """What a script left behind, and the login's noise before it.

    Attributes
    ----------
    noise
        What came on either stream before the script began.
    """

    noise: bytes = b""


def new_nonce() -> str:
    """Return a nonce that no output holds by chance."""
    return secrets.token_hex(16)


def wrap(script: str, nonce: str, env: Mapping[str, str], path: str | None, *, has_data: bool = True) -> bytes:
    """Return what is sent before the data.

    Parameters
    ----------
    env
        Variables for the script and all that it starts.
    path
        Folders put before ``PATH``.
    has_data
        Whether data follow. Then the far side waits, once it has answered, for the end of its input: an SSH server
        ends the whole connection when it is sent something for a command that is gone. Without data the script
        reads an empty input, and nothing need follow.

    Raises
    ------
    ConfigurationError
        A name in `env` is not one of a variable, or a value holds a NUL.
    """
    lines = [f"{{ {_CLEAN}"]
    for name, value in env.items():
        if not _NAME.match(name) or "\0" in value:
            raise ConfigurationError(f"env: {name!r} cannot be set on a target")
        lines.append(f"export {name}={shlex.quote(value)}\n")
    default = "/usr/local/bin:/usr/bin:/bin"
    folders = f"{shlex.quote(path)}:" if path else ""
    lines.append(f"export PATH={folders}${{PATH:-{default}}}\n")
    mark = f"\\n@{nonce}@"
    lines.append(f"printf '{mark} begin\\n'; printf '{mark} begin\\n' >&2\n")
    body, text = script.encode("utf-8", "surrogateescape").rstrip(b"\n"), shlex.quote(script)
    follows = len(body) >= LONG
    if follows:
        lines.append(f'set -- "$(head -c {len(body)})"\n[ "${{#1}}" = {len(body)} ] || exit {_CUT_OFF}\n')
        text = '"set --; $1"'
    lines.append(f"( eval {text}\n){'' if has_data else ' </dev/null'}\n")
    lines.append(f"set -- $?; printf '{mark} end %d\\n' $1 >&2; printf '{mark} end %d\\n' $1\n")
    lines.append("exec >/dev/null 2>&1; cat; exit $1\n}\n" if has_data else "exit $1\n}\n")
    return "".join(lines).encode("utf-8", "surrogateescape") + (body if follows else b"")


def is_whole(stream: bytes | bytearray, nonce: str) -> bool:
    """Tell whether the end marker stands at the end of a stream."""
    tail = bytes(stream[-80:])
    return tail.endswith(b"\n") and f"\n@{nonce}@ end ".encode() in tail


def unwrap(stdout: bytes, stderr: bytes, nonce: str) -> Answer:
    """Find the script's output and exit status.

    Raises
    ------
    RemoteTimeout
        The script began, and its answer is cut off: it may have done its work.
    RemoteCommandFailed
        There is no marker: what came is not bash's.
    """
    out, noise, status = _between(stdout, nonce)
    err, complaints, _ = _between(stderr, nonce)
    if out is None:
        seen = printable(stdout + stderr)
        raise RemoteCommandFailed(
            f"the account's login did not run {COMMAND.split(maxsplit=1)[0]}; it said: {seen or 'nothing'}",
            hint="look at the login shell and its start-up files on the target",
        )
    if status is None:
        raise RemoteTimeout("the connection ended in the middle of a remote command's answer")
    return Answer(out, err if err is not None else b"", status, noise + (complaints if err is not None else b""))


def _between(stream: bytes, nonce: str) -> tuple[bytes | None, bytes, int | None]:
    """Return (what stands between the markers, what stands before, the exit status)."""
    begin = f"\n@{nonce}@ begin\n".encode()
    before, found, rest = stream.partition(begin)
    if not found:
        return None, stream, None
    body, found, tail = rest.rpartition(f"\n@{nonce}@ end ".encode())
    number, newline, _ = tail.partition(b"\n")
    if not found or not newline or not number.isdigit():
        return rest, before, None
    return body, before, int(number)


def printable(stream: bytes, longest: int = SHOWN) -> str:
    """Return the first printable characters of a stream on one line."""
    text = stream[: 8 * longest].decode("utf-8", "replace")
    text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[:longest]
