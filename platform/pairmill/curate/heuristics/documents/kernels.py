# mypy: disable-error-code="no-untyped-def, assignment"
"""The loops that cut texts into tokens, words and lines, compiled by numba when first used (`curate/dedup/kernels.py`).

Each visits every character, or every token, once, so both are linear whatever the text.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.curate.dedup.kernels import Kernel, compile_kernel
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
    NEWLINE,
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
_DOT, _ELLIPSIS = 0x2E, 0x2026


@cache
def tokens() -> Kernel:
    """Return tokens(flat, properties, offsets, hashes, sizes, lengths, facts, token_offsets, words, word_tokens,
    word_offsets, counts).

    Writes for each token its hash, solid characters, length in twentieths of an English character, and facts: how it
    ends (ENDS, TRAILS_OFF, 0, or CLEAR: it is all closing marks), BULLETED, WORD (letters or digits of a script with
    spaces), SPOKEN (letters), and from bit 5 the line breaks in front of it (2: two or more); then the rows' offsets in
    tokens; the hashes of the words in lower case (runs of letters, marks and digits, not of unspaced scripts), the
    tokens they are in, the rows' offsets in them; and per row the counts `WORDS` to `BRACES`.
    """
    inputs = "uint32[] uint32[] int64[]"
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
    flat, properties, offsets, hashes, sizes, lengths, facts, token_offsets, words, word_tokens, word_offsets, counts
):
    n = n_words = 0
    token_offsets[0] = word_offsets[0] = 0
    for row in range(offsets.size - 1):
        h = low = np.uint64(0)
        size = length = letters = digits = dots = 0
        tail, ideograph, lead = CLEAR, False, 0
        breaks = 2
        solid = characters = total = newlines = marks = braces = ellipses = 0
        spaced = numbers = markers = 0
        stop = offsets[row + 1]
        for i in range(offsets[row], stop + 1):
            known = c = np.uint32(0)  # white space behind the row's end
            if i < stop:
                c = flat[i]
                known = properties[c]
            kind, weight, small = known & _KIND, known >> _TO_WEIGHT & _WEIGHT, np.uint64(known >> _TO_LOWER)
            if kind == LETTER and not ideograph:
                h = (h + np.uint64(c)) * _K
                low = (low + small) * _K
                size += 1
                length += weight
                letters += 1
                tail = dots = 0
                continue
            if low and kind != MARK and kind != DIGIT:
                g = (low ^ (low >> _HALF)) * _M
                words[n_words], word_tokens[n_words] = g ^ (g >> _HALF), n
                n_words += 1
                low = np.uint64(0)
            if kind <= NEWLINE or (
                (kind == IDEOGRAPH and (ideograph or letters + digits > 0)) or (ideograph and kind in (LETTER, DIGIT))
            ):
                if size:
                    g = (h ^ (h >> _HALF)) * _M
                    hashes[n], sizes[n], lengths[n] = g ^ (g >> _HALF), size, length
                    fact = min(breaks, 2) << 5 | tail
                    if letters or ideograph:
                        fact |= SPOKEN
                    if lead == BULLET or (lead == DASH and size == 1):
                        fact |= BULLETED
                    if not ideograph:
                        characters += letters + digits
                        spaced += letters > 0
                        numbers += letters == 0 and digits > 0
                        markers += letters + digits == 0
                        fact |= WORD if letters + digits > 0 else 0
                    facts[n] = fact
                    n += 1
                    solid += size
                    h = np.uint64(0)
                    size = length = letters = digits = breaks = dots = lead = 0
                    tail, ideograph = CLEAR, False
                if kind <= NEWLINE:
                    if kind == NEWLINE:
                        newlines += 1
                        breaks += 1
                    continue
            if size == 0:
                lead = kind
            h = (h + np.uint64(c)) * _K
            size += 1
            length += weight
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
                if kind == LETTER:
                    low = (low + small) * _K
                    letters += 1
                elif kind == IDEOGRAPH:
                    ideograph = True
                    total += weight
                elif kind == DIGIT:
                    low = (low + np.uint64(c)) * _K
                    digits += 1
                elif kind == TERMINAL:
                    tail = ENDS
                elif c == _ELLIPSIS:
                    tail = TRAILS_OFF
                    ellipses += 1
                elif kind == HASH:
                    marks += 1
                elif kind == BRACE:
                    braces += 1
        token_offsets[row + 1], word_offsets[row + 1] = n, n_words
        counts[row, WORDS], counts[row, NUMBERS], counts[row, MARKERS] = spaced, numbers, markers
        counts[row, CHARACTERS], counts[row, WEIGHT], counts[row, SOLID] = characters, total, solid
        counts[row, NEWLINES], counts[row, HASHES], counts[row, ELLIPSES] = newlines, marks, ellipses
        counts[row, BRACES] = braces


def _lines(hashes, sizes, lengths, facts, offsets, line_hashes, line_facts, line_offsets, sentences):
    n = -1
    line_offsets[0] = 0
    for row in range(offsets.size - 1):
        spoken = False
        count = 0
        for i in range(offsets[row], offsets[row + 1]):
            fact = facts[i]
            breaks = fact >> 5
            if breaks or i == offsets[row]:
                n += 1
                line_hashes[n] = 0
                line_facts[n, SIZE] = line_facts[n, LINE_WORDS] = line_facts[n, LINE_WEIGHT] = 0
                line_facts[n, LENGTH] = 0
                line_facts[n, FIRST] = i
                line_facts[n, FLAGS] = fact & BULLETED | (PARAGRAPH if breaks > 1 else 0)
            g = (line_hashes[n] + hashes[i]) * _K
            line_hashes[n] = g ^ (g >> _HALF)
            line_facts[n, SIZE] += sizes[i]
            line_facts[n, LENGTH] += lengths[i]
            if fact & WORD:
                line_facts[n, LINE_WORDS] += 1
            elif fact & SPOKEN:
                line_facts[n, LINE_WEIGHT] += lengths[i]
            spoken |= fact & SPOKEN > 0
            tail = fact & CLEAR
            if tail != CLEAR:
                line_facts[n, FLAGS] = line_facts[n, FLAGS] & ~CLEAR | tail
            if tail == ENDS and spoken:
                count += 1
                spoken = False
        line_offsets[row + 1] = n + 1
        sentences[row] = count
