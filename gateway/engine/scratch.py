"""Whether results stayed on a node's own disk: the script says where, and takes that back once they are copied."""

from __future__ import annotations

import shlex

from gateway.compute.transport.base import Transport
from gateway.errors import RemoteCommandFailed

STAYED = "the job ran on its node's scratch disk and could not copy back; what is missing was in"
_LONGEST = 1024
_NONE, _THERE = b"-", b"+"


async def left_on_scratch(transport: Transport, control_folder: str) -> str | None:
    """Return a sentence where an attempt's results stayed on scratch, in printable characters; else None.

    Raises
    ------
    TargetError
        The target did not answer as it should: nothing is known.
    """
    path = shlex.quote(f"{control_folder}/scratch")
    script = f"if [ -e {path} ] || [ -L {path} ]; then printf +; head -c {_LONGEST} < {path}; else printf -- -; fi"
    result = await transport.run(script, timeout=60)
    if result.exit_status or result.stdout[:1] not in (_NONE, _THERE):
        raise RemoteCommandFailed("the target did not say whether results stayed on scratch")
    if result.stdout[:1] == _NONE:
        return None
    host, _, folder = result.stdout[1:].decode(errors="replace").partition(" ")
    return "".join(c if c.isprintable() else "?" for c in f"{STAYED} {folder.strip()} on {host}")
