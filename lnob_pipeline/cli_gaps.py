"""`lnob gaps` and `lnob explain`: the gap table counted and listed, and the story of one of its cells.

Here: arguments, and how counts and a story look in the terminal. Both read the newest release, so that only disclosed
numbers are shown. Counting is in gaps/coverage.py, the story in gaps/explain.py.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import polars as pl
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lnob_pipeline.gaps.coverage import holds
from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import COVERAGE

if TYPE_CHECKING:
    from lnob_pipeline.gaps.explain import Story

Row = dict[str, Any]
By = Literal["goal", "group"]

WIDTH: Final = 100
"""Columns that a story is written for: a wider terminal does not make longer lines."""
WIDE: Final = 130
"""Columns that the widest table of counts takes."""
MOST_VALUES, MOST_EVIDENCE, MOST_CELLS = 30, 12, 400

_NATURES: Final = {"": "All", "_country_data": "C", "_country": "C+CA"}
_JUDGED: Final = {"n_judged": "judged"}
_GAPS: Final = {
    "n_not_applicable": "not appl.",
    "n_not_loaded": "not loaded",
    "n_with_headline": "with headline",
    "n_judged": "judged",
    "n_gaps": "gaps",
    "n_closes": "closed",
    "n_could_close": "could close",
    "n_informs": "informed",
    "n_illustrates": "illus- trated",
    "n_not_shown": "hidden",
    "n_nothing_yet": "none yet",
}
MEANING: Final = (
    "Definitions: values of 1 = one year or more since {base}, 2 = two years or more since {base}, 3 = two years or "
    "more since {base} and two or more before it (data point types of UNSD's DataAvailability), each for values of any "
    "nature (All), of nature C, and of C or CA. Two years of C or CA is what is called owned by the country. A cell is "
    "judged unless it does not apply, its series is not loaded, or it is a breakdown without data of a headline "
    "without data (with headline: one gap with it)."
)


def gaps(
    country: Annotated[str | None, typer.Option(help="Country, for example KEN")] = None,
    indicator: Annotated[str | None, typer.Option(help="SDG indicator, for example 16.9.1")] = None,
    status: Annotated[str | None, typer.Option(help="Status, for example never_reported")] = None,
    flag: Annotated[str | None, typer.Option(help="Flag, for example stale")] = None,
    all_strata: Annotated[bool, typer.Option("--all", help="Every stratum, not only the headlines")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Count, under each definition of having data")] = False,
    by: Annotated[By | None, typer.Option(help="With --summary: count by goal or by marginalised group too")] = None,
) -> None:
    """Show the gap table of the newest release, or count it (--summary)."""
    release = newest(Settings.load())
    wanted = [
        *([pl.col("iso3") == _known(release, "iso3", country)] if country else []),
        *([pl.col("indicator") == _known(release, "indicator", indicator)] if indicator else []),
    ]
    if by and not summary:
        raise ValueError("--by counts: lnob gaps --summary --by goal")
    if summary:
        if status or flag or all_strata:
            raise ValueError("--summary counts every status and stratum; leave out --status, --flag and --all")
        _summary(release, wanted, by)
        return
    if status:
        wanted.append(pl.col("status") == _status(status))
    if flag:
        wanted.append(pl.col("flags").str.split(",").list.contains(_flag(flag)))
    if not (all_strata or (country and indicator)):
        wanted.append(pl.col("stratum") == TOTAL)
    _list(release, wanted)


def explain(
    country: Annotated[str, typer.Argument(help="Country, code or name: KEN")],
    indicator: Annotated[str, typer.Argument(help="SDG indicator: 8.10.2")],
    sex: Annotated[str | None, typer.Option(help="F, M")] = None,
    age: Annotated[str | None, typer.Option(help="Age band: 15-24")] = None,
    location: Annotated[str | None, typer.Option(help="U, R")] = None,
    disability: Annotated[str | None, typer.Option(help="yes, no")] = None,
    wealth: Annotated[str | None, typer.Option(help="Q1 to Q5")] = None,
    marginalised_group: Annotated[
        str | None, typer.Option("--marginalised-group", "--group", help="Group of groups.yaml: dalit")
    ] = None,
    series: Annotated[str | None, typer.Option(help="One series of the indicator; all of them if left out")] = None,
    language: Annotated[str, typer.Option(help="Language of the questions, where the bank has it")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON")] = False,
) -> None:
    """Tell the story of one cell of the newest release: what is official, what citizens say, what would close it.

    Categories are codes or labels of breakdowns.yaml; what is left out is the total. Only disclosed numbers are shown.
    """
    from lnob_pipeline.gaps.explain import explain as told
    from lnob_pipeline.mappings.load import load_mappings

    settings = Settings.load()
    categories = {
        "sex": sex,
        "age": age,
        "location": location,
        "disability": disability,
        "wealth": wealth,
        "marginalised_group": marginalised_group,
    }
    stories = told(
        newest(settings),
        load_mappings(settings.mappings),
        settings,
        country,
        indicator,
        categories,
        series=series,
        language=language,
    )
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(story) for story in stories], indent=2, ensure_ascii=False))
        return
    for story in stories:
        show_story(story, console())


def console(width: int = WIDTH) -> Console:
    """The terminal, at most `width` columns of it: longer lines are hard to read."""
    return Console(width=min(Console().width, width) if sys.stdout.isatty() else width, highlight=False)


def newest(settings: Settings) -> Path:
    """The folder of the newest release. Raises ValueError where there is none."""
    folder = settings.published / "latest"
    if not (folder / "data_gaps.parquet").exists():
        raise ValueError("there is no release yet; run `lnob demo` or `lnob run` first")
    if "closing_questions" not in pl.scan_parquet(folder / "data_gaps.parquet").collect_schema():
        raise ValueError("the release was made by an earlier version; run `lnob run` to make it anew")
    return folder.resolve()


# --- the gap table -----------------------------------------------------------------------------------------


def _known(release: Path, column: str, text: str) -> str:
    from lnob_pipeline.gaps.explain import pick

    found = pl.scan_parquet(release / "data_gaps.parquet").select(pl.col(column).unique().sort()).collect()
    return pick(text, {code: code for code in found[column].drop_nulls()}, column.replace("iso3", "country"))


def _status(text: str) -> str:
    from lnob_pipeline.gaps.explain import STATUS, pick

    return pick(text, {code: code for code in STATUS}, "status")


def _flag(text: str) -> str:
    from lnob_pipeline.gaps.explain import FLAG, pick

    return pick(text, {code: code for code in FLAG}, "flag")


def _facts(release: Path) -> Row:
    """What the manifest says of a release; `official_snapshot` is the official figures in words, with their day."""
    facts: Row = json.loads((release / "manifest.json").read_text("utf-8"))
    return facts


def _list(release: Path, wanted: Iterable[pl.Expr]) -> None:
    from lnob_pipeline.cli import out, show

    columns = ["iso3", "indicator", "series", "stratum", "status", "latest_year", "flags", "citizen_effect"]
    found = pl.scan_parquet(release / "data_gaps.parquet").filter(*wanted).select(columns).collect()
    if found.is_empty():
        raise ValueError("no cell fits; take a filter away, or see what there is with lnob gaps --summary")
    facts = _facts(release)
    out.print(f"Judged as of {facts['settings']['as_of_year']}. Official figures: {facts['official_snapshot']}.")
    # A blank after each comma, so that a narrow terminal breaks between flags.
    show(found.head(MOST_CELLS).with_columns(pl.col("flags").str.replace_all(",", ", ")), "Data gaps")
    if found.height > MOST_CELLS:
        out.print(f"{found.height - MOST_CELLS:,} more cells: narrow them down, or read data_gaps.csv of the release")


def _summary(release: Path, wanted: list[pl.Expr], by: By | None) -> None:
    facts = _facts(release)
    cells = pl.scan_parquet(release / "data_gaps.parquet").filter(*wanted).collect()
    if cells.is_empty():
        raise ValueError("no cell fits; take a filter away")
    told = f"Release {facts['release']}."
    show_summary(cells, by, facts["official_snapshot"], told, facts["settings"], console(WIDE))


def show_summary(cells: pl.DataFrame, by: By | None, official: str, released: str, settings: Row, out: Console) -> None:
    """Print the counts of a table DATA_GAPS. official: the official figures in words; settings: by their names."""
    out.print(f"Judged as of {settings['as_of_year']}. Official figures: {official}. {released}".strip())
    for title, counts in summary_tables(cells, by).items():
        keys = [name for name in counts.columns if not name.startswith("n_")]
        definitions = {
            f"n_{name}{ending}": f"{number} {nature}"
            for number, name in enumerate(("one_year", "two_years", "two_years_and_baseline"), start=1)
            for ending, nature in _NATURES.items()
        }
        out.print()
        _table(f"{title}: how many have data, under each definition", counts, keys, _JUDGED | definitions, out)
        if "n_nothing_yet" in counts.columns:
            out.print()
            _table(f"{title}: gaps, and what citizen data does to them", counts, keys, _GAPS, out)
    out.print()
    out.print(MEANING.format(base=settings["base_year"]), style="dim")


def summary_tables(data_gaps: pl.DataFrame, by: By | None = None) -> dict[str, pl.DataFrame]:
    """What is counted -> counts by country (and goal or group), the sum in the last row.

    Indicators, headlines (one a series) and all cells; by group the cells of the marginalised groups. An indicator is
    counted where the headline of one of its series is; it has no counts of what citizen data does.
    """
    cells = data_gaps.with_columns(
        pl.col("indicator").str.extract(r"^(\w+)\.").alias("goal"),
        pl.lit(value=True).alias("n_expected"),
        holds().alias("holds"),
    ).unnest("holds")
    cells = cells.with_columns(
        (~pl.col("n_applicable")).alias("n_not_applicable"),
        (pl.col("n_judged") & ~pl.col("n_reported")).alias("n_gaps"),
    )
    counted = [name for name in COVERAGE.schema if name.startswith("n_")] + ["n_not_applicable", "n_gaps"]
    headlines = cells.filter(pl.col("stratum") == TOTAL)
    if by == "group":
        keys = ["iso3", "marginalised_group"]
        single = cells.filter(pl.col("stratum") == pl.format("marginalised_group={}", "marginalised_group"))
        return {"Cells of marginalised groups": _counted(single, keys, counted)}
    keys = ["iso3", *(["goal"] if by == "goal" else [])]
    definitions = [name for name in counted if not name.startswith("n_with_headline")]
    definitions = definitions[: definitions.index("n_closes")]
    indicators = headlines.group_by(*keys, "indicator").agg(pl.col(definitions).any())
    return {
        "Indicators": _counted(indicators, keys, definitions),
        "Headlines, one a series": _counted(headlines, keys, counted),
        "All cells, headlines and breakdowns": _counted(cells, keys, counted),
    }


def _counted(cells: pl.DataFrame, keys: list[str], counted: list[str]) -> pl.DataFrame:
    order = [pl.col(name).cast(pl.Int32, strict=False) if name == "goal" else pl.col(name) for name in keys]
    counts = cells.group_by(keys).agg(pl.col(counted).sum().cast(pl.Int64)).sort(order)
    whole = counts.select(*(pl.lit("all").alias(name) for name in keys), *(pl.col(name).sum() for name in counted))
    return pl.concat([counts, whole.head(1)])


def _table(title: str, counts: pl.DataFrame, keys: list[str], columns: Mapping[str, str], out: Console) -> None:
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for name in keys:
        table.add_column({"iso3": "country", "marginalised_group": "group"}.get(name, name), overflow="fold")
    for label in columns.values():
        table.add_column(label, justify="right", overflow="fold")
    for number, row in enumerate(counts.select(*keys, *columns).rows(), start=1):
        last = number == counts.height
        cells = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        table.add_row(*cells, style="bold" if last else None, end_section=number == counts.height - 1)
    out.print(table)


# --- the story of a cell -----------------------------------------------------------------------------------


def show_story(story: Story, out: Console) -> None:
    """Print a story in plain words; nothing in it is taken for markup."""
    cell = story.cell
    out.print()
    out.print(Text(f"{cell['country']} ({cell['iso3']}), {cell['indicator']}", style="bold"))
    out.print(Text(str(cell["title"])))
    _said(out, "Series", " ".join(str(part) for part in (cell["series"] or "none", cell["series_title"]) if part))
    _said(out, "People", cell["people"])
    _said(out, "Expected because", cell["expected_because"])
    _said(out, "Judged", f"as of {cell['as_of_year']}, base year {cell['base_year']}, release {cell['release']}")
    _heading(out, "What is official")
    _said(out, "Status", f"{cell['status']}. {story.status}")
    if cell["stratum"] != TOTAL and cell["headline_status"] != cell["status"]:
        _said(out, "Headline", f"{cell['headline_status']} (of the whole series)")
    _said(out, "Figures", cell["official_snapshot"] or f"official release {cell['official_release']}")
    _official(story, out)
    for row in story.flags:
        _said(out, row["flag"], row["sentence"])
    _said(out, "Ownership", story.ownership)
    _said(out, "Scope", story.scope)
    _heading(out, "What citizens say")
    _said(out, "Effect", story.effect)
    for row in story.citizen:
        _citizen(row, out)
    _evidence(story.evidence, out)
    _heading(out, "What would close it")
    _closing(story.closing, out)
    _heading(out, "What is hidden, and why")
    for sentence in story.hidden or ["nothing of this cell"]:
        _said(out, "", sentence)


def _heading(out: Console, text: str) -> None:
    out.print()
    out.print(Text(text, style="bold underline"))


def _said(out: Console, name: str, text: object, indent: int = 2) -> None:
    """A name and what is said of it; further lines stand under the first word."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=19)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(Text(name, style="dim"), Text("–" if text is None else str(text)))
    out.print(Padding(grid, (0, 0, 0, indent)))


