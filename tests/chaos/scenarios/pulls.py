"""The image pull on nodes, without a gateway: kills at any byte, mirrors bad in every combination, a large image."""

from __future__ import annotations

import os
import random
import tempfile
from functools import partial
from itertools import combinations
from pathlib import Path

from testbed.nginx import FAULTS, Nginx
from tests.chaos.registry import scenario
from tests.chaos.scene import Scene
from tests.images.pull_pieces import VICTIMS, far_enough, kill, metalink
from tests.images.pull_site import Image, Node, command_folder, wait_until

AT_ONCE = 8
"""Pulls at the same time."""


def yard(scene: Scene, megabytes: int, rate: int | None, piece: int) -> tuple[Nginx, Path, Image, str]:
    """Start four mirrors with an image; return them, a folder, the image, and a metalink of the good mirrors."""
    nginx: Nginx = scene.keep(Nginx(4, rate=rate))
    base = Path(scene.keep(tempfile.TemporaryDirectory(prefix="pulls-")))
    noise = os.urandom(1_000_000)
    image = Image(b"\0" * 32 + b"SIF_MAGIC\0" + b"".join(n.to_bytes(4) + noise for n in range(megabytes)))
    nginx.put("image", image.data)
    urls = [nginx.url("image", number) for number in (1, 2, 3, 4)]
    return nginx, base, image, metalink(base, image, *urls, piece=piece)


@scenario(
    "two hundred kills of pulls at random bytes",
    "SIGKILL to shell, downloader, process group or everything; one cache, with aria2c and with curl only, by turns.",
)
def two_hundred_kills(scene: Scene) -> str:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    dice, count, published = random.Random(seed), int(os.environ.get("CHAOS_KILLS") or 200), 0
    print(f"kills of pulls: seed {seed}", flush=True)
    nginx, base, image, link = yard(scene, 12, 8_000_000, 1 << 20)
    nodes = [Node(base / "cache", command_folder(base / name, *name.split("-"))) for name in ("curl-aria2c", "curl")]
    final = base / "cache" / f"{image.hex}.sif"
    for number in range(count):
        node, victim = nodes[number % 2], dice.choice(VICTIMS)
        process = node.start(image.digest, nginx.url("image"), pull_metalink=link)
        wait_until(partial(far_enough, node, process, dice.randrange(len(image.data))), 120)
        kill(process, victim)
        _, err = process.communicate(timeout=300)
        assert victim != "downloader" or process.returncode == 0, f"seed {seed}, kill {number}: {err}"
        if final.exists():
            assert final.read_bytes() == image.data, f"seed {seed}, kill {number}: {victim}"
            final.unlink()
            published += 1
    done = nodes[0].pull(image.digest, nginx.url("image"), pull_metalink=link)
    assert done.returncode == 0, done.stderr
    assert nodes[0].names() == {final.name}
    return f"seed {seed}: {published} of {count} came to their end all the same; nothing wrong was ever published."


@scenario(
    "mirrors bad in every combination of one, two and three, with a good one",
    f"{', '.join(FAULTS)}; with aria2c and with curl only; and all of them without a good one.",
)
def all_combinations(scene: Scene) -> str:
    nginx, base, image, _ = yard(scene, 3, None, 65536)
    slow = {"pull_slow_time": "5", "pull_slow_speed": "1000"}
    plays = [faults for count in (1, 2, 3) for faults in combinations(FAULTS, count)]
    for tools in ("curl-aria2c", "curl"):
        commands = command_folder(base / tools, *tools.split("-"))
        for start in range(0, len(plays), AT_ONCE):
            running = []
            for number, faults in enumerate(plays[start : start + AT_ONCE], start):
                folder = base / f"{tools}.{number}"
                folder.mkdir()
                urls = [nginx.bad(fault, "image", at) for at, fault in enumerate(faults, 2)] + [nginx.url("image", 1)]
                node = Node(folder / "cache", commands)
                link = metalink(folder, image, *urls, piece=65536)
                running.append((faults, node, node.start(image.digest, *urls, pull_metalink=link, **slow)))
            for faults, node, process in running:
                _, err = process.communicate(timeout=300)
                assert process.returncode == 0, f"{tools}, {faults}: {err}"
                assert [path.read_bytes() == image.data for path in node.cache.glob("*.sif")] == [True], faults
        bad = [nginx.bad(fault, "image", 2) for fault in FAULTS]
        folder = base / f"{tools}.none"
        folder.mkdir()
        node = Node(folder / "cache", commands)
        process = node.start(image.digest, *bad, pull_metalink=metalink(folder, image, *bad, piece=65536), **slow)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 1
        assert [f"{url} " in part for part, url in zip(err.splitlines()[-1].split("; "), bad, strict=True)] == [
            True
        ] * 9
        assert node.names() == set()
    return f"{2 * len(plays)} pulls brought the image; with none good, one sentence named all nine."


@scenario(
    "an image of 2 GB whose pull is killed three times",
    "Four mirrors, pieces of 16 MiB; SIGKILL to everything after a quarter, a half and three quarters.",
)
def large_image(scene: Scene) -> str:
    nginx, base, image, link = yard(scene, 2000, 60_000_000, 16 << 20)
    node = Node(base / "cache", command_folder(base / "commands", "curl", "aria2c"))
    for quarter in (1, 2, 3):
        process = node.start(image.digest, nginx.url("image"), pull_metalink=link)
        wait_until(partial(far_enough, node, process, quarter * len(image.data) // 4), 300)
        kill(process, "tree")
        process.communicate(timeout=300)
    process = node.start(image.digest, nginx.url("image"), pull_metalink=link)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    (stored,) = node.cache.glob("*.sif")
    assert Image(stored.read_bytes()).hex == image.hex
    sent = nginx.sent().total() / len(image.data)
    assert sent < 2.5, "what a killed pull had brought was fetched again"
    return f"The mirrors sent {sent:.2f} times the image in all."
