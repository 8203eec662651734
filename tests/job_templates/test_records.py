"""lib/records.sh by itself: JSON, times, the claim, the final record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HOSTILE = [
    "plain",
    'a "quoted" \\ back',
    "line\nbreak\ttab\r\x07bell\x7f",
    "$(touch pwned) `id` ${HOME} ; rm -rf",
    "élève 漢字 \U0001f600 \u2028",
    "",
    "'",
]


def test_text_becomes_a_json_string_with_the_same_value(bash):
    answer = bash('for text in "$@"; do gw_json "$text"; printf "%s\\n" "$gw_text"; done', "records.sh")
    assert answer.returncode == 0
    for text in HOSTILE:
        answer = bash('gw_json "$TEXT"; printf "%s" "$gw_text"', "records.sh", TEXT=text)
        assert answer.stderr == b""
        assert answer.stdout.isascii()
        assert json.loads(answer.stdout) == text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40).filter(lambda value: b"\0" not in value))
def test_any_bytes_become_valid_json(bash, value):
    answer = bash('gw_json "$TEXT"; printf "%s" "$gw_text"', "records.sh", TEXT=value.decode(errors="surrogateescape"))
    text = json.loads(answer.stdout)
    try:
        assert text == value.decode()
    except UnicodeDecodeError:
        assert "?" in text


def test_long_text_is_cut(bash):
    answer = bash('printf -v text "%09000d" 1; gw_json "$text"; printf "%s" "$gw_text"', "records.sh")
    assert json.loads(answer.stdout).endswith(" (cut)")
    assert len(answer.stdout) < 4100


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("1", 100), ("2.5", 250), ("0.05", 5), ("10.50", 1050), (".5", 50), ("08.09", 809)]
)
def test_decimal_seconds_become_hundredths(bash, text, number):
    assert bash(f"gw_hundredths {text}; echo $gw_number", "records.sh").stdout == f"{number}\n".encode()


def test_a_time_is_rfc3339_in_utc(bash):
    answer = bash('TZ=Asia/Tokyo; gw_now; echo "$gw_at"; unset EPOCHREALTIME; gw_now; echo "$gw_at"', "records.sh")
    first, second = answer.stdout.decode().split()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", second)
    assert abs(int(first[11:13]) - int(second[11:13])) in (0, 1, 23)


def test_a_pause_needs_no_process_and_is_no_busy_loop(bash):
    answer = bash(
        "gw_open_silence; gw_clock; a=$gw_time; gw_pause 0.3; gw_clock; echo $((gw_time - a >= 29))", "records.sh"
    )
    assert answer.stdout == b"1\n"


def test_status_lines_carry_text_and_json(bash, tmp_path: Path):
    text = 'gw_token=t; gw_control=$DIR; gw_status pulling bytes:=7 "source=a=\\"b:=c"; gw_status ended'
    bash(text, "records.sh", DIR=str(tmp_path))
    first, second = map(json.loads, (tmp_path / "status.jsonl").read_text().splitlines())
    assert first | {"at": 0} == {"at": 0, "token": "t", "phase": "pulling", "bytes": 7, "source": 'a="b:=c'}
    assert second["phase"] == "ended"


CLAIM = "gw_open_silence; gw_host=h; gw_control=$DIR; gw_id=$ID; gw_claim; echo $gw_claimed $gw_token"


def test_the_first_claims_and_another_id_finds_it(bash, tmp_path: Path):
    first = bash(CLAIM, "records.sh", DIR=str(tmp_path), ID="1.a").stdout.decode().split()
    assert first[0] == "first"
    assert (tmp_path / "claim").read_text() == f"scheduler_id=1.a\ntoken={first[1]}\n"
    assert bash(CLAIM, "records.sh", DIR=str(tmp_path), ID="2.a").stdout.split()[0] == b"other"
    assert (tmp_path / "claim").read_text() == f"scheduler_id=1.a\ntoken={first[1]}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["claim"]


def test_the_same_id_again_gets_a_new_token_and_puts_the_records_aside(bash, tmp_path: Path):
    first = bash(CLAIM, "records.sh", DIR=str(tmp_path), ID="1.a").stdout.decode().split()
    for name in ("status.jsonl", "payload.out", "control", "job.sh"):
        (tmp_path / name).write_text(name)
    again = bash(CLAIM, "records.sh", DIR=str(tmp_path), ID="1.a").stdout.decode().split()
    assert again[0] == "again"
    assert again[1] != first[1]
    assert sorted(path.name for path in (tmp_path / "run-1").iterdir()) == ["payload.out", "status.jsonl"]
    third = bash(CLAIM, "records.sh", DIR=str(tmp_path), ID="1.a").stdout.decode().split()
    assert third[0] == "again"
    assert (tmp_path / "run-2").is_dir()
    assert (tmp_path / "claim").read_text() == f"scheduler_id=1.a\ntoken={third[1]}\n"


@pytest.mark.parametrize("links", ["allowed", "refused"])
def test_of_many_claims_at_once_exactly_one_is_first(bash, tmp_path: Path, links):
    refuse = "ln() { return 1; };" if links == "refused" else ""
    text = (
        refuse
        + "gw_open_silence; gw_control=$DIR\n"
        + "for i in {1..12}; do (gw_id=$i gw_host=h$i; gw_claim; echo $gw_claimed) & done; wait"
    )
    answer = bash(text, "records.sh", DIR=str(tmp_path))
    assert sorted(answer.stdout.split()) == [b"first"] + [b"other"] * 11


def test_a_claim_in_a_folder_that_cannot_be_written_fails(bash, tmp_path: Path):
    answer = bash(CLAIM, "records.sh", DIR=str(tmp_path / "missing"), ID="1.a")
    assert answer.stdout.split()[0] == b"failed"


@pytest.mark.parametrize(
    ("scheduler", "variables", "expected"),
    [
        ("pbs", {"PBS_JOBID": "18[3].server-1"}, "18[3].server-1"),
        ("slurm", {"SLURM_JOB_ID": "77"}, "77"),
        ("pbs", {"PBS_JOBID": ""}, None),
        ("slurm", {"SLURM_JOB_ID": "7;x"}, None),
    ],
)
def test_the_own_id_comes_from_the_scheduler(bash, scheduler, variables, expected):
    answer = bash(f'gw_scheduler={scheduler}; gw_own_id && printf %s "$gw_id"', "records.sh", **variables)
    assert answer.stdout.decode() == (expected or "")
    assert (answer.returncode == 0) == (expected is not None)


def test_the_own_id_on_a_plain_machine_is_pid_start_and_boot(bash):
    answer = bash('gw_scheduler=direct; gw_own_id; echo "$$ $gw_id"; cat /proc/$$/stat', "records.sh")
    first, stat = answer.stdout.decode().split("\n")[:2]
    pid, found = first.split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    assert found == f"{pid}.{stat.rpartition(')')[2].split()[19]}.{boot}"


def test_the_final_record_is_whole_and_frees_the_reserve(bash, tmp_path: Path):
    (tmp_path / "reserve").write_text("x")
    text = """gw_open_silence; gw_control=$DIR gw_job=j gw_attempt=2 gw_id=1 gw_token=t gw_host=h gw_runtime=''
    gw_claimed_at=c gw_payload_started_at='' gw_payload_ended_at='' gw_passes='{"store":"s"}' gw_manifest=false
    pull_path='/c/"x' pull_digest=sha256:ab pull_cached=true
    gw_final_record not_started '' image_pull_failed 'no "mirror"'"""
    answer = bash(text, "records.sh", DIR=str(tmp_path))
    assert answer.stderr == b""
    record = json.loads((tmp_path / "final.json").read_text())
    assert record["image"] == {"path": '/c/"x', "digest": "sha256:ab", "cached": True}
    assert (record["outcome"], record["exit_code"], record["message"]) == ("not_started", None, 'no "mirror"')
    assert record["passes"] == [{"store": "s"}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final.json"]
