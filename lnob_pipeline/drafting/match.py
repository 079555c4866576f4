"""How like a question of a form is to a variable of the question bank, and why.

Here belong words, scores and reasons; nothing is learned and nothing random. A score is between 0 and 1:

- words: the cosine of the words of the question (its label in any language, with its name) and those of the variable
  (label, question in any language, name, texts of synonyms.yaml); a word weighs the more the fewer variables have it
  (inverse document frequency); synonyms.yaml says which words are the same;
- choices: how many choices resemble a code, and how many codes a choice, where the variable is more than yes or no;
- type: a question of another type, or of another unit, counts for less.

score = type x words, or type x (words + choices) / 2, where choices weigh 0.3 if several variables have the same codes
(a scale). A question is proposed for the variable that it is likest to, and each variable for one question.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import Field, model_validator

from lnob_pipeline.drafting.questions import Question
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import MISSING_KINDS, Model, Variable

CUTOFF = 0.6
"""Below it a question is left to be decided; what was measured stands in the tests, drafting/answers/README.md."""
CANDIDATES = 8
"""Variables of nearest words whose choices are compared."""
CODE_DISTANCE = 0.2
"""How much farther the next code must be: a cell with two answers ("well, surface water") is like both."""
UNKNOWN = 3.0
"""Weight of a word that no variable has; a word of one variable alone has 5.1."""
CODE_LIKENESS = 0.75
"""A choice as like to a code as this is proposed for it; else the code is to be decided."""
UNITS = ("months", "minutes", "hours")
"""Units that a question names where it asks for them; years are often left out."""
ALIKE = 0.97
"""Two variables as near to each other as this: which of them is meant is in doubt."""
REMARKS = frozenset({"other", "comment", "comments", "remark", "remarks", "specify", "specified"})
YES = frozenset({"yes", "y", "true", "ndiyo", "हाँ", "হ্যাঁ", "có", "inde", "eh"})
NO = frozenset({"no", "n", "false", "hapana", "नहीं", "না", "không", "ayi", "a'a"})
MISSING_WORDS: dict[str, tuple[str, ...]] = {
    "dont_know": ("dont know", "do not know", "dk", "dnk", "dontknow", "does not know", "sijui", "पता नहीं", "জানি না"),
    "refused": ("refused", "refuse", "prefer not answer", "prefer not to answer", "pnta", "no answer", "rf"),
    "not_asked": ("na", "n a", "not applicable", "not asked", "none selected", "missing", "skipped"),
}
MISSING_NUMBERS = {"9": "not_asked", "8": "dont_know", "7": "refused"}
"""Digit of a sentinel as -999 -> the kind that is proposed. Surveys differ: a person has to look it up."""


class Synonyms(Model):
    """The file synonyms.yaml."""

    ignored: str = ""
    words: list[list[str]] = Field(default=[])
    short: dict[str, list[str]] = Field(default={})
    phrases: dict[str, str] = Field(default={})
    texts: dict[str, list[str]] = Field(default={})
    others: list[str] = Field(default=[])

    @model_validator(mode="after")
    def _once(self) -> Synonyms:
        words = Counter([word for line in self.words for word in line] + list(self.short))
        if twice := [word for word, count in words.items() if count > 1]:
            raise ValueError(f"{', '.join(twice)} stands in two places")
        return self


def read_synonyms(folder: Path) -> Synonyms:
    """The synonyms beside the question bank; none where the file is not there. Raises ValueError if it is unsound."""
    path = folder / "synonyms.yaml"
    return Synonyms.model_validate(yaml.safe_load(path.read_bytes())) if path.exists() else Synonyms()


@dataclass(frozen=True)
class Match:
    """A variable for a question, with the parts of the score."""

    variable: str
    score: float
    words: float
    choices: float | None
    shared: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The parts in one line."""
        parts = [f"words {self.words:.2f} ({', '.join(self.shared[:5]) or 'none'})"]
        parts += [f"choices {self.choices:.2f}"] if self.choices is not None else []
        return "; ".join([*parts, *self.doubts])


