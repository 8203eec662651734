"""Building images: a stand-in for mmdebstrap gives the packages' files, everything else is real."""

from __future__ import annotations

import getpass
import io
import json
import os
import subprocess
import tarfile
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.errors import ImageError, MissingProgram
from gateway.images import build
from gateway.images.build import BuiltImage, Machine, build_image
from gateway.images.debian import choose_suite, package_sources, parse_apt_settings, suites_of
from gateway.images.recipe import load_recipe, read_added_files
from gateway.images.tree import Plan, rewrite_tree

SHIPPED = Path(__file__).parents[2] / "job_templates/cases"

RECIPE = """\
name: tool
suite: bookworm
packages: [python3-minimal]
files:
  - {source: solver/tool.py, destination: /usr/local/lib/tool/tool.py, executable: true}
links:
  /usr/local/bin/tool: /usr/local/lib/tool/tool.py
remove: [/usr/lib/perl, "/usr/lib/python3/**/tests"]
"""

INSTALLED = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/resolv.conf": "nameserver 192.0.2.1\n",
    "etc/hostname": "builder\n",
    "usr/bin/python3": "ELF",
    "usr/lib/perl/strict.pm": "perl",
    "usr/lib/python3/numpy/core.py": "core",
    "usr/lib/python3/numpy/linalg/tests/test_solve.py": "test",
    "usr/lib/python3/numpy/__pycache__/core.pyc": "bytecode",
    "usr/share/doc/bash/changelog": "news",
    "usr/share/doc/bash/copyright": "GPL",
    "usr/share/man/man1/bash.1": "manual",
    "var/cache/apt/pkgcache.bin": "cache",
    "var/lib/dpkg/status": "Package: bash\n",
}


