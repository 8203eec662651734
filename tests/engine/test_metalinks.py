"""What a node is told of a job's image: the best mirrors first, and the hashes of its pieces."""

from __future__ import annotations

import hashlib
from pathlib import Path
from xml.etree import ElementTree

from gateway.db import images
from gateway.db.database import Database
from gateway.engine.metalinks import note_metalink
from gateway.engine.prepare import Batch
from gateway.model.specification import Image
from gateway.settings import PullSettings
from tests.databases import lay_database

DATA = bytes(range(256)) * 700
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
PIECE = 65536
NAMES = {"m": "urn:ietf:params:xml:ns:metalink"}


async def test_the_catalogues_image_comes_as_a_metalink_and_others_without(tmp_path: Path) -> None:
    lay_database(tmp_path)
    database = Database(f"sqlite:///{tmp_path}/gateway.db")
    hashes = [hashlib.sha256(DATA[start : start + PIECE]).digest() for start in range(0, len(DATA), PIECE)]
    row = {"digest": DIGEST, "size": len(DATA), "piece_size": PIECE, "pieces": b"".join(hashes)}
    urls = [
        "https://dead.example/x?a=1&b=2",
        "https://slow.example/x",
        "https://fast.example/x",
        "https://lies.example/x",
    ]

    def fill(connection: object) -> None:
        key = images.insert_image(connection, row)
        images.set_mirrors(connection, key, [(url, None) for url in urls])
        for url, state in zip(urls, ("dead", "alive", "alive", "wrong"), strict=True):
            images.note_mirror(connection, key, url, state=state)
        images.note_rate(connection, "cluster", "fast.example", 1e8)

    await database.write(fill)
    batch = Batch()
    await note_metalink(database, "cluster", Image(ref=urls[0], digest=DIGEST), batch)
    await note_metalink(database, "cluster", Image(ref=urls[0], digest="sha256:" + "1" * 64), batch)
    await note_metalink(database, "cluster", Image(ref=urls[0]), batch)
    assert set(batch.metalinks) == {DIGEST, "sha256:" + "1" * 64}
    assert batch.metalinks["sha256:" + "1" * 64] is None
    root = ElementTree.fromstring(batch.metalinks[DIGEST] or b"")
    assert [item.text for item in root.iterfind("m:file/m:url", NAMES)] == [urls[2], urls[1], urls[0]]
    assert [item.text for item in root.iterfind("m:file/m:pieces/m:hash", NAMES)] == [each.hex() for each in hashes]
    assert root.findtext("m:file/m:hash", namespaces=NAMES) == DIGEST.removeprefix("sha256:")
    assert root.findtext("m:file/m:size", namespaces=NAMES) == str(len(DATA))
    database.close()


def test_a_targets_settings_of_the_pull_reach_the_puller_under_its_own_names() -> None:
    section = {"max_rate": "100M", "time_limit": 600, "locking": "lease", "read_only_caches": ["/a b", "/c"]}
    assert PullSettings.model_validate(section).variables() == {
        "max_rate": str(100 * 1024**2),
        "time_limit": "600",
        "locking": "lease",
        "read_only_caches": "/a b:/c",
    }
    assert PullSettings().variables() == {}
