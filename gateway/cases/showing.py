"""Cases as the API shows them. Pure."""

from __future__ import annotations

from urllib.parse import quote

from gateway.cases.case import Case
from gateway.cases.definition import Family, Parameter
from gateway.cases.schema import json_schema
from gateway.cases.values import several, text_of
from gateway.model.case import (
    CaseImage,
    CaseInfo,
    CaseSummary,
    ChoiceInfo,
    FamilyInfo,
    ParameterInfo,
    ProgressInfo,
    SeriesInfo,
)

API = "/api/v1"


def summary_of(case: Case, image: CaseImage) -> CaseSummary:
    """Return a case as lists show it."""
    definition = case.definition
    base = f"{API}/cases/{quote(case.name)}"
    return CaseSummary(
        name=case.name,
        label=definition.label,
        description=definition.description,
        version=case.version,
        thumbnail=f"{base}/thumbnail?version={case.version}" if definition.thumbnail else None,
        image=image,
    )


def info_of(case: Case, image: CaseImage) -> CaseInfo:
    """Return all that a form needs."""
    definition = case.definition
    outputs = definition.outputs
    progress = definition.progress
    return CaseInfo.model_validate(
        {
            **summary_of(case, image).model_dump(),
            "families": [_family(family) for family in definition.families],
            "schema": json_schema(definition),
            "resources": definition.resources,
            "outputs": None if outputs is None else [item.model_dump(mode="json") for item in outputs],
            "progress": None if progress is None else ProgressInfo(**progress.model_dump(mode="json")),
            "data": [SeriesInfo(**item.model_dump(mode="json")) for item in definition.data],
            "save_and_stop": definition.save_and_stop is not None,
        }
    )


def _family(family: Family) -> FamilyInfo:
    return FamilyInfo(
        label=family.label,
        collapse=family.collapse,
        parameters=[parameter_info(parameter) for parameter in family.parameters],
    )


def parameter_info(parameter: Parameter) -> ParameterInfo:
    """Return a parameter as forms need it."""
    is_text = parameter.type == "text"
    return ParameterInfo(
        name=parameter.name,
        label=parameter.label,
        help=parameter.help,
        type=parameter.type,
        unit=parameter.unit,
        required=parameter.required,
        default=parameter.default,
        min=parameter.min,
        max=parameter.max,
        step=parameter.step,
        choices=[ChoiceInfo(value=c.value, label=c.label or text_of(c.value) or "(empty)") for c in parameter.choices],
        enabled_if={name: list(several(wanted)) for name, wanted in parameter.enabled_if.items()},
        max_length=parameter.max_length if is_text else None,
        multiline=parameter.multiline,
        pattern=parameter.pattern,
    )