def split_words(text: str) -> list[str]:
    """The words of a text in small letters; letters keep their marks, whatever the script."""
    text = unicodedata.normalize("NFC", text.casefold()).replace("'", "").replace("’", "")
    return "".join(letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in text).split()


def _stem(word: str) -> str:
    for end in ("ing", "ed", "es", "s"):
        if word.isascii() and word.endswith(end) and len(word) - len(end) >= 4:
            return word[: -len(end)]
    return word


class Matcher:
    """The question bank, prepared to be compared with many questions."""

    def __init__(self, mappings: Mappings, synonyms: Synonyms) -> None:
        self.mappings = mappings
        self._ignored = frozenset(synonyms.ignored.split())
        self._same = {_stem(word): _stem(line[0]) for line in synonyms.words for word in line}
        self._short, self._phrases = synonyms.short, synonyms.phrases
        self._others = {word for text in synonyms.others for word in self.words(text)}
        self._code_sets = Counter(frozenset(mappings.codes(name)) for name in mappings.variables)
        self._units = {word for text in UNITS for word in self.words(text)}
        self._texts: list[tuple[str, Counter[str]]] = []
        seen: Counter[str] = Counter()
        for name, variable in mappings.variables.items():
            texts = [variable.label, *variable.question.values(), name.replace("_", " "), *synonyms.texts.get(name, [])]
            bags = [self.words(text) for text in texts]
            bags.append([*bags[0], *self.words(variable.question.get("en", ""))])
            seen.update({word for bag in bags for word in bag})
            self._texts += [(name, Counter(bag)) for bag in bags if bag]
        self._count = len(mappings.variables)
        self._seen = seen
        self._index: dict[str, list[tuple[int, float]]] = {}
        for place, (_, bag) in enumerate(self._texts):
            for word, weight in self._weighed(bag).items():
                self._index.setdefault(word, []).append((place, weight))

    def words(self, text: str) -> list[str]:
        """The words that count, each in the form that stands for its synonyms."""
        found: list[str] = []
        whole = " ".join(split_words(text))
        for phrase, one_word in self._phrases.items():
            whole = whole.replace(phrase, one_word)
        for word in whole.split():
            for one in self._short.get(word, [word]):
                if one not in self._ignored:
                    stem = _stem(one)
                    found.append(self._same.get(stem, stem))
        return found

    def _weighed(self, bag: Iterable[str]) -> dict[str, float]:
        """Word -> weight, of length one: rare words weigh more, a repeated word no more than once."""
        weights = {
            word: math.log(1 + self._count / (0.5 + self._seen[word])) if self._seen[word] else UNKNOWN for word in bag
        }
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {word: weight / length for word, weight in weights.items()}

    def _nearest(self, words: Sequence[str]) -> dict[str, tuple[float, tuple[str, ...]]]:
        """Variable -> cosine with its nearest text and the words shared with it, heaviest first."""
        weights = self._weighed(words)
        scores: dict[int, float] = {}
        for word, weight in weights.items():
            for place, other in self._index.get(word, ()):
                scores[place] = scores.get(place, 0.0) + weight * other
        best: dict[str, tuple[float, tuple[str, ...]]] = {}
        for place, score in scores.items():
            name, bag = self._texts[place]
            if score > best.get(name, (0.0, ()))[0]:
                shared = sorted(set(words) & set(bag), key=lambda word: (-weights[word], word))
                best[name] = (min(score, 1.0), tuple(shared))
        return best

    def candidates(self, question: Question) -> list[Match]:
        """The variables that a question could be, best first; none for identifiers, paradata and remarks."""
        if question.identifier or question.kind == "other" or is_remark(question):
            return []
        by_name = self._nearest(self.words(" ".join(split_words(question.name))))
        by_label: dict[str, tuple[float, tuple[str, ...]]] = {}
        for text in question.texts:
            for name, found in self._nearest(self.words(text)).items():
                by_label[name] = max(by_label.get(name, (0.0, ())), found)
        found_words = {}
        for name in {*by_name, *by_label}:
            in_name, in_label = by_name.get(name, (0.0, ())), by_label.get(name, (0.0, ()))
            both = (in_label[0] * 0.75 + in_name[0] * 0.25, in_label[0] * 0.9, in_name[0] * 0.65)
            score = max(both) if question.texts else in_name[0]
            found_words[name] = (score, tuple(dict.fromkeys([*in_label[1], *in_name[1]])))
        near = sorted(found_words, key=lambda name: (-found_words[name][0], name))[:CANDIDATES]
        matches = [self._match(question, name, *found_words[name]) for name in near]
        matches.sort(key=lambda match: (-match.score, match.variable))
        if len(matches) > 1 and matches[1].score >= ALIKE * matches[0].score:
            doubt = f"{matches[1].variable} is as near"
            first = matches[0]
            matches[0] = replace(first, score=round(first.score * 0.8, 3), doubts=(*first.doubts, doubt))
        return matches

    def _match(self, question: Question, name: str, words: float, shared: tuple[str, ...]) -> Match:
        variable = self.mappings.variables[name]
        factor, doubts = _agreement(question, variable, self.mappings.codes(name))
        choices = None
        codes = self.mappings.codes(name)
        offered = [code for code, labels in question.choices.items() if missing_kind(code, labels) is None]
        if codes and offered and set(codes) != {"yes", "no"} and not _only_yes_no(question):
            likeness = [[self._likeness(code, question.choices[code], name, own) for own in codes] for code in offered]
            forward = sum(max(line) for line in likeness) / len(offered)
            back = sum(max(line[place] for line in likeness) for place in range(len(codes))) / len(codes)
            choices = (2 * forward + back) / 3
        asked = {word for text in (*question.texts, question.name) for word in self.words(text)}
        if other := sorted((asked & self._others) - self._own(name)):
            factor, doubts = factor * 0.6, [*doubts, f"speaks of {', '.join(other)}"]
        if variable.type == "number" and variable.measure:
            unit = set(self.words(variable.measure.split(",")[0])) & self._units
            if unit and not unit & asked:
                factor, doubts = factor * 0.7, [*doubts, f"does not say {', '.join(sorted(unit))}"]
        weight = 0.5 if self._code_sets[frozenset(codes)] == 1 else 0.3
        score = factor * (words if choices is None else (1 - weight) * words + weight * choices)
        return Match(name, round(score, 3), round(words, 2), choices and round(choices, 2), shared, tuple(doubts))

    def _own(self, variable: str) -> set[str]:
        return {word for name, bag in self._texts if name == variable for word in bag}

    def _likeness(self, code: str, labels: tuple[str, ...], variable: str, own: str) -> float:
        """How like a choice is to a code of a variable: the cosine of its nearest texts, without weights."""
        said = self.mappings.variables[variable]
        texts = [own, self.mappings.codes(variable)[own], *(of.get(own, "") for of in said.code_labels.values())]
        theirs = [self._bag(text) for text in (code, *labels)]
        return max(
            (len(a & b) / math.sqrt(len(a) * len(b)) for a in theirs for b in map(self._bag, texts) if a and b),
            default=0.0,
        )

    @functools.lru_cache(maxsize=20_000)  # noqa: B019 - the matcher lives as long as the command
    def _bag(self, text: str) -> frozenset[str]:
        return frozenset(self.words(text.replace("_", " "))) or frozenset(split_words(text))

    def codes(self, question: Question, variable: str) -> dict[str, tuple[str | None, float]]:
        """Choice -> the code that it resembles most (None where none does, or two do alike) and how much."""
        found: dict[str, tuple[str | None, float]] = {}
        for code, labels in question.choices.items():
            if missing_kind(code, labels) is None:
                scored = sorted(
                    ((self._likeness(code, labels, variable, own), own) for own in self.mappings.codes(variable)),
                    reverse=True,
                )
                best, second = scored[0][0], scored[1][0] if len(scored) > 1 else 0.0
                clear = best >= CODE_LIKENESS and best - second >= CODE_DISTANCE
                found[code] = (scored[0][1] if clear else None, round(scored[0][0], 2))
        return found


