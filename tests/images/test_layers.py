"""Layers on top of each other: what they leave, and what they must not reach."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from oci_layers import Layer, save

from gateway.errors import ImageError
from gateway.images import converting, layers
from gateway.images.manifests import Config
from gateway.images.tree import FOLDERS


def merged(folder: Path, *made: Layer | bytes) -> dict[str, str]:
    """Return what layers leave: path -> contents, ``-> target`` of links, ``/`` for folders."""
    files = save(folder, *made)
    tree = layers.merge(files)
    stream = io.BytesIO()
    layers.write(tree, files, stream, lambda _: None)
    stream.seek(0)
    found = {}
    with tarfile.open(fileobj=stream) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            found[member.name] = (
                content.read().decode()
                if content
                else "/"
                if member.isdir()
                else f"-> {member.linkname}"
                if member.issym()
                else f"= {member.linkname}"
            )
    return found


def test_later_layers_win_and_folders_are_merged(tmp_path: Path) -> None:
    assert merged(
        tmp_path,
        Layer().folder("a").file("a/kept", "1").file("a/changed", "1").file("b/implied", "1"),
        Layer().folder("a", 0o700).file("a/changed", "2").file("./a/new", "2").file("/absolute", "2"),
    ) == {
        "a": "/",
        "a/kept": "1",
        "a/changed": "2",
        "a/new": "2",
        "absolute": "2",
        "b": "/",
        "b/implied": "1",
    }


@pytest.mark.parametrize("late", [False, True])
def test_a_whiteout_hides_lower_layers_and_never_its_own_wherever_it_stands(tmp_path: Path, late: bool) -> None:
    lower = Layer().file("gone", "1").file("d/x", "1").file("d/y", "1").file("back", "1")
    upper = Layer()
    if not late:
        upper.file(".wh.gone").file(".wh.d").file(".wh.back")
    upper.file("back", "2").file("d/new", "2")
    if late:
        upper.file(".wh.gone").file(".wh.d").file(".wh.back")
    assert merged(tmp_path, lower, upper) == {"back": "2", "d": "/", "d/new": "2"}


@pytest.mark.parametrize("late", [False, True])
def test_an_opaque_folder_keeps_only_what_its_own_layer_has(tmp_path: Path, late: bool) -> None:
    lower = Layer().folder("d").file("d/old", "1").file("d/sub/old", "1").file("other", "1")
    upper = Layer().folder("d")
    if not late:
        upper.file("d/.wh..wh..opq")
    upper.file("d/new", "2").file("d/sub/new", "2")
    if late:
        upper.file("d/.wh..wh..opq")
    top = Layer().file("d/top", "3")
    assert merged(tmp_path, lower, upper, top) == {
        "d": "/",
        "d/new": "2",
        "d/sub": "/",
        "d/sub/new": "2",
        "d/top": "3",
        "other": "1",
    }


def test_files_and_folders_and_links_take_each_others_place(tmp_path: Path) -> None:
    lower = Layer().file("a", "1").file("b/x", "1").link("c", "b").folder("d").file("d/x", "1")
    upper = Layer().folder("a").file("a/x", "2").file("b", "2").folder("c").file("c/x", "2").link("d", "a")
    assert merged(tmp_path, lower, upper) == {
        "a": "/",
        "a/x": "2",
        "b": "2",
        "c": "/",
        "c/x": "2",
        "d": "-> a",
    }


def test_hard_links_hold_over_layers_also_when_the_first_name_goes(tmp_path: Path) -> None:
    found = merged(
        tmp_path,
        Layer().file("one", "content", 0o755).hard("two", "one").hard("three", "/one"),
        Layer().hard("four", "two").file(".wh.one").link("s", "four").hard("s2", "s"),
    )
    assert found == {"four": "content", "three": "= four", "two": "= four", "s": "-> four", "s2": "-> four"}


def test_what_lies_behind_a_link_of_a_lower_layer_lands_where_the_link_leads(tmp_path: Path) -> None:
    found = merged(
        tmp_path,
        Layer().folder("usr/lib").link("lib", "usr/lib").link("opt", "/usr/local/../lib").folder("usr/local"),
        Layer().file("lib/libc.so", "2").file("opt/tool", "2").file("usr/lib/old", "2"),
        Layer().file("lib/.wh.old"),
    )
    assert found["usr/lib/libc.so"] == "2"
    assert found["usr/lib/tool"] == "2"
    assert "usr/lib/old" not in found
    assert found["lib"] == "-> usr/lib"


def test_links_never_lead_out_of_the_tree(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    found = merged(
        tmp_path,
        Layer().link("up", "../../../../../..").link("there", str(outside)).file("up/etc/passwd", "x"),
        Layer().file("there/file", "x"),
    )
    assert found["etc/passwd"] == "x"
    assert found[f"{outside}/file".lstrip("/")] == "x"
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Layer().file("../../etc/passwd", "x"), "leads out of the image"),
        (Layer().file("a/../../b", "x"), "leads out of the image"),
        (Layer().hard("a", "../../etc/passwd"), "leads out of the image"),
        (Layer().hard("a", "nothing"), "hard link to what is not there"),
        (Layer().folder("d").hard("a", "d"), "hard link to what is not there"),
        (Layer().link("a", "b").link("b", "a").file("a/x", "x"), "in a circle"),
        (Layer().file(".wh.."), "whiteout of nothing"),
        (Layer().file("a/" * 300 + "b"), "folders in folders"),
        (Layer().file("x" * 300), "no file system takes"),
        (b"no tar at all", "layer 1 of the image cannot be read"),
        (gzip.compress(b"no tar at all" * 100, mtime=0), "layer 1 of the image cannot be read"),
        (Layer().file("a", "x" * 5000).packed()[:-20], "layer 1 of the image cannot be read"),
        (Layer().file("a", "x" * 50_000).tar()[:2000], "layer 1 of the image cannot be read"),
    ],
    ids=range(13),
)
def test_broken_and_hostile_layers_are_refused_with_the_reason(
    tmp_path: Path, layer: Layer | bytes, words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        merged(tmp_path, layer)


def test_headers_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**30
    with pytest.raises(ImageError, match="too large"):
        merged(tmp_path, info.tobuf() + b"\0" * 2048)
    info.type, info.size = b"S", 10
    with pytest.raises(ImageError, match="of a kind"):
        merged(tmp_path, info.tobuf() + b"\0" * 2048)


def test_layers_that_unpack_to_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_UNPACKED", 100_000)
    with pytest.raises(ImageError, match="unpack to more"):
        merged(tmp_path, Layer().file("a", bytes(60_000)), Layer().file("b", bytes(60_000)))
    monkeypatch.setattr(layers, "MAX_ENTRIES", 20)
    with pytest.raises(ImageError, match="more than 20 files"):
        merged(tmp_path, Layer().file("a/" * 30 + "b"))


def test_devices_and_records_of_other_file_systems_are_left_out(tmp_path: Path) -> None:
    assert merged(tmp_path, Layer().device("dev/null").file(".wh..wh.plnk/x").file("a", "1")) == {"a": "1"}


def test_a_layer_packed_by_zstd_and_one_that_is_not_packed_are_read(tmp_path: Path) -> None:
    plain = Layer().file("a", "1").tar()
    packed = subprocess.run(["zstd", "-qc"], input=Layer().file("b", "2").tar(), stdout=subprocess.PIPE, check=True)
    assert merged(tmp_path, plain, packed.stdout) == {"a": "1", "b": "2"}
    with pytest.raises(ImageError, match="cannot be read"):
        merged(tmp_path, packed.stdout[:-4])


async def test_the_squashfs_has_all_of_it_and_what_runtimes_need(tmp_path: Path) -> None:
    lower = (
        Layer()
        .folder("bin")
        .file("bin/tool", "#!/bin/sh\n", 0o4755)
        .hard("bin/same", "bin/tool")
        .file("secret", "x", 0o600)
        .folder("locked", 0o000)
        .link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
        .file("etc/hosts", "of the image")
        .file("odd name\n\udcff", "odd")
        .link("var/tmp", "/tmp")
    )
    upper = Layer().file("bin/tool", "new", 0o755)
    config = Config((("PATH", "/opt/it's/bin:/bin"), ("LD_LIBRARY_PATH", "/opt/lib")), (("org.name", "tool"),))
    said: list[str] = []
    twice = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        conversion = converting.Conversion(folder, tuple(save(folder, lower, upper)), config)
        twice.append(await converting.convert_beside(conversion, said.append))
    assert twice[0].digest == twice[1].digest
    assert "reading layer 2 of 2" in said
    root = tmp_path / "root"
    subprocess.run(["unsquashfs", "-q", "-n", "-no-xattrs", "-d", root, twice[0].path], check=True, capture_output=True)
    assert (root / "bin/tool").read_text() == "new"
    assert (root / "bin/same").read_text() == "#!/bin/sh\n"
    assert (root / "bin/same").stat().st_mode & 0o7777 == 0o755
    assert (root / "secret").stat().st_mode & 0o7777 == 0o644
    assert (root / "locked").stat().st_mode & 0o7777 == 0o755
    assert (root / "etc/hosts").read_text() == "of the image"
    assert not (root / "etc/resolv.conf").is_symlink()
    assert (root / "odd name\n\udcff").read_text() == "odd"
    assert all((root / place.lstrip("/")).exists() or place == "/var/tmp" for place in FOLDERS)
    script = f'. {root}/.singularity.d/env/10-docker2singularity.sh; echo "$PATH $LD_LIBRARY_PATH"'
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == "/opt/it's/bin:/bin /opt/lib\n"


async def test_a_conversion_that_fails_says_why(tmp_path: Path) -> None:
    conversion = converting.Conversion(tmp_path, tuple(save(tmp_path, Layer().hard("a", "b"))), Config())
    with pytest.raises(ImageError, match="hard link to what is not there"):
        await converting.convert_beside(conversion, lambda _: None)
