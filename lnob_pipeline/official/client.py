"""The UN SDG API over HTTP: lists of the framework, and observations with paging proven complete.

Here: what the service offers, and the proof that what arrived is all there is. Not here: requests and retries
(`http`), the shapes of answers (`lists`, `pages`), what a value means (`values`), where it is kept (`staging`,
`snapshot`), which release is used (`releases`).

Sources: the OpenAPI description of the service (v1, also served by the V5 host under the same paths) and the
recorded behaviour of the live service. What that behaviour demands of a client:

* Paging is not trustworthy: `totalPages` may be missing, a page may come empty or twice, totals may drift
  while one reads. Every page is checked against the first one, the sum against `totalElements`, and how often each
  row came against the number of indicators of its series. What cannot be proven complete is an error, never a
  shorter series.
* An unknown indicator or area answers 200 with no rows, a series code sent as indicator 500: codes are checked against
  the lists of the release before they are asked for.
* A series of several indicators may list each row once for each of them: rows are kept once, and the list of series is
  the bridge to the indicators.
* Filters on years and dimensions are not trusted and never sent: the metadata lists dimension codes that rows
  do not carry. Only areas are filtered by the service; everything else happens on our side (`filters`).
* Errors also come as HTML or empty bodies with status 200, and above about ten connections as resets.
"""

from __future__ import annotations

import difflib
import json
import random
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import polars as pl

from lnob_pipeline.official.http import (
    HttpService,
    HttpSettings,
    Query,
    StatusError,
    TransientError,
)
from lnob_pipeline.official.lists import CHILDREN, Level, ListAnswer, current_release, current_series, indicators_of
from lnob_pipeline.official.pages import Page, PageShapeError, no_rows, read_page
from lnob_pipeline.official.sources import SourcePart, UnknownCodeError

AREAS_PER_REQUEST: Final = 100
"""So that an address stays under 2,048 characters, which many servers take for the longest."""
_PARAMETERS: Final[Mapping[Level, str]] = {
    "Goal": "goal",
    "Target": "target",
    "Indicator": "indicator",
    "Series": "seriesCode",
}


@dataclass(frozen=True)
class Answer:
    """All observations of a goal, target, indicator or series (`level`, `code`), proven complete; see SourcePart."""

    level: Level
    code: str
    bodies: tuple[bytes, ...]
    rows: pl.DataFrame
    total: int


