"""A frame in, a ``PerceptionResult`` out: what the node, the command line, tests and training share.

For frames in order, ``SequencePerceptor`` adds what lasts: identities and motion.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from cath_perception import compiled
from cath_perception.backends import Backend, create_backend
from cath_perception.bundle import ModelBundle, resolve_bundle
from cath_perception.catheters import group
from cath_perception.centerline import trace_centerlines
from cath_perception.decode import decode
from cath_perception.errors import BackendError
from cath_perception.image import Letterbox, check_pixels
from cath_perception.recognition import Recognizer
from cath_perception.types import PerceptionResult, StageTimes

FAINT = 0.45
"""Electrodes down to this part of the threshold are handed on to tracking."""


class Perceptor:
    """Finds electrodes, mask and catheters in single frames; a context manager that closes its backend.

    Args:
        bundle: thresholds and sigma come from here unless given.
        backend: made for the same bundle; closed with the perceptor.
        electrode_threshold, mask_threshold: 0..1; may be changed between frames.
        want_mask: False leaves ``mask`` None in the results.
        want_centerlines: False leaves ``catheters`` None, and electrodes without catheter and index.
        recognizer: tells the types of catheters; made of the package's templates unless given.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        backend: Backend,
        *,
        electrode_threshold: float | None = None,
        mask_threshold: float | None = None,
        want_mask: bool = True,
        want_centerlines: bool = True,
        recognizer: Recognizer | None = None,
    ) -> None:
        self.bundle = bundle
        self.backend = backend
        self.electrode_threshold = (
            bundle.electrode_threshold if electrode_threshold is None else electrode_threshold
        )
        self.mask_threshold = bundle.mask_threshold if mask_threshold is None else mask_threshold
        for name in ("electrode_threshold", "mask_threshold"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise BackendError(f"{name}: expected 0 to 1, got {value}")
        self.want_mask = want_mask
        self.want_centerlines = want_centerlines
        self.recognizer = Recognizer.load() if recognizer is None else recognizer
        self._letterbox: Letterbox | None = None
        compiled.load()

    @classmethod
    def open(
        cls,
        model: str | Path = "light",
        backend: str = "auto",
        *,
        threads: int = 0,
        cache_dir: str | Path | None = None,
        device: str = "auto",
        openvino_precision: str = "auto",
        fallback: str | None = None,
        **options: Any,
    ) -> Perceptor:
        """A perceptor from the name or folder of a model and the name of a backend.

        What the backend takes: see ``create_backend``. ``options`` go to the constructor. Raises BundleError or
        BackendError with the reason.
        """
        bundle = ModelBundle.load(resolve_bundle(model))
        engine = create_backend(
            backend,
            bundle,
            threads=threads,
            cache_dir=cache_dir,
            device=device,
            openvino_precision=openvino_precision,
            fallback=fallback,
        )
        return cls(bundle, engine, **options)

    def __call__(self, pixels: NDArray[Any], *, recognize: bool = True) -> PerceptionResult:
        """Everything seen in one ``(H, W)`` uint8, uint16 or float32 frame of any value range.

        ``recognize`` False leaves the types None, which ``SequencePerceptor`` tells from several frames.
        Raises ImageError for a frame that cannot be used, BackendError where inference fails; the next frame
        is not affected by either.
        """
        times = StageTimes()
        start = perf_counter()
        height, width = check_pixels(pixels).shape
        letterbox = self._letterbox_for(width, height)
        image = pixels if self.backend.resizes else letterbox.apply(pixels)
        mark = _lap(times, "preprocess", start)
        candidates, probability = self.backend.infer(image)
        mark = _lap(times, "network", mark)
        every = decode(
            candidates,
            letterbox,
            self.electrode_threshold * FAINT,
            self.bundle.sigma_floor,
            self.bundle.sigma_slope,
        )
        clear = sum(e.score >= self.electrode_threshold for e in every)
        electrodes, faint = every[:clear], every[clear:]
        mark = _lap(times, "decode", mark)
        mask = catheters = None
        if self.want_mask:
            mask = letterbox.mask_to_image(probability, self.mask_threshold)
            mark = _lap(times, "mask", mark)
        if self.want_centerlines:
            traces = trace_centerlines(probability, self.mask_threshold, letterbox)
            mark = _lap(times, "centerline", mark)
            electrodes, catheters = group(electrodes, traces, width, height, pixels)
            if recognize:
                catheters = tuple(self.recognizer(catheter) for catheter in catheters)
            mark = _lap(times, "grouping", mark)
        times.total = (mark - start) * 1e3
        return PerceptionResult(width, height, electrodes, catheters, mask, times, faint)

    def close(self) -> None:
        """Close the backend; may be called more than once."""
        self.backend.close()

    def __enter__(self) -> Perceptor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _letterbox_for(self, width: int, height: int) -> Letterbox:
        box = self._letterbox
        if box is None or (box.width, box.height) != (width, height):
            box = self._letterbox = Letterbox.fit(width, height, self.bundle.input_size)
        return box


def _lap(times: StageTimes, stage: str, since: float) -> float:
    now = perf_counter()
    setattr(times, stage, (now - since) * 1e3)
    return now
