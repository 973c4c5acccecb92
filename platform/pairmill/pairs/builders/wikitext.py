"""Wikitext as sections of plain text, in linear time.

1. One scan over the delimiters of what nests, with a stack: templates, tables, comments and the elements of `_DROPPED`
   (references, formulas, galleries ...) are left out with all they hold; links become their text, files nothing. A
   closing delimiter closes the nearest open one of its kind; one that nothing opened, or that nothing closes, is left
   out alone.
2. What is in no language is told without names, which each wiki has in its own language: a file is a link whose target
   ends like a medium; a category or a link to another wiki is a link with a prefix that has its line for itself.
3. Regular expressions, each linear, for the rest: external links, bold and italic, tags, entities, magic words.
4. Lines: headings open sections, blank lines separate paragraphs, lines with list marks are items.

(mwparserfromhell reads 1 MB/s and takes minutes for 300 kB of `<b><b>...` or `{|` lines, inside C code that cannot be
interrupted; this reads about ten times as much and is as fast on hostile text.)
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

_DROPPED = (
    "ref|references|math|chem|ce|gallery|timeline|score|imagemap|table|syntaxhighlight|source|pre|hiero|graph|"
    "templatedata|categorytree|inputbox|noinclude|includeonly|mapframe|maplink|templatestyles"
)
_DELIMITER = re.compile(
    r"\[\[|\]\]|\{\{|\}\}|<!--|-->|^[:*#; \t]*\{\||^[ \t]*\|\}(?!\})"
    rf"|<(?:{_DROPPED})\b[^<>]*>|</(?:{_DROPPED})[ \t]*>",
    re.I | re.M,
)
_MEDIUM = re.compile(
    r"\.(?:jpe?g|png|svg|gif|webp|tiff?|xcf|pdf|djvu|og[agv]|opus|webm|mp[34]|mpe?g|wav|flac|midi?|stl)$", re.I
)
_ALONE = re.compile(r"^[ \t]*(?:\[\[[^\[\]\n|:]{1,40}:[^\[\]\n ][^\[\]\n]*\]\][ \t]*)+$", re.M)
_EXTERNAL = re.compile(r"\[(?:https?:|ftps?:|mailto:|//)[^\s\[\]<>]*[ \t]*([^\[\]\n]*)\]")
_QUOTES = re.compile(r"'{2,}")
_BREAK = re.compile(r"<br\b[^<>]*>", re.I)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_MAGIC = re.compile(r"^[ \t]*__\w{3,40}__[ \t]*$", re.M)
_VARIANT = re.compile(r"-\{(?:[^{}|]*\|)?([^{}]*)\}-")
_EMPTY = re.compile(r"[ \t]*(?:\([\s,;:]*\)|（[\s，；：]*）)")
_SPACE = re.compile(r"[ \t\u00a0]+")
#: Links inside links: captions of files hold some; deeper ones are no text.
_DEEPEST = 8


class Section(NamedTuple):
    level: int  # 2 for == this ==; 0: the lead
    title: str
    paragraphs: list[str]  # list items, too
    listed: int  # characters of the paragraphs that are list items


def sections(wikitext: str) -> list[Section]:
    """The lead (with an empty title) and each section, without the sections inside it."""
    text = _without_markup(_flat(_ALONE.sub("", wikitext)))
    found: list[tuple[int, str, list[str]]] = [(0, "", [])]
    for line in text.split("\n"):
        if level := _heading(line):
            found.append((level, line.strip()[level:-level].strip(), []))
        else:
            found[-1][2].append(line)
    return [Section(level, title, *_paragraphs(lines)) for level, title, lines in found]


def _heading(line: str) -> int:
    """The level of a heading; 0 for another line."""
    if not line.startswith("="):
        return 0
    line = line.rstrip()
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    return level if len(line) > 2 * level else 0


def _paragraphs(lines: list[str]) -> tuple[list[str], int]:
    paragraphs: list[str] = []
    listed, goes_on = 0, False
    for line in lines:
        item = line[:1] in ("*", "#", ":", ";")
        content = _SPACE.sub(" ", line.lstrip("*#:;") if item else line).strip()
        if not content:
            goes_on = goes_on and not line.isspace() and bool(line)
        elif item:
            paragraphs.append(content)
            listed += len(content)
            goes_on = False
        elif goes_on:
            paragraphs[-1] += " " + content
        else:
            paragraphs.append(content)
            goes_on = True
    return paragraphs, listed


def _flat(wikitext: str) -> str:
    """The text without what is to be dropped, links replaced by their text."""
    out: list[str] = []
    opened: list[tuple[str, int]] = []  # kind, and where `out` ended
    count: Counter[str] = Counter()
    at = 0
    for match in _DELIMITER.finditer(wikitext):
        token = match[0]
        out.append(wikitext[at : match.start()])
        at = match.end()
        kind, opens = _kind(token)
        if opens:
            opened.append((kind, len(out)))
            count[kind] += 1
        elif kind and count[kind]:
            while True:
                last, start = opened.pop()
                count[last] -= 1
                if last == kind:
                    break
            inner = out[start:]
            del out[start:]
            if kind == "[[" and count["[["] < _DEEPEST:
                out.append(_link("".join(inner)))
    out.append(wikitext[at:])
    return "".join(out)


def _kind(token: str) -> tuple[str, bool]:
    """What a delimiter delimits, and whether it opens it. `<ref name=a />` is complete: nothing."""
    if token in ("[[", "{{", "<!--"):
        return token, True
    if token in ("]]", "}}", "-->"):
        return {"]]": "[[", "}}": "{{", "-->": "<!--"}[token], False
    if token.endswith("{|"):
        return "{|", True
    if token.endswith("|}"):
        return "{|", False
    if token.startswith("</"):
        return token[2:-1].rstrip().lower(), False
    if token.endswith("/>"):
        return "", False
    return re.split(r"[^a-zA-Z]", token[1:], maxsplit=1)[0].lower(), True


def _link(inner: str) -> str:
    """What a link shows. A file shows nothing; so does a category, if its name is the English one."""
    target, bar, shown = inner.partition("|")
    target = target.strip()
    if _MEDIUM.search(target) or target.startswith(("Category:", "category:", "File:", "Image:")):
        return ""
    return shown.rpartition("|")[2] if bar and shown else target.removeprefix(":")


def _without_markup(text: str) -> str:
    text = _EXTERNAL.sub(r"\1", text)
    if "''" in text:
        text = _QUOTES.sub("", text)
    if "<" in text:
        text = _TAG.sub("", _BREAK.sub(" ", text))
    if "-{" in text:
        text = _VARIANT.sub(lambda match: _variant(match[1]), text)
    if "&" in text:
        text = html.unescape(text)
    if "__" in text:
        text = _MAGIC.sub("", text)
    return _EMPTY.sub("", text)


def _variant(choices: str) -> str:
    """The first of a wiki's language variants: `zh-hans:计算机; zh-hant:電腦`."""
    first = choices.partition(";")[0]
    return first.partition(":")[2].strip() if ":" in first else first


def chain(found: list[Section]) -> Iterator[tuple[tuple[str, ...], Section]]:
    """Each section with the titles of the sections it is in, its own the last."""
    path: list[tuple[int, str]] = []
    for section in found:
        path = [(level, title) for level, title in path if level < section.level]
        path.append((section.level, section.title))
        yield tuple(title for _, title in path if title), section
