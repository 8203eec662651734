"""Fills values into the text of a case. What a case's author wrote is a template; what people give is data.

A template is a file or a line of ``case.yaml`` that an administrator published. Values are put in as they are and
never read again.
"""

from __future__ import annotations

import itertools
import math
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from mako import exceptions as mako_errors
from mako.lookup import TemplateCollection
from mako.template import Template

from gateway.cases.definition import Syntax
from gateway.cases.folder import Files
from gateway.cases.mistakes import Mistake
from gateway.cases.values import text_of

_BRACES = re.compile(r"\{\{([A-Za-z][A-Za-z0-9_]*)\}\}|\{([A-Za-z][A-Za-z0-9_]*)\}")
_MAKO_SIGNS = re.compile(r"\$\{|<%|^\s*%|##|\\\n", re.MULTILINE)
_UNDEFINED = re.compile(r"'([A-Za-z_][A-Za-z0-9_]*)' is not defined")
_IMPORTS = ["from gateway.cases.values import text_of as text"]
_numbers = itertools.count(1)


class RenderError(Exception):
    """A template cannot be filled in; `mistakes`, at least one, say where and why."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("; ".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class Renderer:
    """Renders the templates of one version of a case.

    Parameters
    ----------
    files
        The only ones that a template can include.
    """

    def __init__(self, syntax: Syntax, files: Files) -> None:
        self.syntax = syntax
        self.lookup = _CaseTemplates(files)
        self.files = files
        self._lines: dict[str, Template] = {}

    def file(self, path: str, values: Mapping[str, Any]) -> str:
        """Render a file of the case; raises `RenderError`."""
        if self.syntax == "braces":
            return _fill(decode(path, self.files[path].content), values, path, 1)
        try:
            return self._mako(path, 0, lambda: self.lookup.template(path), values)
        except RenderError as error:
            raise RenderError(*map(self._with_line, error.mistakes)) from error

    def line(self, text: str, values: Mapping[str, Any], file: str, line: int) -> str:
        """Render a text that stands in a line of a file; raises `RenderError`."""
        if self.syntax == "braces":
            return _fill(text, values, file, line)
        if not _MAKO_SIGNS.search(text):
            return text
        return self._mako(file, line, lambda: self._line_template(text), values)

    def _with_line(self, mistake: Mistake) -> Mistake:
        """Look for the line of a name that is not defined: mako finds it before the first line."""
        name = _UNDEFINED.search(mistake.detail)
        if mistake.line or name is None or mistake.file not in self.files:
            return mistake
        text = self.files[mistake.file].content.decode("utf-8", "replace")
        found = re.search(rf"\b{name[1]}\b", text)
        return Mistake(mistake.file, text.count("\n", 0, found.start()) + 1 if found else 0, mistake.detail)

    def _line_template(self, text: str) -> Template:
        if text not in self._lines:
            self._lines[text] = _template(text, f"line{next(_numbers)}", self.lookup)
        return self._lines[text]

    @staticmethod
    def _mako(file: str, line: int, make: Callable[[], Template], values: Mapping[str, Any]) -> str:
        try:
            return str(make().render_unicode(math=math, **values))
        except RecursionError:
            raise RenderError(Mistake(file, line, "the template includes itself")) from None
        except RenderError:
            raise
        except Exception as error:
            raise RenderError(_mako_mistake(error, file, line)) from error


def decode(path: str, content: bytes) -> str:
    """Return the text of a file; raises `RenderError` where it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RenderError(Mistake(path, line, "is not UTF-8 text: put such a file into the image")) from None


def _fill(text: str, values: Mapping[str, Any], file: str, first_line: int) -> str:
    mistakes: list[Mistake] = []

    def replaced(found: re.Match[str]) -> str:
        if found[1] is not None:
            return "{" + found[1] + "}"
        name = found[2]
        try:
            if name in values:
                return text_of(values[name])
            detail = f"{{{name}}} names no parameter (for the text itself write {{{{{name}}}}})"
        except ValueError as error:
            detail = f"{{{name}}}: {error}"
        mistakes.append(Mistake(file, first_line + text.count("\n", 0, found.start()), detail))
        return ""

    filled = _BRACES.sub(replaced, text)
    if mistakes:
        raise RenderError(*mistakes)
    return filled


class CollectingRenderer:
    """Renders as another does, and goes on after a mistake, to find them all.

    Attributes
    ----------
    mistakes
        Those found so far; what could not be filled in is empty.
    """

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self.mistakes: list[Mistake] = []

    def file(self, path: str, values: Mapping[str, Any]) -> str:
        """Render a file of the case."""
        return self._kept(lambda: self.renderer.file(path, values))

    def line(self, text: str, values: Mapping[str, Any], file: str, line: int) -> str:
        """Render a text that stands in a line of a file."""
        return self._kept(lambda: self.renderer.line(text, values, file, line))

    def _kept(self, render: Callable[[], str]) -> str:
        try:
            return render()
        except RenderError as error:
            self.mistakes += error.mistakes
            return ""


class _CaseTemplates(TemplateCollection):  # type: ignore[misc]
    """Finds what templates include: files of the case, nothing else."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.prefix = f"case{next(_numbers)}/"
        self.made: dict[str, Template] = {}

    def template(self, path: str) -> Template:
        """Return the template of a file of the case."""
        if path not in self.made:
            self.made[path] = _template(decode(path, self.files[path].content), self.prefix + path, self)
        return self.made[path]

    def get_template(self, uri: str, relativeto: str | None = None) -> Template:
        """Return what an include names."""
        path = uri.removeprefix(self.prefix)
        if path not in self.files:
            raise mako_errors.TopLevelLookupException(f"there is no file {path!r} in the case's folder")
        return self.template(path)

    def has_template(self, uri: str) -> bool:
        """Say whether an include can be found."""
        return uri.removeprefix(self.prefix) in self.files

    def adjust_uri(self, uri: str, relativeto: str | None) -> str:
        """Return the path that an include means, from the file that it stands in."""
        here = posixpath.dirname((relativeto or "").removeprefix(self.prefix))
        return self.prefix + posixpath.normpath(posixpath.join("" if uri.startswith("/") else here, uri.lstrip("/")))


def _template(text: str, uri: str, lookup: _CaseTemplates) -> Template:
    # In memory only: no module is written to any folder or read from one.
    return Template(  # noqa: S702  (input files, no web pages)
        text=text, uri=uri, lookup=lookup, strict_undefined=True, default_filters=["text"], imports=_IMPORTS
    )


def _mako_mistake(error: Exception, file: str, line: int) -> Mistake:
    said = " ".join(str(error).split())
    if isinstance(error, mako_errors.MakoException):
        inner = getattr(error, "lineno", 0) or _template_line(error)
        said = re.sub(r" in file .*? at line: \d+ char: \d+$| at line: \d+ char: \d+$", "", said)
        said = said.removeprefix("(SyntaxError) ")
    else:
        inner = _template_line(error)
        said = said if isinstance(error, NameError) else f"{type(error).__name__}: {said}"
    return Mistake(file, line or inner, f"the template cannot be filled in: {said[:500]}")


def _template_line(error: Exception) -> int:
    try:
        records = mako_errors.RichTraceback(error, error.__traceback__).records
    except Exception:  # mako's own reading of the trace is only a comfort
        return 0
    lines = [record[5] for record in records if record[5]]
    return int(lines[0]) if lines else 0