def assign(questions: Sequence[Question], matcher: Matcher, cutoff: float) -> dict[int, Match]:
    """Place of a question -> its proposal: best scores first, each variable and each question once."""
    scored = [
        (match.score, place, match)
        for place, question in enumerate(questions)
        for match in matcher.candidates(question)[:1]
        if match.score >= cutoff
    ]
    proposals: dict[int, Match] = {}
    taken: set[str] = set()
    for _, place, match in sorted(scored, key=lambda item: (-item[0], item[1], item[2].variable)):
        if place not in proposals and match.variable not in taken:
            proposals[place] = match
            taken.add(match.variable)
    return proposals


def is_remark(question: Question) -> bool:
    """Whether a question only asks what "other" means, or for a remark."""
    words = split_words(question.name.replace("_", " "))
    typed = not any(question.choices.values())  # a list with labels is a question, whatever its name
    if not typed or question.kind not in ("text", "one") or not words:
        return False
    return words[-1] in REMARKS or (words[0] == "other" and question.kind == "text")


def missing_kind(code: str, labels: Sequence[str] = ()) -> str | None:
    """The kind of missing answer that a choice seems to be, by its code or its label; None where it is an answer."""
    if code in MISSING_KINDS[:3]:
        return code
    if code.startswith("-") and set(code.removesuffix(".0")[1:]) <= {"9"} | {"8"} | {"7"}:
        return MISSING_NUMBERS.get(code[1])
    texts = {" ".join(split_words(text.replace("_", " "))) for text in (code, *labels)}
    return next((kind for kind, words in MISSING_WORDS.items() if texts & set(words)), None)


