"""Values in templates: what people give is data, whatever it looks like."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cases.compiling import compile_case
from gateway.cases.definition import Syntax
from gateway.cases.folder import CaseFile
from gateway.cases.rendering import Renderer, RenderError
from gateway.cases.values import complete
from tests.cases.written import FILES, IMAGE, tank

HOSTILE = [
    "${1 + 1}",
    "${__import__('os').system('false')}",
    "<% raise SystemExit %>",
    "<%include file='/etc/passwd'/>",
    "## a comment",
    "% if True:",
    "a \\\nb",
    "\\",
    "{cells} {{cells}} {nosuch}",
    "</%text>",
    "$(id) `id` '\"",
    "\r\n\t\x1b[31m ü \U0001f600",
    "",
]


def renderer(syntax: Syntax, **texts: str) -> Renderer:
    return Renderer(syntax, {path: CaseFile(text.encode()) for path, text in texts.items()})


def mistake(made: Renderer, path: str, values: dict[str, Any] | None = None) -> tuple[int, str]:
    with pytest.raises(RenderError) as caught:
        made.file(path, values or {})
    found = caught.value.mistakes[0]
    assert found.file == path
    return found.line, found.detail


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("syntax", ["braces", "mako"])
def test_text_from_users_is_data_and_arrives_byte_for_byte(syntax: Syntax, text: str) -> None:
    sign = "" if syntax == "braces" else "$"
    case = tank(
        {**FILES, "settings": f"first\n[{sign}{{title}}]\n"},
        syntax=syntax,
        command=["tank", f"<{sign}{{title}}>"],
        env={"TITLE": f"{sign}{{title}}"},
        resources={},
        save_and_stop=None,
    )
    found = compile_case(case, complete(case.definition, {"title": text}), IMAGE)
    assert found["inputs"][0]["content"] == f"first\n[{text}]\n"
    assert found["command"] == ["tank", f"<{text}>"]
    assert found["env"] == {"TITLE": text}
    assert found["values"]["title"] == text


@given(st.text(), st.sampled_from(["braces", "mako"]))
def test_any_text_arrives_as_it_was_given(text: str, syntax: Syntax) -> None:
    sign = "" if syntax == "braces" else "$"
    made = renderer(syntax, a=f"a{sign}{{t}}b")
    assert made.file("a", {"t": text}) == f"a{text}b"
    assert made.line(f"{sign}{{t}}{sign}{{t}}", {"t": text}, "case.yaml", 1) == text * 2


@given(st.text(alphabet="{}ab$ \n\\%#<>"))
def test_braces_change_nothing_but_names_between_them(text: str) -> None:
    made = renderer("braces", a=text)
    try:
        found = made.file("a", {"a": "1", "b": "2"})
    except RenderError as error:
        found = text if all("names no parameter" in item.detail for item in error.mistakes) else ""
    if "{a}" not in text and "{b}" not in text and "{{" not in text:
        assert found == text


def test_braces_replace_names_and_keep_every_other_brace() -> None:
    made = renderer("braces", a="{ {x} } {{x}} {1, 2} {x y} {{{x}}} ${x}\n")
    assert made.file("a", {"x": 1.5}) == "{ 1.5 } {x} {1, 2} {x y} {{x}} $1.5\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (2, "2"),
        (2.0, "2"),
        (1e-6, "1e-06"),
        (None, ""),
        ("a", "a"),
        (1e300, "1e+300"),
    ],
)
def test_both_syntaxes_show_values_alike(value: Any, text: str) -> None:
    assert renderer("braces", a="{x}").file("a", {"x": value}) == text
    assert renderer("mako", a="${x}").file("a", {"x": value}) == text


def test_mako_computes_and_chooses() -> None:
    made = renderer("mako", a="% if big:\n${2 * x} ${math.ceil(x)}\n% endif\n% for i in range(2):\n${i}\n% endfor\n")
    assert made.file("a", {"x": 1.5, "big": True}) == "3 2\n0\n1\n"
    assert made.file("a", {"x": 1.5, "big": False}) == "0\n1\n"


def test_mako_includes_files_of_the_case_and_nothing_else() -> None:
    made = Renderer(
        "mako",
        {
            "a/b": CaseFile(b"<%include file='part'/><%include file='/top'/>"),
            "a/part": CaseFile(b"part ${x} "),
            "top": CaseFile(b"top"),
            "out": CaseFile(b"\n<%include file='../../../../../../etc/passwd'/>"),
            "absolute": CaseFile(b"<%include file='/etc/passwd'/>"),
            "inherit": CaseFile(b"<%inherit file='/etc/passwd'/>"),
            "self": CaseFile(b"<%include file='self'/>"),
        },
    )
    assert made.file("a/b", {"x": 1}) == "part 1 top"
    for path in ("out", "absolute", "inherit"):
        assert "etc/passwd' in the case's folder" in mistake(made, path)[1]
    assert "includes itself" in mistake(made, "self")[1]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a\n${nosuch}\n", 2, "'nosuch' is not defined"),
        ("a\n\n${1 +}\n", 3, "invalid syntax"),
        ("a\n${1 / zero}\n", 2, "ZeroDivisionError"),
        ("% if True:\n", 1, "if"),
        ("a\n<%block name='b'>", 2, "block"),
    ],
)
def test_a_mistake_in_mako_is_told_with_its_line(text: str, line: int, word: str) -> None:
    found = mistake(renderer("mako", a=text), "a", {"zero": 0})
    assert found[0] == line
    assert word in found[1]


def test_every_unknown_name_between_braces_is_told_with_its_line() -> None:
    with pytest.raises(RenderError) as caught:
        renderer("braces", a="{x}\n{y} {z}\n\n{y}").file("a", {"x": 1})
    assert [(item.line, item.detail[:3]) for item in caught.value.mistakes] == [(2, "{y}"), (2, "{z}"), (4, "{y}")]


def test_a_file_stands_in_no_text() -> None:
    for syntax, text in (("braces", "{mesh}"), ("mako", "${mesh}")):
        made = renderer(syntax, a=text)  # type: ignore[arg-type]
        assert "a file cannot stand in a text" in mistake(made, "a", {"mesh": {"content": "x"}})[1]


def test_templates_are_text() -> None:
    made = Renderer("braces", {"a": CaseFile(b"ok\n\xff")})
    assert mistake(made, "a") == (2, "is not UTF-8 text: put such a file into the image")
