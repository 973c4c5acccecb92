"""How values are written for people: numbers, shares, times, and text from anywhere.

Text comes from the outside world, and some of its characters act on what stands around them: direction overrides
reorder a line, control characters drive terminals, zero-width characters hide, lone surrogates cannot be encoded.
Each is written out instead as its code point, `[U+202E]`. The two joiners U+200C and U+200D stay, because Persian and
the Indic scripts need them to be spelled right. Of piled-up accents, which paint over the lines around them, the first
four stay and the others are counted.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from typing import Any

from markupsafe import Markup, escape

_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_ANY_MARK = re.compile(f"[{_MARKS}]")
_PILE = f"(?<=[{_MARKS}]{{4}})[{_MARKS}]+"
_IN_LINES = re.compile(f"[{_HIDDEN}]+|{_PILE}")
_ON_ONE_LINE = re.compile(f"[\t\n{_HIDDEN}]+|{_PILE}")
_IN_TEXT = re.compile(f"[{_HIDDEN}]+|\n|{_PILE}")
NAME_CHARACTERS = 300


def _write_out_all(match: re.Match[str]) -> str:
    if _ANY_MARK.match(match.group()):
        return f"[{len(match.group())} marks]"
    return "".join(f"[U+{ord(character):04X}]" for character in match.group())


def one_line(text: str, limit: int = NAME_CHARACTERS) -> str:
    """`text` on one line, harmless in a terminal and encodable; past `limit` characters its middle is left out."""
    if len(text) > limit:
        text = f"{text[: limit // 2]} … {text[-(limit // 2) :]}"
    return _ON_ONE_LINE.sub(_write_out_all, text)


def lines(text: str) -> str:
    """`text` with its line breaks and tabs, everything else as in `one_line`."""
    return _IN_LINES.sub(_write_out_all, text.replace("\r\n", "\n"))


def _mark(match: re.Match[str]) -> str:
    return "<b>\u21b5</b>\n" if match.group() == "\n" else f"<b>{_write_out_all(match)}</b>"


def marked(text: str, limit: int) -> Markup:
    """The first `limit` characters as HTML, the written-out characters and line breaks in `<b>`."""
    return Markup(_IN_TEXT.sub(_mark, str(escape(text[:limit]))))


def whole(count: int) -> str:
    return f"{count:,}"


def plural(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`, `3 entries`."""
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun}"


def signed(change: int) -> str:
    """`+1,200`, `−30`, `0`."""
    return f"{change:+,}".replace("-", "−") if change else "0"


def share(part: float, of: float) -> str:
    """A percentage with one decimal; a part that is not nothing, or not all, never looks like it."""
    if not of:
        return "–"
    percent = 100 * part / of
    if 0 < percent < 0.1:
        return "< 0.1%"
    if 99.9 < percent < 100:
        return "> 99.9%"
    return f"{percent:.0f}%" if percent in (0, 100) else f"{percent:.1f}%"


def value(number: Any) -> str:
    """A score or threshold in at most four significant digits; anything that is no number as text."""
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return "–" if number is None else one_line(str(number))
    if isinstance(number, int) or (math.isfinite(number) and abs(number) >= 1000):
        return f"{number:,.0f}"
    return f"{number:.4g}"


def digits(thing: Any) -> str:
    """An id or a position, to be copied: digits without separators."""
    return "–" if thing is None else one_line(str(thing))


def fact(thing: Any) -> str:
    """Any JSON value of the run's record as text."""
    if isinstance(thing, (dict, list)):
        return one_line(json.dumps(thing, ensure_ascii=False))
    return value(thing)


def moment(stamp: Any) -> str:
    """Seconds since 1970 or an ISO time as `2025-11-21 05:52:10 UTC`; anything else as it is."""
    try:
        if isinstance(stamp, (int, float)):
            when = datetime.fromtimestamp(stamp, timezone.utc)
        else:
            when = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except (AttributeError, ValueError, OverflowError, OSError):
        return fact(stamp)
    return f"{when:%Y-%m-%d %H:%M:%S} {when.tzname() or ''}".rstrip()


def duration(seconds: Any) -> str:
    """`4.2 s`, `3 min 05 s`, `2 h 07 min`."""
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return fact(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def size(count: Any) -> str:
    """Bytes in decimal units: `512 B`, `1.3 MB`."""
    if not isinstance(count, (int, float)):
        return fact(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def bounds(low: Any, high: Any) -> str:
    """The values a rule lets pass: `≥ 0.3`, `≤ 3`, `2 to 40`."""
    if low is not None and high is not None:
        return f"{value(low)} to {value(high)}"
    return f"≥ {value(low)}" if low is not None else f"≤ {value(high)}" if high is not None else "no bound"


def compared(found: Any, threshold: Any) -> str:
    """A rejected row's value against its threshold: `4.2, above 3`."""
    if found is None or threshold is None:
        return "" if found is None else value(found)
    try:
        side = "above" if found > threshold else "below" if found < threshold else "at"
    except TypeError:
        side = "against"
    return f"{value(found)}, {side} {value(threshold)}"
