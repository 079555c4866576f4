"""What an answer was before a program or a keyboard changed it: proposals for the partner, never conversions.

Here belong answers that no questionnaire has and that are recognised as a known one in disguise: age bands that a
spreadsheet program took for dates ("5-9" is 5 September in one country, 9 May in another), and codes with letters of
another script that look like Latin ones. What is certain is in normalise.py. Sources: Ziemann et al., Gene name errors
are widespread, 2016 (the same programs, the same fault); Unicode UTS 39 (confusable letters).
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterator, Mapping

import polars as pl

from lnob_pipeline.validation.normalise import DASHES, DIGITS, MONTH_NAMES

BAND = re.compile(r"^([0-9]{1,2}) ?(?:-|to) ?([0-9]{1,2})$")
"""A code that is a band of two numbers, which a spreadsheet program may take for a date."""
DAY_AND_NAME = re.compile(r"^([0-9]{1,2})[-/. ]([A-Za-z]{3,9})(?:[-/. ][0-9]{2,4})?$")
NAME_AND_NUMBER = re.compile(r"^([A-Za-z]{3,9})[-/. ]([0-9]{1,2})$")
YEAR_FIRST = re.compile(r"^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]00:00(?::00)?)?$")
YEAR_LAST = re.compile(r"^([0-9]{1,2})[/.]([0-9]{1,2})[/.]([0-9]{4})$")
SERIAL = re.compile(r"^[0-9]{5}$")
FIRST_DAY = datetime.date(1899, 12, 30)
"""Day 0 of the spreadsheet programs, counted so that days after February 1900 are right."""
SERIALS = range(36_526, 54_789)
"""1 January 2000 to 31 December 2049."""
LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТУХІЈЅаекорсухіјѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοικνı",
    "ABEKMHOPCTYXIJSaekopcyxijshdqwABEZHIKMNOPTYXoikvi",
)
"""Cyrillic and Greek letters, and the Turkish i without a dot -> the Latin letter they look like."""
ASCII = str.maketrans("".join([*DIGITS, *DASHES]), "".join([*DIGITS.values(), *DASHES.values()]))
"""Digits of every script and dashes -> those of the keyboard."""
MAXIMUM = 1_000
"""Different unknown answers that are looked at; a column with more holds something else altogether."""
REASONS_OF = ("date_for_code", "look_alike_letters")


def misread(cells: pl.Series, known: Mapping[str, str]) -> pl.DataFrame:
    """What unknown answers probably were: columns cell, reason (one of REASONS_OF) and proposal, a known code.

    known: text of an answer -> code, as answers.known_texts gives it.
    """
    different = cells.drop_nulls().unique().sort()
    schema = {"cell": pl.String(), "reason": pl.String(), "proposal": pl.String()}
    if len(different) > MAXIMUM:
        return pl.DataFrame(schema=schema)
    bands: dict[tuple[int, int], str] = {}
    for text, code in known.items():
        if found := BAND.match(_plain(text)):
            bands.setdefault((int(found[1]), int(found[2])), code)
    in_latin = {latin(text): code for text, code in known.items()}
    rows = []
    for cell in different.to_list():
        proposals = list(dict.fromkeys(bands[pair] for pair in _bands_of(cell) if pair in bands))
        if proposals:
            rows.append((cell, REASONS_OF[0], " / ".join(proposals)))
        elif (skeleton := latin(cell)) in in_latin:
            rows.append((cell, REASONS_OF[1], in_latin[skeleton]))
    return pl.DataFrame(rows, schema=schema, orient="row")


def _plain(text: str) -> str:
    return text.translate(ASCII)


def latin(text: str) -> str:
    """The text with full-width, Cyrillic and Greek letters as the Latin ones they look like."""
    return unicodedata.normalize("NFKC", text).translate(LOOK_ALIKES)


def _bands_of(cell: str) -> Iterator[tuple[int, int]]:
    """The bands that may have become this cell: its day and month in both orders, and its month and year."""
    cell = _plain(cell)
    if (found := DAY_AND_NAME.match(cell)) and (month := _month(found[2])):
        day = int(found[1])
        yield from ((day, month), (month, day))
    elif (found := NAME_AND_NUMBER.match(cell)) and (month := _month(found[1])):
        number = int(found[2])
        yield from ((month, number), (number, month))
    elif (date := _date(cell)) is not None:
        yield from ((date.day, date.month), (date.month, date.day))
        if date.day == 1:
            yield (date.month, date.year % 100)


def _month(name: str) -> int | None:
    number = MONTH_NAMES.get(name.lower())
    return int(number) if number else None


def _date(cell: str) -> datetime.date | None:
    try:
        if found := YEAR_FIRST.match(cell):
            return datetime.date(int(found[1]), int(found[2]), int(found[3]))
        if found := YEAR_LAST.match(cell):
            return datetime.date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        return None
    if SERIAL.match(cell) and int(cell) in SERIALS:
        return FIRST_DAY + datetime.timedelta(days=int(cell))
    return None
