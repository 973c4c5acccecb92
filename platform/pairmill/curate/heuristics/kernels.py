"""The inner loops of the rules, compiled by numba when first used (see `compiled.py`).

Each visits every character or word of a batch once, or once per period (`repeated`): linear whatever the text.
"""

# mypy: disable-error-code=assignment
from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate.codepoints import DIGIT, LIMIT, SPACE

LOWER, UPPER = 9, 10  # kinds of letters, beside the classes of `codepoints`; codepoints.LETTER: those without case
KINDS = 11
SPACED = np.uint16(16)  # a letter or mark of a script that puts spaces between words
IS_LETTER, IN_WORD = np.uint16(32), np.uint16(64)  # IN_WORD: a letter or mark
_LONE = np.uint16(48)  # SPACED | IS_LETTER
_KIND, _SCRIPT = np.uint16(15), np.uint16(8)

WORDS, RUNS, LETTERS, LONGEST, SINGLE, GLUED, MIXED, FIRST = range(8)
COUNTS = 8
LATIN_1, LEAD_2, LEAD_3, LEAD_CYRILLIC, CONTINUATION = 1, 2, 4, 8, 16
_STREAK = 3
_RUN, _CHANGES = 5, 3  # letters of Latin-1's upper half in a row, and changes between them, that no language writes
_NO_BREAK_SPACE = 0xA0
_GLUE = np.array([chr(c) in ".,;:!?" for c in range(128)])
_ALPHABETS = 0b11110  # the first scripts of the table (Latin, Greek, Cyrillic, Armenian) have look-alikes
_K = np.uint64(0x9E3779B97F4A7C15)
_M = np.uint64(0xFF51AFD7ED558CCD)
_HALF, _EIGHT = np.uint64(32), np.uint64(8)
_A, _BLANK = ord("a"), ord(" ")
_SIX, _LOW_SIX = np.uint32(6), np.uint32(63)
_FIELDS, _ROOM, _FIELD = 8, 255, np.uint64(255)  # ASCII's kinds, DIGIT to UPPER, counted in 8 bits each
_TO_LOWER, _TO_UPPER = np.uint64(8 * (LOWER - DIGIT)), np.uint64(8 * (UPPER - DIGIT))


@cache
def characters() -> Kernel:
    """Return characters(data, bounds, properties, plain, flat, offsets, kinds, scripts, edges, token_offsets).

    Decodes rows of UTF-8, `data[bounds[row]:bounds[row + 1]]`, to code points in `flat`, and writes the rows' offsets
    in them. A property is kind | SPACED | IS_LETTER | IN_WORD | script << 8; `plain` are ASCII's kinds in another form
    (`scripts.plain`). Adds up, per row, int32: characters of each kind (n, KINDS), letters of each script (n, 64).
    Token t, a stretch without white space, is flat[edges[2t]:edges[2t + 1]]. Raises ValueError on what is no UTF-8.
    """
    outputs = "uint32[::1] int64[::1] int32[:,::1] int32[:,::1] int64[::1] int64[::1]"
    return compile_kernel(_characters, "uint8[] int64[] uint16[] uint64[]", outputs)


@cache
def words() -> Kernel:
    """Return words(flat, offsets, edges, token_offsets, properties, fold, counts, hashes, starts, sizes, common,
    word_offsets), which does in one pass what many rules need. What it reads, `characters` makes.

    - Per row (n, COUNTS), int32, by columns: WORDS between white space; RUNS of letters and marks of spaced scripts,
      the LETTERS in them and the LONGEST; SINGLE words of one letter, three or more in a row; GLUED words, in which an
      upper-case letter follows a lower-case one, or one and a mark such as `.`; MIXED runs, of several alphabets;
      characters in front of the FIRST letter (0 if there is none).
    - Of runs of letters and marks in one script: their hashes, folded by the table, where they start, their lengths,
      which are common (do not begin with a capital), and the rows' offsets in them.
    """
    inputs = "uint32[] int64[] int64[] int64[] uint16[] uint32[]"
    return compile_kernel(_words, inputs, "int32[:,::1] uint64[::1] int64[::1] int32[::1] boolean[::1] int64[::1]")


@cache
def repeated() -> Kernel:
    """Return repeated(flat, offsets, periods, best).

    A stretch repeats with period p if each of its characters equals the one p before; those of 2p or more are added up.
    Raises best[row] to that sum for the best period from 1 to `periods`.
    """
    return compile_kernel(_repeated, "uint32[] int64[] int64", "int64[::1]")


@cache
def repeated_words() -> Kernel:
    """Return repeated_words(flat, offsets, edges, token_offsets, periods, best): as `repeated`, of tokens.

    Added up are their characters and the white space behind them. What it reads, `characters` makes.
    """
    return compile_kernel(_repeated_words, "uint32[] int64[] int64[] int64[] int64", "int64[::1]")


@cache
def mojibake() -> Kernel:
    """Return mojibake(flat, offsets, roles, properties, places): places of wrongly decoded text, added up per row.

    `roles` are bits, LATIN_1 to CONTINUATION; see `mojibake.py`.
    """
    return compile_kernel(_mojibake, "uint32[] int64[] uint8[] uint16[]", "int64[::1]")


