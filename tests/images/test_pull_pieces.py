"""The image pull with the hashes of pieces: what one mirror spoils comes from another."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest
from pull_pieces import VICTIMS, arrived, far_enough, kill, metalink
from pull_site import Image, Mirror, Node, alive, children, command_line, wait_until

from testbed.nginx import FAULTS, Nginx

MakeNode = Callable[..., Node]
TOOLS = pytest.mark.parametrize("tools", [("curl",), ("curl", "aria2c")], ids="+".join)
DEAD = "http://127.0.0.1:1/image"
SLOW = {"pull_slow_time": "5", "pull_slow_speed": "1000"}


def only_the_image(node: Node, image: Image) -> bool:
    name = f"{image.hex}.sif"
    return node.names() == {name} and (node.cache / name).read_bytes() == image.data


@TOOLS
def test_the_addresses_of_a_metalink_are_enough(
    make_node: MakeNode, mirror: Mirror, image: Image, tmp_path: Path, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    link = metalink(tmp_path, image, mirror.url("good", query="?a=1&b=<2>"))
    done = node.pull("", DEAD, pull_metalink=link)
    assert (done.returncode, done.stdout) == (0, f"{node.cache}/{image.hex}.sif"), done.stderr
    assert only_the_image(node, image)
    assert mirror.total().sent == len(image.data)
    assert mirror.total().heads == 0


BAD = ["dead", "404", "503", "wrong", "late", "cut", "html", "loop", "trickle", "norange", "busy"]


@TOOLS
@pytest.mark.parametrize("bad", BAD)
def test_what_a_bad_mirror_spoils_comes_from_the_good_one(
    make_node: MakeNode, mirror: Mirror, image: Image, tmp_path: Path, tools: tuple[str, ...], bad: str
) -> None:
    node = make_node(*tools)
    first = DEAD if bad == "dead" else mirror.url(bad)
    link = metalink(tmp_path, image, first, mirror.url("good"))
    done = node.pull(image.digest, first, pull_metalink=link, **SLOW)
    assert (done.returncode, done.stdout) == (0, f"{node.cache}/{image.hex}.sif"), done.stderr
    assert only_the_image(node, image)


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    with Nginx(4, rate=8_000_000) as part:
        yield part


@pytest.fixture(scope="module")
def served(nginx: Nginx) -> Image:
    """An image of 6 MB, at all of nginx's mirrors."""
    block = os.urandom(999_983)
    image = Image(b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + b"".join(bytes([n]) + block for n in range(6)))
    nginx.put("image", image.data)
    return image


def test_aria2c_takes_pieces_from_several_mirrors_at_once_and_no_byte_twice(
    node: Node, nginx: Nginx, tmp_path: Path
) -> None:
    block = os.urandom(1_000_003)
    image = Image(b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + b"".join(bytes([n]) + block for n in range(48)))
    nginx.put("large", image.data)
    before = nginx.sent()
    link = metalink(tmp_path, image, *(nginx.url("large", mirror) for mirror in (1, 2, 3, 4)), piece=1 << 20)
    done = node.pull(image.digest, nginx.url("large"), pull_metalink=link)
    assert (done.returncode, done.stderr) == (0, "")
    assert only_the_image(node, image)
    sent = nginx.sent() - before
    assert len(sent) >= 3
    assert len(image.data) <= sent.total() <= 1.01 * len(image.data)


@TOOLS
def test_any_two_bad_mirrors_and_a_good_one_give_the_image(
    make_node: MakeNode, nginx: Nginx, served: Image, tmp_path: Path, tools: tuple[str, ...]
) -> None:
    node, running = make_node(*tools), {}
    for first, second in combinations(FAULTS, 2):
        folder = tmp_path / f"{first}-{second}"
        folder.mkdir()
        urls = nginx.bad(first, "image", 2), nginx.bad(second, "image", 3), nginx.url("image", 4)
        each = Node(folder / "cache", node.commands)
        link = metalink(folder, served, *urls)
        running[folder.name] = each, each.start(served.digest, *urls, pull_metalink=link, **SLOW)
    failed = {}
    for name, (each, process) in running.items():
        _, err = process.communicate(timeout=240)
        if process.returncode != 0 or not only_the_image(each, served):
            failed[name] = err
    assert failed == {}


