"""Rendering the batch script: quoting, the closed alphabet of directives, and the template's own rules."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import templates
from gateway.compute.script import LIBRARIES, PushTransfer, ScriptRequest, command_of, libraries, quote, render
from gateway.errors import ConfigurationError, InvalidRequest
from gateway.model.specification import Image, JobSpecification

TRANSFER = PushTransfer(
    store=0,
    source="VTK",
    destination="S0:jobs/id/VTK",
    content_type="text/plain",
    arguments=("--s3-no-check-bucket", "--x=a b"),
    running_filter=("- **",),
    final_filter=("- **",),
    follow=True,
)
SYNCER = tuple(name for name in LIBRARIES if name.startswith("sync"))
REQUEST = ScriptRequest(
    job_id="6ba3c4a0-557a-418c-93c9-4979a1fca374",
    attempt=2,
    job_folder="/scratch/it's here",
    control_folder="/scratch/.gateway/x",
    scheduler_kind="slurm",
    directives=["#SBATCH --job-name=gw-0123456789ab", "#SBATCH --output=/scratch/a b/%j[1].out"],
    preamble="module load apptainer\n#SBATCH --qos=stolen",
    walltime=600,
    reserve=60.0,
    kill_delay=30,
    grace=0.25,
    runtimes=("charliecloud", "podman"),
    runtime_libraries={
        "a": "gw_a_available() { echo '## ${x} <% y %> \\'; }",
        "b": "shared() { :; }",
        "c": "shared() { :; }",
    },
    image_cache="/images",
    image=Image(ref="https://h.example/x.sif", digest="sha256:" + "a" * 64, mirrors=("https://m.example/x.sif",)),
    command=("python3", "-c", "print('a\nb')"),
    env={"A": "1", "B": "two\nlines"},
    binds=("/data/public",),
    gpus=1,
    scratch="$TMPDIR/x",
    rclone="/tools/rclone",
    stores=("blobs",),
    transfers=(TRANSFER,),
    sync_interval=10,
    sync_settle=2.0,
)


def changed(**changes: object) -> ScriptRequest:
    """The request with other values."""
    return dataclasses.replace(REQUEST, **changes)


def values(script: str, *names: str) -> dict[str, list[str]]:
    """What bash finds in the variables, arrays as lists."""
    show = "".join(f'printf "%s\\0" {name} "${{#{name}[@]}}" "${{{name}[@]}}"\n' for name in names)
    text = script.replace('gw_main "$@"; exit\n', show)
    assert text != script
    answer = subprocess.run(["/bin/bash"], input=text.encode(), capture_output=True, check=True, cwd="/")
    assert answer.stderr == b""
    items = answer.stdout.decode().split("\0")[:-1]
    found = {}
    while items:
        name, count = items[0], int(items[1])
        found[name], items = items[2 : 2 + count], items[2 + count :]
    return found


def test_the_same_request_gives_the_same_bytes():
    assert render(REQUEST) == render(dataclasses.replace(REQUEST))


def test_directives_come_first_and_nothing_else_looks_like_one():
    lines = render(REQUEST).splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[1:3] == list(REQUEST.directives)
    assert not [line for line in lines[3:] if re.match(r"\s*#\s?(PBS|SBATCH|BSUB)", line)]
    assert lines[-1] == 'gw_main "$@"; exit'


def test_every_variable_of_the_protocol_has_its_value():
    found = values(
        render(REQUEST),
        *("gw_job", "gw_attempt", "gw_folder", "gw_control", "gw_scheduler", "gw_preamble", "gw_walltime"),
        *("gw_reserve", "gw_kill_delay", "gw_grace", "gw_runtimes", "gw_image_cache", "gw_image_ref"),
        *("gw_image_digest", "gw_image_mirrors", "gw_command", "gw_env_names", "gw_env_values", "gw_binds"),
        *("gw_gpus", "gw_scratch", "gw_rclone", "gw_stores", "gw_transfer_store", "gw_transfer_source"),
        *(
            "gw_transfer_destination",
            "gw_transfer_type",
            "gw_transfer_args",
            "gw_transfer_follow",
            "gw_sync_interval",
            "gw_sync_settle",
        ),
    )
    assert found == {
        "gw_job": [REQUEST.job_id],
        "gw_attempt": ["2"],
        "gw_folder": ["/scratch/it's here"],
        "gw_control": ["/scratch/.gateway/x"],
        "gw_scheduler": ["slurm"],
        "gw_preamble": [REQUEST.preamble],
        "gw_walltime": ["600"],
        "gw_reserve": ["60.00"],
        "gw_kill_delay": ["30"],
        "gw_grace": ["0.25"],
        "gw_runtimes": ["charliecloud", "podman"],
        "gw_image_cache": ["/images"],
        "gw_image_ref": ["https://h.example/x.sif"],
        "gw_image_digest": ["sha256:" + "a" * 64],
        "gw_image_mirrors": ["https://m.example/x.sif"],
        "gw_command": list(REQUEST.command),
        "gw_env_names": ["A", "B"],
        "gw_env_values": ["1", "two\nlines"],
        "gw_binds": ["/data/public"],
        "gw_gpus": ["1"],
        "gw_scratch": ["$TMPDIR/x"],
        "gw_rclone": ["/tools/rclone"],
        "gw_stores": ["blobs"],
        "gw_transfer_store": ["0"],
        "gw_transfer_source": ["VTK"],
        "gw_transfer_destination": ["S0:jobs/id/VTK"],
        "gw_transfer_type": ["text/plain"],
        "gw_transfer_args": ["--s3-no-check-bucket\n--x=a b"],
        "gw_transfer_follow": ["yes"],
        "gw_sync_interval": ["10"],
        "gw_sync_settle": ["2.00"],
    }


def test_what_is_not_there_is_empty():
    bare = changed(
        image=None, rclone=None, stores=(), transfers=(), sync_interval=None, preamble=None, scratch=None, env={}
    )
    names = ("gw_image_ref", "gw_rclone", "gw_sync_interval", "gw_preamble", "gw_scratch")
    assert values(render(bare), *names) == {name: [""] for name in names}
    arrays = ("gw_image_mirrors", "gw_stores", "gw_transfer_store", "gw_env_names")
    assert values(render(bare), *arrays) == {name: [] for name in arrays}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30), min_size=1))
def test_quoted_text_is_one_word_on_one_line_and_comes_back(texts):
    words = [quote(text) for text in texts]
    assert not [word for word in words if "\n" in word or "\r" in word]
    answer = subprocess.run(["/bin/bash", "-c", f'printf "%s\\0" {" ".join(words)}'], capture_output=True, check=True)
    assert answer.stdout.decode() == "".join(f"{text}\0" for text in texts)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_cannot_be_delivered_is_refused(text):
    with pytest.raises(InvalidRequest):
        render(changed(command=("echo", text)))


@pytest.mark.parametrize(
    "line",
    [
        "#PBS -N x\n#PBS -q y",
        "#PBS -N $(id)",
        "#PBS -N x; id",
        "#PBS -v A='b'",
        "#SBATCH --comment=é",
        "#SBATCH --x=`id`",
        "# PBS -N x",
        "PBS -N x",
        "#PBS ",
        "#PBS -N x\r",
        "#PBS -N \\",
        "${1+1}",
    ],
)
def test_a_directive_outside_the_alphabet_is_refused(line):
    with pytest.raises(InvalidRequest):
        render(changed(directives=["#PBS -N fine", line]))


@pytest.mark.parametrize(
    "scratch", ["relative", "$(id)", "/a b", "$TMPDIR/$USER", "${TMPDIR:-/x}", "/a\n", "$1", "`id`"]
)
def test_a_scratch_folder_is_absolute_or_begins_with_a_variable(scratch):
    with pytest.raises(ConfigurationError):
        render(changed(scratch=scratch))


@pytest.mark.parametrize("scratch", ["/local", "$TMPDIR", "${SLURM_TMPDIR}/gw", "$TMPDIR/a.b-c"])
def test_usual_scratch_folders_are_taken(scratch):
    assert values(render(changed(scratch=scratch)), "gw_scratch") == {"gw_scratch": [scratch]}


@pytest.mark.parametrize("destination", ["jobs/id", "S1:jobs", ":local,x=y:/", "S0", "/S0:x"])
def test_a_transfer_goes_to_its_own_store_only(destination):
    with pytest.raises(ValueError, match="is not a path of store 0"):
        render(changed(transfers=(dataclasses.replace(TRANSFER, destination=destination),)))


def test_libraries_reach_the_script_as_they_are_and_once():
    script = render(REQUEST)
    assert REQUEST.runtime_libraries["a"] in script
    assert script.count(REQUEST.runtime_libraries["b"]) == 1
    for name in ("records.sh", "pull.sh", "host.sh", "sync.sh", "main.sh"):
        assert templates.library(name).rstrip("\n") in script
    assert libraries() in render(changed(runtime_libraries={}))


def test_defining_everything_has_no_effect(tmp_path: Path):
    text = render(REQUEST).replace('gw_main "$@"; exit\n', "")
    answer = subprocess.run(["/bin/bash"], input=text.encode(), capture_output=True, cwd=tmp_path, check=True)
    assert (answer.stdout, answer.stderr) == (b"", b"")
    assert list(tmp_path.iterdir()) == []


def test_the_own_libraries_satisfy_shellcheck():
    program = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    assert program
    names = ["records.sh", "host.sh", "supervise.sh", *SYNCER, "main.sh"]
    answer = subprocess.run(
        [program, *names], cwd=templates.folder() / "lib", capture_output=True, text=True, check=False
    )
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (r"\bwait -n\b", "4.3"),
        (r"\$\{[^}]*@[QEPAa]\}", "4.4"),
        (r"\b(local|declare) -n\b", "4.3"),
        (r"\b(mapfile|readarray)[^|;]* -d\b", "4.4"),
        (r"\$\{[A-Za-z_]+\[-1\]", "4.3"),
        (r"(?<!\+)\"\$\{gw_(runtimes|image_mirrors|binds|guard|statuses)\[@\]\}\"", "4.4 under set -u"),
    ],
)
def test_the_own_libraries_need_no_bash_newer_than_42(words, what):
    for name in ("records.sh", "host.sh", "supervise.sh", *SYNCER, "main.sh"):
        found = re.findall(words, templates.library(name))
        assert not found, f"{name} needs bash {what}"


def test_a_script_of_the_specification_is_run_by_bash():
    assert command_of(JobSpecification(script="echo $1\n")) == ("bash", "-c", "echo $1\n")
    assert command_of(JobSpecification(command=("a", "b"))) == ("a", "b")
