"""XXH3, 128 bits, seed 0, of rows of bytes, compiled: what the package xxhash gives, without a Python call per row.

After the specification of Collet (xxhash_spec.md, "XXH3 Algorithm Overview"), whose names are kept: texts up to 16
bytes, up to 240 bytes and longer ones go three ways. Importing this module imports numba: import it where it is used.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from pairmill.compiled import Kernel, compile_kernel

_P32_1, _P32_2, _P32_3 = np.uint64(0x9E3779B1), np.uint64(0x85EBCA77), np.uint64(0xC2B2AE3D)
_P64_1, _P64_2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_P64_3, _P64_4, _P64_5 = np.uint64(0x165667B19E3779F9), np.uint64(0x85EBCA77C2B2AE63), np.uint64(0x27D4EB2F165667C5)
_MX1, _MX2 = np.uint64(0x165667919E3779F9), np.uint64(0x9FB21C651E98DF25)
_SECRET = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248e"
        "e03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a"
        "51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8f"
        "f8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
    ),
    np.uint8,
)
_STRIPE, _BLOCK, _LAST = 64, 1024, len(_SECRET) - 64
_START = np.array([_P32_3, _P64_1, _P64_2, _P64_3, _P64_4, _P32_2, _P64_5, _P32_1])
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

_inner: Any = numba.njit(nogil=True)


@intrinsic
def _word_at(context, data, at):  # type: ignore[no-untyped-def]
    """The 8 bytes of `data` from `at`, as a little-endian number."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        start = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(start, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.intp), generate


