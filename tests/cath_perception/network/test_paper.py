"""The paper's network: counts against those worked out from the paper, shapes, and the deployed form."""

import importlib.util
import sys
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cath_perception.errors import BundleError
from cath_perception.network import backbones, build
from cath_perception.network.deployed import DeployedNetwork

NEEDS_TIMM = ("vgg16", "hrnet_w18", "hrnet_w32")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(1)


@pytest.mark.parametrize(
    ("architecture", "parameters", "gmac"),
    [
        ({"name": "paper", "offset": False}, 32.50, 20.0),
        ({"name": "paper"}, 32.50, 20.8),  # the offset head is 0.6 % of the parameters
        ({"name": "paper-literal"}, 14.80, 15.5),
    ],
)
def test_parameters_and_operations(architecture: dict[str, Any], parameters: float, gmac: float) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network = build(architecture).eval()
        network(torch.zeros(1, 1, 256, 256))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(parameters, rel=0.01)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, rel=0.01)


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [("resnet18", 27.1), ("vgg16", 43.6), ("hrnet_w18", 38.4), ("hrnet_w32", 58.3)],
)
def test_backbones(backbone: str, parameters: float) -> None:
    if backbone in NEEDS_TIMM and importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed (requirements/backbones.txt)")
    architecture = {"name": "paper", "offset": False, "backbone": backbone}
    with torch.device("meta"), torch.no_grad():
        network = build(architecture)
        maps = network.eval()(torch.zeros(1, 1, 64, 64))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(parameters, rel=0.01)
    assert maps["centre"].shape == (1, 1, 16, 16)


def test_resnet34_equals_that_of_timm() -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed (requirements/backbones.txt)")
    ours = backbones.ResNet((3, 4, 6)).eval()
    theirs = backbones.TimmBackbone("resnet34", (1, 2, 3)).eval()
    theirs.body.load_state_dict(ours.state_dict())
    image = torch.randn(1, 1, 64, 96)
    with torch.no_grad():
        for a, b in zip(ours(image), theirs(image), strict=True):
            torch.testing.assert_close(a, b)


def test_missing_timm_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(BundleError, match=r"vgg16.*requirements/backbones\.txt"):
        build({"name": "paper", "backbone": "vgg16"})


def test_unknown_backbone_is_named() -> None:
    with pytest.raises(BundleError, match="resnet50"):
        build({"name": "paper", "backbone": "resnet50"})


@pytest.mark.parametrize("name", ["paper", "paper-literal"])
def test_deployed(name: str) -> None:
    network = DeployedNetwork(build({"name": name, "backbone": "resnet18"}), candidates=50).eval()
    with torch.no_grad():
        candidates, mask = network(torch.rand(2, 1, 64, 64) * 4095)
    assert candidates.shape == (2, 50, 5)
    assert mask.shape == (2, 32, 32)
    assert float(mask.min()) >= 0
    assert float(mask.max()) <= 1
    whole = (candidates[..., :2] - 1.5) / 4  # without an offset head, positions are centres of 4 px cells
    on_cells = torch.allclose(whole, whole.round(), atol=1e-5)
    assert on_cells == (name == "paper-literal")


def test_offset_head_can_be_switched() -> None:
    for name, default in (("paper", True), ("paper-literal", False)):
        small = {"name": name, "backbone": "resnet18"}
        with torch.device("meta"):
            image = torch.zeros(2, 1, 32, 32)
            assert ("offset" in build(small)(image)) == default
            assert ("offset" in build({**small, "offset": not default})(image)) != default


def test_every_parameter_learns() -> None:
    network = build({"name": "paper", "backbone": "resnet18"})
    maps = network(torch.randn(2, 1, 32, 32))
    sum(m.square().mean() for m in maps.values()).backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in network.parameters())
