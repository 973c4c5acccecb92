"""Promises of what engines see: excerpts of long text, counts of its characters, and noise."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pairmill.curate import arrays, codepoints
from pairmill.curate.heuristics.scripts import script_of, weights
from pairmill.curate.language import engine, kernels, letters, noise, py3langid

CONTINUATION = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
MOJIBAKE = f"[ÂÃÄÅÆÇÎÏÐÑÒÓ×ØÙÚÛàáâãäåæçèéêëìíîï][{CONTINUATION}]"
CHARACTERS = st.one_of(
    st.characters(codec="utf-8"),
    st.sampled_from(f"aZ019 ٣\n\0\ufffd\u0301éÃ©Ðâ€éßñž我가각ক়ї\u212b\u0344𝔘{CONTINUATION}".replace("-", "")),
)
TEXTS = st.lists(st.text(CHARACTERS, max_size=60), max_size=6)


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def reference(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The counts of `noise.tally` but COMBINING, in NumPy and Arrow's regular expressions."""
    flat, offsets = codepoints.decode(texts)
    classes = codepoints.classes()[flat]
    counts = np.zeros((len(texts), kernels.COUNTS), np.int64)
    counts[:, kernels.CHARACTERS] = np.diff(offsets)
    kinds = {"LETTER": "LETTERS", "MARK": "MARKS", "SPACE": "SPACES", "DIGIT": "DIGITS"}
    for kind, count in kinds.items():
        counts[:, getattr(kernels, count)] = arrays.sums(classes == getattr(codepoints, kind), offsets)
    digit, letter = classes == codepoints.DIGIT, (classes == codepoints.LETTER) & (flat < 0x250)
    starts, ends, words = arrays.stretches(digit | letter, offsets)
    digits_, letters_ = (np.append(0, np.cumsum(kind)) for kind in (digit, letter))
    beside = np.where(digits_[ends] > digits_[starts], letters_[ends] - letters_[starts], 0)
    counts[:, kernels.BESIDE_DIGITS] = arrays.sums(beside, words)
    counts[:, kernels.MOJIBAKE] = pc.count_substring_regex(texts, MOJIBAKE).to_numpy(zero_copy_only=False)
    counts[:, kernels.UNDECODED] = pc.count_substring(texts, "\ufffd").to_numpy(zero_copy_only=False)
    decisive = [ord(letter) for _, wanted, _ in letters.DECISIVE for letter in wanted]
    counts[:, kernels.DECISIVE] = arrays.sums(np.isin(flat, decisive), offsets)
    scripts = np.zeros((len(texts), len(weights())), np.int64)
    rows = np.repeat(np.arange(len(texts)), np.diff(offsets))
    np.add.at(scripts, (rows, script_of()[flat]), classes == codepoints.LETTER)
    return counts, scripts


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(0, 2))
@example(["a1b2-c 3d4 ab", "", "1a", "a1", "é9é à٣"], 0)
@example(["Ӕ ӕ", "Ӕ"], 0)
@example(["Ã©Ã", "©Ã©", "Ð¡Ð¾Ð»", "Ã", "\x80"], 1)
def test_counts_are_those_of_the_plain_way(texts: list[str], start: int) -> None:
    rows = column(texts)[start:]
    counts, scripts = noise.tally(rows)
    expected, expected_scripts = reference(rows)
    others = np.arange(kernels.COUNTS) != kernels.COMBINING
    assert (counts[:, others] == expected[:, others]).all() and (scripts == expected_scripts).all()


@settings(max_examples=300, deadline=None)
@given(TEXTS)
@example(["ᄀ", "ᅡ", "각", "각ᆨ", "\u212b", "\u0958", "ｶﾞ", "が", "\uf900"])
def test_text_that_counts_as_composed_is_in_nfc(texts: list[str]) -> None:
    rows = column(texts)
    composed = noise.tally(rows)[0][:, kernels.COMBINING] == 0
    same = pc.equal(rows, pc.utf8_normalize(rows, "NFC")).to_numpy(zero_copy_only=False)
    assert same[composed].all()


def test_characters_that_count_as_composed_are_so_beside_any_other() -> None:
    table = noise._properties()
    stable = np.flatnonzero((table & kernels.COMBINES) == 0)
    joined = column(["".join(map(chr, stable.tolist()))])
    assert pc.utf8_normalize(joined, "NFC").equals(joined)
    assert len(stable) > 100_000


def test_a_text_up_to_the_cut_is_seen_whole() -> None:
    for letter in "aé我𝔘":
        texts = ["", letter, letter * (engine.CUT - 1), letter * engine.CUT]
        assert engine.excerpts(column(texts)).to_pylist() == texts
    assert engine.excerpts(pa.array(["a\0b"])).to_pylist() == ["a b"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(CHARACTERS, min_size=1, max_size=12), min_size=1, max_size=40), st.integers(1, 200))
def test_an_excerpt_is_parts_of_the_text_in_order(words: list[str], times: int) -> None:
    text = " ".join(words * times)
    excerpt = engine.excerpts(column(["before", text, "behind"])).to_pylist()
    assert (excerpt[0], excerpt[2]) == ("before", "behind")
    plain = text.replace("\0", " ")
    if len(text) <= engine.CUT:
        assert excerpt[1] == plain
    else:
        size = engine.CUT // engine.PARTS
        assert excerpt[1][: size + 1] == plain[:size] + " "
        assert len(excerpt[1]) <= engine.CUT + engine.PARTS - 1
        at, parts = 0, []
        rest = excerpt[1]
        for _ in range(engine.PARTS):
            part, rest = rest[:size], rest[size + 1 :]
            at = plain.index(part, at) + len(part)
            parts.append(part)
        assert not rest


def test_an_excerpt_reaches_into_the_last_quarter_and_begins_words() -> None:
    words = [f"word{number}" for number in range(2_000)]
    seen = engine.excerpts(column([" ".join(words)])).to_pylist()[0].split(" ")
    assert int(re.findall(r"\d+", seen[-2])[0]) > 1_500
    assert sum(word in words for word in seen) >= len(seen) - engine.PARTS


def test_a_menu_in_another_language_does_not_hide_the_language_of_the_page() -> None:
    menu = "Home News Products Support Contact us Search this site Log in Register Help " * 4
    body = "Wir haben gestern im Garten gesessen und über das Wetter gesprochen. Es war sehr schön und warm. " * 20
    from pairmill.curate import language

    found, _ = language.load("cascade").identify(column([menu + body]))
    assert found.to_pylist() == ["de"]


def test_weights_of_the_model_are_stored_without_loss() -> None:
    from py3langid.langid import LanguageIdentifier

    library = LanguageIdentifier.from_model_file("data/model.npz.xz", norm_probs=True)
    ours = py3langid.load()._model.weights / np.float32(py3langid._STEPS)
    assert (ours == np.asarray(library.nb_ptc, np.float32)).all()
