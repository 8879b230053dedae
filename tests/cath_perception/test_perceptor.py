from time import process_time, thread_time

import cv2
import numpy as np
import pytest

from cath_perception.backends import create_backend
from cath_perception.backends.base import Backend
from cath_perception.errors import BackendError, BundleError, ImageError
from cath_perception.image import Letterbox
from cath_perception.perceptor import Perceptor
from cath_perception.sequence import SequencePerceptor

from .drawing import bezier, mask_of


class Answering(Backend):
    """A backend that answers with what it was given, to test all that is around a network."""

    name = description = "answering"

    def __init__(self, candidates, mask):
        self.answer = candidates, mask
        self.closed = False

    def infer(self, image):
        self.image = image
        return self.answer

    def close(self):
        self.closed = True


@pytest.fixture(scope="module")
def perceptor(bundle, cache):
    with create_backend("openvino", bundle, cache_dir=cache) as backend:
        yield Perceptor(bundle, backend)


def noise(height=120, width=160, dtype=np.uint8, seed=0):
    return (np.random.default_rng(seed).random((height, width)) * 250).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(120, 160), (512, 512), (33, 200)])
def test_results_fit_the_frame(perceptor, dtype, size):
    result = perceptor(noise(*size, dtype))
    assert (result.height, result.width) == size
    assert result.mask.shape == size
    assert set(np.unique(result.mask)) <= {0, 255}
    assert result.catheters is not None
    assert len(result.electrodes) > 0
    scores = [e.score for e in result.electrodes]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= perceptor.electrode_threshold
    for e in result.electrodes:
        assert -0.5 <= e.x <= size[1] - 0.5
        assert -0.5 <= e.y <= size[0] - 0.5
        assert e.sigma > 0
    for catheter in result.catheters:
        assert [e.index for e in catheter.electrodes] == list(range(len(catheter.electrodes)))
        assert {e.catheter for e in catheter.electrodes} <= {catheter.id}
    times = result.times
    parts = (times.preprocess, times.network, times.decode, times.mask, times.centerline, times.grouping)
    assert sum(parts) == pytest.approx(times.total, rel=0.05)


def test_bit_depth_does_not_change_the_answer(perceptor):
    small = noise()
    large = small.astype(np.uint16) * 16 + 100
    first, second = perceptor(small), perceptor(large)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert [e.x for e in first.electrodes] == pytest.approx([e.x for e in second.electrodes], abs=0.02)


def test_bad_frame_costs_only_itself(perceptor):
    before = perceptor(noise())
    for bad in (
        np.zeros((0, 5), np.uint8),
        np.full((20, 20), np.nan, np.float32),
        np.zeros((9, 9, 3), np.uint8),
    ):
        with pytest.raises(ImageError):
            perceptor(bad)
    after = perceptor(noise())
    assert after.electrodes == before.electrodes


def test_results_are_not_overwritten_by_the_next_frame(perceptor):
    first = perceptor(noise(seed=1))
    mask, electrodes = first.mask.copy(), first.electrodes
    perceptor(noise(seed=2))
    np.testing.assert_array_equal(first.mask, mask)
    assert first.electrodes == electrodes


def test_what_is_not_wanted_is_not_computed(bundle):
    answer = Answering(np.zeros((4, 5), np.float32), np.zeros((48, 48), np.float32))
    result = Perceptor(bundle, answer, want_mask=False, want_centerlines=False)(noise())
    assert result.mask is None
    assert result.catheters is None
    assert np.isnan(result.times.mask)
    assert np.isnan(result.times.centerline)
    result = Perceptor(bundle, answer)(noise())
    assert result.catheters == ()
    assert not result.mask.any()


