"""Several commands in one remote script, each with its own output and exit status. Pure."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from gateway.compute.transport.base import CommandResult
from gateway.errors import RemoteCommandFailed


@dataclass
class RemoteScript:
    """A bash script in sections.

    Each section runs in a subshell, so that one that ends early does not end the others; its standard input is empty
    unless it was added with ``reads_data``.
    """

    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    head: str = ""
    """Bash text before the sections: functions for all of them."""
    _sections: list[tuple[str, str, bool]] = field(default_factory=list)

    def add(self, name: str, command: str, *, reads_data: bool = False) -> None:
        """Add a section. `command` is bash text whose values are already quoted; `name` is a plain word."""
        self._sections.append((name, command, reads_data))

    @property
    def text(self) -> str:
        """The whole script."""
        lines = [self.head] if self.head else []
        for name, command, reads_data in self._sections:
            redirect = "" if reads_data else " </dev/null"
            lines.append(f"printf '\\n@%s@ %s\\n' {self.nonce} {name}; printf '\\n@%s@ %s\\n' {self.nonce} {name} >&2")
            lines.append(f"(\n{command}\n){redirect}")
            lines.append(f"printf '\\n@%s@ = %d\\n' {self.nonce} $?; printf '\\n@%s@ =\\n' {self.nonce} >&2")
        return "\n".join(lines) + "\n"

    def parse(self, result: CommandResult) -> dict[str, CommandResult]:
        """Split the answer by section.

        Raises
        ------
        RemoteCommandFailed
            A section is missing or cut off.
        """
        out = self._split(result.stdout)
        err = self._split(result.stderr)
        answer = {}
        for name, _, _ in self._sections:
            if name not in out or not out[name][1].isdigit():
                raise RemoteCommandFailed(f"the target's answer is not whole: section {name!r} is missing")
            answer[name] = CommandResult(out[name][0], err.get(name, (b"", b""))[0], int(out[name][1]))
        return answer

    def _split(self, stream: bytes) -> dict[str, tuple[bytes, bytes]]:
        marker = f"\n@{self.nonce}@ ".encode()
        found: dict[str, tuple[bytes, bytes]] = {}
        pieces = stream.split(marker)
        for piece, following in zip(pieces[1:], [*pieces[2:], b""], strict=True):
            head, _, body = piece.partition(b"\n")
            if not head.startswith(b"="):
                found[head.decode()] = (body, following.partition(b"\n")[0].removeprefix(b"=").strip())
        return found
