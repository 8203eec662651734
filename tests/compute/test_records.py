"""Reading records, whole, torn and forged, by one command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compute.records import CHUNK, RecordRequest, RecordUpdate, parse_records, records_section
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
    return parse_records((await local.run(records_section(requests))).stdout)


async def test_everything_of_an_attempt_is_read(local: LocalTransport, tmp_path: Path) -> None:
    made = folder(
        tmp_path,
        "j",
        claim=f"scheduler_id=12.pbs\ntoken={TOKEN}\n",
        final__json=json.dumps(FINAL),
        status__jsonl='{"phase":"claimed"}\n{"phase":"running"}\n{"phase":"tor',
        sync__jsonl='{"msg":"Copied (new)"}\nnot json\n[1]\n',
        sync__state="idle\npass\nfinal\n",
        payload__out="12345",
        payload__err="",
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
    assert update.sizes == {"payload.out": 5, "payload.err": 0}
    assert update.sync_state == "final"
    assert update.manifest == b'{"version":1}'


async def test_the_next_look_brings_only_what_is_new(local: LocalTransport, tmp_path: Path) -> None:
    made = folder(tmp_path, "j", status__jsonl='{"phase":"claimed"}\n')
    offsets = (await look(local, RecordRequest(made)))[made].offsets
    quiet = (await look(local, RecordRequest(made, offsets)))[made]
    assert (quiet.status_lines, quiet.offsets) == ([], {})
    with Path(made, "status.jsonl").open("a") as file:
        file.write('{"phase":"running"}\n')
    again = (await look(local, RecordRequest(made, offsets)))[made]
    assert [line["phase"] for line in again.status_lines] == ["running"]
    assert again.offsets == {"status.jsonl": 40}


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
        folder(tmp_path, "h1", claim=forged, status__jsonl=forged, final__json=forged, sync__state=forged),
        folder(tmp_path, "h2", claim=b"\0\xff" * 9, final__json=os.urandom(5000), status__jsonl=os.urandom(9000)),
        folder(tmp_path, "h3 $(touch x); 'q'", claim="scheduler_id=1\ntoken=short\n"),
        folder(tmp_path, "h4", final__json=b"[" * 70_000, sync__state="x" * 9000 + "\ndone\n"),
        str(tmp_path / ".gateway/none/1"),
    ]
    linked = Path(folder(tmp_path, "h5"))
    for name in ("status.jsonl", "final.json", "claim", "sync.state"):
        (linked / name).symlink_to(secret)
    folders = [*plain, *hostile, str(linked)]
    script = RemoteScript()
    script.add("records", records_section([RecordRequest(path) for path in folders]))
    result = await local.run(script.text)
    found = parse_records(script.parse(result)["records"].stdout)
    assert list(found) == folders
    for number, path in enumerate(plain):
        assert found[path].claim == Claim(str(number), TOKEN)
        assert found[path].status_lines == [{"phase": str(number)}]
    for path in (*hostile, str(linked)):
        update = found[path]
        assert (update.claim, update.final, update.status_lines) == (None, None, [])
    assert found[hostile[3]].sync_state == "done"
    assert not found[hostile[4]].exists
    assert b"secret" not in result.stdout
    assert script.parse(result)["records"].stderr == b""


@pytest.mark.real
async def test_records_are_read_at_a_hostile_site(hostile_site: SshSite, make_ssh: Callable[..., SshTransport]) -> None:
    made = f"{hostile_site.home}/w/.gateway/j/1"
    claim = f"scheduler_id=5\\ntoken={TOKEN}\\n"
    hostile_site.check(f"mkdir -p '{made}' && cd '{made}' && printf '{claim}' >claim && echo idle >sync.state")
    found = parse_records((await make_ssh(hostile_site).run(records_section([RecordRequest(made)]))).stdout)
    assert (found[made].claim, found[made].sync_state) == (Claim("5", TOKEN), "idle")


@pytest.mark.parametrize("stdout", [b"", b"folder /a\n", b"folder /a\nchunk status.jsonl 0\n 7b 7d"])
def test_an_answer_that_is_cut_off_says_nothing(stdout: bytes) -> None:
    with pytest.raises(RemoteCommandFailed):
        parse_records(stdout)


@given(st.binary(max_size=300))
def test_no_answer_makes_the_reader_crash(noise: bytes) -> None:
    parse_records(b"folder /a\n" + noise + b"\n.\nend\n")


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
