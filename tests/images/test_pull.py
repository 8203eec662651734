"""The image pull on a node: one whole copy, from whichever mirrors are alive and honest."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pull_site import PULL, Image, Mirror, Node, alive, children, command_line, kill_group, wait_until

MakeNode = Callable[..., Node]
EVERY_TOOL = pytest.mark.parametrize("tools", [("curl",), ("curl", "aria2c"), ("aria2c",), ("wget",)], ids="+".join)
DEAD = "http://127.0.0.1:1/image"
HOST = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in os.uname().nodename)


def only_the_image(node: Node, image: Image) -> bool:
    name = f"{image.hex}.sif"
    return node.names() == {name} and (node.cache / name).read_bytes() == image.data


# ---- one copy


@pytest.mark.parametrize("tools", [("curl",), ("curl", "aria2c")], ids="+".join)
def test_fifty_at_once_on_a_cold_cache_make_one_download(
    make_node: MakeNode, mirror: Mirror, image: Image, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    processes = [node.start(image.digest, mirror.url("good")) for _ in range(50)]
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 50, results
    assert {out.strip() for out, _ in results} == {f"{node.cache}/{image.hex}.sif"}
    assert only_the_image(node, image)
    assert {path.name for path in (node.cache / ".locks").iterdir()} == {f"{image.hex}.lock"}
    assert (mirror.total().gets, mirror.total().sent) == (1, len(image.data))


def test_an_image_that_the_gateway_brought_is_found_and_one_that_is_gone_is_told(node: Node, image: Image) -> None:
    gone = node.pull(image.digest, "built:tool")
    assert gone.returncode == 1
    assert f"the image tool, which the gateway had put into {node.cache}, is not there any more" in gone.stderr

    brought = node.cache / f"{image.hex}.sif"
    brought.write_bytes(image.data)
    found = node.pull(image.digest, "built:tool")
    assert (found.returncode, found.stdout.strip()) == (0, str(brought))


def test_twelve_at_once_make_one_download_where_flock_does_not_work(node: Node, mirror: Mirror, image: Image) -> None:
    processes = [node.start(image.digest, mirror.url("good"), pull_locking="lease") for _ in range(12)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 12, errors
    assert only_the_image(node, image)
    assert not any((node.cache / ".locks").iterdir())
    assert (mirror.total().gets, mirror.total().sent) == (1, len(image.data))


def test_a_broken_flock_command_leads_to_the_lease(make_node: MakeNode, mirror: Mirror, image: Image) -> None:
    node = make_node("curl", leave_out=("flock",))
    done = node.pull(image.digest, mirror.url("good"))
    assert done.returncode == 0, done.stderr
    assert only_the_image(node, image)


def test_a_warm_cache_needs_no_lock_and_no_server(node: Node, mirror: Mirror, image: Image) -> None:
    assert node.pull(image.digest, mirror.url("good")).returncode == 0
    before = mirror.total()
    shutil.rmtree(node.cache / ".locks")
    done = node.pull(image.digest, mirror.url("good"))
    assert (done.returncode, done.stdout) == (0, f"{node.cache}/{image.hex}.sif")
    assert mirror.total() == before
    assert not (node.cache / ".locks").exists()


def test_an_image_with_a_tag_only_is_kept_under_its_reference_with_the_digest_beside_it(
    node: Node, mirror: Mirror, image: Image
) -> None:
    url = mirror.url("good")
    key = f"ref-{Image(url.encode()).hex}"
    for _ in range(2):
        assert node.pull("", url).stdout == f"{node.cache}/{key}.sif"
    assert (node.cache / f"{key}.digest").read_text() == f"{image.digest}\n"
    assert node.names() == {f"{key}.sif", f"{key}.digest"}
    assert mirror.total().gets == 1


@pytest.mark.parametrize(
    ("start", "suffix"),
    [(b"hsqs", "sqfs"), (b"\0" * 32 + b"SIF_MAGIC\0", "sif"), (b"\x53\xef other", "img")],
    ids=str,
)
def test_the_final_name_says_what_the_bytes_are(node: Node, mirror: Mirror, start: bytes, suffix: str) -> None:
    small = Image(start + b"\1" * 500)
    mirror.files["small"] = small.data
    assert node.pull(small.digest, mirror.url("good", "small")).stdout == f"{node.cache}/{small.hex}.{suffix}"


# ---- mirrors


@EVERY_TOOL
@pytest.mark.parametrize("bad", ["dead", "404", "503", "wrong", "cut", "html", "nohead", "loop"])
def test_a_bad_mirror_before_a_good_one_does_not_matter(
    make_node: MakeNode, mirror: Mirror, image: Image, tools: tuple[str, ...], bad: str
) -> None:
    node = make_node(*tools)
    first = DEAD if bad == "dead" else mirror.url(bad)
    done = node.pull(image.digest, first, mirror.url("good"))
    assert (done.returncode, done.stdout) == (0, f"{node.cache}/{image.hex}.sif"), done.stderr
    assert only_the_image(node, image)


@pytest.mark.parametrize("bad", ["dead", "404", "503", "loop"])
def test_aria2c_takes_what_it_can_from_all_mirrors_without_a_second_round(
    node: Node, mirror: Mirror, image: Image, bad: str
) -> None:
    done = node.pull(image.digest, DEAD if bad == "dead" else mirror.url(bad), mirror.url("good"))
    assert (done.returncode, done.stderr) == (0, "")


@EVERY_TOOL
def test_a_wrong_digest_leaves_nothing_in_the_cache(
    make_node: MakeNode, mirror: Mirror, image: Image, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    other = Image(b"another image")
    done = node.pull(other.digest, mirror.url("good"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("pull: wrong_digest: ")
    assert image.digest in done.stderr
    assert other.digest in done.stderr
    assert node.names() == set()
    assert mirror.total().gets == 1


@pytest.mark.parametrize("tools", [("curl",), ("curl", "aria2c")], ids="+".join)
def test_when_all_mirrors_are_bad_one_sentence_names_each_and_why(
    make_node: MakeNode, mirror: Mirror, image: Image, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    bad = {
        DEAD: "cannot be reached",
        mirror.url("404"): "answered 404",
        mirror.url("wrong"): "another digest",
        mirror.url("html"): "not an image",
        mirror.url("loop"): "redirects too often",
    }
    done = node.pull(image.digest, *bad)
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    parts = sentence.split("; ")
    assert len(parts) == len(bad)
    for part, (url, why) in zip(parts, bad.items(), strict=True):
        assert f"{url} " in part
        assert why in part
    assert node.names() == set()


def test_a_mirror_that_breaks_off_is_continued_not_started_again(
    make_node: MakeNode, mirror: Mirror, image: Image
) -> None:
    node = make_node("curl")
    assert node.pull(image.digest, mirror.url("cutonce")).returncode == 0
    assert only_the_image(node, image)
    assert (mirror.total().gets, mirror.total().sent) == (2, len(image.data))


@pytest.mark.parametrize("tools", [("curl",), ("curl", "aria2c"), ("wget",)], ids="+".join)
def test_a_mirror_that_trickles_is_given_up(
    make_node: MakeNode, mirror: Mirror, image: Image, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    done = node.pull(
        image.digest, mirror.url("trickle"), mirror.url("good"), pull_slow_time="2", pull_slow_speed="1000"
    )
    assert done.returncode == 0, done.stderr
    assert only_the_image(node, image)


@pytest.mark.parametrize("behaviour", ["html", "404"])
def test_without_a_digest_a_web_page_is_not_taken_for_an_image(
    node: Node, mirror: Mirror, image: Image, behaviour: str
) -> None:
    done = node.pull("", mirror.url(behaviour))
    reason = {"html": "not_an_image", "404": "unreachable"}[behaviour]
    assert done.returncode == 1
    assert f"pull: {reason}: " in done.stderr
    assert node.names() == set()


def test_a_node_without_any_downloader_says_so(make_node: MakeNode, mirror: Mirror, image: Image) -> None:
    done = make_node().pull(image.digest, mirror.url("good"))
    assert done.returncode == 1
    assert "there is no curl, aria2c or wget on this node" in done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "ftp://127.0.0.1/x",
        "image.sif",
        "http://a/b c",
        'http://a/"x',
        "http://a/x\nurl = file:///etc/passwd",
        "-K/etc/passwd",
        "http://a\\b",
    ],
    ids=repr,
)
def test_a_source_that_is_no_address_is_refused_before_anything_happens(node: Node, image: Image, source: str) -> None:
    done = node.pull(image.digest, source)
    assert (done.returncode, node.cache.exists()) == (1, False)
    assert "neither an http(s) address nor an absolute path" in done.stderr


@pytest.mark.parametrize("digest", ["sha256:abc", "md5:" + "0" * 64, "sha256:" + "g" * 64, "../" * 20])
def test_a_digest_that_is_none_is_refused(node: Node, mirror: Mirror, digest: str) -> None:
    done = node.pull(digest, mirror.url("good"))
    assert (done.returncode, node.cache.exists()) == (1, False)
    assert "64 hexadecimal digits" in done.stderr


@EVERY_TOOL
def test_passwords_and_tokens_of_addresses_appear_in_no_message_and_no_argument(
    make_node: MakeNode, mirror: Mirror, image: Image, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    secret = "s3cr3t"
    url = mirror.url("gated", query=f"?sig={secret}", login=f"user:{secret}@")
    process = node.source(
        'pull_image "$cache" "$digest" "$url" || echo "$pull_message"', url=url, digest=Image(b"").digest
    )
    assert mirror.halfway.wait(60)
    lines = [command_line(pid) for pid in children(process.pid)]
    mirror.gate.set()
    out, err = process.communicate(timeout=60)
    assert any(tools[-1] in line or tools[0] in line for line in lines)
    assert secret not in "".join(lines)
    assert secret not in out + err
    assert f"http://127.0.0.1:{mirror.port}/gated/image sent " in out


# ---- kills and stops


@pytest.mark.parametrize("victim", ["shell", "downloader", "group"])
@pytest.mark.parametrize("tools", [("curl",), ("curl", "aria2c")], ids="+".join)
@pytest.mark.parametrize("locking", ["auto", "lease"])
def test_a_kill_in_the_middle_publishes_nothing_and_the_next_goes_on_at_once(
    make_node: MakeNode, mirror: Mirror, image: Image, victim: str, tools: tuple[str, ...], locking: str
) -> None:
    node = make_node(*tools)
    first = node.start(image.digest, mirror.url("gated"), pull_locking=locking)
    assert mirror.halfway.wait(60)
    started = children(first.pid)
    downloaders = [pid for pid in started if any(f"{tool} -" in command_line(pid) for tool in tools)]
    assert len(downloaders) == 1
    open_files = [str(link.readlink()) for link in Path(f"/proc/{downloaders[0]}/fd").iterdir()]
    assert not any(name.endswith(".lock") for name in open_files)  # an orphan would hold the lock
    if victim == "shell":
        first.kill()
    elif victim == "group":
        kill_group(first)
    else:
        os.kill(downloaders[0], signal.SIGKILL)
    if victim == "downloader":
        mirror.gate.set()  # the shell lives, and tries again
    else:
        first.wait(timeout=60)
        wait_until(lambda: not any(alive(pid) for pid in started))
        assert not any(name.endswith((".sif", ".img", ".sqfs")) for name in node.names())
    second = node.pull(image.digest, mirror.url("good"), pull_locking=locking)
    assert (second.returncode, second.stdout) == (0, f"{node.cache}/{image.hex}.sif"), second.stderr
    first.communicate(timeout=60)
    assert only_the_image(node, image)


@pytest.mark.parametrize("tools", [("curl",), ("curl", "aria2c"), ("wget",)], ids="+".join)
def test_a_stop_in_the_middle_of_a_download_cleans_up(
    make_node: MakeNode, mirror: Mirror, image: Image, tools: tuple[str, ...]
) -> None:
    node = make_node(*tools)
    process = node.start(image.digest, mirror.url("gated"))
    assert mirror.halfway.wait(60)
    started = children(process.pid)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "pull: interrupted: stopped during the download" in err
    assert node.names() == set()
    wait_until(lambda: not any(alive(pid) for pid in started))


@pytest.mark.parametrize("locking", ["auto", "lease"])
def test_a_stop_while_waiting_for_another_download_leaves_that_one_alone(
    node: Node, mirror: Mirror, image: Image, locking: str
) -> None:
    first = node.start(image.digest, mirror.url("gated"), pull_locking=locking)
    assert mirror.halfway.wait(60)
    second = node.source(
        "trap 'gw_stop=yes' TERM; pull_on_wait() { echo waiting; }\n"
        'pull_image "$cache" "$digest" "$url" || echo "$pull_reason: $pull_message"',
        url=mirror.url("good"), digest=image.digest, pull_locking=locking,
    )  # fmt: skip
    assert second.stdout is not None
    assert second.stdout.readline() == "waiting\n"
    second.terminate()
    out, err = second.communicate(timeout=60)
    assert out.splitlines()[-1] == "interrupted: stopped while waiting for another process's download"
    assert err == ""
    mirror.gate.set()
    assert first.communicate(timeout=60)[0].strip() == f"{node.cache}/{image.hex}.sif"
    assert mirror.total().gets == 1


def test_the_wait_for_a_lock_ends(node: Node, mirror: Mirror, image: Image) -> None:
    (node.cache / ".locks").mkdir(parents=True)
    with (node.cache / ".locks" / f"{image.hex}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = node.pull(image.digest, mirror.url("good"), pull_lock_timeout="1")
    assert done.returncode == 1
    assert "pull: lock_timeout: " in done.stderr
    assert mirror.total().gets == 0


def test_a_lease_without_a_heartbeat_is_taken_over(node: Node, mirror: Mirror, image: Image) -> None:
    lease = node.cache / ".locks" / f"{image.hex}.lease"
    lease.mkdir(parents=True)
    (lease / "owner").write_text("another-host.1.23\n")
    done = node.pull(image.digest, mirror.url("good"), pull_locking="lease", pull_lease_timeout="1")
    assert done.returncode == 0, done.stderr
    assert only_the_image(node, image)
    assert not any((node.cache / ".locks").iterdir())


def test_debris_of_dead_processes_is_reaped_and_that_of_other_hosts_after_a_day(
    node: Node, mirror: Mirror, image: Image
) -> None:
    node.cache.mkdir()
    ended = subprocess.Popen(["true"])
    ended.wait()
    mine, theirs, old = (f"{image.hex}.{owner}.part" for owner in (f"{HOST}.{ended.pid}", "far.77", "far.78"))
    for name in (mine, theirs, old):
        (node.cache / name).write_bytes(b"half")
    os.utime(node.cache / old, (1e9, 1e9))
    assert node.pull(image.digest, mirror.url("good")).returncode == 0
    assert node.names() == {f"{image.hex}.sif", theirs}


def test_progress_is_told_while_downloading_and_while_waiting(
    make_node: MakeNode, mirror: Mirror, image: Image
) -> None:
    node = make_node("curl")
    script = (
        'pull_on_progress() { echo "progress $*"; }; pull_on_wait() { echo "wait $*"; }\n'
        'pull_image "$cache" "$digest" "$url" && echo "done $pull_cached $pull_bytes $pull_digest"'
    )
    first = node.source(script, url=mirror.url("gated", query="?token=1"), digest=image.digest)
    assert mirror.halfway.wait(60)
    second = node.source(script, url=mirror.url("gated"), digest=image.digest)
    assert first.stdout is not None
    assert second.stdout is not None
    while (arrived := int((line := first.stdout.readline()).split()[1])) < len(image.data) // 3:
        assert line.startswith("progress ")
    assert line == f"progress {arrived} {len(image.data)} {mirror.url('gated')}\n"
    while (line := second.stdout.readline()) == "wait 0\n":
        pass
    assert line == f"wait {arrived}\n"
    mirror.gate.set()
    assert first.communicate(timeout=60)[0].splitlines()[-1] == f"done false {len(image.data)} {image.digest}"
    assert second.communicate(timeout=60)[0].splitlines()[-1] == f"done true {len(image.data)} {image.digest}"


# ---- the cache itself


def test_an_image_that_others_could_change_is_verified_before_each_use(
    node: Node, mirror: Mirror, image: Image
) -> None:
    assert node.pull(image.digest, mirror.url("good")).returncode == 0
    node.cache.chmod(0o770)
    assert node.pull(image.digest, mirror.url("good")).returncode == 0
    assert mirror.total().gets == 1
    stored = node.cache / f"{image.hex}.sif"
    stored.chmod(0o644)
    stored.write_bytes(b"something else")
    assert node.pull(image.digest, mirror.url("good")).returncode == 0
    assert only_the_image(node, image)
    assert mirror.total().gets == 2


def test_a_shared_cache_stays_usable_for_the_group_under_any_umask(node: Node, mirror: Mirror, image: Image) -> None:
    node.cache.mkdir()
    node.cache.chmod(0o770)
    process = node.source(
        'umask 077; pull_image "$cache" "$digest" "$url"', url=mirror.url("good"), digest=image.digest
    )
    assert process.communicate(timeout=60)[1] == ""
    modes = {
        str(path.relative_to(node.cache)): path.stat().st_mode & 0o777
        for path in node.cache.rglob("*")
        if path != node.cache
    }
    mark = f".uses/{image.hex}.use.{HOST}.{os.geteuid()}"
    assert modes == {
        ".locks": 0o770,
        f".locks/{image.hex}.lock": 0o660,
        ".uses": 0o770,
        f".uses/{image.hex}.used": 0o660,
        mark: 0o640,
        f"{image.hex}.sif": 0o440,
    }


def test_a_new_cache_is_private(node: Node, mirror: Mirror, image: Image) -> None:
    assert node.pull(image.digest, mirror.url("good")).returncode == 0
    assert node.cache.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_written_is_named(ordinary_node: Node, mirror: Mirror, image: Image) -> None:
    ordinary_node.cache.mkdir()
    ordinary_node.cache.chmod(0o555)
    done = ordinary_node.pull(image.digest, mirror.url("good"))
    assert done.returncode == 1
    assert f"pull: cache_not_writable: the image is not in {ordinary_node.cache}" in done.stderr


def test_a_read_only_cache_filled_beforehand_is_used(ordinary_node: Node, mirror: Mirror, image: Image) -> None:
    ordinary_node.cache.mkdir()
    (ordinary_node.cache / f"{image.hex}.sif").write_bytes(image.data)
    ordinary_node.cache.chmod(0o555)
    done = ordinary_node.pull(image.digest, mirror.url("good"))
    assert (done.returncode, done.stdout) == (0, f"{ordinary_node.cache}/{image.hex}.sif")
    assert mirror.total().gets == 0


def test_an_image_larger_than_the_free_space_is_not_begun(node: Node, mirror: Mirror, image: Image) -> None:
    done = node.pull(image.digest, mirror.url("huge"))
    assert done.returncode == 1
    assert "pull: no_space: the image has 100000000000000000 bytes" in done.stderr
    assert mirror.total().gets == 0


def test_a_file_of_the_node_is_used_in_place_and_verified_once(
    node: Node, mirror: Mirror, image: Image, tmp_path: Path
) -> None:
    local = tmp_path / "an image.sif"
    local.write_bytes(image.data)
    for source in (str(local), f"file://{local}", str(local)):
        done = node.pull(image.digest, mirror.url("good"), source)
        assert (done.returncode, done.stdout) == (0, str(local)), done.stderr
    assert node.names() == {f"{image.hex}.inplace"}
    assert mirror.total().gets == 0
    local.write_bytes(image.data[:-1] + b"?")
    assert node.pull(image.digest, str(local), mirror.url("good")).stdout == f"{node.cache}/{image.hex}.sif"


def test_a_file_of_the_node_without_digest_is_used_as_it_is(node: Node, image: Image, tmp_path: Path) -> None:
    local = tmp_path / "image.sif"
    local.write_bytes(image.data)
    process = node.source('pull_image "$cache" "" "$url" && echo "$pull_path $pull_digest"', url=str(local))
    assert process.communicate(timeout=60)[0] == f"{local} {image.digest}\n"


# ---- the library


def test_sourcing_defines_only_functions_with_its_own_prefix(node: Node) -> None:
    script = 'comm -13 <(echo "$before" | sort) <(compgen -A function -A variable | sort)'
    before = "set -u; GW_INLINED=1 before=\nbefore=$(compgen -A function -A variable)"
    text = f"{before}\n. {shlex.quote(str(PULL))}\n{script}"
    done = subprocess.run(
        [node.commands / "bash", "-c", text],
        env=node.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [name for name in done.stdout.split() if not name.startswith("pull_")] == []


def test_a_call_without_arguments_prints_the_usage(node: Node) -> None:
    done = subprocess.run(node.argv(str(PULL)), env=node.environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.split()[:2]) == (2, ["usage:", "pull.sh"])


# ---- unpacked folders


def counting(node: Node, log: Path) -> None:
    """Make each run of unsquashfs that unpacks leave a line in ``log``."""
    real = (node.commands / "unsquashfs").resolve()
    (node.commands / "unsquashfs").unlink()
    (node.commands / "unsquashfs").write_text(
        f'#!/bin/bash\ncase " $* " in *" -d "*) echo run >>{log} ;; esac\nexec {real} "$@"\n'
    )
    (node.commands / "unsquashfs").chmod(0o755)


@pytest.mark.parametrize("kind", ["squashfs", "sif", "singularity 2"])
def test_eight_at_once_unpack_an_image_once(
    node: Node, mirror: Mirror, tmp_path: Path, squashfs: Path, sif: Path, kind: str
) -> None:
    line = b"#!/usr/bin/env run-singularity\n"
    data = {
        "squashfs": squashfs.read_bytes(),
        "sif": sif.read_bytes(),
        "singularity 2": line + squashfs.read_bytes(),
    }[kind]
    image = Image(data)
    mirror.files["image"] = data
    log = tmp_path / "runs"
    counting(node, log)
    processes = [node.start(image.digest, mirror.url("good"), unpack=True) for _ in range(8)]
    results = [process.communicate(timeout=60) for process in processes]
    assert {out.strip() for out, _ in results} == {f"{node.cache}/{image.hex}"}, results
    assert log.read_text() == "run\n"
    root = node.cache / image.hex
    assert (root / "bin/tool").read_text() == "#!/bin/sh\necho tool\n"
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0")
    assert all((root / name).is_dir() for name in ("dev", "proc", "sys", "tmp", "etc", "home", "job"))
    assert (root / "etc/group").is_file()
    suffix = {"squashfs": "sqfs", "sif": "sif", "singularity 2": "img"}[kind]
    assert node.names() == {image.hex, f"{image.hex}.list", f"{image.hex}.{suffix}"}


@pytest.mark.parametrize("kind", ["squashfs", "sif"])
def test_an_ordinary_user_unpacks_an_image_with_device_nodes(
    ordinary_node: Node, mirror: Mirror, squashfs: Path, sif: Path, kind: str
) -> None:
    image = Image({"squashfs": squashfs, "sif": sif}[kind].read_bytes())
    mirror.files["image"] = image.data
    done = ordinary_node.pull(image.digest, mirror.url("good"), unpack=True)
    assert (done.returncode, done.stdout) == (0, f"{ordinary_node.cache}/{image.hex}"), done.stderr
    root = ordinary_node.cache / image.hex
    assert (root / "etc/a name with blanks").stat().st_size == 5000
    assert not (root / "dev/null").exists()


def test_unpacking_keeps_what_the_pull_said_of_the_image(node: Node, mirror: Mirror, squashfs: Path) -> None:
    image = Image(squashfs.read_bytes())
    mirror.files["image"] = image.data
    say = 'echo "$pull_path $pull_digest $pull_cached $pull_bytes"'
    script = f'pull_image "$cache" "$digest" "$url"; {say}; pull_unpack "$cache" "$pull_path"; {say}; echo $pull_folder'
    out, err = node.source(script, url=mirror.url("good"), digest=image.digest).communicate(timeout=60)
    row = f"{node.cache}/{image.hex}.sqfs {image.digest} false {len(image.data)}"
    assert (out.splitlines(), err) == ([row, row, f"{node.cache}/{image.hex}"], "")


@pytest.mark.parametrize("damage", ["a file is gone", "a file is shorter", "the list is gone"])
def test_a_damaged_unpacked_folder_is_made_again(node: Node, mirror: Mirror, squashfs: Path, damage: str) -> None:
    image = Image(squashfs.read_bytes())
    mirror.files["image"] = image.data
    assert node.pull(image.digest, mirror.url("good"), unpack=True).returncode == 0
    root = node.cache / image.hex
    if damage == "a file is gone":
        (root / "usr/bin/tool").unlink()
    elif damage == "a file is shorter":
        (root / "usr/bin/tool").write_text("#")
    else:
        (node.cache / f"{image.hex}.list").unlink()
    assert node.pull(image.digest, mirror.url("good"), unpack=True).returncode == 0
    assert (root / "usr/bin/tool").read_text() == "#!/bin/sh\necho tool\n"
    assert node.names() == {image.hex, f"{image.hex}.list", f"{image.hex}.sqfs"}


def test_what_a_runtime_adds_to_an_unpacked_folder_does_not_matter(
    node: Node, mirror: Mirror, squashfs: Path, tmp_path: Path
) -> None:
    image = Image(squashfs.read_bytes())
    mirror.files["image"] = image.data
    counting(node, tmp_path / "runs")
    assert node.pull(image.digest, mirror.url("good"), unpack=True).returncode == 0
    (node.cache / image.hex / "run/.containerenv").touch()
    assert node.pull(image.digest, mirror.url("good"), unpack=True).returncode == 0
    assert (tmp_path / "runs").read_text() == "run\n"


def test_in_a_cache_that_others_can_write_each_user_unpacks_for_themselves(
    node: Node, mirror: Mirror, squashfs: Path
) -> None:
    image = Image(squashfs.read_bytes())
    mirror.files["image"] = image.data
    node.cache.mkdir()
    node.cache.chmod(0o777)
    for _ in range(2):
        done = node.pull(image.digest, mirror.url("good"), unpack=True)
        assert done.stdout == f"{node.cache}/{image.hex}.u{os.geteuid()}", done.stderr


def test_a_truncated_squashfs_is_not_unpacked(node: Node, mirror: Mirror, squashfs: Path) -> None:
    image = Image(squashfs.read_bytes()[:300])
    mirror.files["image"] = image.data
    done = node.pull(image.digest, mirror.url("good"), unpack=True)
    assert done.returncode == 1
    assert "pull: unpack_failed: " in done.stderr
    assert node.names() == {f"{image.hex}.sqfs"}


def test_an_image_without_squashfs_cannot_be_unpacked_and_says_so(node: Node, mirror: Mirror, image: Image) -> None:
    done = node.pull(image.digest, mirror.url("good"), unpack=True)
    assert done.returncode == 1
    assert "pull: not_an_image: " in done.stderr
    assert node.names() == {f"{image.hex}.sif"}


def test_a_node_without_unsquashfs_says_which_package_is_missing(
    make_node: MakeNode, mirror: Mirror, squashfs: Path
) -> None:
    image = Image(squashfs.read_bytes())
    mirror.files["image"] = image.data
    done = make_node("curl", leave_out=("unsquashfs",)).pull(image.digest, mirror.url("good"), unpack=True)
    assert done.returncode == 1
    assert "squashfs-tools" in done.stderr
