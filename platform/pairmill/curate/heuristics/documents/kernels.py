# mypy: disable-error-code="no-untyped-def, assignment"
"""The loops that cut texts into tokens, words and lines, compiled by numba when first used (`compiled.py`).

Each visits every character, or every token, once, so both are linear whatever the text.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel
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
    LOWER_BITS,
    MARK,
    TERMINAL,
    WEIGHT_BITS,
)

WORDS, NUMBERS, MARKERS, CHARACTERS, WEIGHT, SOLID, NEWLINES, HASHES, ELLIPSES, BRACES = range(10)
COUNTS = 10
SIZE, LENGTH, LINE_WORDS, LINE_WEIGHT, FLAGS, FIRST = range(6)
LINE_FACTS = 6
ENDS, TRAILS_OFF, CLEAR, BULLETED, PARAGRAPH, WORD, SPOKEN = 1, 2, 3, 4, 128, 8, 16
_KIND, _WEIGHT, _TO_WEIGHT, _TO_LOWER = np.uint32(KINDS), np.uint32(63), np.uint32(WEIGHT_BITS), np.uint32(LOWER_BITS)
_K = np.uint64(0x9E3779B97F4A7C15)
_M = np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)
_DOT, _ELLIPSIS, _NEWLINE = 0x2E, 0x2026, 0x0A


@cache
def tokens() -> Kernel:
    """Return tokens(flat, edges, stretches, properties, offsets, hashes, sizes, lengths, facts, token_offsets, words,
    word_tokens, word_offsets, counts). Of the tokens, `edges` and `stretches` say where white space parts the text
    (`kernels.characters` of the other rules).

    Writes for each token its hash, solid characters, length in twentieths of an English character, and facts: how it
    ends (ENDS, TRAILS_OFF, 0, or CLEAR: it is all closing marks), BULLETED, WORD (letters or digits of a script with
    spaces), SPOKEN (letters), and from bit 5 the line breaks in front of it (2: two or more); then the rows' offsets in
    tokens; the hashes of the words in lower case (runs of letters, marks and digits, not of unspaced scripts), the
    tokens they are in, the rows' offsets in them; and per row the counts `WORDS` to `BRACES`.
    """
    inputs = "uint32[] int64[] int64[] uint32[] int64[]"
    written = "uint64[::1] int32[::1] int32[::1] uint8[::1] int64[::1] uint64[::1] int32[::1] int64[::1] int64[:,::1]"
    return compile_kernel(_tokens, inputs, written)


@cache
def lines() -> Kernel:
    """Return lines(hashes, sizes, lengths, facts, token_offsets, line_hashes, line_facts, line_offsets, sentences).

    A line is the tokens between line breaks. Writes hashes of the lines, what is known of each (int64 (lines, 6),
    `SIZE` to `FIRST`; its FLAGS are ENDS or TRAILS_OFF, BULLETED, and PARAGRAPH behind a blank line), the rows' offsets
    in lines, and how many sentences each row has: tokens that end in terminal punctuation, with letters since the last.
    """
    return compile_kernel(
        _lines, "uint64[] int32[] int32[] uint8[] int64[]", "uint64[::1] int64[:,::1] int64[::1] int64[::1]"
    )


def _tokens(
    flat, edges, stretches, properties, offsets, hashes, sizes, lengths, facts, token_offsets, words, word_tokens,
    word_offsets, counts,
):  # fmt: skip
    n = n_words = 0
    token_offsets[0] = word_offsets[0] = 0
    for row in range(offsets.size - 1):
        breaks, at, stop = 2, offsets[row], offsets[row + 1]
        solid = characters = total = newlines = marks = braces = ellipses = 0
        spaced = numbers = markers = 0
        for stretch in range(stretches[row], stretches[row + 1] + 1):
            last = stretch == stretches[row + 1]
            i = stop if last else edges[2 * stretch]
            for space in range(at, i):
                breaks += flat[space] == _NEWLINE
                newlines += flat[space] == _NEWLINE
            if last:
                break
            at = edges[2 * stretch + 1]
            while i < at:
                begin, h, low = i, np.uint64(0), np.uint64(0)
                length = letters = digits = dots = lead = 0
                tail, ideograph = CLEAR, False
                while i < at:
                    known = properties[flat[i]]
                    kind = known & _KIND
                    if kind == LETTER:
                        if ideograph:
                            break
                        tail, dots, run = 0, 0, i
                        while kind == LETTER:
                            h = (h + np.uint64(flat[i])) * _K
                            low = (low + np.uint64(known >> _TO_LOWER)) * _K
                            length += known >> _TO_WEIGHT & _WEIGHT
                            i += 1
                            if i == at:
                                break
                            known = properties[flat[i]]
                            kind = known & _KIND
                        letters += i - run
                        if i == at:
                            break
                    c = flat[i]
                    if (ideograph and kind == DIGIT) or (kind == IDEOGRAPH and (ideograph or letters + digits > 0)):
                        break
                    if low and kind != MARK and kind != DIGIT:
                        g = (low ^ (low >> _HALF)) * _M
                        words[n_words], word_tokens[n_words] = g ^ (g >> _HALF), n
                        n_words += 1
                        low = np.uint64(0)
                    if i == begin:
                        lead = kind
                    i += 1
                    h = (h + np.uint64(c)) * _K
                    length += known >> _TO_WEIGHT & _WEIGHT
                    if kind == MARK:
                        if not ideograph:
                            low = (low + np.uint64(c)) * _K
                    elif kind == CLOSER:
                        dots = 0
                    elif c == _DOT:
                        dots += 1
                        ellipses += dots % 3 == 0
                        tail = TRAILS_OFF if dots > 2 else ENDS
                    else:
                        dots = tail = 0
                        if kind == IDEOGRAPH:
                            ideograph = True
                            total += known >> _TO_WEIGHT & _WEIGHT
                        elif kind == DIGIT:
                            low = (low + np.uint64(c)) * _K
                            digits += 1
                        elif kind == TERMINAL:
                            tail = ENDS
                        elif c == _ELLIPSIS:
                            tail = TRAILS_OFF
                            ellipses += 1
                        else:
                            marks += kind == HASH
                            braces += kind == BRACE
                if low:
                    g = (low ^ (low >> _HALF)) * _M
                    words[n_words], word_tokens[n_words] = g ^ (g >> _HALF), n
                    n_words += 1
                g, size, read = (h ^ (h >> _HALF)) * _M, i - begin, letters + digits > 0
                hashes[n], sizes[n], lengths[n] = g ^ (g >> _HALF), size, length
                fact = min(breaks, 2) << 5 | tail
                fact |= SPOKEN if (letters > 0) | ideograph else 0
                fact |= BULLETED if (lead == BULLET) | ((lead == DASH) & (size == 1)) else 0
                if not ideograph:
                    characters += letters + digits
                    spaced += letters > 0
                    numbers += (letters == 0) & (digits > 0)
                    markers += not read
                    fact |= WORD if read else 0
                facts[n] = fact
                n += 1
                solid += size
                breaks = 0
        token_offsets[row + 1], word_offsets[row + 1] = n, n_words
        counts[row, WORDS], counts[row, NUMBERS], counts[row, MARKERS] = spaced, numbers, markers
        counts[row, CHARACTERS], counts[row, WEIGHT], counts[row, SOLID] = characters, total, solid
        counts[row, NEWLINES], counts[row, HASHES], counts[row, ELLIPSES] = newlines, marks, ellipses
        counts[row, BRACES] = braces


def _lines(hashes, sizes, lengths, facts, offsets, line_hashes, line_facts, line_offsets, sentences):
    n = -1
    line_offsets[0] = 0
    for row in range(offsets.size - 1):
        spoken, flags, count = False, 0, 0
        size = length = line_words = weight = 0
        h = np.uint64(0)
        for i in range(offsets[row], offsets[row + 1]):
            fact = np.int64(facts[i])
            if fact >> 5 or i == offsets[row]:
                n += 1
                h = np.uint64(0)
                size = length = line_words = weight = 0
                flags = fact & BULLETED | (PARAGRAPH if fact >> 5 > 1 else 0)
                line_facts[n, FIRST] = i
            g = (h + hashes[i]) * _K
            h = g ^ (g >> _HALF)
            size += sizes[i]
            length += lengths[i]
            word = fact & WORD != 0
            line_words += word
            weight += lengths[i] if (fact & SPOKEN != 0) & (not word) else 0
            spoken |= fact & SPOKEN != 0
            tail = fact & CLEAR
            flags = flags if tail == CLEAR else flags & ~CLEAR | tail
            ends = (tail == ENDS) & spoken
            count += ends
            spoken &= not ends
            if i + 1 == offsets[row + 1] or facts[i + 1] >> 5:
                line_hashes[n] = h
                line_facts[n, SIZE], line_facts[n, LENGTH], line_facts[n, FLAGS] = size, length, flags
                line_facts[n, LINE_WORDS], line_facts[n, LINE_WEIGHT] = line_words, weight
        line_offsets[row + 1] = n + 1
        sentences[row] = count