@TOOLS
def test_when_no_mirror_is_good_one_sentence_names_each_and_why(
    make_node: MakeNode, nginx: Nginx, served: Image, tmp_path: Path, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    why = {
        "404": "answered 404",
        "503": "answered 503",
        "html": "not an image (a web page or a message)",
        "loop": "redirects too often",
        "trickle": "bytes a second",
        "truncated": "it ends after",
        "wrong": "sent other bytes than the image has",
        "tls": "has no valid TLS",
        "dead": "cannot be reached",
    }
    urls = {nginx.bad(fault, "image", 2): words for fault, words in why.items()}
    done = node.pull(served.digest, *urls, pull_metalink=metalink(tmp_path, served, *urls), **SLOW)
    assert done.returncode == 1
    parts = done.stderr.splitlines()[-1].split("; ")
    assert len(parts) == len(FAULTS) == len(urls)
    for part, (url, words) in zip(parts, urls.items(), strict=True):
        assert f"{url} " in part
        assert words in part
    assert node.names() == set()


@TOOLS
def test_ten_kills_at_random_bytes_publish_nothing_wrong_and_the_next_goes_on(
    make_node: MakeNode, nginx: Nginx, served: Image, tmp_path: Path, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    urls = [nginx.url("image", mirror) for mirror in (1, 2)]
    link = metalink(tmp_path, served, *urls)
    final = node.cache / f"{served.hex}.sif"
    dice = random.Random(7)
    for number in range(10):
        process = node.start(served.digest, *urls, pull_metalink=link)
        wait_until(partial(far_enough, node, process, dice.randrange(len(served.data))), 60)
        victim = VICTIMS[number % len(VICTIMS)]
        kill(process, victim)
        _, err = process.communicate(timeout=60)
        if victim == "downloader":
            assert process.returncode == 0, err
        if final.exists():
            assert final.read_bytes() == served.data
            final.unlink()
    done = node.pull(served.digest, *urls, pull_metalink=link)
    assert (done.returncode, done.stdout) == (0, str(final)), done.stderr
    assert only_the_image(node, served)
    assert [path.suffix for path in (node.cache / ".locks").iterdir()] == [".lock"]


@pytest.mark.parametrize("victim", ["shell", "group"])
@TOOLS
def test_what_a_killed_pull_has_brought_is_not_fetched_again(
    make_node: MakeNode, mirror: Mirror, image: Image, tmp_path: Path, tools: tuple[str, ...], victim: str
) -> None:
    node = make_node(*tools)
    link = metalink(tmp_path, image, mirror.url("gated"))
    first = node.start(image.digest, mirror.url("gated"), pull_metalink=link)
    assert mirror.halfway.wait(60)
    wait_until(lambda: arrived(node) > len(image.data) // 3, 60)
    started = children(first.pid)
    kill(first, victim)
    first.communicate(timeout=60)
    wait_until(lambda: not any(alive(pid) for pid in started), 60)
    link = metalink(tmp_path, image, mirror.url("good"))
    second = node.pull(image.digest, mirror.url("good"), pull_metalink=link)
    assert second.returncode == 0, second.stderr
    assert only_the_image(node, image)
    assert mirror.served["good"].sent < 0.7 * len(image.data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('type="sha-256">', 'type="sha-1">'),
        ("<size>", "<size>9"),
        ('length="65536"', 'length="75537"'),
        ("</file>", '</file><file name="other"></file>'),
        ("<metalink", "<!-- " + "x" * (9 << 20) + " --><metalink"),
    ],
    ids=["another hash", "another size", "another length", "two files", "too large"],
)
def test_a_metalink_that_is_wrong_is_done_without(
    node: Node, mirror: Mirror, image: Image, tmp_path: Path, old: str, new: str
) -> None:
    link = Path(metalink(tmp_path, image, mirror.url("wrong")))
    link.write_text(link.read_text().replace(old, new))
    done = node.pull(image.digest, mirror.url("good"), pull_metalink=str(link))
    assert done.returncode == 0, done.stderr
    assert "doing without the metalink: " in done.stderr
    assert only_the_image(node, image)


def test_a_metalink_of_another_image_changes_nothing(node: Node, mirror: Mirror, image: Image, tmp_path: Path) -> None:
    other = Image(b"other" * 1000)
    mirror.files["other"] = other.data
    link = metalink(tmp_path, other, mirror.url("good", "other"))
    done = node.pull(image.digest, mirror.url("good"), pull_metalink=link)
    assert done.returncode == 0, done.stderr
    assert only_the_image(node, image)


def test_a_mirror_that_asks_for_patience_is_asked_again_after_the_others(
    make_node: MakeNode, mirror: Mirror, image: Image, tmp_path: Path
) -> None:
    node = make_node("curl")
    link = metalink(tmp_path, image, mirror.url("busy"), mirror.url("404"))
    done = node.pull(image.digest, mirror.url("busy"), pull_metalink=link)
    assert done.returncode == 0, done.stderr
    assert only_the_image(node, image)
    assert [mirror.served[name].gets for name in ("busy", "404")] == [2, 1]


def test_a_mirror_cannot_ask_for_more_patience_than_the_site_has(
    make_node: MakeNode, mirror: Mirror, image: Image
) -> None:
    mirror.patience = "99999"
    done = make_node("curl").pull(image.digest, mirror.url("busy"), pull_retry_after="1")
    assert done.returncode == 0, done.stderr
    assert "busy/image wants to be asked again in 1 seconds" in done.stderr


def test_passwords_and_tokens_of_a_metalink_appear_in_no_message_and_no_argument(
    node: Node, mirror: Mirror, image: Image, tmp_path: Path
) -> None:
    url = mirror.url("gated", query="?sig=s3cr3t&b=<1>", login="user:s3cr3t@")
    link = metalink(tmp_path, image, url)
    process = node.start("", DEAD, pull_metalink=link)
    assert mirror.halfway.wait(60)
    lines = [command_line(pid) for pid in children(process.pid)]
    modes = {path.stat().st_mode & 0o077 for path in node.cache.glob("*.meta4")}
    mirror.gate.set()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert any("aria2c" in line for line in lines)
    assert "s3cr3t" not in "".join(lines) + out + err
    assert modes == {0}
