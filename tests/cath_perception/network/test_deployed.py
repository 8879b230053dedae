import numpy as np
import pytest
import torch

from cath_perception.errors import BundleError
from cath_perception.network import build
from cath_perception.network.deployed import DeployedNetwork, IntensityRule


def test_percentiles_become_zero_and_one():
    image = torch.from_numpy(np.random.default_rng(0).gamma(2.0, 500.0, (2, 1, 96, 64)).astype(np.float32))
    out = IntensityRule(2.0, 98.0)(image)
    for given, got in zip(image, out, strict=True):
        low, high = np.percentile(given[0, 24:72:2, 16:48:2].numpy(), (2.0, 98.0), method="nearest")
        np.testing.assert_allclose(got, ((given - low) / (high - low)).clamp(-0.5, 1.5), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 255.0])
def test_what_surrounds_the_picture_does_not_matter(value):
    image = torch.rand(1, 1, 64, 64) * 60 + 80
    surrounded = torch.full_like(image, value)
    surrounded[:, :, 12:-12, 10:-10] = image[:, :, 12:-12, 10:-10]
    rule = IntensityRule()
    assert torch.equal(rule(surrounded)[:, :, 12:-12, 10:-10], rule(image)[:, :, 12:-12, 10:-10])


@pytest.mark.parametrize(("gain", "offset"), [(1 / 255, 0.0), (16.0, 0.0), (1.0, 30000.0)])
def test_range_of_the_pixels_does_not_matter(gain, offset):
    image = torch.rand(1, 1, 64, 64) * 255
    rule = IntensityRule()
    torch.testing.assert_close(rule(image * gain + offset), rule(image), atol=2e-3, rtol=0)


@pytest.mark.parametrize("value", [0.0, 255.0, 65535.0, -3e38, float("nan"), float("inf")])
def test_constant_and_impossible_images_give_numbers(bundle, value):
    network = bundle.build()
    candidates, mask = network(torch.full((1, 1, 96, 96), value))
    assert candidates.isfinite().all()
    assert mask.isfinite().all()
    assert (network.rule(torch.full((1, 1, 32, 32), value)) == 0).all()


def test_one_bad_pixel_costs_one_pixel():
    image = torch.rand(1, 1, 64, 64) + 1.0
    clean = IntensityRule()(image)
    image[0, 0, 5, 5] = float("nan")
    spoilt = IntensityRule()(image)
    assert spoilt.isfinite().all()
    assert (spoilt != clean).sum() == 1


def test_intensity_rule_refuses_integers_whose_differences_wrap():
    with pytest.raises(TypeError, match=r"x\.float"):
        IntensityRule()(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize(("low", "high"), [(50, 50), (-1, 99), (1, 101), (99, 1)])
def test_percentiles_are_checked(low, high):
    with pytest.raises(ValueError, match="percentiles"):
        IntensityRule(low, high)


def test_shapes_and_order(bundle):
    candidates, mask = bundle.build()(torch.rand(2, 1, 96, 96))
    assert candidates.shape == (2, 128, 5)
    assert mask.shape == (2, 48, 48)
    assert (candidates[:, :-1, 4] >= candidates[:, 1:, 4]).all()
    assert (candidates[..., 2:4] >= 0).all()
    assert ((mask >= 0) & (mask <= 1)).all()


class Coarse(torch.nn.Module):
    """A network of stride 4 without offset head, as the contract allows."""

    stride = 4

    def forward(self, x):
        pooled = torch.nn.functional.avg_pool2d(x, 4)
        return {"centre": pooled, "size": pooled.repeat(1, 2, 1, 1), "mask": pooled}


def test_mask_has_half_the_input_size_whatever_the_stride():
    candidates, mask = DeployedNetwork(Coarse(), candidates=20)(torch.rand(1, 1, 64, 64))
    assert candidates.shape == (1, 20, 5)
    assert mask.shape == (1, 32, 32)


def test_unknown_network_names_the_known():
    with pytest.raises(BundleError, match="expected a name out of light"):
        build({"name": "resnet"})
    with pytest.raises(BundleError, match="None"):
        build({})
