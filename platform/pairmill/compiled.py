"""Compiling inner loops by numba, when they are first used.

Compiling takes some CPU-seconds, once per machine (numba keeps the code beside the function's file or in the user's
cache directory, if either can be written).
"""

from collections.abc import Callable
from typing import Any

Kernel = Callable[..., Any]


def compile_kernel(function: Kernel, inputs: str, outputs: str, result: str = "void") -> Kernel:
    """Compile a function of arrays and numbers that may only be read, and of arrays that are written."""
    import numba

    def read(name: str) -> Any:
        kind, dimensions = getattr(numba.types, name.rstrip("[]")), name.count("[]")
        return numba.types.Array(kind, dimensions, "C", readonly=True) if dimensions else kind

    written = [numba.core.sigutils.normalize_signature(f"void({name})")[0][0] for name in outputs.split()]
    signature = getattr(numba.types, result)(*map(read, inputs.split()), *written)
    try:
        return numba.njit(signature, nogil=True, cache=True)(function)
    except RuntimeError:  # neither this directory nor the user's cache directory can be written
        return numba.njit(signature, nogil=True)(function)
