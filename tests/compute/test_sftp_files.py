"""The small files that rclone's sftp needs, written by many jobs of one target at once."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

from gateway.compute.transport import sftp


def test_many_threads_write_the_same_file_and_all_find_it_whole(tmp_path: Path) -> None:
    text, found, failures = "host key\n" * 2000, [], []
    for number in range(20):
        file = tmp_path / "target" / f"known_hosts-{number}"
        begin = threading.Barrier(8)

        def write(file: Path = file, begin: threading.Barrier = begin) -> None:
            begin.wait()
            try:
                sftp._write(file, text)
                found.append(file.read_text() == text)
            except OSError as error:
                failures.append(error)

        threads = [threading.Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert found == [True] * 160
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "target").iterdir()} == {0o600}
    assert len(list((tmp_path / "target").iterdir())) == 20
