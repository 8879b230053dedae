"""The 8-bit form of a bundle for CPUs: post-training quantization by NNCF, calibrated on synthetic frames."""

import logging
import os
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from cath_perception.backends.openvino_cache import convert
from cath_perception.bundle import INT8, ModelBundle
from cath_perception.image import Letterbox
from cath_training.synthetic.still import VALIDATION_SEED, draw_still

FIRST_FRAME = 500  # after those that thresholds are chosen on
STAYS_FLOAT = (r"__module\.rule.*", r"aten::.*", r"__module\.network/aten::pixel.*")
"""Intensity rule and decoding, which need positions to a tenth of a px, by the names that tracing gives them."""


def add_int8(bundle: ModelBundle, frames: int = 150, angiograms: Sequence[Path] = ()) -> ModelBundle:
    """Quantize ``bundle`` in its place: convolutions in 8-bit integers, intensity rule and decoding in float32.

    Activations take the whole range that ``frames`` validation frames show, half of them over ``angiograms``;
    weights are symmetric by channel, and biases are corrected.
    """
    os.environ.setdefault("NNCF_CI", "1")  # NNCF reports its use to its makers otherwise
    openvino: Any = import_module("openvino")
    nncf: Any = import_module("nncf")
    nncf.set_log_level(logging.ERROR)
    ranges: Any = import_module("nncf.quantization.range_estimator")
    images = calibration_images(bundle.input_size, frames, angiograms)
    model = nncf.quantize(
        convert(openvino, bundle),
        nncf.Dataset(images),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=frames,
        ignored_scope=nncf.IgnoredScope(patterns=[f"^{name}" for name in STAYS_FLOAT], validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=ranges.RangeEstimatorParametersSet.MINMAX
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(model, Path(folder) / INT8[0], compress_to_fp16=False)
        description, weights = ((Path(folder) / name).read_bytes() for name in INT8)
    versions = {"nncf": str(nncf.__version__), "openvino": str(openvino.__version__).split("-")[0]}
    return bundle.add_int8(description, weights, versions | {"frames": frames})


def calibration_images(size: int, count: int, angiograms: Sequence[Path]) -> list[NDArray[np.float32]]:
    """``count`` validation frames as the network takes them, ``(1, 1, size, size)``."""
    box = Letterbox.fit(512, 512, size)
    seeds = range(VALIDATION_SEED + FIRST_FRAME, VALIDATION_SEED + FIRST_FRAME + count)
    return [
        box.apply(draw_still(seed, 512, angiograms).pixels)[
            None, None
        ].copy()  # the box gives the same memory again
        for seed in track(seeds, "calibration frames")
    ]
