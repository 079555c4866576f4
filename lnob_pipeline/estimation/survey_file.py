"""The files of `lnob estimate`, for statisticians who want the engine alone: design file, data file, answer.

Here: the design file (YAML) as typed models, a CSV file read as text with the numbers that the design file implies,
breakdowns written on a command line, the forms of an answer. Not here: any estimate (`engine`), whether it is fit to be
published (`reliability`), the terminal (`cli`). CSV is that of RFC 4180, in UTF-8.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import duckdb
import polars as pl
import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from lnob_pipeline import storage, warehouse
from lnob_pipeline.estimation.design import (
    Combination,
    Design,
    Estimand,
    EstimationInputError,
    Mean,
    Proportion,
    Ratio,
    Total,
    cube,
)
from lnob_pipeline.estimation.engine import estimate
from lnob_pipeline.estimation.intervals import Kind
from lnob_pipeline.estimation.reliability import ProfileName, reliability
from lnob_pipeline.mappings.expressions import literal
from lnob_pipeline.mappings.load import line_of
from lnob_pipeline.mappings.models import Model

Column = Annotated[str, Field(min_length=1)]
Breakdown = tuple[str, ...]

DELIMITERS = {",": ",", ";": ";", "tab": "\t"}
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
"""How a number is written in a CSV file: a decimal point, no separator of thousands, an exponent if need be."""
ROWS_NAMED = 5


# The design file


class RatioColumns(Model):
    """The columns of a ratio: sum(w y) / sum(w x)."""

    y: Column
    x: Column


class Share(Model):
    """A proportion as a part of a combination."""

    proportion: Column
    level: str | None = None

    def estimand(self) -> Proportion:
        """The part, in the words of the engine."""
        return Proportion(self.proportion, self.level)


class EstimandEntry(Model):
    """One item of `estimands`: exactly one of mean, proportion, ratio, total and combination; a name if wanted."""

    mean: Column | None = None
    proportion: Column | None = None
    level: str | None = None
    ratio: RatioColumns | None = None
    total: Column | None = None
    combination: Annotated[list[Share], Field(min_length=1)] | None = None
    name: Column | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> EstimandEntry:
        kinds = ("mean", "proportion", "ratio", "total", "combination")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"names {' and '.join(given) or 'no estimand'}; one item is one of {', '.join(kinds)}")
        if self.level is not None and self.proportion is None:
            raise ValueError(f"a {given[0]} has no level; only a proportion has")
        return self

    def estimand(self) -> Estimand:
        """The item, in the words of the engine."""
        if self.proportion is not None:
            return Proportion(self.proportion, self.level, self.name)
        if self.ratio is not None:
            return Ratio(self.ratio.y, self.ratio.x, self.name)
        if self.combination is not None:
            return Combination([share.estimand() for share in self.combination], self.name)
        if self.mean is not None:
            return Mean(self.mean, self.name)
        return Total(str(self.total), self.name)


class CsvForm(Model):
    """How a CSV file is written. `missing`: cells that stand for a missing value; all other cells are values."""

    delimiter: Literal[",", ";", "tab"] | None = None
    missing: tuple[str, ...] = ("", "NA")


def _none_is_no_sample(value: Any) -> Any:
    if value == "":
        raise ValueError("is empty; describe how the sample was drawn, or write none if it is no probability sample")
    return None if value in ("none", "null", "~") else value


class DesignFile(Model):
    """A design file: how the sample was drawn, what is to be estimated, and in which form.

    `design`: the fields of `Design`, or none for what is no probability sample. `reliability`: a publication profile
    that adds the column `reliability`, or none. `csv` is used for CSV files only.
    """

    design: Annotated[Design | None, BeforeValidator(_none_is_no_sample)]
    estimands: Annotated[list[EstimandEntry], Field(min_length=1)]
    intervals: tuple[Kind, ...] = ("t", "logit")
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    reliability: Literal[ProfileName, "none"] = "none"
    csv: CsvForm = CsvForm()

    @model_validator(mode="after")
    def _profile_has_its_interval(self) -> DesignFile:
        if self.reliability == "nchs_2017" and "nchs" not in self.intervals:
            raise ValueError("the reliability profile nchs_2017 needs the interval nchs: add it to intervals")
        return self


class _TextLoader(yaml.CBaseLoader):
    """YAML with every scalar as text, so that `level: yes` is not a truth value, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if (name := str(key.value)) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name} is there twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_design_file(path: Path) -> DesignFile:
    """Read and check a design file. Raises EstimationInputError with file, line and key of every problem."""
    content = path.read_bytes()
    try:
        return DesignFile.model_validate(yaml.load(content, Loader=_TextLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path.name}:{mark.line + 1}" if mark else path.name
        raise EstimationInputError(f"{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
    except ValidationError as error:
        text = content.decode(errors="replace")
        problems = [f"{path.name}:{line_of(text, item['loc'])}: {_sentence(item)}" for item in error.errors()]
        raise EstimationInputError("\n".join(problems)) from None


def _sentence(problem: Any) -> str:
    """What pydantic found, as a sentence that names the key."""
    location = [str(part) for part in problem["loc"]]
    where, key = ".".join(location) or "the file", location[-1] if location else ""
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        models = (DesignFile, EstimandEntry, RatioColumns, CsvForm)
        known = {name for model in models for name in model.model_fields} | set(Design.__dataclass_fields__)
        return f"{where}: there is no such key.{_hint(key, sorted(known))}"
    if problem["type"] in ("list_type", "tuple_type", "sequence_str"):
        return f"{where}: write a list, for example [{problem['input'] or 'a, b'}]"
    if problem["type"] in ("model_type", "dataclass_type"):
        return f"{where}: write key: value pairs here"
    if problem["type"] == "missing":
        return f"{where}: is missing"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return f" Is it {' or '.join(map(repr, near))}?" if near else ""


# Breakdowns


def breakdowns(by: Sequence[str], cube_columns: str | None = None, depth: int | None = None) -> list[Breakdown]:
    """The breakdowns that `--by a --by a,b`, or `--cube a,b,c --depth 2`, ask for; the total is always the first."""
    if depth is not None and cube_columns is None:
        raise EstimationInputError("--depth says how many columns of --cube are crossed; give --cube as well.")
    if cube_columns is None:
        return [(), *(_columns("--by", text) for text in by)]
    if by:
        raise EstimationInputError("Give --by or --cube, not both.")
    return cube(_columns("--cube", cube_columns), depth)


def _columns(option: str, text: str) -> Breakdown:
    columns = tuple(column.strip() for column in text.split(","))
    if "" in columns:
        raise EstimationInputError(f"{option} {text!r}: a column has no name. Put one comma between two columns.")
    if taken := [column for column in columns if column.startswith("ci_") or column == "reliability"]:
        raise EstimationInputError(f"{option}: {taken[0]!r} is called like a column of the answer. Rename it.")
    return columns


# The data file


def estimate_file(
    path: Path, request: DesignFile, by: Sequence[Sequence[str]] = ((),)
) -> tuple[pl.DataFrame, list[str]]:
    """The answer of `estimate` on a Parquet or CSV file as `request` has it, and what a reader should know about it.

    The columns are those of `estimate`, and `reliability` where a profile is named. Raises EstimationInputError for
    files that cannot be estimated from; no message repeats what is in a cell.
    """
    form = path.suffix.lower()
    if form not in (".parquet", ".csv"):
        raise EstimationInputError(f"{path.name} must be a .parquet or .csv file; export it as one of these.")
    needed = _needed(request, by)
    numeric = {name for name, (_, is_number) in needed.items() if is_number}
    header = _parquet_header(path) if form == ".parquet" else _csv_header(path, request.csv)
    for name, (key, _) in needed.items():
        if name not in header:
            raise EstimationInputError(f"{key}: {path.name} has no column {name!r}.{_hint(name, header)}")
    source: Path | pl.LazyFrame | pl.DataFrame = path
    if form == ".csv":
        source = _numbers(_read_csv(path, header, list(needed), request.csv), numeric, path.name)
    estimands = [item.estimand() for item in request.estimands]
    try:
        notes = _levels_that_never_occur(source, estimands, path.name)
        kinds = tuple(dict.fromkeys(request.intervals))
        answer = estimate(source, request.design, estimands, by, intervals=kinds, confidence=request.confidence)
    except (duckdb.Error, pl.exceptions.ComputeError) as error:
        if not ("Failed to read file" in str(error) or str(error).startswith("parquet")):
            raise
        raise EstimationInputError(f"{path.name} is damaged: part of it cannot be read. Export it again.") from None
    return (answer if request.reliability == "none" else reliability(answer, request.reliability)), notes


def _needed(request: DesignFile, by: Sequence[Sequence[str]]) -> dict[str, tuple[str, bool]]:
    """Column -> the key that asks for it, and whether it holds numbers."""
    asked: list[tuple[str, str, bool]] = []
    if (design := request.design) is not None:
        asked.append((design.weights, "design.weights", True))
        asked += [(name, "design.population_sizes", True) for name in design.population_sizes]
        asked += [(name, "design.clusters", False) for name in design.clusters]
        asked += [(name, "design.strata", False) for name in design.strata]
    for number, item in enumerate(request.estimands):
        key, estimand = f"estimands.{number}", item.estimand()
        if isinstance(estimand, Ratio):
            asked += [(estimand.y, key, True), (estimand.x, key, True)]
        else:
            for part in estimand.parts if isinstance(estimand, Combination) else [estimand]:
                asked.append((part.y, key, not (isinstance(part, Proportion) and part.level is not None)))
    asked += [(name, "--by", False) for breakdown in by for name in breakdown]
    needed: dict[str, tuple[str, bool]] = {}
    for name, key, is_number in asked:
        first, before = needed.get(name, (key, False))
        needed[name] = (first, before or is_number)
    return needed


def _parquet_header(path: Path) -> list[str]:
    try:
        return list(pl.read_parquet_schema(path))
    except pl.exceptions.ComputeError:
        raise EstimationInputError(f"{path.name} is no Parquet file, or it is damaged. Export it again.") from None


def _csv_header(path: Path, form: CsvForm) -> list[str]:
    """The names of the columns. Raises EstimationInputError where the delimiter is not plain from them."""
    with path.open("rb") as stream:
        lines = (line.decode("utf-8-sig") for line in stream)
        try:
            header = next(csv.reader(lines, delimiter=_delimiter(path, form), strict=True), [])
        except (UnicodeDecodeError, csv.Error):
            raise EstimationInputError(f"{path.name}: the header is no CSV in UTF-8. Save it as CSV UTF-8.") from None
    twice = sorted({name for name in header if header.count(name) > 1})
    if not header or twice:
        wrong = f"has the column {twice[0]!r} twice" if twice else "has no header"
        raise EstimationInputError(f"{path.name} {wrong}. Each column needs a name of its own in the first line.")
    return header


def _delimiter(path: Path, form: CsvForm) -> str:
    """The delimiter that is stated, else the only one that the first line has."""
    if form.delimiter is not None:
        return DELIMITERS[form.delimiter]
    with path.open("rb") as stream:
        first = stream.readline().decode(errors="replace")
    found = [mark for mark in DELIMITERS.values() if mark in re.sub('"[^"]*"', "", first)]
    if len(found) > 1:
        raise EstimationInputError(
            f"{path.name}: the first line has more than one of comma, semicolon and tab. Say which one divides the "
            "cells: csv: {delimiter: ';'} in the design file (',', ';' or tab)."
        )
    return found[0] if found else ","


def _read_csv(path: Path, header: Sequence[str], names: Sequence[str], form: CsvForm) -> pl.DataFrame:
    """The columns `names` as text, null where a cell stands for a missing value."""
    places = [f"c{place}" for place in range(len(header))]
    chosen = {name: places[header.index(name)] for name in names}
    file = re.sub(r"([*?\[])", r"[\1]", str(path))  # a name, not a pattern
    options = {
        "columns": "{" + ", ".join(f"{place}: 'VARCHAR'" for place in places) + "}",
        "force_not_null": "[" + ", ".join(map(literal, places)) + "]",
        "delim": literal(_delimiter(path, form)),
        "quote": literal('"'),
        "escape": literal('"'),
        "header": "true",
        "auto_detect": "false",
        "strict_mode": "true",
        "null_padding": "false",
    }
    settings = ", ".join(f"{option} = {value}" for option, value in options.items())
    with warehouse.connect() as connection:
        try:
            frame = connection.sql(
                f"SELECT {', '.join(chosen.values())} FROM read_csv({literal(file)}, {settings})"
            ).pl()
        except duckdb.Error as error:
            raise EstimationInputError(_csv_fault(path.name, str(error))) from None
    frame = frame.rename({place: name for name, place in chosen.items()})
    return frame.with_columns(pl.when(~pl.col(name).is_in(form.missing)).then(pl.col(name)) for name in names)


def _csv_fault(file: str, message: str) -> str:
    """What DuckDB says of a CSV file, without the line that it cites."""
    line = re.search(r"Line: (\d+)", message)
    where = f"{file}, line {line[1]}" if line else file
    if "unicode" in message:
        return f"{where}: a letter is not UTF-8. Save the file as CSV UTF-8."
    if cells := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message):
        return (
            f"{where}: {cells[2]} cells where the header has {cells[1]}. Put quotes around cells that hold the "
            "delimiter, or state the delimiter: csv: {delimiter: ...} in the design file."
        )
    return f"{where}: this is not CSV. Look for a quotation mark that is not closed, or save the file again."


def _numbers(frame: pl.DataFrame, names: set[str], file: str) -> pl.DataFrame:
    """The frame with the columns `names` as numbers. Raises EstimationInputError for the first that holds others."""
    chosen = sorted(names, key=frame.columns.index)
    wrong = frame.select(~pl.col(name).str.strip_chars().str.contains(NUMBER) for name in chosen)
    for name in chosen:
        rows = (wrong[name].fill_null(value=False).arg_true() + 1).to_list()
        if rows:
            others = f" and {len(rows) - ROWS_NAMED} more" if len(rows) > ROWS_NAMED else ""
            raise EstimationInputError(
                f"{file}: column {name!r} has cells that are no number: row{'s' if len(rows) > 1 else ''} "
                f"{', '.join(map(str, rows[:ROWS_NAMED]))}{others} (first row below the header = 1). Write numbers "
                "like 1234.5; list what stands for a missing value: csv: {missing: ['', NA]} in the design file. "
                "A proportion of words names its level."
            )
    return frame.with_columns(pl.col(name).str.strip_chars().cast(pl.Float64) for name in chosen)


def _levels_that_never_occur(
    source: Path | pl.LazyFrame | pl.DataFrame, estimands: Sequence[Estimand], file: str
) -> list[str]:
    """A sentence for each level that no row has. Raises EstimationInputError where it is there, written otherwise."""
    singles = [part for item in estimands for part in (item.parts if isinstance(item, Combination) else [item])]
    frame = pl.scan_parquet(source, glob=False) if isinstance(source, Path) else source.lazy()
    schema, texts = frame.collect_schema(), (pl.String, pl.Categorical, pl.Enum)
    wanted = {
        (one.y, str(one.level)): pl.col(one.y).cast(pl.String)
        for one in singles
        if isinstance(one, Proportion) and one.level is not None and schema[one.y] in texts
    }
    exact = frame.select((text == level).any().alias(f"{i}") for i, ((_, level), text) in enumerate(wanted.items()))
    occurs = exact.collect(engine="streaming").row(0) if wanted else ()
    never = [share for share, found in zip(wanted, occurs, strict=True) if not found]
    for column, level in never:
        alike = _folded(wanted[column, level]) == _folded(pl.lit(level))
        if frame.select(alike.any()).collect(engine="streaming").item():
            raise EstimationInputError(
                f"{file}: no row of column {column!r} has the level {level!r}, but some have it in other letters, with "
                "spaces around it, or as a number written otherwise (1.0 for 1). Write the level as the file has it."
            )
    return [f"no row of {column} has the level {level}: its share is 0" for column, level in never]


def _folded(text: pl.Expr) -> pl.Expr:
    """Text without what is easily mistaken: capitals, spaces around it, the decimals of a whole number."""
    return text.str.strip_chars().str.to_lowercase().str.replace(r"^(\d+)\.0+$", "${1}")


# The answer as a file

WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".parquet": lambda answer, path: answer.write_parquet(path, row_group_size=storage.ROW_GROUP_SIZE),
    ".csv": lambda answer, path: answer.write_csv(path),
    ".json": lambda answer, path: answer.write_json(path),
}


