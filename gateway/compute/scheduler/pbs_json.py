"""Reading ``qstat -f -F json``, whose answers are not always JSON. Pure.

Known breakages: numbers such as ``005``, bare words, bad escapes and unescaped quotes in values, missing or
trailing commas, control characters, text around the answer, an answer cut off. A job that cannot be
read never hides the others.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.compute.scheduler.pbs_state import JOB_ID
from gateway.errors import SchedulerError

Jobs = dict[str, dict[str, object]]

_DECODER = json.JSONDecoder(strict=False)
_DOCUMENT = re.compile(r"^\{", re.MULTILINE)
_JOB = re.compile(rf'^([ \t]*)"({JOB_ID})"[ \t]*:[ \t]*\{{[ \t\r]*$', re.MULTILINE | re.ASCII)
_PAIR = re.compile(r'^([ \t]*"[^"\n]*"[ \t]*:[ \t]*)(.*?)[ \t\r]*(,?)[ \t\r]*$')
_BAD = (ValueError, RecursionError)


def read_jobs(text: str) -> tuple[Jobs, list[str]]:
    """Return every job's attributes by id (names in lower case), and what could not be read.

    Raises
    ------
    SchedulerError
        There is no answer in `text`.
    """
    documents, rest = _documents(text)
    jobs: Jobs = {}
    problems: list[str] = []
    for document in documents:
        members = document.get("Jobs") if isinstance(document, dict) else None
        for scheduler_id, attributes in (members if isinstance(members, dict) else {}).items():
            if isinstance(attributes, dict):
                jobs[scheduler_id] = _lower(attributes)
            else:
                problems.append(f"job {scheduler_id[:80]}: no attributes")
    if rest:
        found, problems_of_rest = _blocks(rest)
        jobs |= found
        problems += problems_of_rest
        if not found and not documents:
            raise SchedulerError(f"qstat's answer cannot be read: {text[:200].strip()!r}")
        problems.append("qstat's answer is not valid JSON")
    return jobs, problems


def _lower(attributes: dict[str, Any]) -> dict[str, object]:
    return {name.lower(): value for name, value in attributes.items()}


def _documents(text: str) -> tuple[list[Any], str]:
    """Return the JSON documents in `text`, and the rest from where it is not JSON."""
    documents: list[Any] = []
    position = 0
    while match := _DOCUMENT.search(text, position):
        try:
            document, position = _DECODER.raw_decode(text, match.start())
        except _BAD:
            return documents, text[match.start() :]
        documents.append(document)
    return documents, "" if documents else text or " "


def _blocks(text: str) -> tuple[Jobs, list[str]]:
    """Read each job by itself: from its key to the closing brace, on a line of the same indentation."""
    jobs: Jobs = {}
    problems: list[str] = []
    starts = list(_JOB.finditer(text))
    for match, following in zip(starts, [*starts[1:], None], strict=False):
        limit = following.start() if following else len(text)
        close = re.compile(rf"^{match[1]}\}},?[ \t\r]*$", re.MULTILINE).search(text, match.end(), limit)
        attributes = _attributes(text[match.end() : close.start()]) if close else None
        if attributes is None:
            problems.append(f"job {match[2]}: its part of qstat's answer is broken or cut off")
        else:
            jobs[match[2]] = attributes
    return jobs, problems


def _attributes(body: str) -> dict[str, object] | None:
    for repair in (str, _repaired):
        try:
            attributes = json.loads("{" + repair(body) + "}", strict=False)
        except _BAD:
            continue
        return _lower(attributes)
    return _top_lines(body)


def _repaired(body: str) -> str:
    """Quote each value that is not JSON, and put the commas right. The server writes one attribute a line."""
    lines = [line for line in body.split("\n") if line.strip()]
    whole = []
    for line, following in zip(lines, [*lines[1:], "}"], strict=False):
        match = _PAIR.match(line)
        single = match is not None and not match[2].startswith(("{", "["))
        bare = match[1] + _value(match[2]) if match and single else line.rstrip().rstrip(",")
        opens = not single and bare.endswith(("{", "["))
        closes_next = following.lstrip().startswith(("}", "]"))
        whole.append(bare + ("" if opens or closes_next else ","))
    return "\n".join(whole)


def _value(raw: str) -> str:
    try:
        json.loads(raw, strict=False)
    except _BAD:
        inner = raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == '"' else raw
        return json.dumps(inner)
    return raw


def _top_lines(body: str) -> dict[str, object] | None:
    """Read the job's own attributes line by line, by their indentation; None where they contradict."""
    first = re.search(r'^([ \t]*)"', body, re.MULTILINE)
    if first is None:
        return None
    found: dict[str, object] = {}
    for match in re.finditer(rf'^{first[1]}"(\w+)"[ \t]*:[ \t]*([^{{\[\s].*?),?[ \t\r]*$', body, re.MULTILINE):
        try:
            value = json.loads(_value(match[2]), strict=False)
        except _BAD:
            return None
        name = match[1].lower()
        if found.setdefault(name, value) != value:
            return None
    return found
