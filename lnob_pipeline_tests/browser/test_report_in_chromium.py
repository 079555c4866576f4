"""Every page of a release in a real browser: nothing missing, nothing fetched, readable by eye, keyboard and voice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.publication import release as releases
from lnob_pipeline.publication.report.speech import ENGLISH, languages
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.browser.chromium import NEEDS_CHROMIUM, pixels
from lnob_pipeline_tests.browser.devtools import DESKTOP, PHONE, Browser, started
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, disclosed
from lnob_pipeline_tests.thorough import FACTOR

pytestmark = NEEDS_CHROMIUM
every_page_in_thorough = pytest.mark.repeated
"""What looks at one page of a kind and language, and in `make thorough` at all of them."""

LARGEST_PAGE = 300_000  # bytes
PAPER = (703, 1032)  # what is left of A4 between the margins, in CSS pixels
MOST_SHEETS = {"entry": 2, "index": 9, "country": 22, "gaps": 14, "community": 2}
"""Sheets of A4 for the longest page of a kind: the country has 24 series, each with 32 groups and breakdowns."""
PAGE = """(() => {
  const all = [...document.querySelectorAll('body *')];
  const scrolls = one => ['auto', 'scroll'].includes(getComputedStyle(one).overflowX);
  const root = document.documentElement;
  return {
    language: root.lang, title: document.title, scripts: document.scripts.length,
    width: root.scrollWidth, room: root.clientWidth,
    beyond: root.scrollWidth > root.clientWidth && all
      .filter(one => one.getBoundingClientRect().right > root.clientWidth + 0.5 && !one.closest('.wide'))
      .slice(0, 3).map(one => one.outerHTML.slice(0, 100)),
    elements: all.length,
    headings: all.filter(one => /^H[1-6]$/.test(one.tagName)).map(one => +one.tagName[1]),
    links: [...document.links].map(one => one.href),
    unreachable: all.filter(one => one.scrollWidth > one.clientWidth + 1 && one.tabIndex < 0 && scrolls(one)).length,
    untold: [...document.querySelectorAll('table')]
      .filter(one => !one.caption || !one.caption.textContent.trim()).length,
  };
})()"""
LARGEST = """new Promise(done => {
  const seen = entries => entries.length && done((one => [one.startTime, one.element ? one.element.tagName : '?'])
    (entries[entries.length - 1]));
  new PerformanceObserver(list => seen(list.getEntries())).observe({type: 'largest-contentful-paint', buffered: true});
  setTimeout(() => done([null, '?']), 2000);
})"""
FOCUS = """(() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  if (one === document.body) return null;
  one.dataset.reached = 'yes';
  return {what: one.outerHTML.slice(0, 80), drawn: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
          seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth};
})()"""
LEFT_OUT = """[...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
  .filter(one => !one.dataset.reached && one.checkVisibility()).map(one => one.outerHTML.slice(0, 80))"""


@dataclass(frozen=True)
class Visit:
    """What one page was like when it was opened on a phone."""

    page: Path
    facts: dict[str, Any]
    console: list[str]
    requests: list[str]
    layout: float


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a release that was published for these tests, with the pages and the files that they lead to."""
    settings = Settings.load(home=tmp_path_factory.mktemp("home"), mappings=HOME / "indicator_mappings")
    with pytest.MonkeyPatch.context() as patch:
        parts = tuple(part for part in releases.OUTPUTS if part[0] in ("csv", "duckdb", "report", "documentation"))
        patch.setattr(releases, "OUTPUTS", parts)
        tables = disclosed(load_mappings(settings.mappings))
        yield releases.publish(tables, settings, RELEASED_AT, PROVENANCE).path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def visits(release: Path, browser: Browser) -> list[Visit]:
    """Pages opened once, on a phone: of every kind the largest in each language; in `make thorough` every page."""
    browser.look(PHONE)
    found = []
    largest = one_of_each(release, *languages(), largest=True)
    for page in sorted(release.rglob("*.html")) if FACTOR else largest:
        before = browser.measures()["LayoutDuration"]
        browser.open(page)
        facts = browser.evaluate(PAGE)
        after = browser.measures()["LayoutDuration"]
        layout = after - before if after >= before else after  # a page may get a process of its own, which counts anew
        found.append(Visit(page, facts, browser.console, browser.requests, layout))
    return found


@pytest.fixture(scope="module")
def english(release: Path) -> list[Path]:
    """The largest English page of every kind."""
    return one_of_each(release, ENGLISH, largest=True)


def kind(page: Path) -> str:
    """Pages of one kind are made from one template."""
    if page.parent.parent.name != "report":
        return "entry"
    if page.name.startswith("community-"):
        return "community"
    return page.stem if page.stem in ("index", "gaps") else "country"


def where(page: Path) -> str:
    """A page as messages name it."""
    return "/".join(page.parts[-2:])


def language(page: Path) -> str:
    """The language of a page; the page at the root of a release is English."""
    return page.parent.name if page.parent.parent.name == "report" else ENGLISH


def one_of_each(release: Path, *spoken: str, largest: bool) -> list[Path]:
    """For each of some languages the largest or smallest page of every kind."""
    found = [page for page in release.rglob("*.html") if language(page) in spoken]
    found.sort(key=lambda page: (page.stat().st_size, page.name), reverse=not largest)
    return sorted({(language(page), kind(page)): page for page in found}.values())


def audited(release: Path) -> list[Path]:
    """The pages that axe looks at; most of its time goes into long tables, which are alike in every language.

    In `make thorough` every page but the sheets for communities, and of those the largest of a language; else of every
    kind the largest English page and the smallest in every other language.
    """
    if not FACTOR:
        others = (code for code in languages() if code != ENGLISH)
        return [*one_of_each(release, ENGLISH, largest=True), *one_of_each(release, *others, largest=False)]
    sheets = one_of_each(release, *languages(), largest=True)
    pages = (page for page in release.rglob("*.html") if kind(page) != "community")
    return sorted([*pages, *(page for page in sheets if kind(page) == "community")])


def test_every_language_has_every_page(release: Path) -> None:
    names = {
        code: {page.name for page in (release / "report" / code).glob("*.html")}
        for code in languages()
    }  # fmt: skip
    assert set(names) >= {"en", "bn", "hi", "ne", "sw", "vi"}
    general = {code: {name for name in found if not name.startswith("community-")} for code, found in names.items()}
    assert {"index.html", "gaps.html", "KEN.html", "NPL.html"} <= general["en"]
    assert all(found == general["en"] for found in general.values())
    sheets = {code: found - general["en"] for code, found in names.items()}
    assert sheets["sw"] and all(name.startswith("community-KEN-") for name in sheets["sw"])
    assert all(found < sheets["en"] for code, found in sheets.items() if code != "en")


@every_page_in_thorough
def test_no_page_has_an_error(visits: list[Visit]) -> None:
    assert {where(visit.page): visit.console for visit in visits if visit.console} == {}


@every_page_in_thorough
def test_nothing_leaves_the_page(visits: list[Visit]) -> None:
    """Not even to another file: a page is whole."""
    for visit in visits:
        assert visit.requests == [visit.page.as_uri()]
        assert visit.facts["scripts"] == 0


@every_page_in_thorough
def test_every_link_leads_somewhere(release: Path, visits: list[Visit]) -> None:
    dead = set()
    for visit in visits:
        for link in visit.facts["links"]:
            address = urlsplit(link)
            assert address.scheme == "file", f"{visit.page.name} leads out of the release: {link}"
            target = Path(unquote(address.path))
            anchor = f'id="{unquote(address.fragment)}"'
            if not target.is_file() or (address.fragment and anchor not in target.read_text("utf-8")):
                dead.add(f"{visit.page.relative_to(release)} -> {link.rpartition('/')[2]}")
    assert sorted(dead)[:20] == []


@every_page_in_thorough
def test_nothing_is_wider_than_a_phone(visits: list[Visit]) -> None:
    too_wide = {
        where(visit.page): (visit.facts["width"], visit.facts["beyond"])
        for visit in visits
        if visit.facts["width"] > visit.facts["room"]
    }
    assert too_wide == {}
    assert {visit.facts["room"] for visit in visits} == {PHONE[0]}


def test_a_plot_has_the_width_of_a_phone_and_its_table_stays_one(browser: Browser, release: Path) -> None:
    """On a phone the parts of a row stand one under the other; for a screen reader they are cells of a row still."""
    page = next(page for page in one_of_each(release, ENGLISH, largest=True) if kind(page) == "country")
    roles = {}
    for size in (PHONE, DESKTOP):
        browser.look(size)
        browser.open(page)
        nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
        roles[size] = Counter(node["role"]["value"] for node in nodes if not node["ignored"])
        narrow, room = browser.evaluate(
            "[Math.min(...[...document.querySelectorAll('td.plot svg')].filter(one => one.checkVisibility())"
            ".map(one => one.getBoundingClientRect().width)), document.querySelector('main').clientWidth]"
        )
        assert narrow > (0.8 if size == PHONE else 0.3) * room, (size, narrow, room)
    for role in ("table", "row", "rowheader", "columnheader", "cell"):
        assert roles[PHONE][role] == roles[DESKTOP][role] > 0, role


@every_page_in_thorough
def test_every_page_says_its_language_and_is_in_order(visits: list[Visit]) -> None:
    for visit in visits:
        facts, place = visit.facts, where(visit.page)
        assert facts["language"] == language(visit.page), place
        assert facts["title"], place
        assert facts["headings"].count(1) == 1 and facts["headings"][0] == 1, place
        steps = zip(facts["headings"], facts["headings"][1:], strict=False)
        assert all(after <= before + 1 for before, after in steps), (place, facts["headings"])
        assert facts["unreachable"] == 0, f"{place}: a region that scrolls can not be reached by keyboard"
        assert facts["untold"] == 0, f"{place}: a table without caption"


@every_page_in_thorough
def test_axe_finds_no_violation(release: Path, browser: Browser) -> None:
    """Every rule that axe-core runs by itself, at every level of impact; none is left out.

    Contrast takes half of the time and is the same in every language: of others than English in `make thorough` alone.
    """
    browser.look(DESKTOP)
    found = {}
    for page in audited(release):
        browser.open(page)
        contrast = language(page) == ENGLISH or bool(FACTOR)
        if violations := browser.axe(rules={"color-contrast": {"enabled": contrast}}):
            found[str(page.relative_to(release))] = violations
    assert found == {}


def test_the_dark_has_contrast_too(browser: Browser, english: list[Path]) -> None:
    """What differs in the dark is colour, and that is the same in every language."""
    browser.look(DESKTOP, dark=True)
    found = {}
    for page in english:
        browser.open(page)
        if violations := browser.axe(runOnly=["color-contrast"]):
            found[page.name] = violations
    assert found == {}


def test_axe_finds_a_fault(browser: Browser, english: list[Path], tmp_path: Path) -> None:
    """The same page with faults planted: or the empty lists above prove nothing."""
    faulty = tmp_path / "faulty.html"
    text = english[0].read_text("utf-8")
    faulty.write_text(re.sub(r'<html lang="en"', "<html", text).replace("</main>", '<img src="data:,"></main>'))
    browser.look(DESKTOP)
    browser.open(faulty)
    assert {found["rule"] for found in browser.axe()} >= {"html-has-lang", "image-alt"}


def test_the_policy_is_in_force(browser: Browser, english: list[Path], tmp_path: Path) -> None:
    """A page of every kind with a script, a style and an image put in: the browser refuses all three."""
    put_in = (
        "<script>document.title='taken over'</script><p id=put style='color:red'>x</p><img src='http://127.0.0.1:9/'>"
    )
    browser.look(DESKTOP)
    for page in english:
        attacked = tmp_path / "attacked.html"
        attacked.write_text(page.read_text("utf-8").replace("</main>", put_in + "</main>"))
        browser.open(attacked)
        assert browser.evaluate("document.title") != "taken over"
        assert browser.evaluate("getComputedStyle(document.getElementById('put')).color") != "rgb(255, 0, 0)"
        refused = [said for said in browser.console if "Content Security Policy" in said]
        assert len(refused) >= 3, page.name


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_keyboard_reaches_everything(browser: Browser, english: list[Path], size: tuple[int, int]) -> None:
    browser.look(size)
    for page in english:
        browser.open(page)
        for _ in range(400):
            browser.press_tab()
            focus = browser.evaluate(FOCUS)
            if focus is None:
                break
            assert focus["drawn"], f"{page.name}: the focus is not drawn on {focus['what']}"
            assert focus["seen"], f"{page.name}: the focus is out of sight on {focus['what']}"
        assert browser.evaluate(LEFT_OUT) == [], page.name


def test_a_page_is_whole_without_scripts(browser: Browser, release: Path) -> None:
    for page in one_of_each(release, ENGLISH, "bn", largest=True):
        browser.look(DESKTOP)
        browser.open(page)
        with_scripts = browser.evaluate("document.body.innerText")
        browser.look(DESKTOP, script=False)
        browser.open(page)
        assert browser.evaluate("document.body.innerText") == with_scripts
        assert len(with_scripts) > 200
    browser.look(DESKTOP)


def test_paper_shows_every_table_whole(browser: Browser, release: Path) -> None:
    browser.look(PAPER, printed=True)
    for page in one_of_each(release, ENGLISH, "ne", "vi", largest=True):
        browser.open(page)
        place = where(page)
        hidden = "[...document.querySelectorAll('table')].filter(one => one.offsetHeight < 10).length"
        cut = """[...document.querySelectorAll('table')].filter(one => one.getBoundingClientRect().right >
          document.documentElement.clientWidth + 1).map(one => one.caption && one.caption.innerText.slice(0, 60))"""
        assert browser.evaluate(hidden) == 0, place
        assert browser.evaluate(cut) == [], place
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)", place
    browser.look(DESKTOP)


