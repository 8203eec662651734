"""The caches of the image pull: who may use them, who is using an image, and what is removed to make room."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pull_site import PULL, Image, Mirror, Node, wait_until

MakeNode = Callable[..., Node]


def put(node: Node, content: bytes, used: int | None = None) -> Image:
    """Put an image into a node's cache; `used`: when it was used last."""
    image = Image(content)
    node.cache.mkdir(mode=0o700, exist_ok=True)
    (node.cache / f"{image.hex}.img").write_bytes(content)
    if used is not None:
        (node.cache / ".uses").mkdir(exist_ok=True)
        stamp = node.cache / ".uses" / f"{image.hex}.used"
        stamp.touch()
        os.utime(stamp, (used, used))
    return image


def evict(node: Node, limit: int, *keep: str) -> tuple[int, list[str], str]:
    """Make room; return the status, the answer without its last line, and that."""
    done = subprocess.run(
        node.argv(str(PULL), "--evict", str(node.cache), str(limit), *keep),
        env=node.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    *lines, left = done.stdout.splitlines()
    return done.returncode, lines, left


# ---- many at once


def test_five_hundred_at_once_on_a_cold_cache_make_one_download_and_see_a_whole_image(
    node: Node, mirror: Mirror, image: Image, tmp_path: Path
) -> None:
    driver = (
        "i=0; while [ $i -lt 500 ]; do i=$((i + 1)); "
        '{ p=$(bash "$pull" "$cache" "$digest" "$url" 2>&1) && stat -c "%n %s" "$p" || echo "$p"; } >>"$out" & '
        "done; wait"
    )
    out = tmp_path / "out"
    subprocess.run(
        [node.commands / "bash", "-c", driver],
        env=node.environment(
            pull=str(PULL), cache=str(node.cache), digest=image.digest, url=mirror.url("good"), out=str(out)
        ),
        check=True,
        timeout=280,
    )
    assert set(out.read_text().splitlines()) == {f"{node.cache}/{image.hex}.sif {len(image.data)}"}
    assert len(out.read_text().splitlines()) == 500
    assert (mirror.total().gets, mirror.total().sent) == (1, len(image.data))


@pytest.mark.parametrize("locking", ["auto", "lease"])
def test_two_nodes_with_one_shared_folder_make_one_download_and_with_two_caches_two(
    node: Node, make_node: MakeNode, mirror: Mirror, image: Image, tmp_path: Path, locking: str
) -> None:
    shared = [
        node.start(image.digest, mirror.url("good"), HOSTNAME=f"node{n % 2}", pull_locking=locking) for n in range(8)
    ]
    errors = [process.communicate(timeout=120)[1] for process in shared]
    assert [process.returncode for process in shared] == [0] * 8, errors
    assert mirror.total().gets == 1
    own = [Node(tmp_path / name, node.commands) for name in ("one", "two")]
    assert [each.pull(image.digest, mirror.url("good"), pull_locking=locking).returncode for each in own] == [0, 0]
    assert mirror.total().gets == 3


def test_a_flock_that_refuses_nobody_is_found_out_and_the_lease_taken(
    make_node: MakeNode, mirror: Mirror, image: Image
) -> None:
    node = make_node("curl", leave_out=("flock",))
    (node.commands / "flock").write_text("#!/bin/bash\nexit 0\n")
    (node.commands / "flock").chmod(0o755)
    first = node.start(image.digest, mirror.url("gated"))
    assert mirror.halfway.wait(60)
    assert (node.cache / ".locks" / f"{image.hex}.lease").is_dir()
    second = node.start(image.digest, mirror.url("good"))
    mirror.gate.set()
    assert [first.wait(60), second.wait(60)] == [0, 0]
    assert mirror.total().gets == 1
    first.communicate()
    second.communicate()


@pytest.mark.parametrize("options", ["rw,localflock", "rw,local_lock=all,vers=3", "rw,nolock"])
def test_a_file_system_whose_flock_holds_on_one_node_only_is_known_by_its_mount_options(
    node: Node, tmp_path: Path, options: str
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path} nfs {options} 0 0\n/dev/b {tmp_path}/other xfs rw 0 0\n"
    )
    text = PULL.read_text().replace("/proc/self/mounts", str(mounts))
    script = f'mkdir -p "$cache"\n{text}\npull_begin "$cache"; pull_locks_here_only && echo here only'
    argv = node.argv("-c", f"GW_INLINED=1\n{script}")
    done = subprocess.run(
        argv, env=node.environment(cache=str(node.cache)), capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("here only\n", "")


# ---- limits


def test_the_time_for_an_image_ends_with_a_sentence_that_says_so(
    make_node: MakeNode, mirror: Mirror, image: Image
) -> None:
    node = make_node("curl")
    done = node.pull(image.digest, mirror.url("gated"), pull_time_limit="2")
    assert done.returncode == 1
    assert "pull: time_limit: the image did not arrive within 2 seconds" in done.stderr
    assert node.names() == set()


@pytest.mark.parametrize(("tool", "option"), [("curl", "--limit-rate 70000"), ("aria2c", "download-limit=70000")])
def test_a_download_is_told_how_fast_it_may_be(
    make_node: MakeNode, mirror: Mirror, image: Image, tool: str, option: str
) -> None:
    node = make_node(*{"curl", tool})
    program = (node.commands / tool).resolve()
    (node.commands / tool).unlink()
    said = node.commands / "said"
    (node.commands / tool).write_text(f'#!/bin/bash\nprintf "%s " "$@" >>{said}\nexec {program} "$@"\n')
    (node.commands / tool).chmod(0o755)
    small = Image(b"hsqs" + b"x" * 5000)
    mirror.files["small"] = small.data
    assert node.pull(small.digest, mirror.url("good", "small"), pull_max_rate="70000").returncode == 0
    assert option in said.read_text()


# ---- caches that others have filled


def test_a_read_only_cache_is_looked_at_first_and_used_in_place(
    node: Node, mirror: Mirror, image: Image, tmp_path: Path
) -> None:
    seed = tmp_path / "seed"
    seed.mkdir(mode=0o755)
    (seed / f"{image.hex}.sif").write_bytes(image.data)
    done = node.pull(image.digest, mirror.url("good"), pull_read_only_caches=f"/nowhere:{seed}")
    assert (done.returncode, done.stdout) == (0, f"{seed}/{image.hex}.sif"), done.stderr
    assert mirror.total().gets == 0
    assert not node.cache.exists()


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_what_others_can_change_in_a_read_only_cache_is_verified(
    node: Node, mirror: Mirror, image: Image, tmp_path: Path, right: bool
) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    seed.chmod(0o777)
    (seed / f"{image.hex}.sif").write_bytes(image.data if right else b"something else")
    done = node.pull(image.digest, mirror.url("good"), pull_read_only_caches=str(seed))
    place = seed if right else node.cache
    assert (done.returncode, done.stdout) == (0, f"{place}/{image.hex}.sif"), done.stderr
    assert mirror.total().gets == (0 if right else 1)


@pytest.mark.parametrize(
    "source",
    ["cvmfs:/cvmfs/tools.example.org/a b.sif", "cvmfs://tools.example.org/a b.sif", "cvmfs:tools.example.org/a b.sif"],
)
def test_an_image_on_cvmfs_is_a_file_of_the_node(node: Node, source: str) -> None:
    process = node.source('pull_local "$source"; echo "$pull_file"', source=source)
    assert process.communicate(timeout=60)[0] == "/cvmfs/tools.example.org/a b.sif\n"


def test_an_unpacked_image_is_used_in_place_where_no_digest_is_wanted(node: Node, image: Image, tmp_path: Path) -> None:
    folder = tmp_path / "an image"
    folder.mkdir()
    done = node.pull("", str(folder), unpack=True)
    assert (done.returncode, done.stdout) == (0, str(folder)), done.stderr
    refused = node.pull(image.digest, str(folder))
    assert refused.returncode == 1
    assert "is a folder, which has no digest" in refused.stderr


def test_nothing_but_the_cache_is_written(ordinary_node: Node, mirror: Mirror, image: Image) -> None:
    home = ordinary_node.commands.parent / "home"
    home.mkdir(mode=0o555)
    done = ordinary_node.pull(image.digest, mirror.url("good"), HOME=str(home), XDG_CACHE_HOME=f"{home}/cache")
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


# ---- marks of use, and room for others


def test_what_was_used_longest_ago_goes_first_until_the_limit_is_kept(node: Node) -> None:
    old, middle, young = (put(node, bytes([n]) * 8192, used=1000 * n) for n in (1, 2, 3))
    (node.cache / "something.else").write_bytes(b"x" * 8192)
    status, lines, left = evict(node, 10_000)
    assert (status, lines) == (0, [f"evicted {old.hex} 8192", f"evicted {middle.hex} 8192"])
    assert left == "left 8192"
    assert node.names() == {f"{young.hex}.img", "something.else"}
    assert {path.name for path in (node.cache / ".uses").iterdir()} == {f"{young.hex}.used"}


def test_an_image_in_use_stays_until_its_use_is_over(node: Node, mirror: Mirror, image: Image) -> None:
    begin = 'pull_use_name=job.1 pull_use_for=3600; pull_image "$cache" "$digest" "$url"'
    process = node.source(begin, digest=image.digest, url=mirror.url("good"))
    assert process.communicate(timeout=60)[1] == ""
    size = (node.cache / f"{image.hex}.sif").stat().st_blocks * 512
    assert evict(node, 0) == (1, [f"kept {image.hex} {size} in_use"], f"left {size}")
    node.source('pull_release "$cache" job.1').communicate(timeout=60)
    assert evict(node, 0) == (0, [f"evicted {image.hex} {size}"], "left 0")
    assert node.names() == set()


def test_a_use_whose_time_is_over_keeps_nothing(node: Node) -> None:
    image = put(node, b"a" * 4096, used=1)
    mark = node.cache / ".uses" / f"{image.hex}.use.job"
    mark.write_text(f"{int(time.time()) - 5}\n")
    assert evict(node, 0)[0] == 0
    assert not mark.exists()


def test_what_is_wanted_or_locked_stays(node: Node) -> None:
    wanted, locked = put(node, b"a" * 4096, used=1), put(node, b"b" * 4096, used=2)
    (node.cache / ".locks").mkdir()
    with (node.cache / ".locks" / f"{locked.hex}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        status, lines, left = evict(node, 0, wanted.digest)
    assert status == 1
    assert lines == [f"kept {wanted.hex} 4096 wanted", f"kept {locked.hex} 4096 locked"]
    assert left == "left 8192"


def test_an_unpacked_folder_goes_with_its_image(node: Node, mirror: Mirror, squashfs: Path) -> None:
    image = Image(squashfs.read_bytes())
    mirror.files["image"] = image.data
    assert node.pull(image.digest, mirror.url("good"), unpack=True, pull_use_for="0").returncode == 0
    status, lines, left = evict(node, 0)
    assert (status, left, len(lines)) == (0, "left 0", 1)
    assert node.names() == set()


def test_an_image_that_is_gone_by_the_time_it_is_marked_is_fetched_again(
    node: Node, mirror: Mirror, image: Image
) -> None:
    assert node.pull(image.digest, mirror.url("good")).returncode == 0
    script = (
        'eval "$(declare -f pull_mark | sed 1s/pull_mark/mark_as_always/)"\n'
        'pull_mark() { mark_as_always "$@"; [ -n "${once-}" ] || { once=yes; rm -f "$cache"/*.sif; }; }\n'
        'pull_image "$cache" "$digest" "$url" && echo "$pull_path $pull_cached"'
    )
    (node.commands / "sed").symlink_to("/bin/sed")
    out, err = node.source(script, digest=image.digest, url=mirror.url("good")).communicate(timeout=60)
    assert (out, err) == (f"{node.cache}/{image.hex}.sif false\n", "")


def test_making_room_beside_pulls_loses_no_image_that_is_in_use(node: Node, mirror: Mirror, image: Image) -> None:
    for round_ in range(4):
        pulls = [node.start(image.digest, mirror.url("good"), pull_use_name=f"{round_}.{n}") for n in range(4)]
        evict(node, 0)
        paths = {process.communicate(timeout=120)[0].strip() for process in pulls}
        assert [process.returncode for process in pulls] == [0] * 4
        assert [Path(path).read_bytes() == image.data for path in paths] == [True]
        for n in range(4):
            node.source(f'pull_release "$cache" {round_}.{n}').communicate(timeout=60)
    assert evict(node, 0)[0] == 0
    wait_until(lambda: node.names() == set(), 60)
