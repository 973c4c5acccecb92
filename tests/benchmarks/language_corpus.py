"""Real text of known language for the benchmarks of language identification, and noise.

Everything is drawn with a fixed seed from the directory given: `eval/tatoeba`, `bitext/{udhr,bible,quran,
libreoffice_help}`, `nli/xnli`, `sts/stsb_multi` and `web/documents` (Parquet).
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate.language.codes import base, same_language

#: The languages of PEERS.md's table; `no` is Bokmål, Nynorsk or either.
_COMMON = "en de es fr it pt nl pl ru uk cs hu fi sv da no tr ar fa he hi bn ta te th vi id ko ja zh sw el ro bg"
COMMON = _COMMON.split()
#: Declarations of the UDHR that are filed under a common language but are another one, or in another script.
_ODD = (
    "042 067 068 062 063 vie_han mly_arab jpn_osaka jpn_tokyo cmn_hans_beijing cmn_hans_guiyang cmn_hans_harbin "
    "cmn_hans_nanjing cmn_hans_tianjin ell_polytonic pes_2 tam_LK tha2"
)
ODD_DECLARATIONS = _ODD.split()
_SETS = {
    "tatoeba": ("eval/tatoeba/tatoeba.parquet", "lang", "src"),
    "udhr": ("bitext/udhr.parquet", "src_lang", "src"),
    "bible": ("bitext/bible.parquet", "src_lang", "src"),
    "quran": ("bitext/quran.parquet", "src_lang", "src"),
    "software help": ("bitext/libreoffice_help.parquet", "src_lang", "src"),
    "xnli": ("nli/xnli.parquet", "lang", "hypothesis"),
    "sts": ("sts/stsb_multi.parquet", "lang", "sentence1"),
}


@dataclass(frozen=True)
class Texts:
    """Texts (large_string) of one set with their languages (object, (n,))."""

    name: str
    texts: pa.Array
    langs: np.ndarray

    def take(self, chosen: np.ndarray) -> Texts:
        rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return Texts(self.name, self.texts.take(pa.array(rows)), self.langs[rows])

    def __len__(self) -> int:
        return len(self.langs)


def common(lang: str) -> str | None:
    """The common language that this is, or None."""
    return next((code for code in COMMON if base(lang) == code or {base(lang), code} <= {"nb", "nn", "no"}), None)


def load(data: Path, per_language: int) -> dict[str, Texts]:
    """Each set, at most `per_language` texts a language; `udhr` without the odd declarations, `pages` of `web`."""
    sets = {name: _sample(_read(data, name), per_language) for name in _SETS}
    return {**sets, "pages": _sample(pages(data), per_language)}


def _read(data: Path, name: str) -> Texts:
    path, lang, text = _SETS[name]
    columns = [lang, text] + (["udhr_code"] if name == "udhr" else [])
    table = pq.read_table(data / path, columns=columns)
    if name == "udhr":
        table = table.filter(pc.invert(pc.is_in(table["udhr_code"], pa.array(ODD_DECLARATIONS))))
    return Texts(name, table[text].cast(pa.large_string()).combine_chunks(), np.array(table[lang].to_pylist(), object))


def pages(data: Path) -> Texts:
    """The pages of `web/documents` that are translated: less than a tenth of their text is lines of English pages.

    The declared language counts; pages declared English are in. Only the first 4,000 characters are kept.
    """
    table = pq.read_table(data / "web/documents.parquet", columns=["lang_declared", "text"])
    langs = np.array([code.replace("@latin", "-Latn") for code in table["lang_declared"].to_pylist()], object)
    texts = table["text"].to_pylist()
    english = {line for text, lang in zip(texts, langs, strict=True) if base(lang) == "en" for line in _lines(text)}
    keep = []
    for row, (text, lang) in enumerate(zip(texts, langs, strict=True)):
        lines = _lines(text)
        same = sum(len(line) for line in lines if line in english)
        if base(lang) == "en" or (lines and same < 0.1 * sum(map(len, lines))):
            keep.append(row)
    return Texts("pages", pa.array([texts[row][:4000] for row in keep], pa.large_string()), langs[keep])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if len(line.strip()) > 20 and any(map(str.isalpha, line))]


def _sample(texts: Texts, per_language: int) -> Texts:
    order = np.random.default_rng(0).permutation(len(texts))
    rank: dict[str, int] = {}
    keep = [row for row in order.tolist() if (rank := _count(rank, texts.langs[row]))[texts.langs[row]] <= per_language]
    return texts.take(np.array(sorted(keep)))


def _count(rank: dict[str, int], lang: str) -> dict[str, int]:
    rank[lang] = rank.get(lang, 0) + 1
    return rank


def right(langs: np.ndarray, found: pa.Array) -> np.ndarray:
    """Which answers are right: bool (n,). Members of a macro-language are not told apart."""
    pairs = zip(langs, found.to_pylist(), strict=True)
    return np.array([answer is not None and same_language(lang, answer) for lang, answer in pairs])


def noise(sentences: list[str], each: int = 150) -> dict[str, list[str]]:
    """Texts with letters in no language, by kind; `sentences` are what mojibake is made of."""
    draw = random.Random(0)
    hexes = ["".join(draw.choices("0123456789abcdef", k=draw.choice((32, 40, 64)))) for _ in range(each)]
    dumps = [" ".join(f"{draw.randrange(256):02x}" for _ in range(draw.randrange(12, 40))) for _ in range(each)]
    codes = [base64.b64encode(draw.randbytes(draw.randrange(20, 60))).decode() for _ in range(each)]
    units = ["kg", "cm", "EUR", "%", "km/h", "USD", "ms"]
    tables = [
        " | ".join(f"{draw.uniform(0, 9999):.{draw.randrange(3)}f} {draw.choice(units)}" for _ in range(8))
        for _ in range(each)
    ]
    serials = [" ".join(_serial(draw) for _ in range(4)) for _ in range(each)]
    foreign = [text for text in sentences if sum(ord(c) > 0x7F for c in text) > 0.6 * len(text)]
    mangled = [text.encode().decode("cp1252", "replace") for text in draw.sample(foreign, each)]
    keys = ["".join(draw.choices("asdfghjklqwertyuiopzxcvbnm", k=draw.randrange(8, 30))) for _ in range(each)]
    return {
        "hexadecimal": hexes, "dumps": dumps, "base64": codes, "tables": tables, "serials": serials,
        "mojibake": mangled, "key mash": keys,
    }  # fmt: skip


def _serial(draw: random.Random) -> str:
    return "".join(draw.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=3) + draw.choices("0123456789", k=4) + ["X"])
