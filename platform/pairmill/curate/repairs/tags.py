"""Left-over mark-up: HTML and XML tags, comments, scripts, and the remnants of tags that were cut in two.

1. Scripts, styles and comments go with what they hold; an unclosed one stays.
2. A tag `<name ...>` is left over if its name is unmistakably one of HTML's, or it has an attribute with a value, or
   both its opening and its closing are in the text. So `a < b`, `<0>`, `<email>`, `<file>`, `List<String>` and
   `<https://...>` stay. Block elements become a line break, others nothing.
3. Remnants: attributes whose tag lost its start (`class="x">`), the end of a tag's name at the start of the text
   (`pan>`), a tag cut off at its end (`<a hre`, `</p`), `/>` behind a space.
4. JavaScript behind the last sentence of a line: from a declaration, function or call that pages are known for, to the
   line's end, if that ends like a statement.

Every search is linear: what a pattern may run over is bounded, or ends where the next match could start.
"""

from __future__ import annotations

import re

# Of the elements only whose name nobody gives to a placeholder or a key, and that are no tags of XML formats.
_INLINE = frozenset("""
    a abbr acronym b bdi bdo big cite dfn em font i img kbd nobr rb rp rt ruby samp small span strike strong sub sup tt
    u wbr
""".split())  # fmt: skip  # noqa: SIM905
_BLOCK = frozenset("""
    article aside blockquote br col colgroup dd div dl dt fieldset figcaption h1 h2 h3 h4 h5 h6 hgroup hr html iframe li
    nav noscript ol optgroup p pre tbody td textarea tfoot th thead tr ul
""".split())  # fmt: skip  # noqa: SIM905
_DOUBTFUL_BLOCK = frozenset("""
    address body button caption center details dir figure footer form frame frameset head header legend link main map
    menu meta option script section select style summary table title
""".split())  # fmt: skip  # noqa: SIM905
_DOUBTFUL_INLINE = frozenset("audio code del input ins label mark object param var video".split())  # noqa: SIM905
_PLAIN = _INLINE | _BLOCK
_NAMES = _PLAIN | _DOUBTFUL_BLOCK | _DOUBTFUL_INLINE
_ENDINGS = frozenset(name[start:] for name in _NAMES for start in range(len(name) - 1)) - {"on", "in", "all", "or"}
_ATTRIBUTES = """
    accesskey align alt bgcolor border cellpadding cellspacing class color colspan content coords data- dir face
    height href hspace id itemprop lang language media name on property rel rev role rowspan size src srcset style
    tabindex target title type usemap valign value vspace width xml: xmlns
""".split()  # noqa: SIM905

_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]{0,40})((?:\s[^<>]{0,2000})?/?)>")
_DECLARATION = re.compile(r"<(?:!(?:DOCTYPE|doctype|\[endif|\[if)|\?xml)[^<>]{0,500}>")
_VALUE = re.compile(r"""[\w:.-]\s?=\s?["'\w#/]""")
_HIDDEN = tuple(
    (re.compile(start, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for start, end in (
        ("<!--", "-->"),
        (r"<script\b[^<>]{0,500}>", "</script *>"),
        (r"<style\b[^<>]{0,500}>", "</style *>"),
    )
)
_ATTRIBUTE = rf"(?:{'|'.join(_ATTRIBUTES)})[\w:.-]{{0,40}}\s?=\s?(?:\"[^\"<>]{{0,500}}\"|'[^'<>]{{0,500}}')\s{{0,8}}"
_BEHEADED = re.compile(rf"(?:(?<=^)|(?<=[\s\"']))(?:{_ATTRIBUTE}){{1,20}}/?>\s?", re.IGNORECASE)
_VALUE_END = re.compile(rf"[\w:.#;/%-]{{0,100}}[\"']\s?(?:(?:{_ATTRIBUTE}){{1,20}}/?>|/?>(?=\s))", re.IGNORECASE)
_NAME_END = re.compile(r"\s{0,8}(/?)([a-z][a-z0-9]{0,9})>(?=\s|\w)")
_CUT_CLOSING = re.compile(r"</([A-Za-z][A-Za-z0-9]{0,10})(?=\s|$|<)")
_CUT_OPENING = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]{0,10})?((?:\s[^<>]{0,2000})?)$")
_CUT_ATTRIBUTE = re.compile(
    r"""\s+(?:[\w:-]{1,40}\s?=\s?(?:"[^"]*"|'[^']*')\s*)*([\w:-]{1,40})?(\s?=.*)?$""", re.DOTALL
)
_STRAY_END = re.compile(r"(?:^|(?<=\s))/>\s?")
_SCRIPT = re.compile(
    r"(?:^|(?<=[\s>;]))(?:(?:var|let|const)\s[\w$]{1,40}\s?=|window\.[\w$.]{1,60}\s?="
    r"|\(?function\s?\([\w$, ]{0,80}\)\s?\{"
    r"|document\.(?:write|get|create|query|add)\w{0,30}\(|(?:\$|jQuery)\((?:document|function|window|['\"])"
    r"|[\w$]{1,40}(?:\.[\w$]{1,40}){0,4}\.push\((?:\[|\{|arguments|function)|(?:gtag|ga|fbq)\(['\"]"
    r"|googletag\.\w|\(adsbygoogle\s?=)"
)
_STATEMENT_END = (";", "}", ")")