def packages_tar(modified: int = 1) -> bytes:
    """A tar file as mmdebstrap writes it, with what ordinary users cannot unpack."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:

        def add(name: str, kind: bytes, mode: int = 0o755, content: bytes = b"", target: str = "") -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
            entry.mtime, entry.uid, entry.uname = modified, 7, "someone"
            tar.addfile(entry, io.BytesIO(content))

        folders = {f"./{'/'.join(name.split('/')[:n])}" for name in INSTALLED for n in range(1, name.count("/") + 1)}
        for folder in ["./", "./dev", "./root", *sorted(folders)]:
            add(folder, tarfile.DIRTYPE, 0o700 if folder == "./root" else 0o755)
        add("./dev/null", tarfile.CHRTYPE, 0o666)
        for name, text in INSTALLED.items():
            add(f"./{name}", tarfile.REGTYPE, 0o600, text.encode())
        add("./usr/bin/su", tarfile.REGTYPE, 0o4755, b"ELF")
        add("./usr/bin/python3.11", tarfile.LNKTYPE, 0o755, target="./usr/bin/python3")
        add("./bin", tarfile.SYMTYPE, 0o777, target="usr/bin")
    return stream.getvalue()


@dataclass
class Bench:
    """A case with a recipe, and a machine whose mmdebstrap is a stand-in."""

    root: Path

    def __post_init__(self) -> None:
        self.case, self.built = self.root / "case", self.root / "built"
        self.recipe = self.write("case/image/recipe.yaml", RECIPE)
        self.write("case/solver/tool.py", "print('hello')\n")
        self.write("etc/apt/sources.list", "deb http://deb.example.org/debian bookworm main\n")
        for name in ("subuid", "subgid"):
            self.write(f"etc/{name}", f"{getpass.getuser()}:100000:65536\n")
        self.packages = self.root / "packages.tar"
        self.packages.write_bytes(packages_tar())
        self.calls = self.root / "calls"
        self.installs(f"cat {self.packages}")
        self.machine = Machine(etc=self.root / "etc", mmdebstrap=str(self.root / "mmdebstrap"))
        self.said: list[str] = []

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def program(self, name: str, body: str) -> Path:
        path = self.write(name, f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def installs(self, body: str) -> None:
        """Let mmdebstrap do this, after the lines that it usually prints."""
        report = 'echo "I: running apt-get update..." >&2; echo "I: installing remaining packages" >&2'
        self.program("mmdebstrap", f'echo "$@" >>{self.calls}\n{report}\n{body}')

    def build(self) -> BuiltImage:
        return build_image(self.recipe, self.built, self.said.append, machine=self.machine)

    def runs(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    def left(self) -> list[str]:
        return sorted(path.suffix for path in self.built.iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def unpacked(image: BuiltImage, folder: Path) -> Path:
    subprocess.run(["unsquashfs", "-q", "-n", "-d", folder, image.path], check=True, capture_output=True)
    return folder


def test_an_image_holds_the_packages_the_added_files_and_the_mount_points(bench: Bench) -> None:
    root = unpacked(bench.build(), bench.root / "image")

    assert (root / "usr/bin/python3.11").read_text() == "ELF"
    assert str((root / "bin").readlink()) == "usr/bin"
    assert (root / "usr/local/lib/tool/tool.py").read_text() == "print('hello')\n"
    assert os.access(root / "usr/local/lib/tool/tool.py", os.X_OK)
    assert str((root / "usr/local/bin/tool").readlink()) == "/usr/local/lib/tool/tool.py"
    assert all((root / name).is_dir() for name in ("dev", "proc", "sys", "tmp", "run", "job", "home"))
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert root.stat().st_mode & 0o7777 == 0o755


def test_an_image_tells_nothing_of_the_machine_that_built_it(bench: Bench) -> None:
    root = unpacked(bench.build(), bench.root / "image")

    assert (root / "etc/resolv.conf").read_text() == ""
    assert (root / "etc/hosts").read_text().startswith("127.0.0.1 localhost")
    assert (root / "etc/hostname").read_text() == ""


def test_an_image_leaves_out_what_no_container_needs(bench: Bench) -> None:
    root = unpacked(bench.build(), bench.root / "image")
    kept = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    assert "usr/share/doc/bash/copyright" in kept
    assert "var/lib/dpkg/status" in kept
    assert "usr/lib/python3/numpy/core.py" in kept
    words = ("dev/", "perl", "tests", "pycache", "changelog", "man1", "cache")
    assert [name for name in kept if any(word in name for word in words)] == []


def test_what_a_recipe_keeps_is_spared_by_its_own_removals_and_by_no_others(bench: Bench) -> None:
    text = RECIPE.replace("/usr/lib/perl,", '/usr/lib/perl, "/usr/lib/python3/numpy/*", "/usr/bin/*",')
    spared = "[/usr/lib/perl/strict.pm, /usr/lib/python3/numpy/core.py, /usr/bin/python*, /var/cache/apt/pkgcache.bin]"
    bench.recipe.write_text(f"{text}keep: {spared}\n")
    root = unpacked(bench.build(), bench.root / "image")
    kept = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    assert {"usr/lib/python3/numpy/core.py", "usr/bin/python3", "usr/bin/python3.11"} <= kept
    assert not {"usr/bin/su", "usr/lib/perl/strict.pm", "var/cache/apt/pkgcache.bin"} & kept


def test_everyone_can_read_an_image_and_nothing_in_it_raises_rights(bench: Bench) -> None:
    root = unpacked(bench.build(), bench.root / "image")

    assert (root / "etc/passwd").stat().st_mode & 0o7777 == 0o644
    assert (root / "root").stat().st_mode & 0o7777 == 0o755
    assert (root / "usr/bin/su").stat().st_mode & 0o7777 == 0o755


def test_the_same_packages_give_the_same_bytes(bench: Bench) -> None:
    first = bench.build()
    bench.packages.write_bytes(packages_tar(modified=1_800_000_000))
    bench.built = bench.root / "elsewhere"

    second = bench.build()

    assert bench.runs() == 2
    assert second.digest == first.digest
    assert (second.digest, second.size) == (build._digest(second.path), second.path.stat().st_size)


def test_a_second_build_takes_the_image_that_is_there(bench: Bench) -> None:
    assert bench.build() == bench.build()
    assert bench.runs() == 1
    assert bench.left() == [".json", ".lock", ".sqfs"]
    assert bench.said[-1] == "the image tool is there already"


def test_a_changed_file_or_recipe_gives_another_image(bench: Bench) -> None:
    images = {bench.build().path}
    bench.write("case/solver/tool.py", "print('hello again')\n")
    images.add(bench.build().path)
    bench.recipe.write_text(RECIPE.replace("[python3-minimal]", "[python3-minimal, python3-numpy]"))
    images.add(bench.build().path)

    assert len(images) == bench.runs() == 3


@pytest.mark.parametrize("damage", ["shorter", "other bytes", "no record"])
def test_a_damaged_image_is_built_again(bench: Bench, damage: str) -> None:
    built = bench.build()
    whole = built.path.read_bytes()
    if damage == "no record":
        built.path.with_suffix(".json").unlink()
    else:
        built.path.write_bytes(whole[:-1] if damage == "shorter" else b"x" + whole[1:])

    assert bench.build() == built
    assert bench.runs() == 2
    assert built.path.read_bytes() == whole


def test_two_builders_at_once_build_once(bench: Bench) -> None:
    bench.installs(f"sleep 0.3; cat {bench.packages}")
    images: list[BuiltImage] = []
    builders = [threading.Thread(target=lambda: images.append(bench.build())) for _ in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()

    assert bench.runs() == 1
    assert len(images) == 4
    assert len(set(images)) == 1


def test_a_build_passes_on_the_sources_and_packages(bench: Bench) -> None:
    bench.build()

    words = bench.calls.read_text().split()
    assert words[-3:] == ["bookworm", "-", str(bench.root / "etc/apt/sources.list")]
    assert "--mode=unshare" in words
    assert any(word.startswith("--include=python3-minimal") for word in words)


def test_progress_names_the_steps(bench: Bench) -> None:
    bench.build()

    assert bench.said == [
        "building the image tool from Debian bookworm packages",
        "reading the package lists",
        "installing python3-minimal",
    ]


def test_a_failed_installation_says_why_and_leaves_nothing(bench: Bench) -> None:
    bench.installs('echo "I: something" >&2; echo "E: Unable to locate package nonsense" >&2; exit 100')

    with pytest.raises(ImageError, match="Unable to locate package nonsense"):
        bench.build()
    assert bench.left() == [".lock"]


def test_a_failed_packer_ends_the_build_and_leaves_nothing(bench: Bench) -> None:
    packer = bench.program("packer", 'echo "FATAL ERROR: no space left" >&2; exit 1')
    bench.machine = Machine(etc=bench.machine.etc, mmdebstrap=bench.machine.mmdebstrap, mksquashfs=str(packer))
    bench.installs(f"cat {bench.packages}; head -c 4000000 /dev/zero")

    with pytest.raises(ImageError, match="no space left"):
        bench.build()
    assert bench.left() == [".lock"]


def test_a_stream_that_is_cut_off_is_no_image(bench: Bench) -> None:
    bench.installs(f"head -c 3000 {bench.packages}")

    with pytest.raises(ImageError, match="could not be packed"):
        bench.build()
    assert bench.left() == [".lock"]


def test_an_interrupted_build_ends_its_children_and_leaves_nothing(bench: Bench) -> None:
    pids = bench.root / "pids"
    bench.installs(f"sleep 600 & echo $! $$ >{pids}; echo 'I: creating tarball' >&2; wait")

    def interrupt(step: str) -> None:
        if step == "packing the image":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_image(bench.recipe, bench.built, interrupt, machine=bench.machine)

    assert bench.left() == [".lock"]
    numbers = pids.read_text().split()
    assert len(numbers) == 2
    running = [number for number in numbers if _is_running(int(number))]
    assert running == []


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


def test_what_a_killed_build_left_is_removed_by_the_next(bench: Bench) -> None:
    built = bench.build()
    built.path.unlink()
    leftover = bench.built / f".{built.path.stem}.building"
    leftover.mkdir()
    (leftover / "image.sqfs").write_text("half")

    assert bench.build() == built
    assert not leftover.exists()


def test_a_missing_program_comes_with_the_line_that_installs_it(bench: Bench) -> None:
    bench.machine = Machine(etc=bench.machine.etc, mmdebstrap="/nowhere/mmdebstrap", mksquashfs="/nowhere/mksquashfs")

    with pytest.raises(MissingProgram, match="mmdebstrap and mksquashfs") as caught:
        bench.build()
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("apt-get install -y --no-install-recommends mmdebstrap squashfs-tools")


def test_missing_subordinate_ids_come_with_the_line_that_adds_them(tmp_path: Path) -> None:
    table = tmp_path / "subuid"
    table.write_text("other:100000:65536\nthird:165536:65536\n")

    with pytest.raises(ImageError, match="no subordinate ids for alice") as caught:
        build._require_subordinate_ids(table, "alice", 1000)
    assert caught.value.hint is not None
    assert "--add-subuids 231072-296607 --add-subgids 231072-296607 alice" in caught.value.hint


@pytest.mark.parametrize("owner", ["alice", "1000"])
def test_subordinate_ids_are_found_by_name_and_by_number(tmp_path: Path, owner: str) -> None:
    table = tmp_path / "subuid"
    table.write_text(f"{owner}:100000:65536\n")

    build._require_subordinate_ids(table, "alice", 1000)


def test_both_formats_of_package_sources_are_read(tmp_path: Path) -> None:
    lines = tmp_path / "sources.list"
    lines.write_text("# comment\ndeb [arch=amd64 signed-by=/k.gpg] http://m/debian trixie main\ndeb-src http://m x y\n")
    blocks = tmp_path / "debian.sources"
    blocks.write_text("Types: deb\nURIs: http://m/debian\nSuites: bookworm bookworm-updates\nComponents: main\n")

    assert suites_of(lines) == ["trixie"]
    assert suites_of(blocks) == ["bookworm", "bookworm-updates"]
    assert choose_suite("bookworm", [lines, blocks]) == "bookworm"
    assert choose_suite("bookworm", [lines]) == "trixie"


def test_only_the_distributions_own_sources_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "apt/sources.list.d"
    folder.mkdir(parents=True)
    (tmp_path / "apt/sources.list").write_text("# moved to debian.sources\n")
    (folder / "debian.sources").write_text("Suites: bookworm\n")
    (folder / "vendor.list").write_text("deb http://vendor.example.org/apt stable main\n")

    assert package_sources(tmp_path) == [folder / "debian.sources"]
    (folder / "debian.sources").unlink()
    assert package_sources(tmp_path) == [folder / "vendor.list"]
    (folder / "vendor.list").unlink()
    with pytest.raises(ImageError, match="no Debian package sources"):
        package_sources(tmp_path)


def test_a_proxy_goes_by_the_environment_because_it_may_hold_a_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    dumped = (
        'APT::Architecture "amd64";\nAcquire::http::Proxy "http://me:secret@proxy:3128";\n'
        'Acquire::Check-Date "false";\nAcquire::Languages "en";\n'
    )

    settings = parse_apt_settings(dumped)

    assert settings.environment == {"http_proxy": "http://me:secret@proxy:3128"}
    assert settings.options == ('Acquire::Check-Date "false"',)


def test_a_wrong_recipe_is_refused_with_every_mistake(bench: Bench) -> None:
    bench.recipe.write_text(
        "name: tool\nsuite: bookworm\npackages: ['--option', python3]\nextra: 1\n"
        "files: [{source: ../../secret, destination: relative}]\n"
    )

    with pytest.raises(ImageError) as caught:
        bench.build()
    for place in ("packages.0", "extra", "files.0.source", "files.0.destination"):
        assert f"{place}:" in str(caught.value)
    assert bench.runs() == 0


@pytest.mark.parametrize("text", ["", "[1, 2]", "name: [", "\x00"])
def test_what_is_no_recipe_is_refused(bench: Bench, text: str) -> None:
    bench.recipe.write_text(text)

    with pytest.raises(ImageError, match=r"recipe\.yaml"):
        bench.build()


def test_a_link_out_of_the_cases_folder_is_refused(bench: Bench) -> None:
    (bench.root / "secret").write_text("secret")
    (bench.case / "solver/tool.py").unlink()
    (bench.case / "solver/tool.py").symlink_to(bench.root / "secret")

    with pytest.raises(ImageError, match="outside the case's folder"):
        bench.build()


def test_a_hard_link_to_a_removed_file_is_an_error_and_not_an_empty_file() -> None:
    class Kept(io.BytesIO):
        def close(self) -> None:
            pass

    with pytest.raises(tarfile.TarError, match=r"python3\.11 is a hard link"):
        rewrite_tree(io.BytesIO(packages_tar()), Kept(), Plan(remove=("/usr/bin/python3",)))


def test_a_failure_on_the_way_is_not_blamed_on_the_packages(bench: Bench) -> None:
    bench.recipe.write_text(RECIPE.replace("/usr/lib/perl", "/usr/bin/python3"))
    bench.installs(f"cat {bench.packages}; head -c 4000000 /dev/zero || exit 1")

    with pytest.raises(ImageError, match=r"could not be packed: /usr/bin/python3\.11 is a hard link"):
        bench.build()
    assert bench.left() == [".lock"]


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/image/recipe.yaml")), ids=lambda path: path.parts[-3])
def test_the_recipes_of_the_shipped_cases_are_complete(path: Path) -> None:
    recipe = load_recipe(path)

    added = read_added_files(recipe, path.parent.parent)

    assert set(recipe.links.values()) <= set(added)


def test_the_record_beside_an_image_describes_it(bench: Bench) -> None:
    built = bench.build()

    record = json.loads(built.path.with_suffix(".json").read_text())
    assert record == {"name": "tool", "suite": "bookworm", "digest": built.digest, "size": built.size}
