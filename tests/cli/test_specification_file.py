"""Specifications in files."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.cli.exits import UsageMistake
from gateway.cli.specification_file import read_specification


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"name": "ü", "command": ["x"]}'),
        ("a", '{"name": "ü", "command": ["x"]}'),
        ("a.toml", 'name = "ü"\ncommand = ["x"]\n'),
        ("a.YAML", "name: ü\ncommand: [x]\n"),
        ("a.yml", "{name: ü, command: [x]}"),
    ],
)
def test_the_ending_says_what_a_file_is(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_specification(str(tmp_path / name)) == {"name": "ü", "command": ["x"]}


def test_a_dash_means_json_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b'{"a": 1}')))
    assert read_specification("-") == {"a": 1}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"{", "not valid JSON"),
        ("a.json", b"[1]", "must be one object"),
        ("a.json", b"\xff", "not UTF-8"),
        ("a.json", b"[" * 100_000, "not valid JSON"),
        ("a.toml", b"a = ", "not valid TOML"),
        ("a.yaml", b"a: [", "not valid YAML"),
        ("a.yaml", b"!!python/object/apply:os.system [true]", "not valid YAML"),
    ],
)
def test_what_is_no_specification_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageMistake, match=reason) as caught:
        read_specification(str(tmp_path / name))
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match=r"gone\.json cannot be read: No such file"):
        read_specification(str(tmp_path / "gone.json"))
