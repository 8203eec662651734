"""The commands about cases: what is published, and whether a folder is good."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.exits import Exit, UsageMistake
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import line, number_of, plain
from gateway.client import GatewayNotRunning
from gateway.errors import NotFound
from gateway.model.case import CaseImage, CaseInfo, CaseSummary, ParameterInfo

if TYPE_CHECKING:  # what reads cases takes a second to import: only the commands that do so here pay for it
    from gateway.cases.catalogue import Catalogue
    from gateway.cases.check import Checked
    from gateway.cases.images import CaseImages

cases_app = typer.Typer(help="Cases: list, show, check and write them.", no_args_is_help=True)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


@cases_app.command("list")
def cases_list(context: typer.Context) -> None:
    """List the published cases: of the running gateway, else those in the folders of the configuration."""
    session = session_of(context)
    found = _summaries(session)
    if session.json:
        session.answer({"items": found})
        return
    heads = ("NAME", "VERSION", "IMAGE", "")
    session.table(heads, ((item.name, _short(item.version), _image(item.image), item.label) for item in found))


def _summaries(session: Session) -> list[CaseSummary]:
    try:
        with session.gateway() as client:
            return list(client.cases())
    except GatewayNotRunning:
        from gateway.cases.showing import summary_of

        catalogue, images = _local(session)
        found = [summary_of(case, images.state(case)) for case in catalogue.all()]
        for problem in catalogue.problems():
            note(f"gateway: {line(problem.message)}: see gateway cases check")
        return found


def _local(session: Session) -> tuple[Catalogue, CaseImages]:
    from gateway.cases.catalogue import Catalogue
    from gateway.cases.images import CaseImages
    from gateway.images.published import PublishedImages

    settings = session.settings()
    catalogue = Catalogue(settings.gateway.cases)
    return catalogue, CaseImages(catalogue, PublishedImages(settings.gateway.data_folder / "built-images"))


@cases_app.command("show")
def cases_show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    version: Annotated[str | None, typer.Option(help="An older version (sha256:…).", show_default=False)] = None,
) -> None:
    """Show a case: what can be set, and what it needs."""
    session = session_of(context)
    found = _info(session, name, version)
    if session.json:
        session.answer(found)
        return
    print(f"{line(found.label)} ({found.name})")
    print(f"version {found.version}")
    print(f"image   {_image(found.image)}{' ' + found.image.digest if found.image.digest else ''}")
    if found.description:
        print(f"\n{plain(found.description).rstrip()}")
    for family in found.families:
        print(f"\n{line(family.label)}")
        session.table(
            ("NAME", "TYPE", "DEFAULT", "ALLOWED", "UNIT", ""),
            ((p.name, p.type, _default(p), _allowed(p), p.unit or "", p.label) for p in family.parameters),
        )
    print(f"\nrun it:  gateway submit --case {found.name}{_suggestion(found)}")


def _info(session: Session, name: str, version: str | None) -> CaseInfo:
    try:
        with session.gateway() as client:
            return client.case(name, version)
    except GatewayNotRunning:
        from gateway.cases.showing import info_of

        catalogue, images = _local(session)
        case = catalogue.find(name, version)
        return info_of(case, images.state(case))


@cases_app.command("check")
def cases_check(
    context: typer.Context,
    places: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH | NAME]...", help="Folders, or names of published cases. Default: all of these."),
    ] = None,
) -> int:
    """Name every mistake in cases, with file and line; fill in all templates with defaults, minima and maxima."""
    from gateway.cases.catalogue import case_folders
    from gateway.cases.check import check_folder
    from gateway.jobs.acceptance import output_errors

    session = session_of(context)
    known = case_folders(session.settings().gateway.cases)
    folders = [_folder(place, known) for place in places or []] or list(known.values())
    found = [(folder, check_folder(folder, output_errors)) for folder in folders]
    if session.json:
        session.answer({"items": [_checked_json(folder, checked) for folder, checked in found]})
    else:
        for folder, checked in found:
            _tell(folder, checked)
    return Exit.USAGE if any(checked.mistakes for _, checked in found) else Exit.DONE


def _folder(place: str, known: dict[str, Path]) -> Path:
    path = Path(place)
    if path.is_dir():
        return path
    if path.name == "case.yaml" and path.is_file():
        return path.parent
    if place in known:
        return known[place]
    raise NotFound(f"{place!r} is neither a folder nor a published case")


def _tell(folder: Path, checked: Checked) -> None:
    for mistake in checked.mistakes:
        place = folder / mistake.file if mistake.file else folder
        print(plain(f"{place}{f':{mistake.line}' if mistake.line else ''}: {line(mistake.detail)}"))
    if not checked.mistakes and checked.case is not None:
        said = f"{checked.case.name} is good: {number_of(len(checked.case.files), 'file')}"
        print(f"{said}, filled in with {checked.rendered} sets of values")


def _checked_json(folder: Path, checked: Checked) -> dict[str, Any]:
    return {
        "name": folder.absolute().name,
        "folder": str(folder.absolute()),
        "version": checked.case.version if checked.case else None,
        "sets_of_values": checked.rendered,
        "errors": [vars(mistake) for mistake in checked.mistakes],
    }


@cases_app.command("new")
def cases_new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '_', '.' and '-'.")],
    folder: Annotated[Path, typer.Option("--in", help="The folder to write it in.")] = Path(),
) -> None:
    """Write a new case to start from: commented, and good as it stands."""
    from gateway.cases.example import write_example

    session = session_of(context)
    if not _NAME.match(name):
        raise UsageMistake(f"{name!a} cannot be the name of a case: letters, digits, '_', '.', '-', at most 64")
    place = (folder / name).absolute()
    try:
        write_example(name, place)
    except OSError as error:
        raise UsageMistake(f"{place} cannot be written: {error.strerror}") from None
    if session.json:
        session.answer({"name": name, "folder": str(place)})
        return
    print(place)
    note(f"check it:   gateway cases check {folder / name}")
    if place.parent not in [item.expanduser().absolute() for item in session.settings().gateway.cases]:
        note(f'publish it: put its folder\'s parent into gateway.toml:  [gateway] cases = ["{place.parent}"]')


def _short(version: str) -> str:
    return version.removeprefix("sha256:")[:12]


def _image(image: CaseImage) -> str:
    return image.state.replace("_", " ")


def _default(parameter: ParameterInfo) -> str:
    if parameter.required:
        return "(needed)"
    if isinstance(parameter.default, bool):
        return str(parameter.default).lower()
    return "" if parameter.default is None else str(parameter.default)


def _allowed(parameter: ParameterInfo) -> str:
    if parameter.choices:
        return ", ".join(str(choice.value) for choice in parameter.choices)
    if parameter.min is None and parameter.max is None:
        return ""
    by = f" by {_text(parameter.step)}" if parameter.step is not None else ""
    return f"{_text(parameter.min)} … {_text(parameter.max)}".strip() + by


def _text(value: Any) -> str:
    from gateway.cases.values import text_of

    return text_of(value)


def _suggestion(case: CaseInfo) -> str:
    """Return a value to change, as an example of a command."""
    for family in case.families:
        for parameter in family.parameters:
            if parameter.type in ("int", "float") and parameter.default is not None:
                return f" --set {parameter.name}={_text(parameter.default)}"
    return ""


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(cases_app, name="cases")
