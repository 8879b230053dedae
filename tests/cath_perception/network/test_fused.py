"""What a GPU does to a frame, checked where it can be without one: the same modules on CPU tensors."""

import numpy as np
import pytest
import torch

from cath_perception.backends import create_backend
from cath_perception.backends.agreement import compare, made_frames
from cath_perception.bundle import ModelBundle, default_bundle_path
from cath_perception.decode import decode
from cath_perception.image import Letterbox
from cath_perception.network import build
from cath_perception.network.deployed import DeployedNetwork
from cath_perception.network.fused import STORED, DeviceLetterbox, FusedNetwork, unpack
from cath_perception.network.precision import in_precision


def pixels(height, width, dtype):
    frame = np.random.default_rng(height).random((height, width))
    return (frame * (250 if dtype == np.uint8 else 65535)).astype(dtype)


def uploaded(frame):
    """As a GPU backend uploads it."""
    tensor = torch.empty(frame.shape, dtype=STORED[frame.dtype])
    tensor.numpy().view(frame.dtype)[...] = frame
    return tensor[None]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "size",
    [
        (512, 512),
        (1024, 1024),
        (480, 640),
        (333, 517),
        (64, 50),
        (320, 320),
        (7, 400),
        (1, 400),
        (1000, 1001),
    ],
)
def test_letterbox_on_the_device_is_that_of_the_host(size, dtype):
    frame = pixels(*size, dtype)
    box = Letterbox.fit(size[1], size[0], 320)
    expected = box.apply(frame)
    found = DeviceLetterbox(box)(uploaded(frame))
    assert found.shape == (1, 1, 320, 320)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-6 * frame.max())


def electrodes(candidates, box):
    """By place, for near ties in score come in any order."""
    found = decode(candidates, box, 0.2, 0.3, 1.0)
    return np.array(sorted((round(e.x), e.x, e.y, e.score) for e in found))[:, 1:]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_raw_pixels_give_the_electrodes_of_the_host_path(bundle, dtype):
    frame = pixels(150, 210, dtype)
    box = Letterbox.fit(210, 150, bundle.input_size)
    with create_backend("torch", bundle, device="cpu") as host, torch.no_grad():
        expected, mask = (part.copy() for part in host.perceive(frame))
        packed = FusedNetwork(bundle.build(), box)(uploaded(frame)).numpy()
    candidates, other_mask = unpack(packed, bundle.input_size)
    assert len(electrodes(expected, box)) > 5
    np.testing.assert_allclose(electrodes(candidates[0], box), electrodes(expected, box), atol=0.1)
    np.testing.assert_allclose(other_mask[0], mask, atol=1e-3)


def test_two_planes_are_unpacked_apart(bundle):
    planes = torch.stack(
        [uploaded(pixels(90, 70, np.uint16))[0], uploaded(pixels(90, 70, np.uint16))[0] // 2]
    )
    with torch.no_grad():
        both = FusedNetwork(bundle.build(), Letterbox.fit(70, 90, 96))(planes)
        one = FusedNetwork(bundle.build(), Letterbox.fit(70, 90, 96))(planes[1:])
    candidates, mask = unpack(both.numpy(), 96)
    assert candidates.shape == (2, 128, 5)
    assert mask.shape == (2, 48, 48)
    np.testing.assert_allclose(mask[1], unpack(one.numpy(), 96)[1][0], atol=1e-4)


def test_half_precision_keeps_rule_and_decoding_in_float32(bundle):
    half = in_precision(bundle.build())
    assert {p.dtype for p in half.network.parameters()} == {torch.float16}
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in half.modules())
    assert in_precision(bundle.build(), torch.float32) is not half
    with torch.no_grad():
        candidates, mask = half(torch.rand(1, 1, 96, 96) * 65535)
    assert candidates.dtype == mask.dtype == torch.float32
    assert candidates.isfinite().all()


def test_the_shipped_model_in_half_precision_agrees_as_an_engine_must():
    """On the CPU, whose float16 rounds as a GPU's does; a GPU adds up in another order. Positions differ by 0.01 px, but
    where two neighbouring places of the heat-map are as high in float16, either may be the peak."""
    bundle = ModelBundle.load(default_bundle_path())
    whole, half = bundle.build(), in_precision(bundle.build())

    def answer(network, frame):
        with torch.no_grad():
            candidates, mask = network(torch.from_numpy(frame)[None, None])
        return candidates[0].numpy(), mask[0].numpy()

    found = compare(lambda f: answer(whole, f), lambda f: answer(half, f), made_frames(bundle.input_size, 3))
    assert found.candidates > 20
    assert found.refusal() is None
    assert max(found.score, found.mask) < 0.05


@pytest.mark.parametrize("name", ["paper", "paper-literal", "light"])
def test_folding_batch_norms_changes_nothing(name):
    torch.manual_seed(1)
    network = build({"name": name})
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    deployed = DeployedNetwork(network.eval()).eval()
    folded = in_precision(deployed, torch.bfloat16)
    folded.network.dtype = torch.float32
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        expected = deployed(image)[1]
        found = folded.float()(image)[1]
    np.testing.assert_allclose(found, expected, atol=0.05)
