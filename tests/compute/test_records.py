"""Reading records, whole, torn and forged, by one command."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compute.records import (
    CHUNK,
    KnownClaim,
    RecordRequest,
    RecordUpdate,
    parse_records,
    records_section,
)
from gateway.compute.remote import RemoteScript
from gateway.compute.transport.local import LocalTransport
from gateway.compute.transport.ssh import SshTransport
from gateway.errors import RemoteCommandFailed
from gateway.model.records import Claim, parse_claim, parse_final, parse_final_or_none, parse_lines
from testbed.sshd import SshSite

TOKEN = "0123456789abcdef" * 2
FINAL: dict[str, Any] = {
    "version": 1,
    "job": "j",
    "attempt": 1,
    "scheduler_id": "12.pbs",
    "token": TOKEN,
    "host": "n1",
    "outcome": "ended",
    "exit_code": 0,
    "reason": None,
    "message": None,
    "claimed_at": "2024-01-01T00:00:00Z",
    "payload_started_at": "2024-01-01T00:00:01Z",
    "payload_ended_at": "2024-01-01T00:00:02Z",
    "ended_at": "2024-01-01T00:00:03Z",
    "image": {"path": "/c/x.sif", "digest": "sha256:aa", "cached": True},
    "passes": [{"store": "blobs", "state": "complete", "exit_status": 0}],
    "manifest": True,
}


def folder(root: Path, name: str, **files: str | bytes) -> str:
    made = root / ".gateway" / name / "1"
    made.mkdir(parents=True)
    for file, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (made / file.replace("__", ".")).write_bytes(data)
    return str(made)


async def look(local: LocalTransport, *requests: RecordRequest) -> dict[str, RecordUpdate]:
    return parse_records((await local.run(records_section(requests))).stdout, requests)


async def test_everything_of_an_attempt_is_read(local: LocalTransport, tmp_path: Path) -> None:
    made = folder(
        tmp_path,
        "j",
        claim=f"scheduler_id=12.pbs\ntoken={TOKEN}\n",
        final__json=json.dumps(FINAL),
        status__jsonl='{"phase":"claimed"}\n{"phase":"running"}\n{"phase":"tor',
        sync__jsonl='{"msg":"Copied (new)"}\nnot json\n[1]\n',
        manifest__json='{"version":1}',
    )
    update = (await look(local, RecordRequest(made, {}, want_manifest=True)))[made]
    assert update.exists
    assert update.claim == Claim("12.pbs", TOKEN)
    assert update.final is not None
    assert update.final.as_json() == FINAL
    assert [line["phase"] for line in update.status_lines] == ["claimed", "running"]
    assert [line["msg"] for line in update.sync_lines] == ["Copied (new)"]
    assert update.offsets == {"status.jsonl": 40, "sync.jsonl": 36}
    assert update.manifest == b'{"version":1}'


async def test_the_next_look_brings_only_what_is_new(local: LocalTransport, tmp_path: Path) -> None:
    made = folder(tmp_path, "j", status__jsonl='{"phase":"claimed"}\n')
    offsets = (await look(local, RecordRequest(made)))[made].offsets
    quiet = (await look(local, RecordRequest(made, offsets)))[made]
    assert (list(quiet.status_lines), quiet.offsets) == ([], {})
    with Path(made, "status.jsonl").open("a") as file:
        file.write('{"phase":"running"}\n')
    again = (await look(local, RecordRequest(made, offsets)))[made]
    assert [line["phase"] for line in again.status_lines] == ["running"]
    assert again.offsets == {"status.jsonl": 40}


async def test_a_claim_that_is_known_is_not_read_again(local: LocalTransport, tmp_path: Path) -> None:
    made = folder(tmp_path, "j", claim=f"scheduler_id=12\ntoken={TOKEN}\n")
    first = (await look(local, RecordRequest(made)))[made]
    assert first.known is not None
    known = KnownClaim.from_json(json.loads(json.dumps(first.known.as_json())))
    assert known == first.known
    result = await local.run(records_section([RecordRequest(made, known=known)]))
    assert result.stdout == b"end\n"
    again = (await look(local, RecordRequest(made, known=known)))[made]
    assert (again.claim, again.known) == (Claim("12", TOKEN), None)
    other = Path(made, "other")  # as a run of the same id takes it over
    other.write_text(f"scheduler_id=12\ntoken={TOKEN[::-1]}\n")
    other.rename(Path(made, "claim"))
    assert (await look(local, RecordRequest(made, known=known)))[made].claim == Claim("12", TOKEN[::-1])
    Path(made, "claim").unlink()
    assert (await look(local, RecordRequest(made, known=known)))[made].claim is None


async def test_nothing_is_printed_about_jobs_without_news(local: LocalTransport, tmp_path: Path) -> None:
    folders = [folder(tmp_path, f"j{n}", status__jsonl='{"phase":"claimed"}\n') for n in range(1200)]
    requests = [RecordRequest(path, {"status.jsonl": 20}) for path in folders]
    Path(folders[1100], "final.json").write_text(json.dumps(FINAL))
    stdout = (await local.run(records_section(requests))).stdout
    assert stdout.startswith(b"folder 1100\nfinal\n")
    assert stdout.count(b"folder") == 1
    found = parse_records(stdout, requests)
    assert [path for path in folders if found[path].final is not None] == [folders[1100]]
    assert all(update.exists for update in found.values())


async def test_what_is_too_much_for_one_answer_is_left_for_the_next(local: LocalTransport, tmp_path: Path) -> None:
    line = '{"phase":"pulling"}\n'
    requests = [RecordRequest(folder(tmp_path, f"j{n}", status__jsonl=line, final__json="{}")) for n in range(5)]
    stdout = (await local.run(records_section(requests, news=45))).stdout
    found = parse_records(stdout, requests)
    assert 1 <= len(found) < 5, "a folder of which a part was left out is not there at all"
    assert all(len(update.status_lines) == 1 for update in found.values())


async def test_a_file_that_became_shorter_is_read_from_its_start(local: LocalTransport, tmp_path: Path) -> None:
    made = folder(tmp_path, "j", status__jsonl='{"phase":"x"}\n')
    update = (await look(local, RecordRequest(made, {"status.jsonl": 5000})))[made]
    assert ([line["phase"] for line in update.status_lines], update.offsets) == (["x"], {"status.jsonl": 14})


async def test_much_news_comes_in_pieces_without_loss(local: LocalTransport, tmp_path: Path) -> None:
    lines = [{"n": n, "text": "x" * 100} for n in range(2000)]
    made = folder(tmp_path, "j", sync__jsonl="".join(json.dumps(line) + "\n" for line in lines))
    offsets: dict[str, int] = {}
    found = []
    for _ in range(10):
        update = (await look(local, RecordRequest(made, offsets)))[made]
        found += update.sync_lines
        offsets |= update.offsets
    assert found == lines


async def test_a_line_without_end_does_not_stop_what_follows(local: LocalTransport, tmp_path: Path) -> None:
    made = folder(tmp_path, "j", status__jsonl=b"x" * (2 * CHUNK) + b'\n{"phase":"ended"}\n')
    offsets: dict[str, int] = {}
    found = []
    for _ in range(4):
        update = (await look(local, RecordRequest(made, offsets)))[made]
        found += update.status_lines
        offsets |= update.offsets
    assert found == [{"phase": "ended"}]


async def test_a_hundred_folders_hostile_ones_among_them_take_one_command(
    local: LocalTransport, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"phase":"secret"}\n')
    plain = [
        folder(tmp_path, f"j{n}", claim=f"scheduler_id={n}\ntoken={TOKEN}\n", status__jsonl=f'{{"phase":"{n}"}}\n')
        for n in range(94)
    ]
    forged = "end\nfolder /x\nfinal\n.\n"
    hostile = [
        folder(tmp_path, "h1", claim=forged, status__jsonl=forged, final__json=forged),
        folder(tmp_path, "h2", claim=b"\0\xff" * 9, final__json=os.urandom(5000), status__jsonl=os.urandom(9000)),
        folder(tmp_path, "h3 $(touch x); 'q'", claim="scheduler_id=1\ntoken=short\n"),
        folder(tmp_path, "h4", final__json=b"[" * 70_000),
        str(tmp_path / ".gateway/none/1"),
    ]
    linked = Path(folder(tmp_path, "h5"))
    for name in ("status.jsonl", "final.json", "claim"):
        (linked / name).symlink_to(secret)
    folders = [*plain, *hostile, str(linked)]
    script = RemoteScript()
    requests = [RecordRequest(path) for path in folders]
    script.add("records", records_section(requests))
    result = await local.run(script.text)
    found = parse_records(script.parse(result)["records"].stdout, requests)
    assert list(found) == folders
    for number, path in enumerate(plain):
        assert found[path].claim == Claim(str(number), TOKEN)
        assert found[path].status_lines == [{"phase": str(number)}]
    for path in (*hostile, str(linked)):
        update = found[path]
        assert (update.claim, update.final, list(update.status_lines)) == (None, None, [])
    assert not found[hostile[4]].exists
    assert b"secret" not in result.stdout
    assert script.parse(result)["records"].stderr == b""


@pytest.mark.real
async def test_records_are_read_at_a_hostile_site(hostile_site: SshSite, make_ssh: Callable[..., SshTransport]) -> None:
    made = f"{hostile_site.home}/w/.gateway/j/1"
    claim = f"scheduler_id=5\\ntoken={TOKEN}\\n"
    hostile_site.check(f"mkdir -p '{made}' && cd '{made}' && printf '{claim}' >claim")
    requests = [RecordRequest(made)]
    found = parse_records((await make_ssh(hostile_site).run(records_section(requests))).stdout, requests)
    assert found[made].claim == Claim("5", TOKEN)


@pytest.mark.parametrize("stdout", [b"", b"folder 0\n", b"folder 0\nchunk status.jsonl 0\n 7b 7d"])
def test_an_answer_that_is_cut_off_says_nothing(stdout: bytes) -> None:
    with pytest.raises(RemoteCommandFailed):
        parse_records(stdout, [RecordRequest("/a")])


@given(st.binary(max_size=300))
def test_no_answer_makes_the_reader_crash(noise: bytes) -> None:
    with contextlib.suppress(RemoteCommandFailed):
        parse_records(b"folder 0\n" + noise + b"\n.\nend\n", [RecordRequest("/a")])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_no_value_makes_the_reader_of_final_records_crash(value: Any) -> None:
    assert parse_final_or_none(json.dumps(value).encode()) is None
    for key in FINAL:
        parse_final_or_none(json.dumps({**FINAL, key: value}).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"attempt": "1"},
        {"attempt": 0},
        {"exit_code": "0"},
        {"exit_code": False},
        {"exit_code": 256},
        {"exit_code": None},
        {"exit_code": 1},
        {"reason": "exit_code"},
        {"reason": "bribery", "exit_code": 1},
        {"outcome": "succeeded"},
        {"outcome": "not_started", "reason": "node_failed"},
        {"outcome": "stopped"},
        {"token": "x"},
        {"token": TOKEN.upper()},
        {"scheduler_id": "a b"},
        {"scheduler_id": None},
        {"passes": {}},
        {"passes": [1]},
        {"message": 5},
        {"message": "x" * 20_000},
    ],
)
def test_a_final_record_with_a_wrong_value_does_not_count(change: dict[str, Any]) -> None:
    parse_final(json.dumps(FINAL).encode())
    with pytest.raises(ValueError):
        parse_final(json.dumps({**FINAL, **change}).encode())


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_torn_final_record_does_not_count(cut: int) -> None:
    assert parse_final_or_none(json.dumps(FINAL).encode()[:cut]) is None


@pytest.mark.parametrize(
    "text", ["", "scheduler_id=1\n", f"scheduler_id=1 2\ntoken={TOKEN}\n", f"token={TOKEN}\nscheduler_id=1\n"]
)
def test_a_claim_that_no_script_writes_is_none(text: str) -> None:
    assert parse_claim(text) is None


def test_only_whole_lines_count() -> None:
    assert parse_lines(b'{"a":1}\n{"b":NaN}\n{"c":3}') == ([{"a": 1}], 18)
