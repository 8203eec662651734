"""Modules for people on a cluster, loaded by Debian's Lmod, with commands in real containers."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.errors import ImageError
from gateway.images.entry import ImageEntry, Mirror
from gateway.images.modules import Place, write_modules
from testbed.images import TestImage, digest
from tests.job_templates.tool_images import PROGRAMS, tool_image

LMOD = Path("/usr/share/lmod/lmod/init/bash")
PATIENCE = 90.0
SUMMARY = 'Brain "tools" \\n]] é $(touch x)\n'


def entry_of(file: Path | None, **changes: object) -> ImageEntry:
    """Return the image in a file as the catalogue has it."""
    known: dict[str, object] = {
        "id": "1",
        "digest": digest(file) if file else None,
        "names": ("alpha/1.0.3",),
        "size": file.stat().st_size if file else None,
        "media_type": None,
        "pieces": None,
        "sources": (),
        "mirrors": (Mirror(f"file://{file}", state="alive"),) if file else (),
        "categories": ("imaging",),
        "commands": tuple(sorted(PROGRAMS)),
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "summary": SUMMARY,
    }
    return ImageEntry(**(known | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def alpha(test_image: TestImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with commands."""
    return tool_image(test_image, tmp_path_factory.mktemp("alpha"), "alpha", PROGRAMS)


def in_a_shell(folder: Path, home: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run bash text where the modules are in use, as a login shell of some person has them."""
    home.mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LMOD_PAGER": "none", "USER": "somebody"}
    words = f"set +u; . {LMOD} >/dev/null; module use '{folder}/modulefiles'; cd '{home}'; {text}"
    return subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-c", words],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.real
@pytest.mark.parametrize("runtime", ["charliecloud", "podman"])
def test_a_loaded_module_has_the_commands_of_its_image(alpha: Path, tmp_path: Path, runtime: str) -> None:
    write_modules(entry_of(alpha), Place(str(tmp_path / "cache"), runtimes=(runtime,)), tmp_path / "written")
    folder = Path(shutil.move(tmp_path / "written", tmp_path / "a place"))  # all of it can be moved
    done = in_a_shell(
        folder,
        tmp_path / "home",
        """
        type show 2>/dev/null
        module load alpha/1.0.3 || exit 9
        mkdir 'a b' && cd 'a b' && show 'two words' '' "it's" '*' | grep -v umask
        printf 'x y' | count-bytes
        export COLOUR='light red'; tell COLOUR; echo
        fail 41 2>&1; echo "status $?"
        write "$PWD/a result" 7 && cat 'a result'; echo
        module unload alpha; type show 2>/dev/null || echo gone
        """,
    )
    assert done.stdout.splitlines() == [
        *("<two words>", "<>", "<it's>", "<*>", "3", "COLOUR=light red", "no such thing", "status 41", "7", "gone"),
    ], done.stderr


@pytest.mark.real
def test_lmod_shows_what_the_catalogue_says_and_runs_none_of_it(alpha: Path, tmp_path: Path) -> None:
    write_modules(entry_of(alpha), Place(str(tmp_path / "cache")), tmp_path / "out")
    done = in_a_shell(tmp_path / "out", tmp_path / "home", "module whatis alpha 2>&1; module -t avail 2>&1; ls")
    assert 'Brain "tools" \\n]] é $(touch x)' in done.stdout
    assert "Category: imaging" in done.stdout
    assert "alpha/1.0.3" in done.stdout
    assert not (tmp_path / "home" / "x").exists()


@pytest.mark.real
def test_a_signal_ends_the_command(alpha: Path, tmp_path: Path) -> None:
    write_modules(entry_of(alpha), Place(str(tmp_path / "cache"), runtimes=("charliecloud",)), tmp_path / "out")
    done = in_a_shell(
        tmp_path / "out",
        tmp_path / "home",
        """
        module load alpha
        export READY=$PWD/ready
        (exec stubborn) >said & tool=$!
        until [ -e ready ]; do sleep 0.05; done
        kill -TERM $tool; wait $tool; echo "status $?"; cat said
        """,
    )
    assert done.stdout.splitlines() == ["status 7", "asked"], done.stderr


def test_commands_that_an_image_has_no_more_are_removed(tmp_path: Path, alpha: Path) -> None:
    place = Place("/cache", binds=("/data",), runtimes=("apptainer",))
    write_modules(entry_of(alpha), place, tmp_path)
    (module,) = write_modules(entry_of(alpha, commands=("show", "../x", "-rf")), place, tmp_path)
    assert [path.name for path in (tmp_path / "tools" / "alpha" / "1.0.3" / "bin").iterdir()] == ["show"]
    assert module == tmp_path / "modulefiles" / "alpha" / "1.0.3.lua"
    assert (tmp_path / "tools" / "alpha" / "1.0.3" / "image").read_text().splitlines() == [
        *("name alpha/1.0.3", f"digest {digest(alpha)}", "cache /cache", f"source file://{alpha}"),
        *("bind /data", "runtime apptainer"),
    ]


def test_apptainer_gets_the_present_folder_and_the_image(alpha: Path, tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "apptainer").write_text("#!/bin/bash\nprintf '%s\\n' \"$@\"\n")
    (stub / "apptainer").chmod(0o755)
    place = Place(str(tmp_path / "cache"), binds=(str(stub), "/not/there"))
    write_modules(entry_of(alpha), place, tmp_path / "out")
    command = tmp_path / "out" / "tools" / "alpha" / "1.0.3" / "bin" / "show"
    env = {"PATH": f"{stub}:{os.environ['PATH']}", "HOME": "/nowhere"}
    done = subprocess.run([command, "two words"], env=env, cwd=stub, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    assert words[: words.index("/bin/sh")] == [
        *("--silent", "exec", "--pwd", str(stub), "--bind", str(stub), "--bind", str(stub), str(alpha)),
    ]
    assert words[-3:] == ["gateway-tool", "show", "two words"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"commands": ()}, "its commands are not known"),
        ({"digest": None}, "nobody read it yet"),
        ({"mirrors": (Mirror("https://x.example.org/a", state="wrong"),)}, "has no mirror that has it"),
        ({"names": ("../x/1",)}, "cannot be the name of a module"),
    ],
)
def test_an_image_that_cannot_be_offered_says_why(
    alpha: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        write_modules(entry_of(alpha, **changes), Place("/cache"), tmp_path)


def test_a_command_without_its_image_says_so(alpha: Path, tmp_path: Path) -> None:
    entry = entry_of(alpha, mirrors=(Mirror("file:///nowhere/x.sif"),))
    write_modules(entry, Place(str(tmp_path / "cache")), tmp_path / "out")
    command = tmp_path / "out" / "tools" / "alpha" / "1.0.3" / "bin" / "show"
    done = subprocess.run([command], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 126
    assert "show: the image of alpha/1.0.3 cannot be had: " in done.stderr
    assert "/nowhere/x.sif" in done.stderr
