"""One version of a case: its definition and its files, read and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from gateway.cases.definition import Definition, Parameter
from gateway.cases.document import Document, Place, read_document
from gateway.cases.folder import Files, read_folder, version_of
from gateway.cases.mistakes import CaseInvalid, Mistake
from gateway.cases.rendering import Renderer, RenderError, decode
from gateway.cases.values import ValueRefused, check_value, same, several
from gateway.images.recipe import Recipe

CASE_FILE = "case.yaml"
MAX_THUMBNAIL = 1024 * 1024
THUMBNAIL_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True, eq=False)
class Case:
    """A version of a case.

    Attributes
    ----------
    version
        Digest of its files.
    folder
        Where it was read; None for one that was kept in the database.
    """

    definition: Definition
    files: Files = field(repr=False)
    version: str
    document: Document = field(repr=False)
    folder: Path | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.definition.name

    @cached_property
    def renderer(self) -> Renderer:
        """Renders its templates."""
        return Renderer(self.definition.syntax, self.files)

    def line(self, *place: str | int) -> int:
        """Return the line of ``case.yaml`` where something stands."""
        return self.document.line(place)


def load_folder(folder: Path) -> Case:
    """Read a case from its folder; raises `CaseInvalid`, which names every mistake with file and line."""
    if not folder.is_dir():
        raise CaseInvalid(folder.name, [Mistake("", 0, f"{folder} is not a folder")])
    return load_case(folder.absolute().name, read_folder(folder), folder.absolute())


def load_case(name: str, files: Files, folder: Path | None = None) -> Case:
    """Read a case from its files; raises `CaseInvalid`."""
    if CASE_FILE not in files:
        raise CaseInvalid(name, [Mistake("", 0, f"the folder has no {CASE_FILE}")])
    document, mistakes = read_document(CASE_FILE, files[CASE_FILE].content)
    if document is None:
        raise CaseInvalid(name, mistakes)
    try:
        definition = Definition.model_validate(document.value)
    except ValidationError as error:
        raise CaseInvalid(name, [*mistakes, *_form_mistakes(error, document, CASE_FILE)]) from None
    mistakes += [
        Mistake(CASE_FILE, document.line(place), detail) for place, detail in _sense_mistakes(name, definition, files)
    ]
    mistakes += _file_mistakes(definition, files)
    if mistakes:
        raise CaseInvalid(name, mistakes)
    return Case(definition, files, version_of(files), document, folder)


_LEADING_KEY = re.compile(r"^([a-z_]+): ")


def _form_mistakes(error: ValidationError, document: Document, file: str) -> Iterator[Mistake]:
    """Turn pydantic's mistakes into ours: branches of unions that do not fit the text are left out."""
    seen: set[tuple[int, str]] = set()
    found = error.errors(include_url=False, include_context=False)
    inner = {item["loc"][:length] for item in found for length in range(len(item["loc"]))}
    for item in found:
        if item["type"] == "too_short" and item["loc"] in inner:
            continue  # it is short only because of the mistakes in it
        place: Place = ()
        for number, part in enumerate(item["loc"]):
            missing = item["type"] == "missing" and number == len(item["loc"]) - 1
            if (*place, part) in document.lines or missing:
                place = (*place, part)
        detail = item["msg"].removeprefix("Value error, ")
        key = _LEADING_KEY.match(detail)
        if key and (*place, key[1]) in document.lines:
            place, detail = (*place, key[1]), detail[key.end() :]
        if item["type"] == "extra_forbidden":
            detail = "is not a key that is known here"
        shown = ".".join(str(part) for part in place)
        line = document.line(place)
        if (line, shown) not in seen:
            seen.add((line, shown))
            yield Mistake(file, line, f"{shown}: {detail}" if shown else detail)


def _sense_mistakes(name: str, definition: Definition, files: Files) -> Iterator[tuple[Place, str]]:
    """Find what is well formed and makes no sense."""
    if definition.name != name:
        yield ("name",), f"name: {definition.name!r} is not the name of the folder, {name!r}"
    known: dict[str, Parameter] = {}
    for place, parameter in _places(definition):
        if parameter.name in known:
            yield (*place, "name"), f"the parameter {parameter.name!r} stands twice"
        known[parameter.name] = parameter
    for place, parameter in _places(definition):
        yield from _parameter_mistakes(place, parameter, known)
    yield from _input_mistakes(definition, files, known)
    yield from _watching_mistakes(definition, known)
    if definition.recipe is not None and definition.recipe not in files:
        yield ("image",), f"image: there is no file {definition.recipe!r} in the folder"
    thumbnail = definition.thumbnail
    if thumbnail is not None:
        if thumbnail not in files:
            yield ("thumbnail",), f"thumbnail: there is no file {thumbnail!r} in the folder"
        elif PurePosixPath(thumbnail).suffix.lower() not in THUMBNAIL_TYPES:
            yield ("thumbnail",), "thumbnail: must be an .svg or a .png"
        elif len(files[thumbnail].content) > MAX_THUMBNAIL:
            yield ("thumbnail",), f"thumbnail: must have at most {MAX_THUMBNAIL} bytes"