def _official(story: Story, out: Console) -> None:
    rows = story.official
    if not rows:
        _said(out, "Values", "no row in these official figures")
        return
    table = Table(box=SIMPLE, pad_edge=False)
    for name, justify in (("year", "right"), ("value", "right"), ("bounds", "left"), ("nature", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=name != "nature")
    table.add_column("unit", overflow="fold")
    table.add_column("source", overflow="fold", ratio=1)
    for row in rows[-MOST_VALUES:]:
        ends = [row["lower_bound"], row["upper_bound"]]
        bounds = " to ".join("?" if end is None else f"{end:g}" for end in ends) if any(ends) else ""
        nature = f"{row['nature']} {row['nature_in_words']}" + ("" if row["usable"] else ", not usable")
        cells = (row["year"], row["value_text"], bounds, nature, row["units"] or "", row["source"] or "not given")
        table.add_row(*(Text(str(cell)) for cell in cells))
    out.print(Padding(table, (0, 0, 0, 2)))
    if len(rows) > MOST_VALUES:
        _said(out, "", f"{len(rows) - MOST_VALUES} earlier values are in official_observations and in --json")
    for row in story.revisions:
        pair = f"{row['value_text_before']} -> {row['value_text_now']}"
        _said(out, "Revision", f"{row['year']}: {row['change']} since {row['previous_release']}, {pair}")


def _citizen(row: Row, out: Console) -> None:
    of = f" ({row['organisation']})" if row["organisation"] else ""
    out.print()
    out.print(Padding(Text(f"{row['submission_id']}{of}", style="bold"), (0, 0, 0, 2)))
    if row["synthetic"]:
        _said(out, "Synthetic", "the people of this hand-in do not exist", 4)
    if row["component"]:
        _said(out, "Component", f"{row['series']}: a part of the indicator, not the official series", 4)
    if row["hidden_because"]:
        _said(out, "Estimate", f"not shown: {row['hidden_because']}", 4)
    else:
        interval = "no interval"
        if row["citizen_ci_low"] is not None:
            interval = f"95 % interval {_number(row['citizen_ci_low'])} to {_number(row['citizen_ci_high'])}"
        number = f"{_number(row['citizen_estimate'])} {row['unit']}, {interval}, n {row['citizen_n']:,}"
        _said(out, "Estimate", f"{number}, {row['citizen_year']}, {row['citizen_reliability'].replace('_', ' ')}", 4)
    _said(out, "Whom it speaks of", row["citizen_population"], 4)
    area = "the country" if row["citizen_area_level"] == "national" else row["citizen_area"] or "not named"
    _said(out, "Sample", f"{row['sampling_method']}, {area} ({row['citizen_area_level']})", 4)
    _said(out, "Class", f"{row['comparability']}: {row['comparability_reason']}", 4)
    if row["differs_by"] is not None:
        official = f"the official {_number(row['official_value'])} of {row['official_year']}"
        more = "above" if row["differs_by"] > 0 else "below"
        _said(out, "Beside", f"{_number(abs(row['differs_by']))} {more} {official} ({row['relation']})", 4)
    if row["differences"]:
        _said(out, "They differ in", row["differences"].replace(" | ", "; "), 4)
    if row["flags"]:
        _said(out, row["flags"], "the two differ by more than chance explains; which is nearer is not decided here", 4)
    for place, asked in enumerate(row["asked"]):
        _said(out, "Questions" if not place else "", _wording(asked), 4)
        _said(out, "", f"mapped in {asked['mapping_line'] or 'no line'}; wording {asked['wording_id']}", 4)
    _said(out, "Versions", f"definition {row['definition_version']}, mapping {row['mapping_version']}", 4)
    for decision in row["decisions"]:
        _said(out, "Decision", f"{decision['decided_by']}: {decision['decision']}, {decision['date']}", 4)


def _number(value: float) -> str:
    return f"{value:,.1f}"


def _wording(question: Row) -> str:
    if question["wording"]:
        return f"{question['variable']}: “{question['wording']}”"
    return f"{question['variable']}: {question['label'] or 'not in the question bank'} (not asked in words)"


def _evidence(rows: list[Row], out: Console) -> None:
    for row in rows[:MOST_EVIDENCE]:
        if row["score"] is not None:
            found = f"{row['score']:.1f} on a scale from {row['scale_minimum']:g} to {row['scale_maximum']:g}"
        else:
            found = "hidden" if row["finding"] == "suppressed_few_participants" else row["finding"] or "hidden"
        who = f" by {row['marginalised_group']}" if row["marginalised_group"] else ""
        kind = row["evidence_type"].replace("_", " ")
        _said(out, "Evidence", f"{kind}{who}, {row['year']}: {row['statement']}: {found} ({row['submission_id']})")
    if len(rows) > MOST_EVIDENCE:
        _said(out, "", f"{len(rows) - MOST_EVIDENCE} more rows are in citizen_evidence and in --json")


def _closing(closing: Row, out: Console) -> None:
    if closing["why_not"]:
        _said(out, "Nothing here", f"{closing['why_not']}.")
        for place, question in enumerate(closing.get("questions_that_inform", [])):
            _said(out, "Would inform" if not place else "", _wording(question))
        return
    _said(out, "For whom", f"{closing['for']}, in a probability sample of the country")
    for place, question in enumerate(closing["questions"]):
        _said(out, "Questions" if not place else "", _wording(question))
        _said(out, "", f"{question['bank_line']}")
    _said(out, "Then", "the statistics office has to accept it before it closes the gap")
