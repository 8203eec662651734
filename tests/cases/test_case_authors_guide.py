"""Every example of the case author's guide does what the guide says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cases.case import load_case
from gateway.cases.catalogue import Catalogue
from gateway.cases.check import check_folder
from gateway.cases.compiling import compile_case, lay_over
from gateway.cases.folder import CaseFile, read_folder
from gateway.cases.rendering import Renderer
from gateway.cases.values import complete
from gateway.cli.main import run
from gateway.jobs.acceptance import output_errors
from gateway.model.specification import JobSpecification
from gateway.settings import parse
from tests.cases.written import IMAGE

GUIDE = Path(__file__).parents[2] / "docs/case-authors.md"
FENCE = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [(kind, name, text) for kind, name, text in FENCE.findall(GUIDE.read_text(encoding="utf-8"))]
FILES = [(name, text) for _, name, text in EXAMPLES if "/" in name]


def of_kind(kind: str, name: str = "") -> list[str]:
    return [text for a, b, text in EXAMPLES if (a, b) == (kind, name)]


def write_files(place: Path, until: int | None = None) -> Path:
    """Write the files of the guide; of those that stand there twice the last, or the first."""
    for name, text in FILES[:until]:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place / "heat"


def with_fragment(folder: Path, text: str) -> list[str]:
    """Lay the keys of a fragment over the whole case; return the mistakes."""
    file = folder / "case.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **yaml.safe_load(text)}))
    return [str(mistake) for mistake in check_folder(folder, output_errors).mistakes]


def test_every_example_is_of_a_kind_that_is_tested() -> None:
    kinds = {(kind, name if "/" not in name else "file") for kind, name, _ in EXAMPLES}
    tested = {("console", ""), ("toml", ""), ("braces", ""), ("mako", ""), ("json", "request"), ("yaml", "fragment")}
    assert kinds - {("yaml", "file"), ("text", "file"), ("awk", "file")} == tested


def test_the_commands_answer_as_the_guide_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    for number, text in enumerate(of_kind("console")):
        if number == 1:
            shutil.rmtree(tmp_path / "heat")
            write_files(tmp_path)
        for part in text.removeprefix("$ ").split("\n$ "):
            words, *expected = part.splitlines()
            program, *arguments = shlex.split(words)
            assert program == "gateway"
            run(arguments)
            said = capsys.readouterr().out.splitlines()
            assert said == (expected or said)


@pytest.mark.parametrize("text", of_kind("yaml", "fragment"))
def test_each_fragment_is_good_in_the_whole_case(tmp_path: Path, text: str) -> None:
    assert with_fragment(write_files(tmp_path), text) == []


def test_the_request_is_one(tmp_path: Path) -> None:
    write_files(tmp_path)
    (request,) = map(json.loads, of_kind("json", "request"))
    case = Catalogue([tmp_path]).find(request["case"])
    compiled = compile_case(case, complete(case.definition, request["values"]), IMAGE)
    found = JobSpecification.model_validate(lay_over(compiled, request))
    assert found.inputs[0].content == "length 1\ncells 200\nmaterial copper\nsteps 1000\n"
    assert found.resources.walltime == 3600


@pytest.mark.parametrize("syntax", ["braces", "mako"])
def test_the_templates_give_what_the_guide_shows(tmp_path: Path, syntax: Any) -> None:
    case = load_case("heat", read_folder(write_files(tmp_path)))
    (text,) = of_kind(syntax)
    template = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("→ "))
    given_ = "".join(line[2:] for line in text.splitlines(keepends=True) if line.startswith("→ "))
    made = Renderer(syntax, {"x": CaseFile(template.encode())})
    assert made.file("x", complete(case.definition, {})) == given_


def test_the_configuration_is_one() -> None:
    for text in of_kind("toml"):
        parse(tomllib.loads(text))