def _watching_mistakes(definition: Definition, known: dict[str, Parameter]) -> Iterator[tuple[Place, str]]:
    if definition.progress is not None:
        for key in ("min", "max"):
            value = getattr(definition.progress, key)
            if isinstance(value, str) and (value not in known or known[value].type not in ("int", "float")):
                yield ("progress", key), f"progress.{key}: {value!r} is no parameter that is a number"
    series = [item.name for item in definition.data]
    for number, item in enumerate(series):
        if item in series[:number]:
            yield ("data", number, "name"), f"the data series {item!r} stands twice"


def _places(definition: Definition) -> Iterator[tuple[Place, Parameter]]:
    for family_number, family in enumerate(definition.families):
        for number, parameter in enumerate(family.parameters):
            yield ("families", family_number, "parameters", number), parameter


def _parameter_mistakes(place: Place, parameter: Parameter, known: dict[str, Parameter]) -> Iterator[tuple[Place, str]]:
    name = parameter.name
    values = [choice.value for choice in parameter.choices]
    for number, value in enumerate(values):
        if any(same(value, other) for other in values[:number]):
            yield (*place, "choices", number), f"{name}: the choice {value!r} stands twice"
    if parameter.pattern is not None:
        try:
            re.compile(parameter.pattern)
        except re.error as error:
            yield (*place, "pattern"), f"{name}: the pattern is not a regular expression: {error}"
            return
    if parameter.default is not None:
        try:
            check_value(parameter, parameter.default)
        except ValueRefused as refused:
            yield (*place, "default"), f"{name}: the default {refused}"
    elif not parameter.required and parameter.type != "file" and not parameter.enabled_if:
        yield (*place, "default"), f"{name}: the default is empty: leave it out where a value must be given"
    if _is_circle(name, known):
        yield (*place, "enabled_if"), f"{name}: enabled_if comes back to the parameter itself"
        return
    for other, wanted in parameter.enabled_if.items():
        there = (*place, "enabled_if", other)
        if other not in known or known[other].type == "file":
            yield there, f"{name}: enabled_if names {other!r}, which is no parameter that it could ask for"
            continue
        for value in several(wanted):
            try:
                check_value(known[other], value)
            except ValueRefused as refused:
                yield there, f"{name}: {other} never has this value: it {refused}"


def _is_circle(name: str, known: dict[str, Parameter]) -> bool:
    seen: set[str] = set()
    waiting = list(known[name].enabled_if)
    while waiting:
        other = waiting.pop()
        if other == name:
            return True
        if other not in seen and other in known:
            seen.add(other)
            waiting += known[other].enabled_if
    return False


def _input_mistakes(definition: Definition, files: Files, known: dict[str, Parameter]) -> Iterator[tuple[Place, str]]:
    used: set[str] = set()
    paths: set[str] = set()
    for number, item in enumerate(definition.inputs):
        place: Place = ("inputs", number)
        if item.path in paths:
            yield (*place, "path"), f"two inputs have the path {item.path!r}"
        paths.add(item.path)
        for key in ("template", "static"):
            source = getattr(item, key)
            if source is not None and source not in files:
                yield (*place, key), f"there is no file {source!r} in the folder"
        if item.parameter is not None:
            used.add(item.parameter)
            if item.parameter not in known or known[item.parameter].type != "file":
                yield (*place, "parameter"), f"{item.parameter!r} is no parameter of the type file"
    for there, parameter in _places(definition):
        if parameter.type == "file" and parameter.name not in used:
            yield (*there, "name"), f"no input uses the file {parameter.name!r}"


def _file_mistakes(definition: Definition, files: Files) -> Iterator[Mistake]:
    """Find what is wrong in the files that the definition names."""
    for item in definition.inputs:
        source = item.static or item.template
        if source is not None and source in files:
            try:
                decode(source, files[source].content)
            except RenderError as error:
                yield from error.mistakes
    recipe = definition.recipe
    if recipe is not None and recipe in files:
        document, mistakes = read_document(recipe, files[recipe].content)
        yield from mistakes
        if document is not None:
            yield from _recipe_mistakes(document, recipe, files)


def _recipe_mistakes(document: Document, file: str, files: Files) -> Iterator[Mistake]:
    try:
        recipe = Recipe.model_validate(document.value)
    except ValidationError as error:
        yield from _form_mistakes(error, document, file)
        return
    for number, added in enumerate(recipe.files):
        if str(PurePosixPath(added.source)) not in files:
            line = document.line(("files", number, "source"))
            yield Mistake(file, line, f"there is no file {added.source!r} in the case's folder")


def thumbnail_of(case: Case) -> tuple[str, bytes] | None:
    """Return content type and bytes of a case's picture; None where it has none."""
    path = case.definition.thumbnail
    if path is None:
        return None
    return THUMBNAIL_TYPES[PurePosixPath(path).suffix.lower()], case.files[path].content


def plain_value(value: Any) -> Any:
    """Return a value of the definition as JSON has it."""
    return list(value) if isinstance(value, tuple) else value
