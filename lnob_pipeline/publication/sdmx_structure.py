"""The structure message: code lists with the codes that the release uses, concepts, definitions and dataflows.

Here: structure.xml, and the check that every code in use is a known one. Not here: which code a row has (sdmx_codes),
data messages (sdmx_message).

The lists are the project's own (agency LNOB). A code without the annotation `own` is one of the official list that the
description of the list names, under its official identifier; the words are this project's. They hold the codes of one
release, so they are never final, and another release has others.

Sources: SDMX 2.1; identifiers and versions of the lists: global structure IAEG-SDGs:SDG(1.4), June 2021. Series carry
their indicators as annotations of the type Indicator, as that structure does: Open SDG finds the indicator by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from lnob_pipeline import storage
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.sdmx_codes import (
    DIMENSIONS,
    NO_SERIES,
    TIME,
    TOTAL,
    VALUE,
    area_name,
    code_book,
    custom_name,
    is_own_series,
    series_names,
)
from lnob_pipeline.publication.sdmx_message import AGENCY, VERSION, Attribute, SdmxError, Structure, header, validate

LISTS: Final = {
    "FREQ": ("CL_FREQ", "SDMX:CL_FREQ(2.0)"),
    "REPORTING_TYPE": ("CL_REPORTING_TYPE", "IAEG-SDGs:CL_REPORTING_TYPE(1.0)"),
    "SERIES": ("CL_SERIES", "IAEG-SDGs:CL_SERIES(1.4)"),
    "REF_AREA": ("CL_AREA", "IAEG-SDGs:CL_AREA(1.4)"),
    "SEX": ("CL_SEX", "IAEG-SDGs:CL_SEX(1.1)"),
    "AGE": ("CL_AGE", "IAEG-SDGs:CL_AGE(1.1)"),
    "URBANISATION": ("CL_URBANISATION", "IAEG-SDGs:CL_URBANISATION(1.0)"),
    "INCOME_WEALTH_QUANTILE": ("CL_QUANTILE", "IAEG-SDGs:CL_QUANTILE(1.1)"),
    "EDUCATION_LEV": ("CL_EDUCATION_LEV", "IAEG-SDGs:CL_EDUCATION_LEV(1.0)"),
    "OCCUPATION": ("CL_OCCUPATION", "IAEG-SDGs:CL_OCCUPATION(1.1)"),
    "CUST_BREAKDOWN": ("CL_CUST_BREAKDOWN", "IAEG-SDGs:CL_CUST_BREAKDOWN(1.4)"),
    "COMPOSITE_BREAKDOWN": ("CL_COMP_BREAKDOWN", "IAEG-SDGs:CL_COMP_BREAKDOWN(1.4)"),
    "DISABILITY_STATUS": ("CL_DISABILITY", "IAEG-SDGs:CL_DISABILITY(1.0)"),
    "ACTIVITY": ("CL_ACTIVITY", "IAEG-SDGs:CL_ACTIVITY(1.4)"),
    "PRODUCT": ("CL_PRODUCT", "IAEG-SDGs:CL_PRODUCT(1.0)"),
    "OBS_STATUS": ("CL_OBS_STATUS", "SDMX:CL_OBS_STATUS(2.1)"),
    "UNIT_MULT": ("CL_UNIT_MULT", "SDMX:CL_UNIT_MULT(1.1)"),
    "UNIT_MEASURE": ("CL_UNIT_MEASURE", "IAEG-SDGs:CL_UNIT_MEASURE(1.3)"),
    "NATURE": ("CL_NATURE", "IAEG-SDGs:CL_NATURE(1.0)"),
    "GAP_STATUS": ("CL_GAP_STATUS", ""),
    "CITIZEN_EFFECT": ("CL_CITIZEN_EFFECT", ""),
    "EXPECTED_BECAUSE": ("CL_EXPECTED_BECAUSE", ""),
}
"""Coded component -> identifier of the list here and in the global structure, and the official list behind it."""

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "FREQ": {"A": "Annual"},
    "REPORTING_TYPE": {"G": "Global: reported across countries, here by the Leave No One Behind Partnership"},
    "OBS_STATUS": {
        "G": "Experimental: collected by an alternative method",
        "U": "Low reliability: wide interval, few cases or few degrees of freedom",
        "Q": "Missing: suppressed to protect people",
        "O": "Missing",
        "L": "Missing: exists and was not collected or not provided",
        "M": "Missing: cannot exist",
    },
    "NATURE": {"_X": "Not available: the list knows the natures of official data alone"},
    "UNIT_MULT": {str(power): f"Ten to the power of {power}" for power in range(13)},
    "GAP_STATUS": {
        "not_applicable": "The cell cannot have a figure",
        "no_series": "The official release has no series for it",
        "not_loaded": "This snapshot does not hold the series",
        "reported": "A usable official figure since the base year",
        "none_since_2015": "Official figures, none of them since the base year",
        "withheld": "An official figure exists and is withheld",
        "not_provided": "The country provided none",
        "never_reported": "No usable official figure at all",
    },
    "CITIZEN_EFFECT": {
        "closes": "Citizen data closes the gap, accepted by the statistics office",
        "could_close": "Citizen data could close the gap",
        "informs": "Citizen data informs the gap",
        "illustrates": "Citizen data illustrates the gap",
        "not_shown": "Citizen numbers are hidden to protect people",
        "nothing_yet": "No citizen data yet",
    },
    "EXPECTED_BECAUSE": {
        "headline": "The headline of the series",
        "required": "The indicator requires the breakdown",
        "lnob": "The pledge to leave no one behind requires the breakdown",
    },
}


def codes_in_use(rows: pl.DataFrame, used: dict[str, set[str]]) -> None:
    """Add the codes of a set of rows to those in use, by component."""
    for name in LISTS:
        if name in rows.columns:
            used.setdefault(name, set()).update(rows[name].drop_nulls().unique())


def write_structure(
    path: Path, structures: Iterable[Structure], used: Mapping[str, set[str]], content: ReleaseContent
) -> None:
    """Write structure.xml with the codes in use. Raises SdmxError where one of them is unknown."""
    import sdmx
    from lxml import etree
    from sdmx.message import StructureMessage
    from sdmx.model import v21

    agency = v21.Agency(id=AGENCY)
    final = {"version": VERSION, "maintainer": agency, "is_final": False, "is_external_reference": False}
    message = StructureMessage(header=header(content.facts, f"{content.facts['release']}-structure"))
    lists = {}
    for name, codes in sorted(used.items()):
        identifier, official = LISTS[name]
        listed = v21.Codelist(id=identifier, name={"en": f"Codes of {name}"}, **final)
        if official:
            listed.description = {"en": f"Codes without the annotation `own` are codes of {official}."}
        for code, (words, own, indicators) in named(name, codes, content).items():
            notes = [("Indicator", text) for text in indicators] + [("Origin", "own")] * own
            annotations = [v21.Annotation(title=kind, type=kind, text={"en": text}) for kind, text in notes]
            listed.append(v21.Code(id=code, name={"en": words}, annotations=annotations))
        lists[name] = listed
        message.codelist[identifier] = listed
    concepts = v21.ConceptScheme(id="CS_SDG", name={"en": "Concepts of the SDG structures"}, **final)
    message.concept_scheme["CS_SDG"] = concepts
    for structure in structures:
        definition = _definition(structure, lists, concepts, final)
        message.structure[structure.identifier] = definition
        flow = v21.DataflowDefinition(
            id=str(structure.dataflow), name={"en": structure.words}, structure=definition, **final
        )
        message.dataflow[str(structure.dataflow)] = flow
    written = sdmx.to_xml(message, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    validate(etree.fromstring(written))
    storage.write_bytes(path, written)


def _definition(structure: Structure, lists: Mapping[str, Any], concepts: Any, final: Mapping[str, Any]) -> Any:
    """A data structure definition in the order of the global one."""
    from sdmx.model import common, v21

    definition = v21.DataStructureDefinition(id=structure.identifier, name={"en": structure.words}, **final)
    definition.dimensions.id = "DimensionDescriptor"  # the schema demands these identifiers; sdmx1 leaves them empty
    definition.attributes.id = "AttributeDescriptor"
    definition.measures.id = "MeasureDescriptor"

    def component(kind: Any, name: str, words: str, text: str | None, **more: Any) -> Any:
        if name not in concepts.items:
            concepts.append(v21.Concept(id=name, name={"en": words}))
        shape = None
        if name in lists:
            shape = common.Representation(enumerated=lists[name])
        elif text:
            facet = v21.Facet(value_type=getattr(common.FacetValueType, text[0].lower() + text[1:]))
            shape = common.Representation(non_enumerated=[facet])
        return kind(id=name, concept_identity=concepts[name], local_representation=shape, **more)

    for place, name in enumerate(DIMENSIONS, 1):
        definition.dimensions.append(
            component(v21.Dimension, name, name.replace("_", " ").capitalize(), None, order=place)
        )
    time = component(v21.TimeDimension, TIME, "Time period", "ObservationalTimePeriod", order=len(DIMENSIONS) + 1)
    definition.dimensions.append(time)
    definition.measures.append(component(v21.PrimaryMeasure, VALUE, "Observation value", "Double"))
    of_series = v21.DimensionRelationship(dimensions=definition.dimensions.components[:-1])
    for item in structure.attributes:
        definition.attributes.append(_attribute(component, item, of_series))
    return definition


def _attribute(component: Any, item: Attribute, of_series: Any) -> Any:
    from sdmx.model import common, v21

    return component(
        v21.DataAttribute,
        item.name,
        item.words,
        None if item.codes else item.kind,
        related_to=of_series if item.level == "series" else v21.PrimaryMeasureRelationship(),
        usage_status=common.UsageStatus.mandatory if item.mandatory else common.UsageStatus.conditional,
    )


def named(name: str, codes: Iterable[str], content: ReleaseContent) -> dict[str, tuple[str, bool, tuple[str, ...]]]:
    """Code -> words, whether it is the project's own, indicators (of a series); sorted by code.

    Raises SdmxError with the codes that neither an official list nor the project's mappings know.
    """
    mappings = content.mappings
    book = code_book(mappings)
    found: dict[str, tuple[str, bool, tuple[str, ...]]] = {}
    unknown = []
    titles = dict(content.tables["sdg_catalogue"].select("series", "title").iter_rows())
    indicators: dict[str, list[str]] = {}
    for series, indicator in content.tables["sdg_catalogue"].select("series", "indicator").sort(pl.all()).iter_rows():
        indicators.setdefault(series, []).append(indicator)
    units = {measure: f"{unit} of the SDG database" for unit, (measure, _) in reversed(list(book.units.items()))}
    for code in sorted(codes):
        words, own, of = None, name in ("GAP_STATUS", "CITIZEN_EFFECT", "EXPECTED_BECAUSE"), ()
        if name == "SERIES":
            title, known = series_names(mappings).get(code, (titles.get(code), ()))
            words = "No official series" if code == NO_SERIES else title
            own, of = is_own_series(code), tuple(dict.fromkeys([*known, *indicators.get(code, ())]))
        elif code == TOTAL:
            words = "Total, or no breakdown"
        elif name == "REF_AREA":
            words, own = area_name(code, mappings), not code.isdigit()
        elif name == "CUST_BREAKDOWN":
            words, own = custom_name(code, mappings, book), True
        elif name == "UNIT_MEASURE":
            words = units.get(code)
        else:
            words = _WORDS.get(name, {}).get(code) or book.labels.get((name, code))
            own = own or (name, code) in book.own
        if words is None:
            unknown.append(code)
        else:
            found[code] = (words, own, of)
    if unknown:
        raise SdmxError(f"{name}: {', '.join(unknown)} is no known code; add it to framework/codes.csv or the mappings")
    return found


def check_against(path: Path, used: Mapping[str, set[str]], content: ReleaseContent) -> None:
    """Raise SdmxError with every official code in use that a global structure message (SDMX-ML) does not have."""
    import sdmx
    from sdmx.message import StructureMessage

    if not path.is_file():
        raise SdmxError(f"sdmx_structure: {path.name} is no file; name a structure message, or unset it")
    message = sdmx.read_sdmx(path)
    definitions = list(message.structure.values()) if isinstance(message, StructureMessage) else []
    if not definitions:
        raise SdmxError(f"sdmx_structure: {path.name} holds no data structure definition")
    (definition, *_) = definitions
    problems = []
    for component in (*definition.dimensions, *definition.attributes):
        shape = component.local_representation
        if component.id not in used or shape is None or shape.enumerated is None:
            continue
        ours = {code for code, (_, own, _) in named(component.id, used[component.id], content).items() if not own}
        if absent := sorted(ours - set(shape.enumerated.items)):
            problems.append(f"{component.id}: {', '.join(absent)}")
    if problems:
        raise SdmxError(
            f"sdmx_structure: {path.name} does not have these codes of the release: {'; '.join(problems)}; correct "
            f"the mappings (framework/codes.csv, series.csv renamed_to), or pin the structure that has them"
        )