@pytest.mark.parametrize("size", [(512, 512), (640, 400)])
def test_a_known_answer_comes_through(bundle, size):
    """A catheter that enters at the left with four electrodes, as the network would see it."""
    box = Letterbox.fit(*size, bundle.input_size)
    curve = bezier((0, 100), (200, 120), (250, 300), (400, 300))
    mask = mask_of([curve], box, width=24.0)
    truth = curve[[3900, 3400, 3000, 2700]]
    candidates = np.zeros((128, 5), np.float32)
    for row, (x, y), score in zip(candidates, truth, (0.5, 0.9, 0.8, 0.7), strict=False):
        row[:] = (*box.to_network(x, y), 3.0, 3.0, score)
    candidates = candidates[np.argsort(-candidates[:, 4], kind="stable")]
    with Perceptor(bundle, Answering(candidates, mask)) as perceptor:
        result = perceptor(np.zeros(size[::-1], np.uint8))
        backend = perceptor.backend
    assert backend.closed
    assert [(e.catheter, e.index) for e in result.electrodes] == [(0, 1), (0, 2), (0, 3), (0, 0)]
    (catheter,) = result.catheters
    found = np.array([(e.x, e.y) for e in catheter.electrodes])
    assert np.abs(found - truth).max() < 0.05
    tip = catheter.centerline.points[0]
    assert np.hypot(*(tip - curve[-1])) < 16.0
    assert catheter.centerline.width == pytest.approx(24.0, rel=0.1)
    assert result.mask[round(truth[2][1]), round(truth[2][0])] == 255


def test_what_is_below_the_threshold_is_faint(bundle):
    candidates = np.zeros((128, 5), np.float32)
    candidates[:3] = [(40, 40, 3, 3, 0.9), (60, 40, 3, 3, 0.3), (80, 40, 3, 3, 0.1)]
    with Perceptor(
        bundle,
        Answering(candidates, mask_of([], Letterbox.fit(96, 96, bundle.input_size), 1.0)),
        electrode_threshold=0.5,
    ) as perceptor:
        result = perceptor(np.zeros((96, 96), np.uint8))
    assert [e.score for e in result.electrodes] == pytest.approx([0.9])
    assert [e.score for e in result.faint] == pytest.approx([0.3])


def test_thresholds(bundle):
    answer = Answering(np.zeros((1, 5), np.float32), np.zeros((48, 48), np.float32))
    assert Perceptor(bundle, answer).electrode_threshold == bundle.electrode_threshold
    assert Perceptor(bundle, answer, mask_threshold=0.7).mask_threshold == 0.7
    for bad in (
        {"electrode_threshold": 1.1},
        {"mask_threshold": -0.1},
        {"electrode_threshold": float("nan")},
    ):
        with pytest.raises(BackendError, match="expected 0 to 1"):
            Perceptor(bundle, answer, **bad)


def test_opening(bundle, cache, tmp_path):
    with Perceptor.open(bundle.path, "openvino", cache_dir=cache, want_mask=False) as perceptor:
        assert perceptor.bundle.name == "random"
    with pytest.raises(BundleError):
        Perceptor.open(tmp_path / "none")


@pytest.fixture
def opencv_in_one_thread():
    """Its threads share the resizing of the mask and then sleep; they would hide those that spin."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def test_no_library_spins_in_other_threads(bundle, opencv_in_one_thread):
    """A library's threads that spin while they wait take the network's cores: frames are then missed."""
    box = Letterbox.fit(512, 512, bundle.input_size)
    curve = bezier((60, 100), (200, 250), (330, 270), (450, 420))
    x, y = box.to_network(*curve[40:200:16].T)
    rings = np.stack((x, y, np.full_like(x, 6), np.full_like(x, 6), np.full_like(x, 0.9)), axis=1)
    backend = Answering(rings.astype(np.float32), mask_of([curve], box))
    frames = [noise(512, 512, seed=seed) for seed in range(4)]
    with Perceptor(bundle, backend) as perceptor:
        sequence = SequencePerceptor(perceptor)
        for n in range(5):
            sequence(frames[n % 4], n / 15)
        mine, every = thread_time(), process_time()
        for n in range(5, 65):
            sequence(frames[n % 4], n / 15)
        mine, every = thread_time() - mine, process_time() - every
    assert every - mine < 0.25 * mine