class SdgApiClient:
    """A client of one host of the UN SDG API; an OfficialSource.

    `base_url` is a host with or without `/v1/sdg`, for instance `https://unstats.un.org/SDGAPI` or
    `https://unstats.un.org/sdgs/UNSDGAPIV5`. `sleep` and `chance` exist so that waiting can be observed.
    May be used from several threads; at most `settings.connections` requests are under way at once.
    Every method raises OfficialSourceError when no complete answer can be had.
    """

    def __init__(
        self,
        base_url: str,
        settings: HttpSettings | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.settings = settings or HttpSettings()
        self.base_url = base_url.rstrip("/").removesuffix("/v1/sdg")
        self._http = HttpService(self.base_url, self.settings, "application/json", sleep=sleep, chance=chance)

    def __enter__(self) -> SdgApiClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    # --- the framework ---------------------------------------------------------------------------------

    def goals(self, *, children: bool = False) -> ListAnswer:
        """The goals: code, title, description; with `children`, targets, indicators and series under them.

        A tree lists archived releases of a series too: see `lists.without_archived`.
        """
        return self._list("Goal/List", _children(children))

    def targets(self, *, children: bool = False) -> ListAnswer:
        """The targets: goal, code, title; with `children`, indicators and series under them."""
        return self._list("Target/List", _children(children))

    def indicators(self) -> ListAnswer:
        """The indicators: goal, target, code, description, tier, and their series."""
        return self._indicator_list

    def series(self, *, archived: bool = False) -> ListAnswer:
        """The series of the current release; one item names all indicators that the series serves.

        `archived` adds an entry for each earlier release of a series.
        """
        return self._list("Series/List", [("allreleases", "true")]) if archived else self._series_list

    def children(self, level: Level, code: str) -> ListAnswer:
        """The targets of a goal, the indicators of a target, or the series of an indicator."""
        return self._list(f"{level}/{code}/{CHILDREN[level]}/List", may_be_empty=True)

    def areas(self) -> ListAnswer:
        """Countries and regions; `geoAreaCode` is M49 as text without leading zeros."""
        return self._area_list

    def area_tree(self) -> ListAnswer:
        """Countries under regions under groupings, by `geoAreaCode` (a number here), `type` and `children`."""
        return self._list("GeoArea/Tree")

    def areas_of(self, level: Level, code: str) -> ListAnswer:
        """The areas for which a goal, target, indicator or series has observations."""
        return self._list(f"{level}/{code}/GeoAreas", may_be_empty=True)

    def series_of_area(self, area: str) -> ListAnswer:
        """Goals, targets, indicators and series for which an area (M49) has observations, as a tree."""
        return self._list(f"GeoArea/{int(area)}/List", may_be_empty=True)

    def dimensions(self, code: str, level: Level = "Series") -> ListAnswer:
        """Dimension codes declared for a series or a goal. Rows need not carry them."""
        return self._list(f"{level}/{code}/Dimensions", may_be_empty=True)

    def attributes(self, code: str, level: Level = "Series") -> ListAnswer:
        """Attribute codes (nature, units) declared for a series or a goal."""
        return self._list(f"{level}/{code}/Attributes", may_be_empty=True)

    def release(self, *, fresh: bool = False) -> str:
        """The name of the current release, for instance `2022.Q2.G.02`; `fresh` asks the service again."""
        return current_release(self._list("Series/List") if fresh else self._series_list)

    def updated(self) -> str:
        """When the service says that its figures last changed, as it writes it; empty where it does not say.

        A release may be revised without a new name.
        """
        try:
            return str(self._get("Series/LastUpdated", [], _decode))
        except StatusError:
            return ""

    def lists(self) -> dict[str, bytes]:
        """The lists of the release as received: goals, targets, indicators, series, areas and their tree."""
        answers = [self.goals(), self.targets(), self.indicators(), self.series(), self.areas(), self.area_tree()]
        return {answer.path.replace("/", "-") + ".json": answer.body for answer in answers}

    def series_codes(self) -> frozenset[str]:
        """The codes of all series of the release."""
        return frozenset(indicators_of(self._series_list.items, self.release()))

    @cached_property
    def _series_list(self) -> ListAnswer:
        return self._list("Series/List")

    @cached_property
    def _indicator_list(self) -> ListAnswer:
        return self._list("Indicator/List")

    @cached_property
    def _area_list(self) -> ListAnswer:
        return self._list("GeoArea/List")

    # --- observations ----------------------------------------------------------------------------------

    def observations(
        self, series: Iterable[str], areas: Iterable[str] | None = None
    ) -> Generator[SourcePart, None, None]:
        """All observations of several series for areas given as M49 codes (`050` or `50`), every year.

        Parts come as they arrive whole, over `settings.connections` connections; hardly more parts are held than
        connections. Where one cannot be had, those under way are given first, then the error is raised. A series
        without a row for these areas is a part without rows. Raises UnknownCodeError for a code that is not of the
        release, before anything is asked.
        """
        wanted = list(dict.fromkeys(series))
        numbers = self._known_areas(areas)
        for code in wanted:
            self._must_be_known("Series", code)

        def read(code: str) -> SourcePart:
            answer = self._data("Series", code, numbers)
            return SourcePart(code, answer.bodies, answer.rows, answer.total)

        yield from self._http.as_they_arrive(read, wanted)

    def data(self, level: Level, code: str, areas: Iterable[str] | None = None) -> Answer:
        """All observations of one goal, target, indicator or series for the areas, every year.

        A series that serves several indicators comes once. Raises as `observations`.
        """
        numbers = self._known_areas(areas)
        self._must_be_known(level, code)
        return self._data(level, code, numbers)

    def _data(self, level: Level, code: str, areas: list[int]) -> Answer:
        """One answer of several groups of areas, each group proven by itself."""
        bodies: list[bytes] = []
        frames: list[pl.DataFrame] = []
        total = 0
        expected = self._series_of(level, code)
        for start in range(0, max(len(areas), 1), AREAS_PER_REQUEST):
            question = [(_PARAMETERS[level], code)]
            question += [("areaCode", str(area)) for area in areas[start : start + AREAS_PER_REQUEST]]
            found, rows = self._http.persist(
                partial(self._read_pages, f"{level}/Data", question, expected),
                f"{level}/Data?{_PARAMETERS[level]}={code}",
            )
            bodies += found
            frames.append(rows.unique(maintain_order=True))
            total += rows.height
        return Answer(level, code, tuple(bodies), pl.concat(frames, how="diagonal"), total)

    def _read_pages(self, path: str, question: Query, expected: Mapping[str, int]) -> tuple[list[bytes], pl.DataFrame]:
        """One pass over the pages; TransientError for whatever does not add up, then the pass is made again.

        `expected`: the series that may come, and how many indicators each of them serves.
        """
        pages: list[Page] = []
        bodies: list[bytes] = []
        total = received = 0
        while not pages or received < total:
            number = len(pages) + 1
            query = [*question, ("page", number), ("pageSize", self.settings.page_size)]
            body, page = self._get(path, query, lambda body: (body, _page(body, number)))  # noqa: B023 - called at once
            stated = _stated(page, number, expected)
            if not pages:
                total = stated
            if stated != total:
                raise TransientError(f"totalElements changed from {total} to {stated} at page {number}")
            if page.rows.is_empty() and received < total:
                raise TransientError(f"page {number} is empty after {received} of {total} rows")
            received += page.rows.height
            bodies.append(body)
            pages.append(page)
        _refuse_repeats(pages, expected)
        if received != total:
            raise TransientError(f"{received} rows in {len(pages)} pages, but totalElements is {total}")
        page_count = pages[0].page_count
        if page_count is not None and max(page_count, 1) != len(pages):
            raise TransientError(f"totalPages is {page_count}, but {total} rows came in {len(pages)} pages")
        return bodies, pl.concat([no_rows(), *(page.rows for page in pages)], how="diagonal")

    # --- codes -----------------------------------------------------------------------------------------

    def _series_of(self, level: Level, code: str) -> dict[str, int]:
        """The series of a goal, target or indicator (or the series itself), and how many indicators each serves."""
        items = current_series(self._series_list.items, self.release())
        return {
            item["code"]: len(item["indicator"])
            for item in items
            if (item["code"] == code if level == "Series" else code in item[level.lower()])
        }

    def _known_areas(self, areas: Iterable[str] | None) -> list[int]:
        """M49 codes as the API wants them, each known to it; none where every area is meant."""
        if areas is None:
            return []
        wanted = sorted({int(area) for area in areas})
        if not wanted:
            raise ValueError("no area is named; leave `areas` out for every area")
        known = {int(item["geoAreaCode"]) for item in self._area_list.items}
        if unknown := [f"{area:03}" for area in wanted if area not in known]:
            raise UnknownCodeError(
                f"{self.base_url}: the service has no area {', '.join(unknown)}. Check the M49 codes in countries.yaml."
            )
        return wanted

    def _must_be_known(self, level: Level, code: str) -> None:
        series = self.series_codes()
        known: Collection[str] = series
        if level != "Series":
            of_series = {str(part) for item in self._series_list.items for part in item.get(level.lower()) or ()}
            own = "code" if level == "Indicator" else level.lower()
            known = of_series | {str(item[own]) for item in self._indicator_list.items}
        if code in known:
            return
        if code in series:
            raise UnknownCodeError(f"{self.base_url}: {code} is a series, not {level.lower()}; ask for it as a series.")
        near = difflib.get_close_matches(code, known, 1)
        raise UnknownCodeError(
            f"{self.base_url}: {level.lower()} {code} is not in release {self.release()}. "
            f"{f'Is it {near[0]}? ' if near else ''}Check the code in the indicator file: "
            "a renamed series has a new code."
        )

    # --- asking ----------------------------------------------------------------------------------------

    def _list(self, path: str, query: Query = (), *, may_be_empty: bool = False) -> ListAnswer:
        def read(body: bytes) -> ListAnswer:
            items = _decode(body)
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise TransientError("the answer is JSON, but not a list")
            if not items and not may_be_empty:
                raise TransientError("the list is empty")
            return ListAnswer(path, body, items)

        return self._get(path, query, read)

    def _get(self, path: str, query: Query, read: Callable[[bytes], Any]) -> Any:
        """What `read` makes of the body; asks again while the transport or the body is at fault."""
        return self._http.persist(lambda: read(self._http.get(f"v1/sdg/{path}", query)), path)


def _page(body: bytes, number: int) -> Page:
    try:
        return read_page(_not_a_web_page(body))
    except PageShapeError as error:
        raise TransientError(f"page {number}: {error}") from None


def _stated(page: Page, number: int, expected: Mapping[str, int]) -> int:
    """`totalElements` of a page, if it is page `number` of what was asked and nothing else."""
    if page.total is None:
        raise TransientError(f"page {number} states no totalElements")
    if page.number is not None and page.number != number:
        raise TransientError(f"asked for page {number}, got page {page.number}")
    if not page.rows["series"].is_in(list(expected)).all():
        raise TransientError(f"page {number} holds rows of another series")
    return page.total


def _refuse_repeats(pages: Sequence[Page], expected: Mapping[str, int]) -> None:
    """Refuse pages that share rows.

    A series of several indicators may list its rows once for each of them; then each comes equally often. Any other
    row stands on one page alone.
    """
    if len(pages) == 1:
        return
    rows = pl.concat([page.rows for page in pages], how="diagonal")
    several = [code for code, indicators in expected.items() if indicators > 1]
    numbers = pl.concat([pl.repeat(number, page.rows.height, eager=True) for number, page in enumerate(pages, 1)])
    counted = pl.DataFrame({"series": rows["series"], "row": rows.hash_rows(), "page": numbers}).with_columns(
        pl.col("page").min().over("row").alias("first"), pl.len().over("row").alias("times")
    )
    repeats = counted.filter((pl.col("page") > pl.col("first")) & ~pl.col("series").is_in(several))
    if not repeats.is_empty():
        first = repeats.filter(pl.col("page") == pl.col("page").min())
        raise TransientError(f"page {first['page'][0]} repeats {first.height} rows of earlier pages")
    for code in several:
        times = counted.filter(pl.col("series") == code)["times"]
        kinds = times.unique().sort().to_list()
        if len(kinds) > 1 or any(kind > expected[code] for kind in kinds):
            raise TransientError(f"{code} repeats rows unevenly, {kinds[0]} to {kinds[-1]} times")


def _children(wanted: bool) -> Query:
    return [("includechildren", "true")] if wanted else []


def _not_a_web_page(body: bytes) -> bytes:
    start = body[:64].lstrip()
    if not start and not body.strip():
        raise TransientError("an empty body with status 200")
    if start[:1] == b"<":
        raise TransientError("a web page instead of JSON, with status 200")
    return body


def _decode(body: bytes) -> Any:
    try:
        return json.loads(_not_a_web_page(body))
    except ValueError:
        raise TransientError(f"broken JSON after {len(body)} bytes") from None
