"""What an attempt's own records claim of its end and of its outputs, as far as it counts. Pure."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from sqlalchemy import RowMapping

from gateway.engine.plan import JobPlan
from gateway.model.records import FinalRecord, parse_final_or_none
from gateway.storage.manifest import ManifestFile, PlannedTransfer, parse_manifest

log = logging.getLogger(__name__)

Row = RowMapping


def late_record(row: Row, kept: Mapping[str, bytes]) -> FinalRecord | None:
    """Return the final record that came only after the attempt was given up; it counts as `final_counts` says."""
    if row["a_final"]["record"] is not None or row["a_token"] is None or "final.json" not in kept:
        return None
    final = parse_final_or_none(kept["final.json"])
    ours = (row["id"], row["attempt"], row["a_scheduler_id"], row["a_token"])
    return final if final and (final.job, final.attempt, final.scheduler_id, final.token) == ours else None


def node_claims(
    row: Row, plan: JobPlan, pushed: Collection[str], kept: Mapping[str, bytes]
) -> dict[str, tuple[ManifestFile, ...]]:
    """Return what the node says it put into each store. A store is left out of which it says nothing that counts.

    Where files land is the gateway's own plan, in the order of the script's transfers: never the node's word. After a
    pass that failed, an older file may stand in the store with the same size: then nothing that it says counts.
    """
    if "manifest.json" not in kept:
        return {}
    planned = [
        PlannedTransfer(item.name, transfer.source_folder, transfer.destination_folder)
        for item in plan.stores
        if item.name in pushed
        for transfer in item.transfers
    ]
    try:
        manifest = parse_manifest(kept["manifest.json"], planned)
    except ValueError as error:
        log.warning("job %s: the node's manifest is not usable: %s", row["id"], error)
        return {}
    if (manifest.job, manifest.attempt, manifest.token) != (row["id"], row["attempt"], row["a_token"]):
        return {}
    return {name: tuple(manifest.files(name).values()) for name in pushed if manifest.exit_status(name) == 0}
