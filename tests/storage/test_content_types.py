from __future__ import annotations

import pytest

from gateway.storage.content_types import DEFAULT, TEXT, guess


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("VTK/cavity_0.vtk", "application/vnd.vtk"),
        ("case.foam", TEXT),
        ("log.icoFoam", TEXT),
        ("run.LOG", TEXT),
        ("a/b.png", "image/png"),
        ("x.json", "application/json"),
        ("x.tar.gz", "application/gzip"),
        ("x.vtk.gz", "application/gzip"),
        ("noname", DEFAULT),
        (".hidden", DEFAULT),
        ("0.5/U", DEFAULT),
        ("weird.$(x)\n", DEFAULT),
        ("data.csv", "text/csv; charset=utf-8"),
    ],
)
def test_a_name_gives_its_content_type(path: str, expected: str) -> None:
    assert guess(path) == expected