@cache
def member() -> Kernel:
    """Return member(items, offsets, others, other_offsets, table, held, found).

    found[i] says whether item i occurs in the same row of the others. `table` and `held` (zeros) are scratch of a power
    of two slots, at least twice the longest row of the others.
    """
    return compile_kernel(_member, "uint64[] int64[] uint64[] int64[]", "uint64[::1] int64[::1] boolean[::1]")


def _characters(data, bounds, properties, plain, flat, offsets, kinds, scripts, edges, token_offsets):  # type: ignore[no-untyped-def]
    n = m = 0
    offsets[0] = token_offsets[0] = 0
    latin, blank = np.int64(properties[_A] >> _SCRIPT), plain[_BLANK]
    for row in range(bounds.size - 1):
        i, stop, was_space = bounds[row], bounds[row + 1], True
        while i < stop:
            packed = np.uint64(0)
            for _ in range(_ROOM):
                b = data[i]
                if b < 0x80:
                    i += 1
                    flat[n] = b
                    packed += plain[b]
                    is_space = plain[b] == blank
                else:
                    width = 2 if b < 0xE0 else 3 if b < 0xF0 else 4
                    if i + width > stop:
                        raise ValueError("a text is not UTF-8: it ends inside a character")
                    c = np.uint32(b) << _SIX | (np.uint32(data[i + 1]) & _LOW_SIX)
                    if width > 2:
                        c = c << _SIX | (np.uint32(data[i + 2]) & _LOW_SIX)
                    if width > 3:
                        c = c << _SIX | (np.uint32(data[i + 3]) & _LOW_SIX)
                    c &= np.uint32((1 << (5 * width + 1)) - 1)  # without the bits that tell the width
                    if c >= LIMIT:
                        raise ValueError("a text is not UTF-8: it holds a number that is no character")
                    i += width
                    flat[n] = c
                    p = properties[c]
                    kind = np.int64(p & _KIND)
                    kinds[row, kind] += 1
                    if p & IS_LETTER:
                        scripts[row, np.int64(p >> _SCRIPT)] += 1
                    is_space = kind == SPACE
                edges[m] = n
                m += is_space != was_space
                was_space = is_space
                n += 1
                if i == stop:
                    break
            for field in range(_FIELDS):
                kinds[row, DIGIT + field] += np.int64(packed >> np.uint64(8 * field) & _FIELD)
            letters = (packed >> _TO_LOWER & _FIELD) + (packed >> _TO_UPPER & _FIELD)
            scripts[row, latin] += np.int64(letters)
        edges[m] = n
        m += not was_space
        offsets[row + 1], token_offsets[row + 1] = n, m // 2


def _words(  # type: ignore[no-untyped-def]
    flat, offsets, edges, token_offsets, properties, fold, counts, hashes, starts, sizes, common, word_offsets,
):  # fmt: skip
    n = 0
    word_offsets[0] = 0
    for row in range(offsets.size - 1):
        runs = letters = longest = single = glued = mixed = streak = 0
        start, first = offsets[row], np.int64(-1)
        for t in range(token_offsets[row], token_offsets[row + 1]):
            i, stop, glue = edges[2 * t], edges[2 * t + 1], 0
            alone = stop - i == 1 and properties[flat[i]] & _LONE == _LONE
            single += streak if not alone and streak >= _STREAK else 0
            streak = streak + 1 if alone else 0
            while i < stop:
                p = properties[flat[i]]
                if not p & IN_WORD:
                    i += 1
                    continue
                kind = np.int64(p & _KIND)
                joined = i - 2 >= start and flat[i - 1] < _GLUE.size and _GLUE[flat[i - 1]]
                before = np.int64(properties[flat[i - 2]] & _KIND) if joined else SPACE
                begin, capital, h = i, kind == UPPER, np.uint64(0)
                spaced = seen = current = 0
                while True:
                    if p & IS_LETTER:
                        script = np.int64(p >> _SCRIPT)
                        if script != current and script != 0:
                            if current:  # the next word begins
                                hashes[n], starts[n], sizes[n] = h ^ (h >> _HALF), begin, i - begin
                                common[n] = not capital
                                n += 1
                                h, begin, capital = np.uint64(0), i, kind == UPPER
                            seen |= (1 << script) & _ALPHABETS
                            current = script
                        glue |= (kind == UPPER) & (before == LOWER)
                        if first < 0:
                            first = i - start
                    h = (h + np.uint64(fold[flat[i]])) * _K
                    spaced += p & SPACED != 0
                    before = kind
                    i += 1
                    if i == stop:
                        break
                    p = properties[flat[i]]
                    if not p & IN_WORD:
                        break
                    kind = np.int64(p & _KIND)
                hashes[n], starts[n], sizes[n], common[n] = h ^ (h >> _HALF), begin, i - begin, not capital
                n += 1
                runs += spaced > 0
                letters += spaced
                longest = max(longest, spaced)
                mixed += (seen & (seen - 1)) != 0
            glued += glue
        single += streak if streak >= _STREAK else 0
        counts[row, 0], counts[row, 1], counts[row, 2] = token_offsets[row + 1] - token_offsets[row], runs, letters
        counts[row, 3], counts[row, 4], counts[row, 5], counts[row, 6] = longest, single, glued, mixed
        counts[row, 7] = max(first, 0)
        word_offsets[row + 1] = n