@every_page_in_thorough
def test_paper_is_spared(browser: Browser, release: Path, tmp_path: Path) -> None:
    """The longest page of every kind, as a person would print it: sheets in every language, all in `make thorough`."""
    browser.look(DESKTOP)
    printed = tmp_path / "printed.pdf"
    for page in one_of_each(release, *languages(), largest=True):
        if kind(page) == "community" or language(page) == ENGLISH or FACTOR:
            browser.open(page)
            browser.pdf(printed)
            count = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
            assert 1 <= count <= MOST_SHEETS[kind(page)], f"{where(page)}: {count} sheets of A4"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_drawn(browser: Browser, english: list[Path], tmp_path: Path, scheme: str) -> None:
    picture = tmp_path / "page.png"
    browser.look(PHONE, dark=scheme == "dark")
    browser.open(next(page for page in english if kind(page) == "index"))
    browser.screenshot(picture)
    width, height, rows = pixels(picture)
    assert (width, height) == PHONE
    paper = rows[2][:3]
    assert (max(paper) < 60) if scheme == "dark" else (min(paper) > 240)
    drawn = sum(row[place : place + 3] != paper for row in rows for place in range(0, len(row), 3))
    assert 0.03 < drawn / (width * height) < 0.6
    # The loud notice that the people are made up has its own colour, reddish in both schemes.
    assert any(
        row[place] > row[place + 1] + 40 and row[place] > row[place + 2] + 20
        for row in rows
        for place in range(0, len(row), 3)
    )


@every_page_in_thorough
def test_pages_keep_their_budget(browser: Browser, visits: list[Visit], capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes, elements, seconds of layout and the largest thing drawn: of each kind of page the heaviest is printed."""
    heaviest: dict[str, Visit] = {}
    for visit in visits:
        assert visit.page.stat().st_size < LARGEST_PAGE, visit.page.name
        best = heaviest.get(kind(visit.page))
        if best is None or visit.page.stat().st_size > best.page.stat().st_size:
            heaviest[kind(visit.page)] = visit
    lines = [f"{len(visits)} pages; the heaviest of each kind:"]
    browser.look(PHONE)
    for what, visit in sorted(heaviest.items()):
        browser.open(visit.page)
        shown, element = browser.evaluate(LARGEST)
        lines.append(
            f"  {what:10} {where(visit.page):50} {visit.page.stat().st_size / 1000:6.1f} kB "
            f"{visit.facts['elements']:6} elements  {1000 * visit.layout:5.0f} ms layout  {len(visit.requests)} request"
            f"  largest <{element.lower()}>" + ("" if shown is None else f" after {shown:.0f} ms")
        )
        assert visit.layout < 5
    with capsys.disabled():
        print("\n" + "\n".join(lines))
