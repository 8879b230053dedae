"""A small bundle with random weights, for what does not depend on a network having learnt anything, and a tracker."""

from pathlib import Path

import pytest
import torch

from cath_perception.bundle import ModelBundle
from cath_perception.network import build
from cath_perception.network.deployed import IntensityRule
from cath_perception.recognition import Recognizer
from cath_perception.tracking import CatheterTracker

ARCHITECTURE = {"name": "light", "widths": [8, 16, 16, 24, 32], "decoder": [24, 16, 16], "hidden": 8}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """Input 96 px; the centre head's weights are wide, so that peaks differ clearly and some pass the threshold."""
    torch.manual_seed(3)
    network = build(ARCHITECTURE)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():  # so that features have the size that trained ones have
        network.train()(IntensityRule()(torch.rand(8, 1, 96, 96)))
    for head in (network.detect, network.segment):
        for project in head.project.values():
            torch.nn.init.normal_(project.weight, std=1.0)
    description = ModelBundle(
        name="random", architecture=ARCHITECTURE, input_size=96, electrode_threshold=0.2
    )
    return description.save(tmp_path_factory.mktemp("random"), network)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted models shared by the tests of this run."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tracker() -> CatheterTracker:
    """A tracker that has seen nothing yet."""
    return CatheterTracker(Recognizer.load())
