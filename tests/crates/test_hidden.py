"""What opens something is taken out of records; everything else stays as it was."""

from __future__ import annotations

import pytest

from gateway.crates.hidden import Hiding, plain_address, plain_text


@pytest.mark.parametrize(
    "signed",
    [
        "https://a.blob.core.windows.net/c/x?sv=2024&se=x&sr=b&sp=r&sig=abc%3D",
        "https://b.s3.amazonaws.com/x?X-Amz-Algorithm=A&X-Amz-Signature=abc",
        "https://storage.googleapis.com/b/x?X-Goog-Signature=abc",
        "https://h.example/x?token=abc",
        "https://h.example/x?a=1&access_token=abc",
        "https://h.example/x?API_KEY=abc",
        "https://user:abc@h.example/x",
        "https://h.example/x#token=abc",
        "https://h.example/x?a=1;key=abc",
    ],
)
def test_an_address_keeps_nothing_that_opens_it(signed: str) -> None:
    plain = plain_address(signed)
    assert "abc" not in plain
    assert plain.startswith("https://")
    assert plain_text(f"fetching '{signed}' now") == f"fetching '{plain}' now"


@pytest.mark.parametrize("url", ["https://h.example/x?id=5&page=2", "http://h.example:81/a%20b", "https://h.example"])
def test_a_plain_address_stays_as_it_is(url: str) -> None:
    assert plain_address(url) == url


def test_secret_variables_are_hidden_wherever_they_stand() -> None:
    specification = {
        "env": {"DB_PASSWORD": "it's a $ecret", "RE": "100"},
        "command": ["run", "--auth=it's a $ecret"],
        "inputs": [{"content": "plain"}],
    }
    hiding = Hiding(specification)
    plain = hiding.document(specification)
    assert plain == {
        "env": {"DB_PASSWORD": "(hidden)", "RE": "100"},
        "command": ["run", "--auth=(hidden)"],
        "inputs": [{"content": "plain"}],
    }
    assert hiding.places == ["#/env/DB_PASSWORD", "#/command/1"]
    script = "gw_env_values=('it'\"'\"'s a $ecret' 100)\n"
    assert hiding.content(script.encode()) == b"gw_env_values=((hidden) 100)\n"
    assert hiding.content(b"\xff\0 binary") == b"\xff\0 binary"


def test_the_lines_of_a_key_are_hidden_also_apart_and_in_json() -> None:
    hiding = Hiding({"env": {"PRIVATE_KEY": 'BEGIN\nab"cdef\nEND!'}})
    assert hiding.text("BEGIN$'\\n''ab\"cdef'$'\\n''END!'") == "(hidden)$'\\n'(hidden)$'\\n'(hidden)"
    assert hiding.text('{"msg": "ab\\"cdef"}') == '{"msg": "(hidden)"}'
