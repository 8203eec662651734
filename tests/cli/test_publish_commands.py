"""``gateway images publish`` and ``gateway images mirror``, with a gateway that carries it out."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import Gateway
from testbed.mirror import Fault, Mirror
from tests.cli.conftest import CONFIG, Command, served

NAME = "fsl/6.0.3"


@pytest.fixture
def public() -> Iterator[Mirror]:
    with Mirror() as made:
        yield made


@pytest.fixture
def config(config: Path, public: Mirror, tmp_path: Path) -> Path:
    """A gateway with two mirrors in folders that `public` serves."""
    text = CONFIG.format(data=json.dumps(str(config.parent / "data")))
    text = text.replace("[gateway]", '[gateway]\nallow_urls = ["127.0.0.1"]', 1)
    for name in ("a", "b"):
        root = tmp_path / name
        url = public.serve_folder(f"/{name}", root / "images")
        text += f'[stores.{name}]\nkind = "directory"\npath = {json.dumps(str(root))}\npeople = []\n'
        text += f'[[image_mirrors]]\nname = "{name}"\nstore = "{name}"\nurl = "{url}"\nregion = "eu"\n'
    config.write_text(text)
    return config


@pytest.fixture
def driving(config: Path) -> Iterator[Gateway]:
    with served(config, drive=True) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def squashfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small image with odd names and a link in it."""
    folder = tmp_path_factory.mktemp("squashfs")
    tree = folder / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/a tool").write_text("#!/bin/sh\necho tool\n")
    (tree / "bin/back\\slash\nnewline").write_text("odd")
    (tree / "outside").symlink_to("/etc/passwd")
    packed = folder / "image.sqfs"
    argv = ["mksquashfs", tree, packed, "-quiet", "-no-progress", "-all-root"]
    subprocess.run(argv, check=True, capture_output=True)
    return packed


@pytest.mark.usefixtures("driving")
def test_an_image_is_published_and_the_command_says_where_it_is(
    command: Command, public: Mirror, squashfs: Path, tmp_path: Path
) -> None:
    url = public.serve("/origin.sqfs", squashfs)
    assert command("images", "add", NAME, url, "--json").status == 0
    planned = command("images", "publish", NAME, "--dry-run", "--json")
    assert [(one["mirror"], one["action"], one["source"]) for one in planned.json["items"]] == [
        ("a", "upload", url),
        ("b", "upload", url),
    ]
    published = command("images", "publish", NAME, "--json")
    assert published.status == 0, published.err
    assert {(one["mirror"], one["state"]) for one in published.json["items"]} == {
        ("a", "published"),
        ("b", "published"),
    }
    hexadecimal = hashlib.sha256(squashfs.read_bytes()).hexdigest()
    assert (tmp_path / f"b/images/{hexadecimal}.sqfs").read_bytes() == squashfs.read_bytes()
    mirrors = command("images", "mirror", "--json").json["items"]
    assert [(one["name"], one["published"], one["failed"]) for one in mirrors] == [("a", 1, 0), ("b", 1, 0)]
    assert hexadecimal in command("images", "mirror", NAME).out
    again = command("images", "publish", NAME, "--dry-run")
    assert again.out == f"{NAME} to a: none\n{NAME} to b: none\n"
    shown = command("images", "show", NAME, "--json").json
    assert len(shown["mirrors"]) == 3


@pytest.mark.usefixtures("driving")
def test_what_failed_is_told_with_its_cause_and_the_command_ends_with_an_error(
    command: Command, public: Mirror, squashfs: Path
) -> None:
    url = public.serve("/origin.sqfs", squashfs)
    assert command("images", "add", NAME, url, "--json").status == 0
    public.fail("/origin.sqfs", Fault(status=404))
    failed = command("images", "publish", NAME, "--mirror", "a")
    assert failed.status == 4
    assert "can be had nowhere" in failed.out
    assert "404" in failed.out
    assert "1 of 1 publication failed" in failed.err
    assert "404" in command("images", "mirror", "--failed").out
    assert command("images", "publish", "none/1").status == 3
    unknown = command("images", "publish", NAME, "--mirror", "tape")
    assert unknown.status == 5
    assert "only a, b" in unknown.err


@pytest.mark.usefixtures("driving")
def test_a_file_of_this_machine_is_published_once_it_is_proved_to_be_the_image(
    command: Command, squashfs: Path, tmp_path: Path
) -> None:
    added = command("images", "add", NAME, "--file", squashfs, "--source", "s3://tools/fsl.sif", "--json")
    assert added.status == 0, added.err
    other = tmp_path / "other.sqfs"
    other.write_bytes(squashfs.read_bytes() + b"more")
    refused = command("images", "publish", NAME, "--from", other)
    assert refused.status != 0
    assert "has the digest" in refused.err
    published = command("images", "publish", NAME, "--from", squashfs, "--json")
    assert published.status == 0, published.err
    assert [one["state"] for one in published.json["items"]] == ["published", "published"]


@pytest.mark.usefixtures("driving")
def test_an_image_is_published_unpacked_with_lists_of_its_files_and_a_link_by_its_name(
    command: Command, public: Mirror, squashfs: Path, tmp_path: Path
) -> None:
    assert command("images", "add", NAME, public.serve("/origin.sqfs", squashfs), "--json").status == 0
    folder = tmp_path / "shared"
    made = command("images", "publish", NAME, "--unpacked", folder, "--json")
    assert made.status == 0, made.err
    (item,) = made.json["items"]
    tree = Path(item["folder"])
    assert tree.name == hashlib.sha256(squashfs.read_bytes()).hexdigest()
    assert Path(item["link"]) == folder / NAME
    assert (folder / NAME / "bin/a tool").read_text() == "#!/bin/sh\necho tool\n"
    argv = ["sha256sum", "--check", "--strict", "--quiet", item["checksums"]]
    subprocess.run(argv, check=True, cwd=tree)
    listed = Path(item["checksums"]).read_bytes()
    assert listed.count(b"\n") == item["files"]
    assert b"passwd" not in listed.replace(b"./etc/passwd", b""), "links are not followed"
    stood = tree.stat().st_ino
    again = command("images", "publish", NAME, "--unpacked", folder, "--json")
    assert again.json == made.json
    assert tree.stat().st_ino == stood
    (tree / "bin/a tool").unlink()
    assert command("images", "publish", NAME, "--unpacked", folder).status == 0
    assert (folder / NAME / "bin/a tool").is_file()
    folder.chmod(0o777)
    shared = command("images", "publish", NAME, "--unpacked", folder)
    assert shared.status != 0
    assert "can be changed by others" in shared.err
