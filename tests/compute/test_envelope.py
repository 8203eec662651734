"""The envelope by itself, run by a real bash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.compute.transport import envelope
from gateway.errors import ConfigurationError, RemoteCommandFailed, RemoteTimeout

NONCE = "ab" * 16


def bash(sent: bytes, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        envelope.COMMAND.split(),
        input=sent,
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", **(env or {})},
    )


def answer(
    script: str, data: bytes = b"", *, env: dict[str, str] | None = None, outside: dict[str, str] | None = None
) -> envelope.Answer:
    done = bash(envelope.wrap(script, NONCE, env or {}, None) + data, outside)
    return envelope.unwrap(done.stdout, done.stderr, NONCE)


def test_a_script_gets_its_data_and_gives_back_both_streams_and_its_status() -> None:
    got = answer("cat; echo oops >&2; exit 7", b"a\0b\nexit 3\n")
    assert (got.stdout, got.stderr, got.exit_status) == (b"a\0b\nexit 3\n", b"oops\n", 7)


def test_data_is_never_run_as_script() -> None:
    assert answer("true", b"echo ran\n").stdout == b""


def test_a_script_may_exec_another_program_and_still_has_a_status() -> None:
    assert answer("exec sh -c 'exit 5'").exit_status == 5


@pytest.mark.parametrize("script", ["}", "fi; echo x", "echo 'open", ")", "cat <<E\nx", "if true"])
def test_a_script_that_does_not_parse_fails_inside_the_envelope(script: str) -> None:
    got = answer(script)
    assert got.exit_status != 0 or script.startswith("cat <<")


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200))
def test_variables_arrive_byte_for_byte(value: str) -> None:
    assert answer('printf "%s" "$V"', env={"V": value}).stdout == value.encode()


@pytest.mark.parametrize("name", ["A B", "1A", "A;B", "", "A=B", "é"])
def test_a_name_that_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        envelope.wrap("true", NONCE, {name: "x"}, None)


def test_the_folders_of_the_target_come_first_in_path() -> None:
    done = bash(envelope.wrap('echo "$PATH"', NONCE, {}, "/opt/p b:/x"))
    assert envelope.unwrap(done.stdout, done.stderr, NONCE).stdout == b"/opt/p b:/x:/usr/bin:/bin\n"


def test_what_start_up_files_left_does_not_change_scripts(tmp_path: object) -> None:
    rc = f"{tmp_path}/rc"
    with Path(rc).open("w") as file:
        file.write(
            "echo hello; set -eufC; alias ls=false; printf() { echo fake; }; cd() { echo fake; }\nexport -f cd\n"
        )
    got = answer(
        f"false; echo \"$undefined\" {tmp_path}/r*; : >{tmp_path}/rc2; : >{tmp_path}/rc2; cd /; bash -c 'echo child'",
        outside={"BASH_ENV": rc, "CDPATH": "/", "GREP_OPTIONS": "--color"},
    )
    assert got.stdout == f" {rc}\nchild\n".encode()
    assert (got.stderr, got.exit_status) == (b"", 0)
    assert b"hello" in got.noise


def test_an_answer_without_markers_shows_what_was_seen() -> None:
    with pytest.raises(RemoteCommandFailed, match="This account is currently not available") as caught:
        envelope.unwrap(b"This account is currently\x1b not available." + b"x" * 5000, b"", NONCE)
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "cut", [b"", b"partial", b"x\n@" + NONCE.encode() + b"@ end ", b"x\n@" + NONCE.encode() + b"@ end 12"]
)
def test_an_answer_that_is_cut_off_is_a_time_out(cut: bytes) -> None:
    with pytest.raises(RemoteTimeout):
        envelope.unwrap(f"noise\n@{NONCE}@ begin\n".encode() + cut, b"", NONCE)


def test_a_script_that_prints_something_like_a_marker_changes_nothing() -> None:
    got = answer(f"echo '@{'cd' * 16}@ end 0'; exit 4")
    assert (got.stdout, got.exit_status) == (f"@{'cd' * 16}@ end 0\n".encode(), 4)


LONG = f": {'x' * envelope.LONG}\n"


def test_a_long_script_runs_as_a_short_one_does() -> None:
    got = answer(LONG + 'cat; echo "$# é" >&2; exit 7\n\n', b"a\0b\nexit 3\n")
    assert (got.stdout, got.stderr, got.exit_status) == (b"a\0b\nexit 3\n", "0 é\n".encode(), 7)
    done = bash(envelope.wrap(LONG + "cat; echo done", NONCE, {}, None, has_data=False))
    assert envelope.unwrap(done.stdout, done.stderr, NONCE).stdout == b"done\n"


@pytest.mark.parametrize("lost", [1, 9, 1000])
def test_a_long_script_that_is_cut_off_does_not_run(lost: int, tmp_path: Path) -> None:
    sent = envelope.wrap(f"{LONG}touch {tmp_path}/ran\n{LONG}exit 0", NONCE, {}, None)
    done = bash(sent[:-lost])
    assert not (tmp_path / "ran").exists()
    with pytest.raises(RemoteTimeout):
        envelope.unwrap(done.stdout, done.stderr, NONCE)


def test_bash_does_not_read_a_long_script_byte_by_byte() -> None:
    sent = envelope.wrap(LONG * 100, NONCE, {}, None)
    command, _, _ = sent.partition(b": xx")
    assert len(command) < envelope.LONG
