"""MinHash signatures of texts, and the bands and sketches made of them.

1. Every shingle of a text is hashed to 64 bits (`shingles`), and that hash times an odd number drawn from `seed` is x.
2. Signature: x's high half names a slot, and the slot holds the lowest x's low half of those that name it (one
   permutation hashing). A slot that no shingle names (all but few of short texts, none of pages) holds the lowest of
   f_k l mod 2^32 over all shingles instead, with l the low half of x and f_k odd, drawn from `seed`, and is marked by
   its top bit. So a slot orders the shingles at random, those that name it first, and holds the first one: two texts
   agree in it with probability J, the Jaccard similarity of their sets, whatever their sizes. The standard deviation of
   the share of agreeing slots is at most MinHash's sqrt(J (1 - J) / slots), since no shingle names two slots.
3. Bands: rows of 8 consecutive slots are hashed to one number each. Texts that share a band are candidates:
   P(candidate | J) = 1 - (1 - J^rows)^bands; with the default of 16 bands of 8 rows 0.95 at J = 0.8 and 0.61 at 0.7.
4. Sketches: 8 bits of every slot, enough to verify candidates without their texts (taken after a multiplication that
   moves all bits there, because the low bits of the slots of short texts repeat each other). Slots agree by chance in
   1 of 256 cases: J is estimated as (share of agreeing slots - 1/256) / (1 - 1/256).

The engine `datasketch` gives the signatures of datasketch.MinHash over the UTF-8 bytes of the shingles instead, for
those who have an index of such signatures; it is about a hundred times slower.
"""

from functools import cache

import numpy as np
import pyarrow as pa

from pairmill.curate.codepoints import encode
from pairmill.curate.dedup import kernels
from pairmill.curate.dedup.folding import tables
from pairmill.curate.dedup.shingles import MULTIPLIERS, SIZE, batches, checked, fold_batch, hash_grams

VERSION = 2
SLOTS = 128
BANDS = 16
ROWS = 8
SEED = 42
ENGINES = ("pairmill", "datasketch")
EMPTY = 0xFFFFFFFF

_CHANCE = 1 / 256
_SPREAD = np.uint32(0x9E3779B1)
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD))


def signatures(column: pa.Array, *, slots: int = SLOTS, seed: int = SEED, engine: str = "pairmill") -> np.ndarray:
    """Compute the MinHash signatures (n, slots), uint32, of a text column; texts without shingles get EMPTY slots."""
    if engine not in ENGINES:
        raise ValueError(f"MinHash engine {engine!r} is unknown. Known: {', '.join(ENGINES)}.")
    if engine == "datasketch":
        parts = [_datasketch(*fold_batch(batch), slots, seed) for batch in batches(column)]
        return np.concatenate([np.empty((0, slots), np.uint32), *parts])
    return _sign(column, slots, seed)


def _sign(column: pa.Array, slots: int, seed: int) -> np.ndarray:
    from pairmill.curate.dedup import signing

    data, offsets = checked(column)
    *arrays, longest = tables()
    out, slow = np.empty((len(column), slots), np.uint32), np.empty(len(column), np.int64)
    rest = (longest, SIZE, MULTIPLIERS, *_factors(slots + signing.LANES, seed), out, slow)
    slow = slow[: signing.SIGN(data, offsets, *arrays, *rest)] if len(column) else slow
    if len(slow):
        out[slow] = lowest(*hash_grams(*fold_batch(column.take(pa.array(slow)))), slots, seed)
    return out


def lowest(hashes: np.ndarray, offsets: np.ndarray, slots: int = SLOTS, seed: int = SEED) -> np.ndarray:
    """Compute the signatures (n, slots), uint32, of rows of shingle hashes (uint64, as of `shingles`)."""
    from pairmill.curate.dedup import signing

    out = np.empty((len(offsets) - 1, slots), np.uint32)
    signing.LOWEST(hashes, offsets, *_factors(slots + signing.LANES, seed), out)
    return out


@cache
def _factors(count: int, seed: int) -> tuple[np.ndarray, np.uint64]:
    # Raw output of a bit generator is stable over NumPy versions, unlike that of Generator's methods.
    raw = np.random.PCG64(seed).random_raw(1 + count) | np.uint64(1)
    return raw[1:].astype(np.uint32), raw[0]


def _datasketch(flat: np.ndarray, offsets: np.ndarray, slots: int, seed: int) -> np.ndarray:
    try:
        from datasketch import MinHash
    except ImportError as error:
        raise ImportError("engine 'datasketch' needs the package datasketch: pip install datasketch") from error
    out = np.full((len(offsets) - 1, slots), EMPTY, np.uint32)
    blank = MinHash(num_perm=slots, seed=seed)
    for row, text in enumerate(encode(flat, offsets).to_pylist()):
        if text:
            grams = {text[i : i + SIZE].encode() for i in range(max(len(text) - SIZE + 1, 1))}
            minhash = blank.copy()
            minhash.update_batch(list(grams))
            out[row] = minhash.hashvalues
    return out


def bands(signature: np.ndarray, bands: int = BANDS, rows: int = ROWS) -> np.ndarray:
    """Hash `bands` bands of `rows` slots each: (n, bands) uint64; equal slots of different bands hash differently."""
    if bands * rows > signature.shape[1]:
        raise ValueError(f"{bands} bands of {rows} rows need {bands * rows} slots, found {signature.shape[1]}")
    out = np.empty((len(signature), bands), np.uint64)
    kernels.bands()(
        np.ascontiguousarray(signature), rows, np.arange(1, bands + 1, dtype=np.uint64) * _ODD[0], _ODD[1], out
    )
    return out


def has_shingles(signature: np.ndarray) -> np.ndarray:
    """Tell (n,) which rows have shingles; rows without must not be candidates."""
    found = signature[:, 0] != EMPTY
    found[~found] = (signature[~found] != EMPTY).any(axis=1)
    return found


def sketch(signature: np.ndarray) -> np.ndarray:
    """Keep 8 bits of every slot: (n, slots) uint8."""
    return ((signature * _SPREAD) >> np.uint32(24)).astype(np.uint8)


def estimate(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Estimate the Jaccard similarity (n,), float32, of rows of sketches, each (n, slots) or broadcast to it."""
    agreeing = np.count_nonzero(left == right, axis=-1) / left.shape[-1]
    return np.maximum((agreeing - _CHANCE) / (1 - _CHANCE), 0).astype(np.float32)


def probability(jaccard: float | np.ndarray, bands: int = BANDS, rows: int = ROWS) -> float | np.ndarray:
    """Return P(candidate | J) = 1 - (1 - J^rows)^bands."""
    return 1 - (1 - jaccard**rows) ** bands
