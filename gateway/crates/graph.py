"""A run as an RO-Crate: JSON-LD by the profiles Process Run Crate 0.5 and RO-Crate 1.1. Pure, and takes its time."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from gateway.crates.hidden import HIDDEN
from gateway.model.crate import RunInput, RunRecord
from gateway.model.job import Job
from gateway.model.states import State

MAX_FILES = 5000
"""Outputs with an entity of their own; of more, files and folders of the top level have one."""
PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run#"
_CONTEXT = {
    name: f"{TERMS}{name}"
    for name in ("ContainerImage", "SIFImage", "containerImage", "sha256", "environment", "registry")
}
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{1,60}\Z")


@dataclass(frozen=True)
class CrateFile:
    """A file of the crate. `path` is where it stands below the crate's root."""

    path: str
    size: int
    content_type: str | None = None
    digest: str | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True)
class CrateFolder:
    """A folder whose files have no entity each; `path` ends with ``/``."""

    path: str
    count: int
    size: int


@dataclass(frozen=True)
class Parameter:
    """What a case says of one of its values."""

    label: str
    unit: str | None = None
    help: str | None = None


@dataclass(frozen=True)
class Machine:
    """Where a run was."""

    name: str
    scheduler: str
    runtime: str
    host: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """All that stands in a crate.

    Attributes
    ----------
    state, message
        How the run ended.
    case_label, case_description, parameters
        Of the case; empty for a job without one.
    records
        Files below ``.gateway/``.
    """

    run: RunRecord
    job: Job
    state: State
    message: str | None
    started_at: datetime | None
    ended_at: datetime | None
    machine: Machine
    case_label: str = ""
    case_description: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    outputs: Sequence[CrateFile] = ()
    folders: Sequence[CrateFolder] = ()
    records: Sequence[CrateFile] = ()


