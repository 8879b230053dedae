"""The model that ships: its size, and what it finds in frames training never saw."""

import numpy as np
import pytest

from cath_perception.bundle import ModelBundle, default_bundle_path
from cath_perception.perceptor import Perceptor
from cath_perception.scoring import Tally
from cath_training.synthetic.still import TEST_SEED, draw_still


def test_bundle_is_small_and_says_how_it_was_made() -> None:
    bundle = ModelBundle.load(default_bundle_path())
    assert sum(file.stat().st_size for file in bundle.path.iterdir()) <= 12e6
    assert {"command", "steps", "seed", "figures"} <= bundle.training.keys()


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_electrodes_are_found_in_unseen_frames(backend: str) -> None:
    tally = Tally()
    with Perceptor.open("light", backend, want_centerlines=False) as perceptor:
        for seed in range(TEST_SEED, TEST_SEED + 16):
            still = draw_still(seed)
            result = perceptor(still.pixels)
            tally.add([(e.x, e.y) for e in result.electrodes], still.electrodes[:, :2], 512)
    figures = tally.figures()
    assert figures["electrodes"] > 100
    assert figures["recall"] > 0.7
    assert figures["precision"] > 0.7
    assert figures["median_error_px256"] < 0.5


def test_noise_without_catheters_has_no_electrodes() -> None:
    rng = np.random.default_rng(5)
    with Perceptor.open("light", "torch") as perceptor:
        for level in (3, 30):
            noise = np.clip(rng.normal(128, level, (512, 512)), 0, 255).astype(np.uint8)
            assert len(perceptor(noise).electrodes) == 0
