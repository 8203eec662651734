"""The demo's mirror."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.cli.demo.image_server import byte_range, serve_image

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    image = tmp_path / "image"
    image.write_bytes(CONTENT)
    with serve_image(image, "cavity.sqfs", 1e9) as found:
        yield found


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, (0, 9, False)),
        ("bytes=0-3", (0, 3, True)),
        ("bytes=4-", (4, 9, True)),
        ("bytes=4-99", (4, 9, True)),
        ("bytes=-3", (7, 9, True)),
        ("bytes=-99", (0, 9, True)),
        ("bytes=10-", None),
        ("bytes=5-4", None),
        ("bytes=-0", None),
        ("bytes=-", (0, 9, False)),
        ("bytes=0-1,4-5", (0, 9, False)),
        ("lines=1-2", (0, 9, False)),
    ],
)
def test_a_range_is_read_as_http_has_it(header: str | None, found: tuple[int, int, bool] | None) -> None:
    assert byte_range(header, 10) == found


def test_the_image_is_given_whole_and_in_parts(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        whole = client.get(url)
        assert (whole.status_code, whole.content) == (200, CONTENT)
        part = client.get(url, headers={"Range": "bytes=100-299"})
        assert (part.status_code, part.content) == (206, CONTENT[100:300])
        assert part.headers["Content-Range"] == f"bytes 100-299/{len(CONTENT)}"
        head = client.head(url)
        assert (head.headers["Content-Length"], head.headers["Accept-Ranges"]) == (str(len(CONTENT)), "bytes")


def test_nothing_but_the_image_is_given(url: str) -> None:
    base = url.rsplit("/", 1)[0]
    with httpx.Client(trust_env=False) as client:
        for path in ("/", "/image", "/../image", "/cavity.sqfs/", "/cavity.sqfs?x"):
            assert client.get(base + path).status_code == 404
        refused = client.get(url, headers={"Range": f"bytes={len(CONTENT)}-"})
        assert (refused.status_code, refused.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


def test_who_goes_away_in_the_middle_does_not_stop_the_others(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        with client.stream("GET", url) as response:
            next(response.iter_raw())
        assert client.get(url).content == CONTENT
