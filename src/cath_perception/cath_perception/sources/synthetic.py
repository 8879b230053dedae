"""The synthetic fluoroscopy generator as a source, with its ground truth."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from cath_perception.errors import SourceError
from cath_perception.image import MAX_SIDE
from cath_perception.sources.base import MAX_FRAMES, FrameSource, SourceFrame, SourceInfo

PREFIX = "synthetic"
_GENERATOR = "cath_training.synthetic.sequence"
_BOUNDS = {"seconds": (0.01, 86400.0), "rate": (0.1, 1000.0), "size": (64, MAX_SIDE), "seed": (0, 2**63)}


def is_synthetic(spec: str) -> bool:
    """True for ``synthetic`` and ``synthetic:key=value,...``."""
    return spec == PREFIX or spec.startswith(PREFIX + ":")


def parse_options(spec: str) -> dict[str, Any]:
    """Options of ``synthetic:key=value,...``; numbers become int or float. Raises ``SourceError``."""
    options: dict[str, Any] = {}
    text = spec[len(PREFIX) + 1 :]
    for item in filter(None, text.split(",")):
        key, separator, value = item.partition("=")
        if not separator or not key.strip() or not value.strip():
            raise SourceError(f"'{item}' in '{spec}': expected key=value, as in synthetic:seconds=10,seed=3")
        options[key.strip()] = _value(value.strip())
    for key, (low, high) in _BOUNDS.items():
        if key in options and not (isinstance(options[key], int | float) and low <= options[key] <= high):
            raise SourceError(f"{key}={options[key]} in '{spec}': expected a number from {low:g} to {high:g}")
    return options


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class SyntheticSource(FrameSource):
    """Frames made by ``cath_training``'s generator; the same options give the same frames."""

    def __init__(self, **options: Any) -> None:
        self._sequence = _make(options)
        sequence = self._sequence
        if not 0 < int(sequence.frames) <= MAX_FRAMES:
            raise SourceError(
                f"the synthetic sequence would have {sequence.frames} frames; expected 1 to {MAX_FRAMES}"
            )
        self.info = SourceInfo(
            name="-".join([PREFIX, *(f"{key}{options[key]}" for key in sorted(options))]),
            width=int(sequence.size),
            height=int(sequence.size),
            bits=8,
            frames=int(sequence.frames),
            rate_hz=float(sequence.rate),
            pixel_spacing_mm=float(sequence.pixel_spacing_mm),
            metadata={
                "kind": "synthetic",
                "frame_times_from": "generator",
                "pixel_spacing_plane": "isocentre (generator)",
                **{f"option_{key}": str(value) for key, value in sorted(options.items())},
            },
        )

    def __iter__(self) -> Iterator[SourceFrame]:
        for index, frame in enumerate(self._sequence):
            yield SourceFrame(
                frame.pixels, float(frame.time_s), index, self.info.name, tuple(frame.catheters)
            )


def _make(options: dict[str, Any]) -> Any:
    try:
        sequence = importlib.import_module(_GENERATOR).SyntheticSequence
    except ModuleNotFoundError as error:
        raise SourceError(
            f"the synthetic generator needs '{error.name}', which is not installed here; "
            "run it through ./cath, which sets it up, or give a recording"
        ) from error
    known = [name for name in inspect.signature(sequence).parameters if name != "self"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise SourceError(f"synthetic has no option {', '.join(unknown)}; known are {', '.join(known)}")
    try:
        return sequence(**options)
    except (TypeError, ValueError) as error:
        raise SourceError(f"the synthetic sequence refuses {options}: {error}") from error