def _repeated(flat, offsets, periods, best):  # type: ignore[no-untyped-def]
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        for period in range(1, min(periods, (stop - start) // 3) + 1):
            total = 0
            first = start + period  # no stretch that is still to be found begins before
            i = first + 2 * period - 1  # every stretch of that length holds such a place
            while i < stop:
                if flat[i] == flat[i - period]:
                    begin = i
                    while begin > first and flat[begin - 1] == flat[begin - 1 - period]:
                        begin -= 1
                    i += 1
                    while i < stop and flat[i] == flat[i - period]:
                        i += 1
                    if i - begin >= 2 * period:
                        total += i - begin
                    first = i
                i += 2 * period
            best[row] = max(best[row], total)


def _repeated_words(flat, ends, edges, offsets, periods, best):  # type: ignore[no-untyped-def]
    most = 0
    for row in range(offsets.size - 1):
        most = max(most, offsets[row + 1] - offsets[row])
    items = np.empty(most, np.uint64)
    for row in range(offsets.size - 1):
        begins, n = 2 * offsets[row], offsets[row + 1] - offsets[row]
        for t in range(n):  # equal words have equal length, first and last characters
            start, stop = edges[begins + 2 * t], edges[begins + 2 * t + 1]
            items[t] = np.uint64(flat[start]) << _HALF ^ np.uint64(flat[stop - 1]) << _EIGHT ^ np.uint64(stop - start)
        for exact in range(2):
            total = repeats = 0
            for period in range(1, min(periods, n // 3) + 1):
                total, first = 0, period
                i = 3 * period - 1
                while i < n:
                    if items[i] == items[i - period]:
                        begin = i
                        while begin > first and items[begin - 1] == items[begin - 1 - period]:
                            begin -= 1
                        i += 1
                        while i < n and items[i] == items[i - period]:
                            i += 1
                        if i - begin >= 2 * period:
                            repeats = 1
                            end = edges[begins + 2 * i] if i < n else ends[row + 1]
                            total += end - edges[begins + 2 * begin]
                        first = i
                    i += 2 * period
                if exact:
                    best[row] = max(best[row], total)
            if not repeats:
                break
            if not exact:
                for t in range(n):
                    h = items[t]
                    for i in range(edges[begins + 2 * t], edges[begins + 2 * t + 1]):
                        h = (h + np.uint64(flat[i])) * _K
                    items[t] = h ^ (h >> _HALF)


def _member(items, offsets, others, other_offsets, table, held, found):  # type: ignore[no-untyped-def]
    mask = np.uint64(table.size - 1)
    for row in range(offsets.size - 1):
        if offsets[row] == offsets[row + 1] or other_offsets[row] == other_offsets[row + 1]:
            continue
        for i in range(other_offsets[row], other_offsets[row + 1]):
            at = ((others[i] * _M) >> _HALF) & mask
            while held[at] == row + 1 and table[at] != others[i]:
                at = (at + np.uint64(1)) & mask
            table[at], held[at] = others[i], row + 1
        for i in range(offsets[row], offsets[row + 1]):
            at = ((items[i] * _M) >> _HALF) & mask
            while held[at] == row + 1 and table[at] != items[i]:
                at = (at + np.uint64(1)) & mask
            found[i] = held[at] == row + 1


def _mojibake(flat, offsets, roles, properties, places):  # type: ignore[no-untyped-def]
    for row in range(offsets.size - 1):
        run, changes, stop = 0, 0, offsets[row + 1]
        for i in range(offsets[row], stop):
            c = flat[i]
            if c < 0x80:
                run = changes = 0
                continue
            role = roles[c]
            if role & LATIN_1:
                changes += run > 0 and flat[i - 1] != c
                run += 1
                places[row] += run == _RUN and changes >= _CHANGES
            else:
                run = changes = 0
            if i + 1 < stop and role & (LEAD_2 | LEAD_3 | LEAD_CYRILLIC):
                follows = roles[flat[i + 1]]
                if role & LEAD_CYRILLIC:
                    kind = properties[flat[i + 1]] & _KIND
                    third = i + 2 < stop and roles[flat[i + 2]] & LEAD_CYRILLIC != 0
                    places[row] += third and kind != UPPER and flat[i + 1] >= 0x80
                elif follows & CONTINUATION:
                    capital = i > offsets[row] and properties[flat[i - 1]] & _KIND == UPPER
                    third = i + 2 < stop and roles[flat[i + 2]] & CONTINUATION != 0 and flat[i + 1] != _NO_BREAK_SPACE
                    places[row] += (role & LEAD_2 != 0 and not capital) or (role & LEAD_3 != 0 and third)
