"""Task weights on cases whose answer is known."""

import math

import pytest
import torch
from torch import Tensor, nn

from cath_training.config import PriorityConfig
from cath_training.taskweights import TASK_RULES, GradNorm, TaskView, last_shared


class TwoHeads(nn.Module):
    """One shared 1x1 convolution and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.early, self.shared = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1, bias=False)
        self.detect, self.segment = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)
        for bias in (self.early.bias, self.detect.bias, self.segment.bias):
            assert bias is not None
            nn.init.zeros_(bias)
        for head, gain in ((self.early, 1.0), (self.shared, 1.0), (self.detect, 3.0), (self.segment, 1.0)):
            nn.init.constant_(head.weight, gain)

    def losses(self, x: Tensor) -> Tensor:
        feature = self.shared(self.early(x))
        return torch.stack([self.detect(feature).mean(), self.segment(feature).mean()])


def weights(kappa: tuple[float, float], **settings: object) -> list[float]:
    config = PriorityConfig(**settings)  # type: ignore[arg-type]
    view = TaskView(torch.tensor(kappa), torch.ones(2), nn.Identity())
    values: list[float] = TASK_RULES[config.tasks](config).weights(view).tolist()
    return values


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"tasks": "inverse-kpi"}, [4.0, 1.25]),
        ({"tasks": "kpi"}, [0.25, 0.8]),
        ({"tasks": "constant", "constants": (10.0, 1.0)}, [10.0, 1.0]),
        ({"tasks": "dtp", "gamma": 2.0}, [-(0.75**2) * math.log(0.25), -(0.2**2) * math.log(0.8)]),
        ({"tasks": "single-detection"}, [1.0, 0.0]),
        ({"tasks": "single-segmentation"}, [0.0, 1.0]),
    ],
)
def test_rules(settings: dict[str, object], expected: list[float]) -> None:
    assert weights((0.25, 0.8), **settings) == pytest.approx(expected, rel=1e-5)


def test_failed_task_does_not_count_endlessly() -> None:
    assert weights((0.0, 1.0), tasks="inverse-kpi") == pytest.approx([20.0, 1.0])


def test_last_shared_is_the_last_convolution_that_both_tasks_need() -> None:
    network = TwoHeads()
    assert last_shared(network, network.losses(torch.ones(1, 1, 2, 2))) is network.shared.weight


def test_batch_that_moves_one_task_only_leaves_the_weights() -> None:
    network, rule = TwoHeads(), GradNorm(rate=0.1, exponent=1.5)
    losses = network.losses(torch.ones(1, 1, 2, 2)) * torch.tensor([1.0, 0.0])
    assert last_shared(network, losses) is None
    assert rule.weights(TaskView(torch.ones(2), losses, network)).tolist() == [1.0, 1.0]
    assert rule.first.isnan().all()


def test_gradnorm_takes_weight_from_the_task_that_pulls_harder() -> None:
    network, rule = TwoHeads(), GradNorm(rate=0.1, exponent=1.5)
    x = torch.ones(1, 1, 2, 2)
    got = rule.weights(TaskView(torch.ones(2), network.losses(x), network))
    # detection pulls with norm 3, segmentation with 1; both train at the same rate, so the goal is 2 for both
    expected = torch.tensor([1 - 0.1 * 3 / 2, 1 + 0.1 * 1 / 2])
    torch.testing.assert_close(got, 2 * expected / expected.sum())
    rule.rate = 0.01
    for _ in range(200):
        got = rule.weights(TaskView(torch.ones(2), network.losses(x), network))
    assert got.tolist() == pytest.approx([0.5, 1.5], abs=0.05)  # pulls 1.5 and 1.5
    assert float(got.sum()) == pytest.approx(2.0)


def test_gradnorm_favours_the_task_that_lags() -> None:
    network, rule = TwoHeads(), GradNorm(rate=0.1, exponent=1.5)
    nn.init.constant_(network.detect.weight, 1.0)
    losses = network.losses(torch.ones(1, 1, 2, 2))
    rule.load({"values": torch.ones(2), "first": losses.detach() * torch.tensor([1.0, 2.0])})
    got = rule.weights(TaskView(torch.ones(2), losses, network))  # segmentation has halved its loss
    assert got[0] > got[1]


def test_gradnorm_goes_on_from_its_state() -> None:
    network, rule, other = TwoHeads(), GradNorm(0.1, 1.5), GradNorm(0.1, 1.5)
    view = TaskView(torch.ones(2), network.losses(torch.ones(1, 1, 2, 2)), network)
    rule.weights(view)
    other.load(rule.state())
    assert torch.equal(rule.weights(view), other.weights(view))
