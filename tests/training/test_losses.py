"""Losses against values worked out by hand."""

import math

import numpy as np
import pytest
import torch

from cath_training import losses
from cath_training.config import LossConfig
from cath_training.data.batches import Batch


def test_centre_focal_of_one_positive_and_one_negative() -> None:
    logits = torch.tensor([0.0, 0.0]).view(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.5]).view(1, 1, 1, 2)
    # p = 0.5: -(0.5^2 ln 0.5) - (0.5^4 0.5^2 ln 0.5)
    expected = -(0.25 + 0.0625 * 0.25) * math.log(0.5)
    assert float(losses.centre_focal(logits, target)) == pytest.approx(expected, rel=1e-5)


def test_centre_focal_without_positives_is_divided_by_one() -> None:
    loss = losses.centre_focal(torch.zeros(1, 1, 1, 3), torch.zeros(1, 1, 1, 3))
    assert float(loss) == pytest.approx(-3 * 0.25 * math.log(0.5), rel=1e-5)


def test_weighted_l1_counts_only_weighted_cells() -> None:
    value, target = torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0, 9.0]], [[3.0, 9.0]]]])
    weight = torch.tensor([[[[1.0, 0.0]]]])
    assert float(losses.weighted_l1(value, target, weight)) == pytest.approx(2.0)
    assert float(losses.weighted_l1(value, target, 0 * weight)) == 0.0


def test_mask_iou_of_a_half_right_answer() -> None:
    logits = torch.tensor([20.0, -20.0, -20.0, -20.0]).view(1, 1, 2, 2)
    target = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    _, iou = losses.mask_bce_iou(logits, target)
    assert float(iou) == pytest.approx(0.5, abs=1e-4)


def maps_and_batch(samples: int = 2, offset: bool = True) -> tuple[dict[str, torch.Tensor], Batch]:
    generator = torch.Generator().manual_seed(1)
    plane = lambda channels: torch.rand(samples, channels, 3, 3, generator=generator)  # noqa: E731
    maps = {"centre": plane(1), "offset": plane(2), "size": plane(2), "mask": plane(1)}
    if not offset:
        del maps["offset"]
    centre = 0.5 * plane(1)
    centre[:, 0, 1, 1] = 1.0
    weight = (centre == 1).float()
    boxes = [np.zeros((1, 4), np.float32)] * samples
    identity, labelled = np.arange(samples), np.ones((samples, 2), bool)
    batch = Batch(plane(1), centre, plane(2), plane(2), weight, plane(1).round(), boxes, identity, labelled)
    return maps, batch


def test_weights_of_the_parts_are_those_of_the_configuration() -> None:
    maps, batch = maps_and_batch()
    weights = LossConfig(offset=3.0, size=5.0, bce=7.0, iou=11.0)
    loss, parts = losses.total(maps, batch, weights)
    by_hand = parts["focal"] + 3 * parts["offset"] + 5 * parts["size"] + 7 * parts["bce"] + 11 * parts["iou"]
    assert float(loss) == pytest.approx(by_hand, rel=1e-5)
    default, _ = losses.total(maps, batch)
    usual = parts["focal"] + parts["offset"] + 0.1 * parts["size"] + 2 * parts["bce"] + parts["iou"]
    assert float(default) == pytest.approx(usual, rel=1e-5)


def test_network_without_offset_head_has_no_offset_loss() -> None:
    _, parts = losses.total(*maps_and_batch(offset=False))
    assert parts["offset"] == 0.0
    maps, batch = maps_and_batch(offset=False)
    assert float(losses.each(maps, batch)["offset"].sum()) == 0.0


def test_loss_of_each_sample_is_that_of_a_batch_of_one() -> None:
    maps, batch = maps_and_batch(3)
    each = losses.each(maps, batch)
    for i in range(3):
        one = Batch(
            *(
                t[i : i + 1]
                for t in (batch.image, batch.centre, batch.offset, batch.size, batch.weight, batch.mask)
            ),
            boxes=batch.boxes[i : i + 1],
            identity=batch.identity[i : i + 1],
            labelled=batch.labelled[i : i + 1],
        )
        _, parts = losses.total({k: v[i : i + 1] for k, v in maps.items()}, one)
        for name, value in parts.items():
            assert float(each[name][i]) == pytest.approx(value, rel=1e-5), name


def test_losses_by_task_by_hand() -> None:
    parts = {
        name: torch.tensor([float(i)]) for i, name in enumerate(("focal", "offset", "size", "bce", "iou"), 1)
    }
    weights = LossConfig(offset=10.0, size=100.0, bce=0.5, iou=0.25)
    assert losses.by_task(parts, weights).tolist() == [[1 + 20 + 300, 2 + 1.25]]


def test_missing_labels_switch_off_their_task() -> None:
    maps, batch = maps_and_batch(2)
    for value in maps.values():
        value.requires_grad_()
    batch.labelled[1, 0] = batch.labelled[0, 1] = False
    losses.total(maps, batch)[0].backward()
    for name, silent in (("centre", 1), ("offset", 1), ("size", 1), ("mask", 0)):
        grad = maps[name].grad
        assert grad is not None
        assert not grad[silent].any(), name
        assert grad[1 - silent].any(), name


def test_batch_without_any_label_has_no_loss() -> None:
    maps, batch = maps_and_batch(2)
    batch.labelled[:] = False
    loss, parts = losses.total(maps, batch)
    assert float(loss) == 0.0
    assert set(parts.values()) == {0.0}


def test_gradients_against_finite_differences() -> None:
    maps, batch = maps_and_batch(2)
    maps = {name: value.double().requires_grad_() for name, value in maps.items()}
    for name in ("centre", "offset", "size", "weight", "mask"):
        setattr(batch, name, getattr(batch, name).double())
    names = list(maps)

    def whole(*values: torch.Tensor) -> torch.Tensor:
        return losses.total(dict(zip(names, values, strict=True)), batch)[0]

    def each(*values: torch.Tensor) -> torch.Tensor:
        return losses.by_task(losses.each(dict(zip(names, values, strict=True)), batch), LossConfig())

    assert torch.autograd.gradcheck(whole, tuple(maps.values()))
    assert torch.autograd.gradcheck(each, tuple(maps.values()))
