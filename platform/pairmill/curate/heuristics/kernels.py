"""The inner loops of the rules, compiled by numba when first used (see `curate/dedup/kernels.py`).

Each visits every character or word of a batch once, or once per period (`repeated`): linear whatever the text.
"""

# mypy: disable-error-code=assignment
from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.curate.codepoints import LETTER, MARK, SPACE
from pairmill.curate.dedup.kernels import Kernel, compile_kernel

LOWER, UPPER = 9, 10  # kinds of letters, beside the classes of `codepoints`; LETTER: those without case
KINDS = 11
SPACED = np.uint16(16)  # a letter or mark of a script that puts spaces between words
IS_LETTER, IN_WORD = np.uint16(32), np.uint16(64)  # IN_WORD: a letter or mark
_LONE = np.uint16(48)  # SPACED | IS_LETTER
_KIND, _SCRIPT = np.uint16(15), np.uint16(8)
_SPACE = np.uint16(SPACE)
_FNV = np.uint32(0x01000193)

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
_HALF = np.uint64(32)


@cache
def tally() -> Kernel:
    """Return tally(flat, offsets, properties, fold, kinds, scripts, counts, hashes, starts, sizes, common,
    word_offsets, token_hashes, token_ends, token_offsets), which does in one pass what many rules need.

    - A property is kind | SPACED | IS_LETTER | IN_WORD | script << 8. Per row, int32: characters of each kind (n,
      KINDS), letters of each script (n, 64), and (n, COUNTS) by columns: WORDS between white space; RUNS of letters
      and marks of spaced scripts, the LETTERS in them and the LONGEST; SINGLE words of one letter, three or more in a
      row; GLUED words, in which an upper-case letter follows a lower-case one, or one and a mark such as `.`; MIXED
      runs, of several alphabets; characters in front of the FIRST letter (0 if there is none).
    - Of runs of letters and marks in one script: their hashes, folded by the table, where they start, their lengths,
      which are common (do not begin with a capital), and the rows' offsets in them.
    - Of tokens, which are stretches without white space: their hashes, the characters in front of each (with the white
      space behind a token; tokens + 1), and the rows' offsets in them.
    """
    outputs = "int32[:,::1] int32[:,::1] int32[:,::1] uint64[::1] int64[::1] int32[::1] boolean[::1] int64[::1]"
    tokens = "uint32[::1] int64[::1] int64[::1]"
    return compile_kernel(_tally, "uint32[] int64[] uint16[] uint32[]", f"{outputs} {tokens}")


@cache
def repeated() -> Kernel:
    """Return repeated(items, offsets, ends, periods, best).

    `items` are cut into rows by `offsets` (n + 1); `ends[i]` are the characters in front of item i. A stretch repeats
    with period p if each of its items equals the one p before; those of 2p items or more are added up. Raises best[row]
    to the characters in them, for the best period from 1 to `periods`.
    """
    return compile_kernel(_repeated, "uint32[] int64[] int64[] int64", "int64[::1]")


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


def _tally(  # type: ignore[no-untyped-def]
    flat, offsets, properties, fold, kinds, scripts, counts, hashes, starts, sizes, common, word_offsets,
    token_hashes, token_ends, token_offsets,
):  # fmt: skip
    n = t = 0
    word_offsets[0] = token_offsets[0] = token_ends[0] = 0
    for row in range(offsets.size - 1):
        lower = upper = plain = marks = spaces = 0
        runs = letters = longest = single = glued = mixed = glue = streak = 0
        start, stop, first_token = offsets[row], offsets[row + 1], t
        first, token, g = np.int64(-1), np.int64(-1), np.uint32(0)
        origin = stop  # minus the characters in front of the row's first token
        i = start
        while i <= stop:
            p = properties[flat[i]] if i < stop else _SPACE
            kind = np.int64(p & _KIND)
            if kind == SPACE:
                if token >= 0:
                    token_hashes[t] = g
                    t += 1
                    glued += glue
                    alone = i - token == 1 and properties[flat[token]] & _LONE == _LONE
                    single += streak if not alone and streak >= _STREAK else 0
                    streak = streak + 1 if alone else 0
                    token, g, glue = np.int64(-1), np.uint32(0), 0
                spaces += i < stop
                i += 1
                continue
            if token < 0:
                origin = i - token_ends[t] if t == first_token else origin
                token, token_ends[t] = i, i - origin
            if not p & IN_WORD:
                kinds[row, kind] += 1
                g = (g ^ flat[i]) * _FNV
                i += 1
                continue
            joined = i - 2 >= start and flat[i - 1] < _GLUE.size and _GLUE[flat[i - 1]]
            before = np.int64(properties[flat[i - 2]] & _KIND) if joined else SPACE
            begin, capital, h = i, kind == UPPER, np.uint64(0)
            spaced = seen = current = of_script = 0
            while True:
                if p & IS_LETTER:
                    script = np.int64(p >> _SCRIPT)
                    if script == 0:
                        scripts[row, 0] += 1
                    elif script != current:
                        if current:  # the next word begins
                            hashes[n], starts[n], sizes[n], common[n] = h ^ (h >> _HALF), begin, i - begin, not capital
                            n += 1
                            h, begin, capital = np.uint64(0), i, kind == UPPER
                        scripts[row, current] += of_script
                        seen |= (1 << script) & _ALPHABETS
                        current, of_script = script, 0
                    of_script += script > 0
                    lower += kind == LOWER
                    plain += kind == LETTER
                    if kind == UPPER:
                        upper += 1
                        glue |= before == LOWER
                    if first < 0:
                        first = i - start
                else:
                    marks += 1
                h = (h + np.uint64(fold[flat[i]])) * _K
                g = (g ^ flat[i]) * _FNV
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
            scripts[row, current] += of_script
        if t > first_token:
            token_ends[t] = stop - origin
        single += streak if streak >= _STREAK else 0
        kinds[row, LOWER], kinds[row, UPPER], kinds[row, LETTER] = lower, upper, plain
        kinds[row, MARK], kinds[row, SPACE] = marks, spaces
        counts[row, 0], counts[row, 1], counts[row, 2], counts[row, 3] = t - first_token, runs, letters, longest
        counts[row, 4], counts[row, 5], counts[row, 6], counts[row, 7] = single, glued, mixed, max(first, 0)
        word_offsets[row + 1], token_offsets[row + 1] = n, t


def _repeated(items, offsets, ends, periods, best):  # type: ignore[no-untyped-def]
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        for period in range(1, min(periods, (stop - start) // 3) + 1):
            total = 0
            first = start + period  # no stretch that is still to be found begins before
            i = first + 2 * period - 1  # every stretch of that length holds such a place
            while i < stop:
                if items[i] == items[i - period]:
                    begin = i
                    while begin > first and items[begin - 1] == items[begin - 1 - period]:
                        begin -= 1
                    i += 1
                    while i < stop and items[i] == items[i - period]:
                        i += 1
                    if i - begin >= 2 * period:
                        total += ends[i] - ends[begin]
                    first = i
                i += 2 * period
            best[row] = max(best[row], total)


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
