"""Loops over small arrays, compiled by numba: the one way to do so here.

A kernel is a function of scalars and arrays, decorated with the types it is called with:

    @compiled("(f8[:, ::1], i8)")
    def turned_round(points, count): ...

``load()`` compiles all kernels, or takes them from numba's cache, before the first frame; a kernel called with other
types then raises TypeError instead of being compiled while a frame waits. What only kernels call needs no types:
``@compiled()``. Constants and functions that a kernel uses must stand in its own module, for the cache notices changes of
that file only. numba keeps compiled code in ``__pycache__`` beside the module or, where that is read-only, in the user's
cache folder; where neither can be written it compiles at every start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

_log = logging.getLogger(__name__)
_waiting: list[tuple[Any, tuple[str, ...]]] = []


def compiled(*signatures: str) -> Callable[[Function], Function]:
    """Decorate a kernel, for each of the signatures in numba's spelling; ``load`` or its first call compiles it.

    One with signatures that other kernels use must stand before them, or what is kept of it is not found at the next start.
    """

    def decorate(function: Function) -> Function:
        try:
            kernel: Any = njit(cache=True, error_model="numpy")(function)
        except RuntimeError:  # no folder for the cache can be written
            kernel = njit(error_model="numpy")(function)
        if signatures:
            _waiting.append((kernel, signatures))
        decorated: Function = kernel
        return decorated

    return decorate


def load() -> None:
    """Make every kernel of the modules imported so far ready; takes seconds where they are not in the cache."""
    begun, anew = perf_counter(), 0
    while _waiting:
        kernel, signatures = _waiting.pop(0)
        for signature in signatures:
            _compile(kernel, signature)
        hits = sum(kernel.stats.cache_hits.values())
        if hits < len(signatures) and not anew:
            when = "once" if kernel.stats.cache_path else "at every start, as no cache folder can be written"
            _log.warning("compiling for this processor, which takes some seconds, %s", when)
        anew += len(signatures) - hits
        kernel.disable_compile()
    if anew:
        _log.warning("compiled %d functions in %.1f s", anew, perf_counter() - begun)


def _compile(kernel: Any, signature: str) -> None:
    try:
        kernel.compile(signature)
    except OSError as error:  # it is compiled, but could not be kept
        _log.warning("compiled code is not kept: %s", error)
        kernel.compile(signature)