def crate_of(facts: RunFacts, name_of: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the content of ``ro-crate-metadata.json``.

    Parameters
    ----------
    name_of
        Turns an output's path into its name below the crate's root.
    """
    from rocrate.rocrate import ROCrate  # it takes half a second to load

    made = _Crate(ROCrate(version="1.1"), facts, name_of)
    made.describe()
    found: dict[str, Any] = made.crate.metadata.generate()
    found["@context"] = [found["@context"], _CONTEXT]
    return found


def crate_json(facts: RunFacts, name_of: Callable[[str], str] = str) -> bytes:
    """Return the bytes of ``ro-crate-metadata.json``."""
    return json.dumps(crate_of(facts, name_of), indent=1, ensure_ascii=False).encode("utf-8", "replace")


@dataclass
class _Crate:
    """Puts the entities together."""

    crate: Any
    facts: RunFacts
    name_of: Callable[[str], str]

    def describe(self) -> None:
        facts, run = self.facts, self.facts.run
        root = self.crate.root_dataset
        self.crate.name = facts.job.name
        self.crate.description = self._description()
        self.crate.datePublished = facts.ended_at or datetime.now(UTC)
        root["license"] = self._licence()
        root["identifier"] = run.job
        root["conformsTo"] = self._add(PROCESS, "CreativeWork", name="Process Run Crate", version="0.5")
        root["author"] = self._person()
        root["mentions"] = self._action()
        if facts.job.tags:
            root["keywords"] = ", ".join(f"{name}={value}" for name, value in facts.job.tags.items())

    def _licence(self) -> Any:
        """Return the licence that a tag names: an entity for an address or an SPDX identifier, else its text."""
        tags = self.facts.job.tags
        text = tags.get("license") or tags.get("licence") or ""
        if text.startswith(("http://", "https://")):
            return self._add(text, "CreativeWork", name=text)
        if _SPDX.match(text):
            return self._add(f"https://spdx.org/licenses/{text}", "CreativeWork", name=text)
        return text or "The licence of this data was not stated."

    def _person(self) -> Any:
        owner = self.facts.job.owner
        return self._add(f"#person-{quote(owner, safe='')}", "Person", name=owner)

    def _description(self) -> str:
        facts = self.facts
        what = facts.case_label or facts.run.case or "a command in a container"
        return f"One run of {what} on {facts.machine.name}: {facts.state}. {facts.case_description}".strip()

    def _action(self) -> Any:
        facts = self.facts
        failed = facts.state is not State.SUCCEEDED
        action = {
            "name": f"Run of {facts.job.name}",
            "identifier": facts.run.job,
            "startTime": _moment(facts.started_at),
            "endTime": _moment(facts.ended_at),
            "actionStatus": f"http://schema.org/{'Failed' if failed else 'Completed'}ActionStatus",
            "error": (facts.message or str(facts.job.reason or facts.state)) if failed else None,
            "description": self._description(),
            "agent": self._person(),
            "instrument": self._instrument(),
            "containerImage": self._image(),
            "environment": self._environment(),
            "location": self._machine(),
            "object": [*self._inputs(), *self._values()],
            "result": [*self._outputs()],
        }
        self._records()
        return self._add(f"#run-{facts.run.job}", "CreateAction", **action)

    def _instrument(self) -> Any:
        facts, run = self.facts, self.facts.run
        if run.case is not None:
            about = {"name": facts.case_label or run.case, "version": run.case_version, "alternateName": run.case}
            about["description"] = facts.case_description or None
            return self._add(f"#case-{run.case}", "SoftwareApplication", **about)
        command = run.specification.get("command") or run.specification.get("script")
        text = " ".join(str(word) for word in command) if isinstance(command, list) else str(command)
        version = run.image.digest if run.image is not None else None
        about = {"name": text[:200], "description": text[:20_000], "version": version}
        return self._add("#command", "SoftwareApplication", **about)

    def _image(self) -> Any:
        image = self.facts.run.image
        if image is None:
            return None
        digest = (image.digest or "").removeprefix("sha256:") or None
        last = image.ref.rpartition("/")[2] or image.ref
        host = urlsplit(image.ref).hostname or None
        more = {"name": last, "identifier": image.ref, "sha256": digest, "registry": host}
        return self._add("#image", "ContainerImage", additionalType={"@id": f"{TERMS}SIFImage"}, **more)

    def _environment(self) -> list[Any]:
        env = self.facts.run.specification.get("env")
        return [
            self._add(f"#env-{quote(name, safe='')}", "PropertyValue", name=name, value=str(value))
            for name, value in (env if isinstance(env, dict) else {}).items()
            if value != HIDDEN
        ]

    def _machine(self) -> Any:
        machine = self.facts.machine
        about = f"jobs by {machine.scheduler}, containers by {machine.runtime}"
        host = self._add("#machine-host", "PropertyValue", name="host", value=machine.host) if machine.host else None
        more = {"name": machine.name, "description": about, "additionalProperty": host}
        return self._add(f"#machine-{quote(machine.name, safe='')}", "Place", **more)

    # --- Files

    def _inputs(self) -> Iterable[Any]:
        kinds = {file.path: file.content_type for file in self.facts.records}
        for item in self.facts.run.inputs:
            kept_as = (kinds.get(item.kept or "") or "").partition(";")[0] or None
            about = {
                "name": item.path,
                "contentSize": None if item.size is None else str(item.size),
                "sha256": _hex(item.digest),
                "encodingFormat": mimetypes.guess_type(item.path)[0] or kept_as,
            }
            if item.kept is not None:
                yield self._file(item.kept, about)
            elif item.reference and item.source == "url":
                yield self._file(item.reference, about, known=True)
            else:
                yield self._add(_name_of_input(item), "CreativeWork", **about, description=_where(item))

    def _values(self) -> Iterable[Any]:
        for name, value in self.facts.run.values.items():
            known = self.facts.parameters.get(name, Parameter(name))
            text = value if isinstance(value, str | int | float | bool) else json.dumps(value)
            more = {"unitText": known.unit, "description": known.help, "alternateName": name}
            yield self._add(f"#value-{quote(name, safe='')}", "PropertyValue", name=known.label, value=text, **more)

    def _outputs(self) -> Iterable[Any]:
        from rocrate.model import Dataset

        for file in self.facts.outputs:
            yield self._file(self.name_of(file.path), _about(file))
        for folder in self.facts.folders:
            about = {"name": folder.path, "description": f"{folder.count} files, {folder.size} bytes"}
            path = self.name_of(folder.path.rstrip("/")) + "/"
            yield self.crate.add(Dataset(self.crate, None, path, properties=_given(about)))

    def _records(self) -> None:
        kept = {item.kept for item in self.facts.run.inputs}
        for file in self.facts.records:
            if file.path not in kept:
                self._file(file.path, _about(file))

    def _file(self, place: str, about: Mapping[str, Any], *, known: bool = False) -> Any:
        from rocrate.model import File

        place = place if known else place.removeprefix("./")
        source, path = (place, None) if known else (None, place)
        return self.crate.add(File(self.crate, source, path, properties=_given(about)))

    def _add(self, identity: str, kind: str, /, **about: Any) -> Any:
        from rocrate.model import ContextEntity

        return self.crate.add(ContextEntity(self.crate, identity, properties={"@type": kind, **_given(about)}))


def _about(file: CrateFile) -> dict[str, Any]:
    kind = (file.content_type or "").partition(";")[0].strip() or None
    return {
        "name": file.path,
        "contentSize": str(file.size),
        "encodingFormat": kind,
        "sha256": _hex(file.digest),
        "dateModified": _moment(file.modified_at),
    }


def _given(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known: entities become references to them."""
    return {key: _reference(value) for key, value in about.items() if value not in (None, [], "")}


def _reference(value: Any) -> Any:
    if isinstance(value, list):
        found = [_reference(item) for item in value]
        return found[0] if len(found) == 1 else found
    return {"@id": value.id} if hasattr(value, "id") and hasattr(value, "crate") else value


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def _hex(digest: str | None) -> str | None:
    return digest.removeprefix("sha256:") if digest else None


def _name_of_input(item: RunInput) -> str:
    return f"#input-{quote(item.path, safe='')}"


def _where(item: RunInput) -> str:
    told = {
        "content": "given with the request; it stands in the specification",
        "url": "fetched from an address",
        "upload": "uploaded to the gateway",
        "output": "an output of another job",
        "target": "a file or folder on the machine",
    }[item.source]
    return f"Not in this crate: {told}" + (f" ({item.reference})" if item.reference else "")
