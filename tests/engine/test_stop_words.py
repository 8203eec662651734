"""The word ``stop`` reaches whoever may still run, and it is known when it does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gateway.engine.cancel import stop_words


def tell(*folders: Path) -> int:
    text = stop_words([{"a_control_folder": str(folder)} for folder in folders])  # type: ignore[misc]
    return subprocess.run(["/bin/bash", "--noprofile", "--norc", "-s"], input=text.encode(), check=False).returncode


def test_each_run_is_told_and_a_folder_that_is_gone_needs_no_word(tmp_path: Path) -> None:
    first, second, gone = tmp_path / "it's", tmp_path / "b c", tmp_path / "gone"
    first.mkdir()
    second.mkdir()
    assert tell(first, gone, second) == 0
    assert [(folder / "control").read_text() for folder in (first, second)] == ["stop\n", "stop\n"]
    assert not gone.exists()


def test_a_word_that_cannot_be_written_is_told_and_keeps_no_other_back(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    (bad / "control").mkdir(parents=True)
    good.mkdir()
    assert tell(bad, good) == 1
    assert (good / "control").read_text() == "stop\n"
