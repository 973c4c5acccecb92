"""Code points of text columns, and their classes."""

import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import codepoints as cp

TYPES = [pa.string(), pa.large_string()]


@pytest.mark.parametrize("kind", TYPES)
@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=10), max_size=8), data=st.data())
def test_decode_and_encode_are_inverse_on_slices(kind: pa.DataType, texts: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(texts)))
    stop = data.draw(st.integers(start, len(texts)))
    flat, offsets = cp.decode(pa.array(texts, kind)[start:stop])
    assert flat.dtype == np.uint32 and offsets.dtype == np.int64
    assert [flat[a:b].tolist() for a, b in pairwise(offsets)] == [[ord(c) for c in t] for t in texts[start:stop]]
    assert cp.encode(flat, offsets).to_pylist() == texts[start:stop]


def test_encode_takes_offsets_that_start_inside() -> None:
    flat, offsets = cp.decode(pa.array(["aé", "日本", "x"]))
    assert cp.encode(flat, offsets[1:]).to_pylist() == ["日本", "x"]


def test_nulls_and_other_types_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="1 nulls in 2 rows"):
        cp.decode(pa.array(["a", None]))
    with pytest.raises(TypeError, match="int64"):
        cp.decode(pa.array([1]))


def test_every_code_point_has_the_class_of_its_category() -> None:
    majors = {"L": cp.LETTER, "M": cp.MARK, "N": cp.OTHER_NUMBER, "Z": cp.SPACE, "P": cp.PUNCTUATION, "S": cp.SYMBOL}
    minors = {"Nd": cp.DIGIT, "Cc": cp.CONTROL, "Cf": cp.CONTROL}
    categories = [unicodedata.category(chr(c)) for c in range(cp.LIMIT)]
    expected = np.array([minors.get(c, majors.get(c[0], cp.OTHER)) for c in categories])
    expected[[ord(c) for c in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"]] = cp.SPACE
    assert np.array_equal(cp.classes(), expected)