def check_output(path: Path, inputs: Sequence[Path]) -> None:
    """Refuse, before anything is computed, a file that cannot be written or that is one of the inputs."""
    if path.suffix.lower() not in WRITERS:
        raise EstimationInputError(f"--out {path.name}: the name must end in {', '.join(WRITERS)}.")
    if path.resolve() in [given.resolve() for given in inputs]:
        raise EstimationInputError(f"--out {path.name} is an input of this command; name another file.")


def write_answer(answer: pl.DataFrame, path: Path) -> None:
    """Write an answer as Parquet, CSV (missing values are empty) or JSON (a list of rows) by its suffix, whole."""
    with storage.written_whole(path) as temporary:
        WRITERS[path.suffix.lower()](answer, temporary)


def for_reading(answer: pl.DataFrame) -> pl.DataFrame:
    """What fits a terminal: four significant digits, an interval in one column, y, x and level with the estimand."""
    columns = answer.columns
    by, kinds = columns[columns.index("level") + 1 : columns.index("stratum_depth")], get_args(Kind)
    number = {name: pl.col(name).round_sig_figs(4) for name, kind in answer.schema.items() if kind.is_float()}
    names = pl.format("{} {}", "estimand", "y") + pl.format("={}", "level").fill_null("")
    names += pl.format(" / {}", "x").fill_null("")
    unnamed = [single.kind for single in (Mean, Proportion, Ratio, Total)]
    return answer.select(
        pl.when(pl.col("estimand").is_in(unnamed)).then(names).otherwise(pl.col("estimand")).alias("estimand"),
        *by,
        "n",
        "df",
        *(number[name] for name in ("est", "se", "deff")),
        *(
            pl.format("{} to {}", number[f"ci_{kind}_low"], number[f"ci_{kind}_high"]).alias(f"ci_{kind}")
            for kind in kinds
            if f"ci_{kind}_low" in number
        ),
        *columns[columns.index("status") :],
    )