@intrinsic
def _high_half(context, a, b):  # type: ignore[no-untyped-def]
    """The upper 64 bits of the product of two uint64."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(value, wide) for value in arguments))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


_word: Any = _word_at
_high: Any = _high_half


@_inner
def _fold(a, b):  # type: ignore[no-untyped-def]
    return a * b ^ _high(a, b)


@_inner
def _flip(at):  # type: ignore[no-untyped-def]
    return _word(_SECRET, at) ^ _word(_SECRET, at + 8)


@_inner
def _swap(x, width):  # type: ignore[no-untyped-def]
    swapped = np.uint64(0)
    for _ in range(width):
        swapped = swapped << np.uint64(8) | x & np.uint64(0xFF)
        x >>= np.uint64(8)
    return swapped


@_inner
def _avalanche(h):  # type: ignore[no-untyped-def]
    h = (h ^ h >> np.uint64(37)) * _MX1
    return h ^ h >> _HALF


@_inner
def _avalanche64(h):  # type: ignore[no-untyped-def]
    h = (h ^ h >> np.uint64(33)) * _P64_2
    h = (h ^ h >> np.uint64(29)) * _P64_3
    return h ^ h >> _HALF


@_inner
def _to_3(data, at, n):  # type: ignore[no-untyped-def]
    low = np.uint64(data[at]) << np.uint64(16) | np.uint64(data[at + n // 2]) << np.uint64(24)
    low |= np.uint64(data[at + n - 1]) | np.uint64(n) << np.uint64(8)
    high = _swap(low, 4)
    high = (high << np.uint64(13) | high >> np.uint64(19)) & _LOW
    flips = _word(_SECRET, 0), _word(_SECRET, 8)
    flip_low, flip_high = (flips[0] ^ flips[0] >> _HALF) & _LOW, (flips[1] ^ flips[1] >> _HALF) & _LOW
    return _avalanche64(high ^ flip_high), _avalanche64(low ^ flip_low)


@_inner
def _to_8(data, at, n):  # type: ignore[no-untyped-def]
    key, last = np.uint64(0), np.uint64(0)
    for i in range(4):
        key |= np.uint64(data[at + i]) << np.uint64(8 * i)
        last |= np.uint64(data[at + n - 4 + i]) << np.uint64(8 * i)
    key = (key | last << _HALF) ^ _flip(16)
    factor = _P64_1 + np.uint64(4 * n)
    low, high = key * factor, _high(key, factor)
    high += low << np.uint64(1)
    low ^= high >> np.uint64(3)
    low = (low ^ low >> np.uint64(35)) * _MX2
    return _avalanche(high), low ^ low >> np.uint64(28)


@_inner
def _to_16(data, at, n):  # type: ignore[no-untyped-def]
    first, last = _word(data, at), _word(data, at + n - 8)
    key = first ^ last ^ _flip(32)
    low, high = key * _P64_1 + (np.uint64(n - 1) << np.uint64(54)), _high(key, _P64_1)
    last ^= _flip(48)
    high += last + (last & _LOW) * (_P32_2 - np.uint64(1))
    low ^= _swap(high, 8)
    return _avalanche(_high(low, _P64_2) + high * _P64_2), _avalanche(low * _P64_2)


@_inner
def _mix(low, high, data, one, other, secret):  # type: ignore[no-untyped-def]
    """XXH128_mix32B: of the 16 bytes at `one` and those at `other`."""
    a, b, c, d = _word(data, one), _word(data, one + 8), _word(data, other), _word(data, other + 8)
    low += _fold(a ^ _word(_SECRET, secret), b ^ _word(_SECRET, secret + 8))
    high += _fold(c ^ _word(_SECRET, secret + 16), d ^ _word(_SECRET, secret + 24))
    return low ^ (c + d), high ^ (a + b)


@_inner
def _to_240(data, at, n):  # type: ignore[no-untyped-def]
    low, high, end = np.uint64(n) * _P64_1, np.uint64(0), at + n
    if n <= 128:
        for i in range((n - 1) // 32, -1, -1):
            low, high = _mix(low, high, data, at + 16 * i, end - 16 * (i + 1), 32 * i)
    else:
        for i in range(4):
            low, high = _mix(low, high, data, at + 32 * i, at + 32 * i + 16, 32 * i)
        low, high = _avalanche(low), _avalanche(high)
        for i in range(4, n // 32):
            low, high = _mix(low, high, data, at + 32 * i, at + 32 * i + 16, 32 * (i - 4) + 3)
        low, high = _mix(low, high, data, end - 16, end - 32, 103)
    mixed = low * _P64_1 + high * _P64_4 + np.uint64(n) * _P64_2
    return np.uint64(0) - _avalanche(mixed), _avalanche(low + high)


@_inner
def _accumulate(lanes, data, at, secret):  # type: ignore[no-untyped-def]
    for i in range(8):
        word = _word(data, at + 8 * i)
        key = word ^ _word(_SECRET, secret + 8 * i)
        lanes[i ^ 1] += word
        lanes[i] += (key & _LOW) * (key >> _HALF)


@_inner
def _merge(lanes, secret, total):  # type: ignore[no-untyped-def]
    for i in range(0, 8, 2):
        total += _fold(lanes[i] ^ _word(_SECRET, secret + 8 * i), lanes[i + 1] ^ _word(_SECRET, secret + 8 * i + 8))
    return _avalanche(total)


@_inner
def _long(data, at, n, lanes):  # type: ignore[no-untyped-def]
    lanes[:] = _START
    for start in range(0, n - 1 - (n - 1) % _STRIPE, _STRIPE):
        _accumulate(lanes, data, at + start, start % _BLOCK // 8)
        if (start + _STRIPE) % _BLOCK == 0:
            for i in range(8):
                lanes[i] = (lanes[i] ^ lanes[i] >> np.uint64(47) ^ _word(_SECRET, _LAST + 8 * i)) * _P32_1
    _accumulate(lanes, data, at + n - _STRIPE, _LAST - 7)
    return _merge(lanes, _LAST - 11, ~(np.uint64(n) * _P64_2)), _merge(lanes, 11, np.uint64(n) * _P64_1)


def _hash(data, offsets, out):  # type: ignore[no-untyped-def]
    lanes = np.empty(8, np.uint64)
    for row in range(offsets.size - 1):
        at, n = offsets[row], offsets[row + 1] - offsets[row]
        if n > 240:
            high, low = _long(data, at, n, lanes)
        elif n > 16:
            high, low = _to_240(data, at, n)
        elif n > 8:
            high, low = _to_16(data, at, n)
        elif n > 3:
            high, low = _to_8(data, at, n)
        elif n > 0:
            high, low = _to_3(data, at, n)
        else:
            high, low = _avalanche64(_flip(80)), _avalanche64(_flip(64))
        out[row, 0], out[row, 1] = high, low


# HASH128(data, offsets, out) writes the hashes (n, 2) of data[offsets[i]:offsets[i + 1]], the high half first.
HASH128: Kernel = compile_kernel(_hash, "uint8[] int64[]", "uint64[:,::1]")
