"""A second look at what a node claims, where the payload could have written the claim itself.

A payload without a container has the account's own rights, and so reaches the script's records. Its job's folder is
looked at by the gateway: a claim that leaves out a file, or gives it another size, does not count.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping

from gateway.compute.transport.base import Transport
from gateway.engine.plan import JobPlan, StorePlan
from gateway.storage.filters import land
from gateway.storage.manifest import ManifestFile
from gateway.storage.names import comparable, from_disk

log = logging.getLogger(__name__)

Claims = dict[str, tuple[ManifestFile, ...]]
_MAX_LISTING = 512 * 1024 * 1024


async def borne_out(transport: Transport, folder: str, plan: JobPlan, claims: Claims, timeout: float) -> Claims:
    """Return those claims, by store, that name every file of the job's folder that the store is to have.

    Raises
    ------
    TargetError
        The target did not answer.
    """
    script = f"unset CDPATH; cd -P -- {shlex.quote(folder)} && find . -type f -printf '%s %P\\0'"
    result = await transport.run(script, timeout=timeout, max_output=_MAX_LISTING)
    if result.exit_status:
        log.warning("job %s: its folder could not be listed, so nothing is believed of its node", plan.job_id)
        return {}
    found = dict(_files(result.stdout))
    kept = {item.name: claims[item.name] for item in plan.stores if item.name in claims}
    for item in plan.stores:
        if item.name in kept and (path := _left_out(item, found, kept[item.name])) is not None:
            log.warning("job %s, store %s: the node's manifest does not have %r", plan.job_id, item.name, path)
            del kept[item.name]
    return kept


def _files(text: bytes) -> Iterator[tuple[str, int]]:
    """Read what ``find`` printed: paths in standard names, and sizes."""
    for line in text.split(b"\0"):
        size, blank, path = line.partition(b" ")
        if blank and size.isdigit():
            yield from_disk(path), int(size)


def _left_out(item: StorePlan, found: Mapping[str, int], claimed: tuple[ManifestFile, ...]) -> str | None:
    """Return a file that is not claimed as it is there."""
    sizes = {(comparable(file.path), file.size) for file in claimed}
    for path, size in found.items():
        for landing in land(item.rules, item.exclude, path):
            if (comparable(landing.destination), size) not in sizes:
                return path
    return None