def says_yes_or_no(code: str, labels: Sequence[str] = ()) -> str | None:
    """Say yes or no, where the code or a label is one of the words for it (1 and 0 are none: a person has to say)."""
    firsts = {(split_words(text) or [""])[0] for text in (code, *labels)}
    if firsts & YES and not firsts & NO:
        return "yes"
    return "no" if firsts & NO and not firsts & YES else None


def _only_yes_no(question: Question) -> bool:
    answers = [says_yes_or_no(c, labels) for c, labels in question.choices.items() if missing_kind(c, labels) is None]
    return bool(answers) and None not in answers


def _agreement(question: Question, variable: Variable, codes: Mapping[str, str]) -> tuple[float, list[str]]:
    """What is left of a score where type or unit differ, and the doubts in words."""
    factor, doubts = 1.0, []
    kinds = {"code": "one", "codes": "multiple", "number": "number", "date": "date"}
    wanted = kinds.get(variable.type)
    if wanted is None:
        if question.kind in ("multiple", "date") or _only_yes_no(question):
            factor, doubts = 0.5, [f"is {question.kind}, the variable a text"]
    elif question.kind != wanted:
        near = {("one", "multiple"): 0.8, ("multiple", "one"): 0.7}.get((question.kind, wanted), 0.5)
        factor, doubts = near, [f"is {question.kind}, the variable {wanted}"]
    elif wanted == "one" and question.choices:
        yes_no = set(codes) == {"yes", "no"}
        if yes_no and not _only_yes_no(question):
            offered = sum(missing_kind(code, labels) is None for code, labels in question.choices.items())
            factor, doubts = (0.9 if offered == 2 else 0.6), ["the variable is yes or no, the choices are not"]
        elif not yes_no and _only_yes_no(question):
            factor, doubts = 0.6, ["the choices are yes or no, the variable is more"]
    if question.repeat is not None and variable.unit == "household":
        factor, doubts = factor * 0.8, [*doubts, "stands in a repeat, the variable is of the household"]
    return factor, doubts
