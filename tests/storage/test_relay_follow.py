"""Files that are only appended to, as the gateway's own background passes send them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.transport.base import RcloneRemote
from gateway.compute.transport.ssh import SshTransport
from gateway.storage import relay_follow
from gateway.storage.filters import OutputRule, plan_transfers
from gateway.storage.rclone import Rclone
from gateway.storage.relay import Left, RelayResult, relay_pass
from gateway.storage.relay_follow import LARGE, LONGEST_LINE, Followed, whole_lines
from gateway.storage.stores.base import Place, Store
from gateway.storage.stores.directory import DirectoryStore
from testbed.sshd import SshSite

RULES = [OutputRule("logs/**", "seen/", "text/plain", follow=True), OutputRule("*.dat")]
TRANSFERS = plan_transfers(RULES, ["**/core.*"])


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    (folder / "logs/deep").mkdir(parents=True)
    return folder


class Relay:
    """Passes of one job to one store."""

    def __init__(self, job: Path, store: Store, place: Place, source: RcloneRemote | None = None) -> None:
        self.source = source or RcloneRemote({"type": "local"}, str(job))
        self.store, self.place, self.followed = store, place, Followed()

    async def go(self, *, final: bool = False) -> RelayResult:
        result = await relay_pass(self.source, self.store, self.place, TRANSFERS, final=final, followed=self.followed)
        assert (result.exit_status, result.message) == (0, None)
        return result

    async def read(self, path: str) -> bytes | None:
        if await self.store.stat(self.place, path) is None:
            return None
        return b"".join([piece async for piece in self.store.read(self.place, path)])


@pytest.mark.real
async def test_readers_see_whole_lines_at_once_and_never_less_than_before(
    store: Store, place: Place, job: Path
) -> None:
    relay, log = Relay(job, store, place), job / "logs/deep/[1] log#"
    log.write_bytes(b"one\ntw")
    result = await relay.go()  # at once: nothing waits until it has settled
    assert result.copied == [("seen/deep/[1] log#", 4)]
    assert result.left == Left(1, 2)
    assert await relay.read("seen/deep/[1] log#") == b"one\n"
    assert (await relay.go()).copied == []
    with log.open("ab") as stream:
        stream.write(b"o\nthree\nfour")
    await relay.go()
    assert await relay.read("seen/deep/[1] log#") == b"one\ntwo\nthree\n"
    log.write_bytes(b"again\n")  # written anew, against what was said of it
    assert (await relay.go()).copied == []
    log.write_bytes(b"one\ntwo\nthree\nfour")
    await relay.go(final=True)
    assert await relay.read("seen/deep/[1] log#") == b"one\ntwo\nthree\nfour"


@pytest.mark.real
async def test_what_was_sent_whole_is_not_sent_again_at_the_end(store: Store, place: Place, job: Path) -> None:
    relay, log = Relay(job, store, place), job / "logs/a"
    log.write_bytes(b"all\n")
    os.utime(log, (1_700_000_000, 1_700_000_000))
    assert (await relay.go()).copied == [("seen/a", 4)]
    assert (await relay.go(final=True)).copied == []


@pytest.mark.real
async def test_over_sftp_files_that_grow_are_followed_and_links_are_not(
    ssh_transport: SshTransport, plain_sshd: SshSite, make_store: Callable[..., Any], place: Place, tmp_path: Path
) -> None:
    store = make_store(DirectoryStore, path=str(tmp_path / "outputs"))
    folder = f"{plain_sshd.accounts[0].home}/followed"
    plain_sshd.check(
        f"set -e; rm -rf {folder}; mkdir -p {folder}/logs; cd {folder}/logs; printf 'one\\ntw' >a;"
        "printf 'left out\\n' >core.1; ln -s /etc/passwd link; ln -s /etc linked"
    )
    relay = Relay(tmp_path, store, place, await ssh_transport.relay_source(folder))
    assert (await relay.go()).copied == [("seen/a", 4)]
    assert await relay.read("seen/a") == b"one\n"


async def test_a_file_that_grows_between_listing_and_copy_is_sent_as_far_as_it_is(
    make_store: Callable[..., Any], place: Place, tmp_path: Path, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, listed = job / "logs/a", relay_follow.rows_of

    async def then_it_grows(*arguments: Any, **options: Any) -> Any:
        rows = await listed(*arguments, **options)
        with log.open("ab") as stream:
            stream.write(b"two\nthr")
        return rows

    monkeypatch.setattr(relay_follow, "rows_of", then_it_grows)
    log.write_bytes(b"one\n")
    relay = Relay(job, make_store(DirectoryStore, path=str(tmp_path / "outputs")), place)
    [(path, size)] = (await relay.go()).copied
    found = await relay.read(path)
    assert found in (b"one\n", b"one\ntwo\n")
    assert size == len(found or b"")


async def test_a_failure_leaves_everything_for_the_next_pass(
    make_store: Callable[..., Any], place: Place, tmp_path: Path, job: Path
) -> None:
    relay = Relay(job, make_store(DirectoryStore, path=str(tmp_path / "outputs")), place)
    (job / "logs/a").write_bytes(b"one\n")
    sound, relay.source = relay.source, RcloneRemote({"type": "local"}, str(tmp_path / "not there"))
    result = await relay_pass(relay.source, relay.store, place, TRANSFERS, final=False, followed=relay.followed)
    assert result.exit_status != 0
    relay.source = sound
    assert (await relay.go()).copied == [("seen/a", 4)]


def test_what_waits_longest_comes_first_and_large_files_wait_until_they_have_grown_by_a_tenth() -> None:
    followed = Followed()
    followed.note("t", {"b": 5, "same": 7, "large": LARGE})
    assert followed.grown("t", {"b": 6, "same": 7, "new": 1, "odd\nname": 9}) == ["new", "b"]
    assert followed.grown("t", {"large": LARGE + LARGE // 20}) == []  # it is larger than that once it was sent
    followed.note("t", {"large": LARGE + 10})
    assert followed.grown("t", {"large": LARGE + 11}) == []
    assert followed.grown("t", {"large": 2 * LARGE}) == ["large"]
    assert followed.grown("other", {"same": 7}) == ["same"]
    assert followed.grown("t", {"huge": relay_follow.ROOM + 1}) == []
    assert len(followed.grown("t", {f"{n}": 1 for n in range(500)})) == relay_follow.MOST


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (b"", 0),
        (b"a\n", 2),
        (b"a\nb", 2),
        (b"a", None),
        (b"\n" + b"x" * (LONGEST_LINE - 1), 1),
        (b"\n" + b"x" * LONGEST_LINE, None),
    ],
)
def test_copies_end_where_a_line_ends(tmp_path: Path, text: bytes, length: int | None) -> None:
    (tmp_path / "f").write_bytes(text)
    assert whole_lines(tmp_path, ["f", "gone"], {}) == ({} if length is None else {"f": length})
    assert (tmp_path / "f").exists() == (length is not None)
    if length is not None:
        assert (tmp_path / "f").read_bytes() == text[:length]


async def test_names_are_chosen_exactly(tmp_path: Path) -> None:
    names = ["a*", "ab", "[1]?{x,y}", "x", "back\\slash", "d/**", "#c", " space "]
    for name in names:
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text("x")
    chosen = [name for name in names if name not in ("ab", "x")]
    rclone, source = Rclone(), RcloneRemote({"type": "local"}, str(tmp_path / "from"))
    async with relay_follow.filter_file(relay_follow.exactly(chosen)) as file:
        arguments = ["copy", *relay_follow.SAFE, "--filter-from", str(file), f"SOURCE:{tmp_path}/from"]
        result = await rclone.run([*arguments, f"SOURCE:{tmp_path}/to"], {"SOURCE": source})
    assert result.exit_status == 0
    found = {str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("*") if path.is_file()}
    assert found == set(chosen)
