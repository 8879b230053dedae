"""On an NVIDIA GPU only: PyTorch and TensorRT there against eager float32 PyTorch on the CPU, and what a frame takes."""

import time

import numpy as np
import pytest
import torch

from cath_perception.backends import create_backend
from cath_perception.backends.base import Options, gpu_is_present
from cath_perception.backends.cache import MANIFEST
from cath_perception.backends.engine import ENGINE, EnginePlace, build_engine
from cath_perception.backends.supervised import SupervisedBackend
from cath_perception.bundle import ModelBundle, default_bundle_path
from cath_perception.errors import BackendError, EngineMissingError
from cath_perception.network import build
from cath_perception.sources.synthetic import SyntheticSource

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1800),  # building an engine takes minutes
    pytest.mark.skipif(not gpu_is_present(), reason="this machine has no NVIDIA GPU"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this PyTorch has no usable CUDA"),
]
FRAMES = 200


@pytest.fixture(scope="module")
def shipped():
    return ModelBundle.load(default_bundle_path())


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """A cache with the shipped model's engine; skipped where Torch-TensorRT is missing or cannot be imported."""
    cache = tmp_path_factory.mktemp("engines")
    bundle = ModelBundle.load(default_bundle_path())
    try:
        place = EnginePlace.of(bundle, Options(cache_dir=cache))
    except BackendError as error:
        pytest.skip(str(error))
    build_engine(bundle, place, print)
    return cache


@pytest.fixture(scope="module")
def scenes():
    """Synthetic fluoroscopy with its catheters: what the model was made for."""
    source = SyntheticSource(size=512, seconds=FRAMES / 15, rate=15, seed=90210)
    frames = [frame.pixels for frame in source]
    assert len(frames) >= FRAMES
    return frames[:FRAMES]


@pytest.mark.parametrize("name", ["torch", "tensorrt"])
def test_electrodes_lie_within_a_tenth_of_a_pixel_of_eager_float32(name, shipped, engines, scenes):
    """In network-input px. One at the threshold may fall below it, so all candidates are looked at."""
    seen = 0
    with (
        create_backend("torch", shipped, device="cpu") as reference,
        create_backend(name, shipped, cache_dir=engines, device="cuda") as backend,
    ):
        for frame in scenes:
            expected = reference.perceive(frame)[0]
            expected = expected[expected[:, 4] >= shipped.electrode_threshold, :2]
            found = backend.infer(frame)[0][:, :2]
            for place in expected:
                assert np.abs(found - place).max(axis=1).min() <= 0.1
            seen += len(expected)
    assert seen > FRAMES


def test_engine_is_loaded_from_the_cache_and_not_when_spoilt(shipped, engines, tmp_path):
    place = EnginePlace.of(shipped, Options(cache_dir=engines))
    facts = place.facts()
    assert facts["precision"]["engines"] >= 1
    assert set(facts["precision"]["convolutions"]) == {"float16"}
    assert facts["agreement"]["position_px"] <= 0.1
    with pytest.raises(EngineMissingError, match="none was built"):
        create_backend("tensorrt", shipped, cache_dir=tmp_path)
    file = place.folder / ENGINE
    good = file.read_bytes()
    try:
        file.write_bytes(good[:-1])
        with pytest.raises(EngineMissingError, match="truncated or changed"):
            create_backend("tensorrt", shipped, cache_dir=engines)
    finally:
        file.write_bytes(good)
    manifest = place.folder / MANIFEST
    text = manifest.read_text()
    try:
        manifest.write_text(text.replace(place.identity["driver"], "1.0"))
        with pytest.raises(EngineMissingError, match=r"driver is .*, was 1\.0"):
            create_backend("tensorrt", shipped, cache_dir=engines)
    finally:
        manifest.write_text(text)
    create_backend("tensorrt", shipped, cache_dir=engines).close()


@pytest.mark.parametrize("name", ["torch", "tensorrt"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_of_any_size_and_type_are_taken(name, dtype, shipped, engines):
    rng = np.random.default_rng(4)
    with (
        create_backend("torch", shipped, device="cpu") as reference,
        create_backend(name, shipped, cache_dir=engines, device="cuda") as backend,
    ):
        assert backend.resizes
        assert "CUDA graph" in backend.description
        assert "no CUDA graph" not in backend.description
        for size in ((512, 512), (1024, 1024), (300, 480), (512, 512)):
            frame = (rng.random(size) * (250 if dtype == np.uint8 else 60000)).astype(dtype)
            mask = reference.perceive(frame)[1].copy()
            np.testing.assert_allclose(backend.infer(frame)[1], mask, atol=0.05)


def test_two_planes_in_one_call(shipped, engines, scenes):
    options = Options(cache_dir=engines, batch=2)
    build_engine(shipped, EnginePlace.of(shipped, options), print)
    with (
        create_backend("tensorrt", shipped, cache_dir=engines, batch=2) as both,
        create_backend("tensorrt", shipped, cache_dir=engines) as one,
    ):
        candidates, masks = both.infer(np.stack(scenes[:2]))
        assert candidates.shape == (2, 128, 5)
        for mask, frame in zip(masks, scenes, strict=False):
            np.testing.assert_allclose(mask, one.infer(frame)[1], atol=0.02)


def test_in_a_process_of_its_own(shipped, engines, scenes):
    with create_backend("tensorrt", shipped, cache_dir=engines, fallback="none") as backend:
        assert isinstance(backend, SupervisedBackend)
        backend.infer(scenes[0])
        assert (backend.name, backend.notice) == ("tensorrt", "")


def test_paper_network_takes_a_millisecond(engines, tmp_path):
    """Network and decoding at 256 x 256, batch 1, float16: 1 ms; upload, resize and download are in the figure."""
    torch.manual_seed(5)
    architecture = {"name": "paper"}
    bundle = ModelBundle(name="paper", architecture=architecture, input_size=256)
    bundle = bundle.save(tmp_path / "paper", build(architecture))
    build_engine(bundle, EnginePlace.of(bundle, Options(cache_dir=engines)), print)
    frame = np.random.default_rng(6).integers(0, 4096, (256, 256), np.uint16)
    with create_backend("tensorrt", bundle, cache_dir=engines) as backend:
        times = []
        for _ in range(300):
            began = time.perf_counter()
            backend.infer(frame)
            times.append(time.perf_counter() - began)
    assert np.median(times[50:]) <= 1e-3
