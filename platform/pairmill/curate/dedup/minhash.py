"""MinHash signatures of texts, and the bands and sketches made of them.

1. Every shingle of a text is hashed to 64 bits (`shingles`); h is the high half of that hash.
2. Slot k of the signature is the lowest of f_k h + t_k mod 2^32 over the text's shingles, with f_k odd and f_k, t_k
   drawn from `seed`. Two texts agree in a slot with a probability of (nearly) J, the Jaccard similarity of their sets.
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

from pairmill.curate.codepoints import decode, encode
from pairmill.curate.dedup import kernels
from pairmill.curate.dedup.shingles import SIZE, batches, fold_batch, hash_grams

VERSION = 1
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
    parts = [np.empty((0, slots), np.uint32)]
    for batch in batches(column):
        folded = fold_batch(*decode(batch))
        if engine == "datasketch":
            parts.append(_datasketch(*folded, slots, seed))
        else:
            parts.append(lowest(*hash_grams(*folded), slots, seed))
    return np.concatenate(parts)


def lowest(hashes: np.ndarray, offsets: np.ndarray, slots: int = SLOTS, seed: int = SEED) -> np.ndarray:
    """Compute the signatures (n, slots), uint32, of rows of shingle hashes (uint64, as of `shingles`)."""
    out = np.full((len(offsets) - 1, slots), EMPTY, np.uint32)
    kernels.lowest()(hashes, offsets, *_factors(slots, seed), out)
    return out


@cache
def _factors(slots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    # Raw output of a bit generator is stable over NumPy versions, unlike that of Generator's methods.
    raw = np.random.PCG64(seed).random_raw(2 * slots)
    high = (raw >> np.uint64(32)).astype(np.uint32)
    return high[:slots] | np.uint32(1), high[slots:]


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
    slots = signature[:, : bands * rows].reshape(len(signature), bands, rows)
    out = np.empty((len(signature), bands), np.uint64)
    out[:] = np.arange(1, bands + 1, dtype=np.uint64) * _ODD[0]
    for row in range(rows):
        out ^= slots[:, :, row]
        out *= _ODD[1]
        out ^= out >> np.uint64(32)
    return out


def has_shingles(signature: np.ndarray) -> np.ndarray:
    """Tell (n,) which rows have shingles; rows without must not be candidates."""
    return (signature != EMPTY).any(axis=1)


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
