"""The examples of the API guide, executed in their order against a real gateway on this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from running import RunningGateway
from sections import local_target

from gateway.cli.main import run
from testbed.images import TestImage

pytestmark = pytest.mark.real

GUIDE = Path(__file__).resolve().parent.parent / "docs/api-guide.md"
WAVES = """
steps=$1 now=$2
echo step,amplitude > amplitude.csv
i=0
while [ "$i" -lt "$steps" ]; do
    i=$((i + 1)) now=$((now / 2))
    echo "$i,$now" >> amplitude.csv
done
"""


@dataclass(frozen=True)
class Block:
    """A fenced block, where it stands, and what it is to print."""

    language: str
    line: int
    text: str
    printed: str | None = None


def blocks(text: str) -> list[Block]:
    """Return the blocks that are executed; a block of text right behind one is what it prints."""
    found: list[Block] = []
    end = 0
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        language, content = match[1], match[2]
        line = text[: match.start()].count("\n") + 2
        if language == "text" and not text[end : match.start()].strip():
            found[-1] = Block(found[-1].language, found[-1].line, found[-1].text, content)
        else:
            found.append(Block(language, line, content))
        end = match.end()
    return found


def same(wanted: str, printed: str) -> bool:
    """Compare what is printed with the guide; ``…`` stands for anything."""
    lines = lambda text: "\n".join(line.rstrip() for line in text.strip().splitlines())
    pattern = ".*?".join(re.escape(part) for part in lines(wanted).split("…"))
    return re.fullmatch(pattern, lines(printed), re.DOTALL) is not None


@pytest.fixture
def guide(tmp_path: Path, test_image: TestImage, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Block]]:
    """The guide's blocks, with a gateway that has the guide's case and is the one that is found."""
    found = blocks(GUIDE.read_text())
    (case,) = (yaml.safe_load(block.text) for block in found if block.language == "yaml")
    case["image"] = {"ref": f"file://{test_image.squashfs}", "digest": test_image.squashfs_digest}
    folder = tmp_path / "cases/waves"
    folder.mkdir(parents=True)
    (folder / "case.yaml").write_text(yaml.safe_dump(case))
    (folder / "waves.sh").write_text(WAVES)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    target = local_target(runtime={"kind": "charliecloud", "allow_host": True}, poll_interval=0.2)
    store = {"kind": "directory", "path": str(tmp_path / "results")}
    gateway = RunningGateway(tmp_path, {"targets": {"here": target}, "stores": {"disk": store}})
    config = gateway.config.read_text().replace("[gateway]\n", f'[gateway]\ncases = ["{tmp_path}/cases"]\n')
    gateway.config.write_text(config)
    monkeypatch.setenv("GATEWAY_CONFIG", str(gateway.config))
    try:
        gateway.start()
        server = json.loads((gateway.data / "server.json").read_text())
        monkeypatch.setenv("GATEWAY_URL", server["url"])
        monkeypatch.setenv("GATEWAY_TOKEN", Path(server["token_file"]).read_text().strip())
        yield found
    finally:
        gateway.stop()


def run_python(block: Block, names: dict[str, object]) -> None:
    """Run a block of Python, with the names of those before."""
    exec(compile("\n" * (block.line - 1) + block.text, str(GUIDE), "exec"), names)


def run_shell(block: Block) -> None:
    """Run a block of commands: those of the gateway in this process, because a process for each takes its time."""
    lines = block.text.strip().splitlines()
    if all(line.startswith("gateway ") for line in lines):
        for at, line in enumerate(lines):
            status = run(shlex.split(line)[1:])
            assert status == 0, f"line {block.line + at} ends with {status}"
        return
    argv = ["bash", "-euo", "pipefail", "-c", block.text]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, f"line {block.line}:\n{ended.stdout}\n{ended.stderr}"
    print(ended.stdout, end="")


def test_every_example_of_the_guide_does_what_the_guide_says(
    guide: list[Block], capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    for block in guide:
        if block.language == "python":
            run_python(block, names)
        elif block.language == "sh":
            run_shell(block)
        elif block.language == "json":
            Path("job.json").write_text(block.text)
        else:
            continue
        said = capsys.readouterr().out
        if block.printed is not None:
            assert same(block.printed, said), f"line {block.line} prints:\n{textwrap.indent(said, '  ')}"
