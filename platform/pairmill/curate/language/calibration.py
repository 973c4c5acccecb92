"""What an engine's raw score is worth: the share of its answers that are right, at that score and length of text.

An answer is right if it is in the group of the text's language (`codes.same_language`). Each table was fitted by
isotonic regression on half of 77,137 real texts in 164 languages (Tatoeba, UDHR, Bible, Quran, software help, XNLI,
STS), which hold languages that the engine does not know, as streams do; `tests/benchmarks/language_table.py --fit`
prints them, and without that option the calibration error on the other half. A row of a table is a class of length; a
text counts in English letters (a Han character is three). The probability between two knots is interpolated.

This is also the rule for short text: a short text's answer is as sure as answers to short texts are right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VERSION = 2
#: Bounds of the classes of length, in English letters.
SIZES = (8, 16, 32, 64)


@dataclass(frozen=True)
class Table:
    """Probability of being right at some raw scores (`knots`), for each class of length."""

    knots: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]

    def at(self, sizes: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """The probability for each raw score (n,), float32; `sizes` (n,): lengths of the texts in English letters."""
        which = np.searchsorted(SIZES, sizes, "right")
        result = np.zeros(len(raw), np.float32)
        for number, row in enumerate(self.rows):
            chosen = which == number
            result[chosen] = np.interp(raw[chosen], self.knots, row)
        return result


FASTTEXT = Table(
    (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0),
    (
        (0.116, 0.116, 0.261, 0.261, 0.522, 0.522, 0.522, 0.757, 0.757, 0.922, 0.954, 0.997),
        (0.116, 0.116, 0.177, 0.400, 0.400, 0.550, 0.550, 0.635, 0.758, 0.866, 0.946, 0.984),
        (0.132, 0.132, 0.237, 0.467, 0.594, 0.594, 0.772, 0.790, 0.899, 0.940, 0.973, 0.977),
        (0.114, 0.114, 0.256, 0.457, 0.606, 0.677, 0.756, 0.833, 0.925, 0.977, 0.979, 0.979),
        (0.090, 0.090, 0.219, 0.433, 0.567, 0.672, 0.758, 0.843, 0.918, 0.966, 0.988, 0.988),
    ),
)
PY3LANGID = Table(
    (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0),
    (
        (0.045, 0.189, 0.483, 0.586, 0.700, 0.833, 0.941, 0.967, 0.979, 0.979, 0.983, 0.999),
        (0.147, 0.468, 0.669, 0.732, 0.783, 0.853, 0.914, 0.971, 0.986, 0.994, 0.999, 1.000),
        (0.116, 0.416, 0.613, 0.709, 0.860, 0.885, 0.959, 0.990, 0.994, 0.998, 0.998, 0.999),
        (0.036, 0.349, 0.408, 0.548, 0.805, 0.872, 0.912, 0.972, 0.972, 0.981, 0.991, 0.995),
        (0.016, 0.193, 0.193, 0.193, 0.299, 0.688, 0.762, 0.799, 0.813, 0.864, 0.898, 0.984),
    ),
)
LANGDETECT = Table(
    (0.0, 0.4, 0.6, 0.8, 0.95, 0.999, 0.99999, 1.0),
    (
        (0.009, 0.027, 0.140, 0.167, 0.167, 0.333, 0.713, 0.713),
        (0.009, 0.018, 0.159, 0.248, 0.248, 0.267, 0.485, 0.832),
        (0.001, 0.074, 0.226, 0.389, 0.389, 0.389, 0.621, 0.917),
        (0.001, 0.005, 0.185, 0.310, 0.310, 0.389, 0.814, 0.916),
        (0.001, 0.002, 0.141, 0.165, 0.165, 0.333, 0.778, 0.862),
    ),
)
ELDC_RELIABLE = Table(
    (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0),
    (
        (0.500, 0.827, 0.827, 0.865, 0.865, 0.980, 0.980, 0.993, 1.000),
        (0.500, 0.887, 0.933, 0.950, 0.950, 0.950, 0.978, 0.991, 0.995),
        (0.500, 0.927, 0.927, 0.953, 0.963, 0.963, 0.963, 0.989, 1.000),
        (0.500, 0.884, 0.944, 0.954, 0.984, 0.984, 0.984, 0.996, 1.000),
        (0.500, 0.862, 0.911, 0.948, 0.970, 0.972, 0.972, 0.990, 1.000),
    ),
)
ELDC_UNRELIABLE = Table(
    (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0),
    (
        (0.371, 0.371, 0.371, 0.439, 0.561, 0.686, 0.686, 0.686, 0.994),
        (0.476, 0.476, 0.476, 0.476, 0.476, 0.476, 0.702, 0.702, 0.995),
        (0.441, 0.441, 0.441, 0.441, 0.441, 0.551, 0.655, 0.803, 0.973),
        (0.201, 0.201, 0.201, 0.201, 0.354, 0.538, 0.674, 0.871, 0.973),
        (0.077, 0.077, 0.077, 0.077, 0.164, 0.254, 0.346, 0.627, 0.973),
    ),
)
#: By path: SURE, AGREED, NEW, MAJORITY, ALONE.
CASCADE = (
    Table(
        (0.0,),
        (
            (0.947,),
            (0.991,),
            (0.995,),
            (0.996,),
            (0.989,),
        ),
    ),
    Table(
        (0.0, 0.2, 0.4, 0.6, 0.8, 0.97),
        (
            (0.560, 0.903, 0.903, 0.971, 0.984, 0.984),
            (0.658, 0.833, 0.833, 0.966, 0.983, 0.998),
            (0.602, 0.847, 0.901, 0.956, 0.996, 0.997),
            (0.320, 0.838, 0.886, 0.948, 0.980, 0.987),
            (0.560, 0.560, 0.560, 0.894, 0.894, 0.933),
        ),
    ),
    Table(
        (0.0, 0.2, 0.4, 0.6, 0.8, 0.97),
        (
            (0.305, 0.305, 0.305, 0.592, 0.814, 0.983),
            (0.331, 0.643, 0.714, 0.915, 0.975, 0.997),
            (0.131, 0.575, 0.704, 0.877, 0.974, 0.996),
            (0.138, 0.190, 0.476, 0.608, 0.887, 0.980),
            (0.052, 0.052, 0.052, 0.446, 0.699, 0.955),
        ),
    ),
    Table(
        (0.0, 0.2, 0.4, 0.6, 0.8, 0.97),
        (
            (0.548, 0.667, 0.667, 0.673, 0.673, 0.950),
            (0.440, 0.586, 0.689, 0.689, 0.689, 0.950),
            (0.642, 0.642, 0.654, 0.757, 0.825, 0.958),
            (0.469, 0.486, 0.486, 0.486, 0.702, 0.990),
            (0.349, 0.349, 0.349, 0.349, 0.459, 0.921),
        ),
    ),
    Table(
        (0.0, 0.2, 0.4, 0.6, 0.8, 0.97),
        (
            (0.384, 0.384, 0.384, 0.384, 0.384, 0.384),
            (0.361, 0.422, 0.422, 0.422, 0.422, 0.422),
            (0.348, 0.348, 0.348, 0.348, 0.348, 0.348),
            (0.326, 0.326, 0.326, 0.326, 0.326, 0.326),
            (0.169, 0.169, 0.169, 0.169, 0.169, 0.169),
        ),
    ),
)
