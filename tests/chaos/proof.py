"""The proof of a job's outputs: the surviving folder, the store's own bytes, and what the API says, side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from gateway.storage.signing import MANIFEST_PATH, load_or_create_key, verify
from tests.e2e.running import RunningGateway

if TYPE_CHECKING:
    from tests.chaos.scene import Scene

PROVED = {"complete", "rescued"}
RESERVED = ".gateway/"
Files = Mapping[str, bytes]


def assert_outputs_are_true(
    scene: Scene,
    gateway: RunningGateway,
    job: Mapping[str, Any],
    allowed: Collection[str],
    *,
    runs: int = 1,
    kept: Collection[str] = (),
    left: Files | None = None,
) -> None:
    """Compare, for each store, what is said of it with what it has, and that with what the payload left.

    Parameters
    ----------
    allowed
        What may be said of the outputs.
    kept
        Patterns of files that the job removed or renamed: a pass may have brought them, and nothing is deleted.
    left
        What survived of the payload's files, where that is not what is in the job's folder.
    """
    survived = scene.left_by_payload(job["id"]) if left is None else left
    survived = {path: content for path, content in survived.items() if not path.startswith(RESERVED)}
    for store, summary in job["outputs"]["stores"].items():
        said = problems(gateway, job["id"]).get(store) or summary.get("problem")
        assert summary["state"] in allowed, f"{store}: {summary}, {said}"
        whole = scene.stored(gateway, store, job["id"], hidden=True)
        stored = {path: content for path, content in whole.items() if not path.startswith(RESERVED)}
        shown = gateway.files(job["id"], store)
        where = f"{job['id']}, {store} ({summary['state']})"
        if summary["state"] in PROVED:
            _has_all(stored, survived, shown, kept, where)
        else:
            assert said or not survived or runs == 0, f"{where}: nobody says why"
            finals = sorted(path for path, file in shown.items() if file["state"] == "final")
            assert finals == [], f"{where}: {finals} are shown as final"
        _shows_what_is_there(stored, shown, where)
        if MANIFEST_PATH in whole:
            _is_signed(gateway, whole[MANIFEST_PATH], stored, summary["state"], where)
        else:
            assert summary["state"] not in PROVED, f"{where}: no signed manifest"


def _has_all(stored: Files, left: Files, shown: Mapping[str, Any], kept: Collection[str], where: str) -> None:
    """What survived is in the store, byte for byte, and shown as final; nothing else is there, but what was kept."""
    missing = sorted(left.keys() - stored.keys())
    assert missing == [], f"{where}: {missing} were left by the payload, and are not in the store"
    other = [path for path, content in left.items() if stored[path] != content]
    assert other == [], f"{where}: " + ", ".join(f"{p}: {len(stored[p])} bytes, not the {len(left[p])}" for p in other)
    finals = {path for path, file in shown.items() if file["state"] == "final"}
    assert left.keys() <= finals, f"{where}: {sorted(left.keys() - finals)} are not shown as final"
    more = [path for path in stored.keys() - left.keys() if not any(fnmatchcase(path, one) for one in kept)]
    assert more == [], f"{where}: {sorted(more)} are in the store, and the payload did not leave them"


def _shows_what_is_there(stored: Files, shown: Mapping[str, Any], where: str) -> None:
    """What is shown as final is in the store, with that size and that digest."""
    for path, file in shown.items():
        if file["state"] != "final":
            continue
        assert path in stored, f"{where}: {path} is shown as final, and is not there"
        assert file["size"] == len(stored[path]), f"{where}: {path} is shown with {file['size']} bytes"
        assert file["digest"] == digest_of(stored[path]), f"{where}: {path} has another digest than is shown"


def _is_signed(gateway: RunningGateway, text: bytes, stored: Files, state: str, where: str) -> None:
    """The manifest beside the outputs is the gateway's own, and every digest in it is that of the store's bytes."""
    manifest = verify(text, load_or_create_key(gateway.data).public_key())
    assert manifest["state"] == ("partial" if state == "none" else state), f"{where}: signed as {manifest['state']}"
    missing = set(manifest["missing"])
    if state in PROVED:
        assert not missing, f"{where}: the signed manifest misses {sorted(missing)}"
    for row in manifest["files"]:
        if row["path"] in missing or state not in PROVED:
            continue
        found = stored.get(row["path"])
        assert found is not None, f"{where}: {row['path']} is in the signed manifest, and not in the store"
        signed = (row["size"], row["digest"])
        assert signed == (len(found), digest_of(found)), f"{where}: {row['path']} is signed with another digest"


def digest_of(content: bytes) -> str:
    """Return ``sha256:…`` of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def problems(gateway: RunningGateway, job_id: str) -> dict[str, str | None]:
    """Return what was said last of each store."""
    said = [event["data"] for event in gateway.events(job_id) if event["kind"] == "outputs"]
    return {data["store"]: data.get("problem") for data in said if "store" in data}