def split(text: str) -> tuple[str, list[str]]:
    """The text without left-over mark-up, and what was taken out: tags by their names, other remnants as found."""
    taken: list[str] = []
    if "<" in text:
        text = _without_hidden(text, taken)
        text = _without_tags(text, taken)
    if ">" in text or "<" in text:
        text = _without_remnants(text, taken)
    if ";" in text:
        text = _without_scripts(text, taken)
    return text, taken


def remove(text: str) -> str:
    """The text without left-over mark-up."""
    return split(text)[0]


def shared(left: str, right: str) -> bool:
    """Whether two texts have left-over mark-up in common: then both speak of it, or it belongs to both."""
    found = split(left)[1]
    return bool(found) and not set(found).isdisjoint(split(right)[1])


def _without_hidden(text: str, taken: list[str]) -> str:
    for start, end in _HIDDEN:
        parts, at = [], 0
        while (opening := start.search(text, at)) and (closing := end.search(text, opening.end())):
            parts.append(text[at : opening.start()])
            taken.append(opening[0].lower()[:7])
            at = closing.end()
        text = "".join([*parts, text[at:]])
    return text


def find(text: str) -> list[re.Match[str]]:
    """The left-over tags of a text (point 2)."""
    matches = list(_TAG.finditer(text))
    opened = {match[2].lower() for match in matches if not match[1]}
    closed = {match[2].lower() for match in matches if match[1]}
    valued = {match[2].lower() for match in matches if _VALUE.search(match[3])}
    left_over = valued | (opened & closed)

    def is_left_over(match: re.Match[str]) -> bool:
        name, rest = match[2].lower(), match[3].strip("/").strip()
        return (name in left_over or (name in _PLAIN and not rest)) and (not rest or bool(_VALUE.search(rest)))

    return [match for match in matches if is_left_over(match)]


def _without_tags(text: str, taken: list[str]) -> str:
    parts, at = [], 0
    for match in find(text):
        name = match[2].lower()
        taken.append(name)
        parts += [text[at : match.start()], "\n" if name in _BLOCK or name in _DOUBTFUL_BLOCK else ""]
        at = match.end()
    text = "".join([*parts, text[at:]])
    return _DECLARATION.sub(lambda match: taken.append(match[0]) or "\n", text)  # type: ignore[func-returns-value]


def _without_remnants(text: str, taken: list[str]) -> str:
    def drop(match: re.Match[str]) -> str:
        taken.append(match[0].strip())
        return ""

    def drop_known(match: re.Match[str]) -> str:
        return drop(match) if match[1].lower() in _NAMES else match[0]

    if ">" in text:
        if (
            (head := _NAME_END.match(text))
            and (head[1] or head[2] in _ENDINGS)
            and (head[2] in _ENDINGS or head[2] in _NAMES)
        ):
            drop(head)
            text = text[head.end() :]
        if head := _VALUE_END.match(text):
            drop(head)
            text = text[head.end() :]
        if "=" in text:
            text = _BEHEADED.sub(drop, text)
        text = _STRAY_END.sub(drop, text)
    if "</" in text:
        text = _CUT_CLOSING.sub(drop_known, text)
    at = text.rfind("<")
    if at >= 0 and _is_cut_off(text, at):
        taken.append(text[at + 1 :].strip("/").split()[0].lower() if text[at + 1 :].strip("/ ") else "/")
        text = text[:at]
    return text


def _is_cut_off(text: str, at: int) -> bool:
    """Whether the text ends inside a tag that starts at `at`."""
    match = _CUT_OPENING.match(text.rstrip(), at)
    if not match:
        return False
    closing, name, rest = match[1], (match[2] or "").lower(), match[3]
    if closing and not rest:
        return not name or any(known.startswith(name) for known in _NAMES)
    if not rest:
        return len(name) > 1 and name in _PLAIN
    attribute = _CUT_ATTRIBUTE.match(rest)
    if name not in _NAMES or not attribute:
        return False
    word = (attribute[1] or "").lower()
    if attribute[2] or not word:
        return "=" in rest
    return len(word) > 1 and any(known.startswith(word) for known in _ATTRIBUTES)


def _without_scripts(text: str, taken: list[str]) -> str:
    if not _SCRIPT.search(text):
        return text
    lines = []
    for line in text.split("\n"):
        start = _SCRIPT.search(line)
        code = line[start.start() :].rstrip() if start else ""
        if start and ";" in code and code.endswith(_STATEMENT_END):
            taken.append(code)
            line = line[: start.start()]
        lines.append(line)
    return "\n".join(lines)
