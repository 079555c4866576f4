"""The manifest: what a partner says about a hand-in, as a typed model, from submission.yaml or submission.xlsx.

Here belong the fields, their explanations (the templates, the JSON Schema and this model are one source), the rules one
manifest can be checked against alone, and messages that a partner can act on. Whether the data agree with the manifest
is validation's business. Field names follow DDI Codebook 2.5 (sampling, weighting, dates of collection) and the
Copenhagen Framework on Citizen Data (engagement by stage of the value chain).

A message names the field, and the line or the row it stands in. It never repeats what was written: that could name a
person.
"""

from __future__ import annotations

import datetime
import difflib
import functools
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

MANIFEST_NAMES = ("submission.yaml", "submission.xlsx")
MAXIMUM_MANIFEST_BYTES = 1_000_000
MAXIMUM_PROBLEMS = 60
MAXIMUM_NESTING = 20
SUBMISSION_PATTERN = r"^[a-z]{3}-\d{4}-[a-z0-9][a-z0-9-]{0,59}$"

DataType = Literal["household_survey", "score_card", "focus_group", "interview", "policy_review"]
Encoding = Literal[
    "utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "windows-1252", "windows-1258", "mac-roman"
]
PLAIN = ("csv", "xlsx", "ods")
"""Formats that no survey tool made: only there may titles stand above the table, or names take several rows."""
Level = Annotated[int, Field(ge=0, le=5)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Admin1 = Annotated[str, Field(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$")]


class ManifestError(ValueError):
    """The manifest cannot be used. `problems` holds one sentence for each thing to mend.

    `withdraws` holds the identifier of the submission that the manifest withdraws all the same, or None: a withdrawal
    must not fail for want of another field.
    """

    def __init__(self, file: str, problems: list[str], withdraws: str | None = None) -> None:
        self.file, self.problems, self.withdraws = file, problems, withdraws
        super().__init__(f"{file}: " + "; ".join(problems))


class Part(BaseModel):
    """A strict part of the manifest: an unknown field is an error, so that a slip of the pen is seen."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Collection(Part):
    """First and last day of the interviews or meetings."""

    start: datetime.date = Field(description="First day of interviews or meetings", examples=["2019-03-04"])
    end: datetime.date = Field(description="Last day of interviews or meetings", examples=["2019-04-12"])

    @model_validator(mode="after")
    def _in_order(self) -> Collection:
        if self.end < self.start:
            raise ValueError("the collection ends before it starts")
        return self


class Geography(Part):
    """What area the data speak for. `admin1` holds ISO 3166-2 codes; a national claim leaves it empty."""

    level: Literal["national", "admin1", "admin2", "community"] = Field(
        description="The area that the data can speak for: the whole country, first-level areas (counties, provinces, "
        "states), second-level areas (districts, municipalities) or single communities",
        examples=["admin1"],
    )
    admin1: list[Admin1] = Field(
        default=[],
        description="First-level areas where data were collected, ISO 3166-2 codes; empty for a national collection",
        examples=["KE-17; KE-43"],
    )
    description: Text = Field(
        description="The area in words, as precise as may be known in public", examples=["Kisumu and Turkana counties"]
    )

    @model_validator(mode="after")
    def _areas_named(self) -> Geography:
        if (self.level == "national") == bool(self.admin1):
            raise ValueError("name the first-level areas in admin1, unless the level is national")
        return self


class Sampling(Part):
    """How people were chosen. Column names are those of the data file.

    probability: every household of the frame had a known chance; purposive: named groups were sought out; quota; census
    (of a group); open_call; not_applicable (score cards, discussions, interviews, reviews).
    """

    method: Literal["probability", "purposive", "quota", "census", "open_call", "not_applicable"] = Field(
        description="How people were chosen. probability: every household of the frame had a known chance; purposive: "
        "named groups were sought out; quota: fixed numbers of each kind; census: all members of a group; open_call: "
        "whoever answered; not_applicable: score cards, discussions, interviews, reviews",
        examples=["purposive"],
    )
    frame: Text | None = Field(
        default=None,
        description="The list that the sample was drawn from, and its year; needed for a probability sample",
        examples=["Enumeration areas of the 2009 census"],
    )
    stages: Annotated[int, Field(ge=1, le=3)] | None = Field(
        default=None,
        description="Number of stages of selection, 1 to 3; needed for a probability sample",
        examples=["2"],
    )
    strata: Text | None = Field(
        default=None, description="Column of the data that holds the stratum", examples=["stratum"]
    )
    cluster: Text | None = Field(
        default=None,
        description="Column of the data that holds the cluster; needed where there are two stages or more",
        examples=["cluster_id"],
    )
    weight: Text | None = Field(
        default=None,
        description="Column of the data that holds the household weight; only for a probability sample, which needs it",
        examples=["hh_weight"],
    )
    finite_population: Text | None = Field(
        default=None,
        description="Column of the data that holds the number of clusters in the stratum's frame",
        examples=["clusters_in_stratum"],
    )
    respondent_selection: Text | None = Field(
        default=None,
        description="How the adult who answered was chosen in the household",
        examples=["Kish grid among adults of 15 years and above"],
    )

    @model_validator(mode="after")
    def _probability_says_how(self) -> Sampling:
        if self.method == "probability":
            absent = [name for name in ("frame", "stages", "weight") if getattr(self, name) is None]
            if absent:
                raise ValueError(f"a probability sample says its {', '.join(absent)}")
            if self.stages and self.stages > 1 and self.cluster is None:
                raise ValueError("a sample of several stages names the column of its clusters (cluster)")
        elif self.weight:
            raise ValueError("only a probability sample has weights; for other samples leave weight empty")
        return self


class SampleSize(Part):
    """Planned and achieved number of units (households, groups, interviews, questions)."""

    planned: Annotated[int, Field(ge=1)] = Field(
        description="Households, groups, interviews or questions that were planned", examples=["900"]
    )
    achieved: Annotated[int, Field(ge=0)] = Field(
        description="Households, groups, interviews or questions that were completed", examples=["874"]
    )


class Engagement(Part):
    """How far the community took part, 0 (not at all) to 5 (leads), for each stage of the data value chain."""

    need: Level = Field(
        description="Community engagement, 0 (not at all) to 5 (leads), in deciding what data are needed",
        examples=["4"],
    )
    design: Level = Field(description="Community engagement, 0 to 5, in designing the questions", examples=["4"])
    collection: Level = Field(description="Community engagement, 0 to 5, in collecting the data", examples=["5"])
    processing: Level = Field(
        description="Community engagement, 0 to 5, in checking and processing the data", examples=["2"]
    )
    analysis: Level = Field(description="Community engagement, 0 to 5, in the analysis", examples=["2"])
    dissemination: Level = Field(description="Community engagement, 0 to 5, in making results known", examples=["3"])
    use: Level = Field(description="Community engagement, 0 to 5, in using the results", examples=["4"])

    @property
    def is_citizen_data(self) -> bool:
        """At least level 4 in design or in collection (Copenhagen Framework on Citizen Data)."""
        return max(self.design, self.collection) >= 4


class Consent(Part):
    """The consent question. `obtained` otherwise says how a group or an institution agreed."""

    column: Text | None = Field(
        default=None,
        description="Column of the data that holds the answer to the consent question; needed for consent per row",
        examples=["consent"],
    )
    affirmative: list[Text] = Field(
        default=[],
        description="Answers that mean yes, as they stand in the data; needed for consent per row",
        examples=["yes; 1"],
    )
    scopes: list[Literal["share_data", "recontact", "photo", "location", "quote"]] = Field(
        default=[],
        description="What people agreed to beyond the interview: share_data, recontact, photo, location, quote",
        examples=["share_data"],
    )
    obtained: Literal["per_row", "per_group", "not_applicable"] = Field(
        description="How consent was obtained: per_row: each person or household answered a question in the data; "
        "per_group: a group agreed together; not_applicable: no person was asked (policy review)",
        examples=["per_row"],
    )
    share_data_column: Text | None = Field(
        default=None,
        description="Column of the data that says whether the answers may be shared; rows without a yes are not read",
        examples=["may_share"],
    )
    recontact_column: Text | None = Field(
        default=None,
        description="Column of the data that says whether the person may be asked again",
        examples=["may_call_again"],
    )
    photo_column: Text | None = Field(
        default=None, description="Column of the data that says whether a photo may be used", examples=["may_use_photo"]
    )
    location_column: Text | None = Field(
        default=None,
        description="Column of the data that says whether the place may be kept; without a yes only the first-level "
        "area is kept",
        examples=["may_keep_place"],
    )
    quote_column: Text | None = Field(
        default=None, description="Column of the data that says whether words may be quoted", examples=["may_quote"]
    )
    further_affirmative: list[Text] = Field(
        default=[],
        description="Answers that mean yes in the other columns of consent, guardians and privacy, as they stand in "
        "the data; left empty, the same as for the consent question",
        examples=["yes; 1"],
    )

    @property
    def scope_columns(self) -> dict[str, str]:
        """Scope -> the column that answers it, for the scopes that were asked row by row."""
        scopes = ("share_data", "recontact", "photo", "location", "quote")
        columns = {scope: getattr(self, f"{scope}_column") for scope in scopes}
        return {scope: column for scope, column in columns.items() if column}

    @property
    def means_yes(self) -> list[str]:
        """Answers that mean yes in the columns of scopes, guardians and privacy."""
        return self.further_affirmative or self.affirmative

    @model_validator(mode="after")
    def _per_row_names_the_question(self) -> Consent:
        if self.obtained == "per_row" and not (self.column and self.affirmative):
            raise ValueError("consent per row names the question (column) and its affirmative codes")
        if self.scope_columns and not self.means_yes:
            raise ValueError("a column of consent needs the answers that mean yes (further_affirmative)")
        return self


class Ethics(Part):
    """Approval by an ethics committee, and protocols in force."""

    body: Text = Field(
        description="Ethics committee or review board that approved the work", examples=["County research committee"]
    )
    approval_number: Text = Field(description="Number of the approval", examples=["CRC/2019/017"])
    approval_date: datetime.date = Field(
        description="Day of the approval; it comes before the first interview", examples=["2019-02-11"]
    )
    minors_interviewed: bool = Field(default=False, description="Were persons under 18 interviewed?", examples=["no"])
    guardian_consent: bool = Field(
        default=False,
        description="Did guardians consent as well? Needed where minors were interviewed",
        examples=["no"],
    )
    guardian_consent_column: Text | None = Field(
        default=None,
        description="Column of the data that says whether a guardian consented; minors without a yes are not read",
        examples=["guardian_agreed"],
    )
    special_protocol: bool = Field(
        default=False,
        description="Was a special protocol in force, as questions on violence need it? Without it and the four "
        "answers below, answers to sensitive questions are not kept",
        examples=["no"],
    )
    one_per_hh: bool = Field(
        default=False, description="Special protocol: was only one person a household asked?", examples=["no"]
    )
    privacy_obtained: bool = Field(
        default=False,
        description="Special protocol: were the questions asked in private, and left out where privacy failed?",
        examples=["no"],
    )
    referral_list: bool = Field(
        default=False, description="Special protocol: was a list of services for help at hand?", examples=["no"]
    )
    interviewer_trained: bool = Field(
        default=False, description="Special protocol: were the interviewers trained for it?", examples=["no"]
    )
    privacy_column: Text | None = Field(
        default=None,
        description="Special protocol: column of the data that says whether nobody else could hear; rows with "
        "sensitive answers and without a yes are not read",
        examples=["was_private"],
    )

    @property
    def sensitive_answers_allowed(self) -> bool:
        """Whether answers to sensitive questions may be kept: a special protocol with all of its parts.

        Source: WHO, Putting women first: ethical and safety recommendations for research on domestic violence against
        women (2001). The approval by a committee is a field that every manifest has.
        """
        parts = (self.one_per_hh, self.privacy_obtained, self.referral_list, self.interviewer_trained)
        return self.special_protocol and all(parts)


class Agreement(Part):
    """The data-sharing agreement, and the day until which the raw files may be kept."""

    identifier: Text = Field(description="Number of the data-sharing agreement", examples=["DSA-KEN-2019-02"])
    retention_until: datetime.date = Field(
        description="Last day on which the raw files may be kept", examples=["2029-12-31"]
    )


class Disclosure(Part):
    """What may be named in public."""

    organisation: bool = Field(description="May the organisation be named in public?", examples=["yes"])
    place: bool = Field(description="May the first-level area be named in public?", examples=["yes"])


class PartnerConsent(Part):
    """What the partner and the community agree to: nothing is published without `publish`."""

    publish: bool = Field(description="Do the partner and the community agree to publication?", examples=["yes"])
    represented_by: Text = Field(
        description="Who speaks for the community: name a body or an office, not a person",
        examples=["Assembly of the fishing communities of the lake"],
    )
    date: datetime.date | None = Field(
        default=None, description="Day on which partner and community agreed to publication", examples=["2020-01-23"]
    )

    @model_validator(mode="after")
    def _agreed_on_a_day(self) -> PartnerConsent:
        if self.publish and self.date is None:
            raise ValueError("say on which day partner and community agreed to publication (date)")
        return self


class Corrections(Part):
    """How a cleaning log is to be read: its columns, and its own words for the four actions.

    A line names one row of the data (`record_key`) and says what is to be done with it. The data stay as they are; the
    log is applied to them each time they are read.
    """

    identifier: Text | None = Field(
        default=None,
        description="Cleaning log: the column of the data with the ids that the log names rows by; left empty, the id "
        "column of the questionnaire",
        examples=["_uuid"],
    )
    record_key: Text = Field(
        default="record_key", description="Cleaning log: its column with the id of the row", examples=["uuid"]
    )
    column: Text = Field(
        default="column", description="Cleaning log: its column with the name of the question", examples=["question"]
    )
    action: Text = Field(
        default="action", description="Cleaning log: its column that says what is to be done", examples=["change_type"]
    )
    expected: Text = Field(
        default="expected", description="Cleaning log: its column with the answer as collected", examples=["old_value"]
    )
    new_value: Text = Field(
        default="new_value", description="Cleaning log: its column with the answer as corrected", examples=["new_value"]
    )
    reason: Text = Field(
        default="reason",
        description="Cleaning log: its column that says why, if there is one; name no person there",
        examples=["reason"],
    )
    decided_by: Text = Field(
        default="decided_by",
        description="Cleaning log: its column that says who decided, if there is one: enumerator, supervisor, "
        "data_manager, community or secretariat, never a name",
        examples=["decided_by"],
    )
    change_response: list[Text] = Field(
        default=["change_response"], description="Cleaning log: its words for: put the new answer", examples=["change"]
    )
    blank_response: list[Text] = Field(
        default=["blank_response"], description="Cleaning log: its words for: delete the answer", examples=["blank"]
    )
    remove_row: list[Text] = Field(
        default=["remove_row"], description="Cleaning log: its words for: leave the row out", examples=["remove_survey"]
    )
    no_action: list[Text] = Field(
        default=["no_action"], description="Cleaning log: its words for: nothing is changed", examples=["no_action"]
    )

    @model_validator(mode="after")
    def _each_word_says_one_thing(self) -> Corrections:
        words = [*self.change_response, *self.blank_response, *self.remove_row, *self.no_action]
        if len(set(words)) < len(words):
            raise ValueError("a word of the cleaning log stands for two actions")
        columns = (
            self.record_key, self.column, self.action, self.expected, self.new_value, self.reason, self.decided_by,
        )  # fmt: skip
        if len(set(columns)) < len(columns):
            raise ValueError("a column of the cleaning log is named twice")
        return self


class DataFile(Part):
    """One file of the hand-in.

    `role` data holds answers; form is the questionnaire; participants describes groups; corrections is a cleaning log.
    """

    path: Text = Field(
        description="Name of the file in this folder; do not put a person's name into it", examples=["answers.xlsx"]
    )
    role: Literal["data", "form", "participants", "codebook", "corrections"] = Field(
        description="What the file holds: data: the answers; form: the questionnaire; participants: who took part in "
        "the groups; codebook: the meaning of codes; corrections: a cleaning log, or the feedback workbook with your "
        "corrections (format feedback_xlsx)",
        examples=["data"],
    )
    format: Literal[
        "kobo_xlsx",
        "kobo_csv",
        "kobo_json",
        "xlsx",
        "ods",
        "parquet",
        "xlsform",
        "feedback_xlsx",
        "spss",
        "stata",
        "csv",
        "odk_zip",
        "odk_json",
        "surveycto_csv",
        "surveycto_json",
        "google_forms_csv",
        "mwater",
        "score_card",
        "taguette_csv",
        "refi_qda",
        "policy_review",
    ] = Field(description="How the file was made", examples=["xlsx"])
    delimiter: Literal[",", ";", "|", "tab"] | None = Field(
        default=None, description="What stands between the columns of a CSV file", examples=[";"]
    )
    encoding: Encoding | None = Field(
        default=None,
        description="How letters are written in a text file; leave it empty unless your letters come out wrong",
        examples=["windows-1252"],
    )
    date_order: Literal["ymd", "dmy", "mdy"] = Field(
        default="ymd", description="Order of day, month and year in the dates of the file", examples=["dmy"]
    )
    sheet: Text | None = Field(
        default=None,
        description="The one sheet of a plain workbook (xlsx, ods, mwater) that is to be read; left empty, all are",
        examples=["Data"],
    )
    title_rows: Annotated[int, Field(ge=0, le=20)] = Field(
        default=0,
        description="Rows that stand above the names of the columns in a plain table (csv, xlsx, ods): titles, notes",
        examples=["2"],
    )
    header_rows: Annotated[int, Field(ge=1, le=3)] = Field(
        default=1,
        description="Rows that the names of the columns take in a plain table (csv, xlsx, ods), 1 to 3. Names of "
        "several rows are joined: Toilet / Shared",
        examples=["2"],
    )

    @model_validator(mode="after")
    def _layout_of_plain_tables(self) -> DataFile:
        if self.format not in PLAIN and (self.title_rows or self.header_rows > 1):
            raise ValueError("title_rows and header_rows are for plain tables: the formats csv, xlsx and ods")
        return self

    @model_validator(mode="after")
    def _feedback_corrects(self) -> DataFile:
        if self.format == "feedback_xlsx" and self.role != "corrections":
            raise ValueError("a feedback workbook (format feedback_xlsx) has the role corrections")
        return self

    @field_validator("path")
    @classmethod
    def _inside_the_folder(cls, path: str) -> str:
        posix = PurePosixPath(path.replace("\\", "/"))
        outside = posix.is_absolute() or PureWindowsPath(path).drive or ".." in posix.parts
        if outside or not posix.parts or any(unicodedata.category(letter) == "Cc" for letter in path):
            raise ValueError("names a file outside the folder of the submission; put the file into the folder")
        return str(posix)


class Manifest(Part):
    """Everything a partner says about one hand-in; see docs of each part."""

    submission: Annotated[str, Field(pattern=SUBMISSION_PATTERN)] = Field(
        description="Identifier of the hand-in and name of its folder: country, year and a short name in small letters",
        examples=["ken-2019-household-survey"],
    )
    country: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = Field(
        description="Country, ISO 3166-1 alpha-3", examples=["KEN"]
    )
    title: Text = Field(description="Title of the collection", examples=["Who is counted? Two counties, 2019"])
    organisation: Text = Field(description="Organisation that hands in", examples=["Example Community Network"])
    synthetic: bool = Field(default=False, description="Are all people in the data made up?", examples=["no"])
    data_type: DataType = Field(description="Kind of data", examples=["household_survey"])
    instrument: Text = Field(
        description="Name of the questionnaire in the secretariat's list of instruments",
        examples=["ken_household_2019"],
    )
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = Field(
        description="Language in which you want your feedback, ISO 639-1", examples=["sw"]
    )
    collection: Collection
    geography: Geography
    population: Text = Field(
        description="Whom the data speak of", examples=["Members of private households in two counties"]
    )
    groups: list[Text] = Field(
        default=[],
        description="Marginalised groups that were sought out, codes of the partnership's list",
        examples=["fishing_communities; persons_with_disabilities"],
    )
    sampling: Sampling
    sample_size: SampleSize
    engagement: Engagement
    consent: Consent
    ethics: Ethics
    agreement: Agreement
    disclosure: Disclosure
    partner: PartnerConsent
    tool_review: Literal["leave_out_rejected", "approved_only", "ignore"] = Field(
        default="leave_out_rejected",
        description="What the review in the survey tool decides (KoboToolbox, ODK Central, SurveyCTO): "
        "leave_out_rejected: rejected rows are left out; approved_only: only approved rows are taken; ignore: nothing",
        examples=["leave_out_rejected"],
    )
    corrections: Corrections = Field(default=Corrections(), description="How a cleaning log is to be read")
    files: Annotated[list[DataFile], Field(min_length=1, max_length=200)] = Field(
        description="The files of the hand-in"
    )
    withdrawn: bool = Field(
        default=False,
        description="Answer yes to withdraw the submission: it leaves every later table and the next release",
        examples=["no"],
    )

    @model_validator(mode="after")
    def _parts_agree(self) -> Manifest:
        if not self.submission.startswith(self.country.lower() + "-"):
            raise ValueError("the identifier (submission) starts with the country in small letters and a hyphen")
        if self.data_type != "household_survey" and self.sampling.method == "probability":
            raise ValueError("only a household survey can be a probability sample")
        if not any(file.role == "data" for file in self.files):
            raise ValueError("no file has the role data")
        if len({file.path for file in self.files}) < len(self.files):
            raise ValueError("the same file is listed twice")
        if self.ethics.minors_interviewed and not self.ethics.guardian_consent:
            raise ValueError("minors were interviewed without guardian consent")
        return self

    @property
    def year(self) -> int:
        """Reference year of the data: the year of the middle day of the collection."""
        return (self.collection.start + (self.collection.end - self.collection.start) / 2).year


@dataclass(frozen=True)
class FormField:
    """A field as a form asks it. `kind`: text, integer, date, boolean or list."""

    path: str
    description: str
    example: str
    required: bool
    kind: str
    choices: tuple[str, ...] = ()


@functools.cache
def form_fields(part: str = "Manifest", prefix: str = "") -> tuple[FormField, ...]:
    """The fields of the manifest (without the files), or of a part such as DataFile, in the order of the model."""
    described = Manifest.model_json_schema()
    model = described if part == "Manifest" else described["$defs"][part]
    found: list[FormField] = []
    for name, item in model["properties"].items():
        if "$ref" in item:
            found.extend(form_fields(item["$ref"].rsplit("/", 1)[-1], f"{prefix}{name}."))
        elif name != "files":
            answer = item["anyOf"][0] if "anyOf" in item else item
            levels = range(answer.get("minimum", 0), answer.get("maximum", -1) + 1)
            kind = {"array": "list", "string": "text"}.get(answer["type"], answer["type"])
            found.append(
                FormField(
                    path=prefix + name,
                    description=item["description"],
                    example=item["examples"][0],
                    required=name in model.get("required", []),
                    kind="date" if answer.get("format") == "date" else kind,
                    choices=tuple(answer.get("enum", [str(level) for level in levels])),
                )
            )
    return tuple(found)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the manifest, for editors and for partners' own tools."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Manifest.model_json_schema()


def schema_text() -> str:
    """What indicator_mappings/schema/submission.json holds."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def parse_manifest(content: bytes, file: str) -> Manifest:
    """Read a manifest from the bytes of submission.yaml or submission.xlsx. Raises ManifestError."""
    if len(content) > MAXIMUM_MANIFEST_BYTES:
        raise ManifestError(file, [f"the file is larger than {MAXIMUM_MANIFEST_BYTES:,} bytes; a manifest is short"])
    if file.endswith(".xlsx"):
        from lnob_pipeline.submissions.workbook import manifest_fields, place

        return _validated(manifest_fields(content, file), file, lambda location: place(content, location))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ManifestError(file, ["the file is not text in UTF-8; save it in that encoding"]) from None
    fields = _yaml_fields(text, file)
    lines = functools.cache(lambda: dict(_lines(yaml.compose(text, Loader=yaml.CSafeLoader), ())))

    def line(location: tuple[Any, ...]) -> str:
        """The line of the field, or of the part that lacks it."""
        found = (lines().get(location[:length]) for length in range(len(location), 0, -1))
        return next((f"line {number}" for number in found if number), "")

    return _validated(fields, file, line)


def _lines(node: Any, location: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The line of every field below a YAML node, from 1."""
    if isinstance(node, yaml.MappingNode):
        items = [(key.value, key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    elif isinstance(node, yaml.SequenceNode):
        items = [(number, value, value) for number, value in enumerate(node.value)]
    else:
        items = []
    for name, start, value in items:
        yield (*location, name), start.start_mark.line + 1
        yield from _lines(value, (*location, name))


class _UnusableYAML(yaml.YAMLError):
    """YAML that is well formed and yet no manifest: what is wrong, and where."""

    def __init__(self, what: str, mark: Any) -> None:
        self.what, self.problem_mark = what, mark


class _TextLoader(yaml.CSafeLoader):
    """YAML in which every scalar is text, save an empty one: `yes`, 0123 and 2019-03-04 mean what the model says."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose fields each stand once."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _UnusableYAML("holds a field for the second time", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_TextLoader.yaml_implicit_resolvers = {
    letter: [(tag, expression) for tag, expression in resolvers if tag == "tag:yaml.org,2002:null"]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _yaml_fields(text: str, file: str) -> dict[str, Any]:
    """The fields of a YAML manifest as text. References are refused: they can grow without bound."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise _UnusableYAML("refers to another line (*); write it out", event.start_mark)
            if depth > MAXIMUM_NESTING:
                raise _UnusableYAML("is nested too deep", event.start_mark)
        fields = yaml.load(text, Loader=_TextLoader)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        what = error.what if isinstance(error, _UnusableYAML) else "is not YAML; look at its spaces, colons and quotes"
        raise ManifestError(file, [f"{f'line {mark.line + 1}' if mark else 'the file'} {what}"]) from None
    if not isinstance(fields, dict):
        raise ManifestError(file, ["the file holds no fields; start from `lnob new`"])
    return fields


def _answered(fields: Any) -> Any:
    """The fields without those left blank: a blank is no answer, in YAML as in a workbook."""
    if isinstance(fields, dict):
        cleaned = {key: _answered(value) for key, value in fields.items()}
        return {key: value for key, value in cleaned.items() if value is not None}
    if isinstance(fields, list):
        return [value for item in fields if (value := _answered(item)) is not None]
    return None if isinstance(fields, str) and not fields.strip() else fields


def _validated(fields: dict[str, Any], file: str, place: Callable[[tuple[Any, ...]], str]) -> Manifest:
    answers = _answered(fields)
    try:
        return Manifest.model_validate(answers)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = [_sentence(problem, place(problem["loc"])) for problem in found[:MAXIMUM_PROBLEMS]]
        if len(found) > MAXIMUM_PROBLEMS:
            problems.append(f"and {len(found) - MAXIMUM_PROBLEMS} more")
    withdrawn = str(answers.get("withdrawn", "")).strip().lower() in ("true", "yes", "1")
    raise ManifestError(file, problems, str(answers.get("submission")).strip() if withdrawn else None)


def _sentence(problem: Any, place: str) -> str:
    """One problem as a sentence that names place and field; neither the value nor an unknown field is repeated."""
    location, kind, context = problem["loc"], problem["type"], problem.get("ctx", {})
    if kind in ("extra_forbidden", "invalid_key"):
        near = difflib.get_close_matches(str(location[-1]), _names(), n=1)
        what = "holds a field that the manifest does not know" + (f"; did you mean {near[0]}?" if near else "")
        location = location[:-1]
    else:
        messages = {
            "missing": "is missing; fill it in",
            "literal_error": f"takes one of {context.get('expected')}",
            "list_type": "is a list; write it as [one, two]",
            "string_type": "is one piece of text",
            "model_type": "is a part with fields of its own; indent them below it",
            "bool_parsing": "is answered with yes or no",
            "int_parsing": "is a whole number",
            "date_from_datetime_parsing": "is a date; write it as 2019-03-31",
            "date_parsing": "is a date; write it as 2019-03-31",
            "string_pattern_mismatch": f"has another form, for example {_example(location)}",
        }
        what = messages.get(kind) or problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    field = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in location) or "the manifest"
    return f"{place}, {field}: {what}" if place else f"{field}: {what}"


def _names() -> set[str]:
    """Every field name of the manifest and its parts."""
    fields = (*form_fields(), *form_fields("DataFile", "files."))
    return {name for field in fields for name in field.path.split(".")}


def _example(location: tuple[Any, ...]) -> str:
    """The example of a field, for the message about its form; of a list the first item."""
    path = ".".join(str(part) for part in location if not isinstance(part, int))
    return next((field.example.split(";")[0] for field in form_fields() if field.path == path), "the template")
