"""The document rules' definitions in plain Python, one text at a time: what the kernels must agree with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pairmill.curate.heuristics.documents import languages
from pairmill.curate.heuristics.documents.characters import (
    BRACE,
    BULLET,
    CLOSER,
    DASH,
    DIGIT,
    HASH,
    IDEOGRAPH,
    KINDS,
    LETTER,
    MARK,
    NEWLINE,
    SPACE,
    TERMINAL,
    TWENTIETHS,
    WEIGHT_BITS,
    properties,
)


def kind(character: str) -> int:
    return int(properties()[ord(character)]) & KINDS


def weight(character: str) -> int:
    return int(properties()[ord(character)]) >> WEIGHT_BITS & 63


@dataclass
class Line:
    tokens: list[str] = field(default_factory=list)
    behind_blank: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(self.tokens)

    @property
    def size(self) -> int:
        return sum(map(len, self.tokens))

    @property
    def length(self) -> int:
        return sum(weight(character) for token in self.tokens for character in token)

    @property
    def ends(self) -> str:
        """How the line ends, closing marks left out: `stop`, `ellipsis` or ``."""
        text = "".join(self.tokens)
        while text and kind(text[-1]) in (CLOSER, MARK):
            text = text[:-1]
        if not text:
            return ""
        if text.endswith(("…", "...")):
            return "ellipsis"
        return "stop" if kind(text[-1]) == TERMINAL else ""


def tokens(stretch: str) -> list[str]:
    """Cut a text without white space: before each ideograph, and where letters or digits follow one."""
    found = [""]
    for character in stretch:
        what = kind(character)
        ideograph = any(kind(c) == IDEOGRAPH for c in found[-1])
        alphanumeric = any(kind(c) in (LETTER, DIGIT) for c in found[-1])
        if (what == IDEOGRAPH and (ideograph or alphanumeric)) or (what in (LETTER, DIGIT) and ideograph):
            found.append("")
        found[-1] += character
    return found


def lines(text: str) -> list[Line]:
    found, blank = [], True
    for raw in text.split("\n"):
        stretches = "".join(" " if kind(c) == SPACE else c for c in raw).split(" ")
        line = Line([token for stretch in stretches if stretch for token in tokens(stretch)], blank)
        blank = not line.tokens
        if line.tokens:
            found.append(line)
    return found


def has(token: str, *kinds: int) -> bool:
    return any(kind(c) in kinds for c in token)


def words(text: str) -> tuple[int, int, int, float]:
    """Words with letters, numbers, markers, and English words that ideographs stand for."""
    every = [token for line in lines(text) for token in line.tokens]
    plain = [token for token in every if not has(token, IDEOGRAPH)]
    lettered = sum(has(token, LETTER) for token in plain)
    numbers = sum(has(token, DIGIT) and not has(token, LETTER) for token in plain)
    ideographs = sum(weight(c) for token in every for c in token if kind(c) == IDEOGRAPH)
    return (
        lettered,
        numbers,
        len(plain) - lettered - numbers,
        ideographs / TWENTIETHS / languages.ENGLISH_CHARACTERS,
    )


def windows(text: str) -> list[int]:
    """Tokens of a 2-gram to a 10-gram."""
    lettered, numbers, _, unspaced = words(text)
    ideographs = sum(has(token, IDEOGRAPH) for line in lines(text) for token in line.tokens)
    plain = lettered + numbers + unspaced
    per_word = (lettered + numbers + ideographs) / plain if plain else 1
    return [min(max(round(n * per_word), 2), 63) for n in range(2, 11)]


def grams(text: str) -> list[int]:
    """Characters of the most frequent 2-, 3- and 4-gram, and of repeated 5- to 10-grams."""
    every = [token for line in lines(text) for token in line.tokens]
    found = []
    for level, size in enumerate(windows(text)):
        all_grams = [tuple(every[i : i + size]) for i in range(len(every) - size + 1)]
        if level < 3:
            counts = Counter(all_grams)
            best = max(((n, sum(map(len, gram))) for gram, n in counts.items()), default=(0, 0))
            found.append(best[0] * best[1] if best[0] > 1 else 0)
            continue
        seen, repeated, i = set(), 0, 0
        while i < len(all_grams):
            if all_grams[i] in seen:
                repeated += sum(map(len, all_grams[i]))
                i += size
            else:
                seen.add(all_grams[i])
                i += 1
        found.append(repeated)
    return found


def duplicates(items: list[tuple[object, int]]) -> tuple[int, int]:
    """How many of (item, size) equal an earlier item, and their sizes."""
    seen: set[object] = set()
    again = [size for item, size in items if item in seen or seen.add(item)]  # type: ignore[func-returns-value]
    return len(again), sum(again)


def paragraphs(text: str) -> list[tuple[object, int]]:
    found: list[list[Line]] = []
    for line in lines(text):
        if line.behind_blank or not found:
            found.append([])
        found[-1].append(line)
    return [(tuple(line.key for line in group), sum(line.size for line in group)) for group in found]


def bulleted(text: str) -> int:
    """Lines that begin with a bullet, or with a dash by itself."""
    first = [line.tokens[0] for line in lines(text)]
    return sum(kind(token[0]) == BULLET or (len(token) == 1 and kind(token) == DASH) for token in first)


def sentences(text: str) -> int:
    count, spoken = 0, False
    for line in lines(text):
        for token in line.tokens:
            spoken |= has(token, LETTER, IDEOGRAPH)
            if Line([token]).ends == "stop" and spoken:
                count, spoken = count + 1, False
    return count


def symbols(text: str) -> int:
    dots = sum(token.count("...") for line in lines(text) for token in line.tokens)
    return max(sum(kind(c) == HASH for c in text), text.count("…") + dots)


def braces(text: str) -> int:
    return sum(kind(c) == BRACE for c in text)


def alone(text: str) -> list[str]:
    """Words in lower case as stop words are looked up: runs of letters, marks and digits of spaced scripts."""
    found = [""]
    for line in text.split("\n"):
        ideograph = False
        for c in line + " ":
            what = kind(c)
            if what in (SPACE, NEWLINE):
                ideograph = False
            if what == IDEOGRAPH:
                ideograph = True
            if what in (LETTER, DIGIT):
                ideograph = False
            if what in (LETTER, DIGIT) or (what == MARK and not ideograph):
                found[-1] += c.lower() if len(c.lower()) == 1 else c
            elif found[-1]:
                found.append("")
    return [word for word in found if word]
