"""Prioritization on cases whose answer is known, and its agreement between processes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file

from cath_training.config import PriorityConfig
from cath_training.data.batches import Batch
from cath_training.priority import STRATEGIES, Memory, Prioritizer, SampleView, hardest

NAN = float("nan")


def column(*values: float) -> np.ndarray:
    return np.array([values, values], np.float32).T


def batch_of(identity: list[int]) -> Batch:
    none = torch.zeros(len(identity), 1, 1, 1)
    labelled = np.ones((len(identity), 2), bool)
    return Batch(none, none, none, none, none, none, [], np.array(identity), labelled)


def test_memory_is_a_moving_average_that_begins_with_the_first_value() -> None:
    memory = Memory(3, alpha=0.25)
    memory.update(np.array([1]), np.array([[0.4, NAN]], np.float32))
    memory.update(np.array([1, 1]), np.array([[0.8, 0.5], [NAN, 0.1]], np.float32))
    assert np.isnan(memory.kappa[[0, 2]]).all()
    np.testing.assert_allclose(memory.kappa[1], [0.25 * 0.8 + 0.75 * 0.4, 0.25 * 0.1 + 0.75 * 0.5], rtol=1e-6)


def test_hardest_share_with_unseen_samples_first() -> None:
    kappa = column(0.9, 0.1, 0.5, 0.3, 0.7)
    assert hardest(kappa, 0.4)[:, 0].tolist() == [False, True, False, True, False]
    assert hardest(kappa, 1.0).all()
    kappa[0] = kappa[4] = NAN
    assert hardest(kappa, 0.6)[:, 1].tolist() == [True, True, False, True, True]
    assert hardest(kappa, 0.2)[:, 1].tolist() == [True, True, False, False, True]  # unseen ones always


def test_samples_without_labels_take_no_place_among_the_hardest() -> None:
    """Masks of one in five images: what is left of the share is theirs, and not none."""
    kappa = np.full((100, 2), NAN, np.float32)
    kappa[:, 0] = np.linspace(0.0, 1.0, 100)
    kappa[::5, 1] = np.linspace(0.0, 1.0, 20)
    chosen = hardest(kappa, 0.7)
    assert chosen[:, 0].sum() == 70
    assert chosen[::5, 1].tolist() == [True] * 14 + [False] * 6


def test_tasks_rank_on_their_own() -> None:
    kappa = np.array([[0.1, 0.9], [0.9, 0.1]], np.float32)
    assert hardest(kappa, 0.5).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("all", [1, 1, 1, 1]),
        ("soft", [0.9, 0.6, 0.4, 0.0]),
        ("hard", [1, 1, 0, 0]),
        ("topk", [1, 0, 1, 0]),
        ("topk-soft", [0.9, 0, 0.4, 0]),
        ("topk-hard", [1, 0, 0, 0]),
        ("self-paced", [0, 1, 1, 0]),
    ],
)
def test_strategies(name: str, expected: list[float]) -> None:
    view = SampleView(
        kappa=column(0.1, 0.4, 0.6, 1.2),
        chosen=column(1, 0, 1, 0).astype(bool),
        loss=column(3.0, 0.5, 1.9, 2.0),
        threshold=0.5,
        pace=2.0,
    )
    weights = STRATEGIES[name](view)
    np.testing.assert_allclose(weights, column(*expected), rtol=1e-5)


def prioritizer(size: int = 4, steps: int = 10, batch: int = 2, **settings: object) -> Prioritizer:
    return Prioritizer(PriorityConfig(**settings), size, steps, batch)  # type: ignore[arg-type]


def test_loss_is_the_weighted_mean_times_the_task_weight() -> None:
    priority = prioritizer(samples="hard")
    priority.memory.kappa[:] = [[0.2, 0.9], [0.4, 0.9], [0.8, 0.2], [0.1, 0.1]]
    priority.task_kappa[:] = [0.25, 0.5]
    losses = torch.tensor([[3.0, 5.0], [7.0, 11.0], [100.0, 13.0]], requires_grad=True)
    loss = priority.loss(losses, batch_of([0, 1, 2]), torch.nn.Identity(), 0)
    # detection: samples 0 and 1 are hard; segmentation: sample 2 is
    assert float(loss.detach()) == pytest.approx((3 + 7) / 2 / 0.25 + 13 / 1 / 0.5)
    loss.backward()
    assert losses.grad is not None
    assert losses.grad.tolist() == [[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]


def test_soft_weights_below_one_in_all_are_not_blown_up() -> None:
    priority = prioritizer(samples="soft", tasks="constant")
    priority.memory.kappa[:] = 0.9
    loss = priority.loss(torch.tensor([[1.0, 2.0]]), batch_of([0]), torch.nn.Identity(), 0)
    assert float(loss) == pytest.approx(0.1 * 1 + 0.1 * 2, rel=1e-5)


def test_sample_without_label_does_not_count() -> None:
    priority = prioritizer(samples="all", tasks="constant")
    batch = batch_of([0, 1])
    batch.labelled[1, 0] = False
    losses = torch.tensor([[1.0, 4.0], [1000.0, 8.0]])
    assert float(priority.loss(losses, batch, torch.nn.Identity(), 0)) == pytest.approx(1 + 6)


def test_top_k_shrinks_from_keep_start_to_keep() -> None:
    priority = prioritizer(size=10, steps=10, batch=10, keep_start=1.0, keep=0.4)
    kappa = np.linspace(0.05, 0.95, 10, dtype=np.float32)
    batch = batch_of(list(range(10)))
    kept = []
    for step in (0, 5, 10):
        priority.update(np.column_stack([kappa, kappa]), torch.ones(10, 2), batch, step)
        kept.append(priority.chosen.sum(0).tolist())
    assert kept == [[10, 10], [7, 7], [4, 4]]
    assert priority.chosen[:4].all()


def test_ranking_happens_once_an_epoch() -> None:
    priority = prioritizer(size=4, batch=2, keep_start=0.25, keep=0.25)
    for step, expected in ((0, 8), (1, 2)):
        batch = batch_of([0, 1] if step == 0 else [2, 3])
        priority.update(np.full((2, 2), 0.5, np.float32), torch.ones(2, 2), batch, step)
        assert priority.chosen.sum() == expected


def test_self_paced_admits_ever_larger_losses() -> None:
    priority = prioritizer(samples="self-paced", steps=10, pace=(1.0, 3.0))
    priority.task_loss[:] = 2.0
    losses, batch = torch.tensor([[1.0, 1.0], [5.0, 5.0]]), batch_of([0, 1])
    weights = [priority.sample_weights(losses, batch, step)[:, 0].tolist() for step in (0, 10)]
    assert weights == [[1, 0], [1, 1]]


def test_state_goes_round() -> None:
    first, second = (prioritizer(tasks="gradnorm") for _ in range(2))
    first.update(column(0.2, 0.6), torch.ones(2, 2), batch_of([1, 3]), 1)
    second.load({name: value.clone() for name, value in first.state().items()})
    for name, value in first.state().items():
        assert torch.equal(value.nan_to_num(-1), second.state()[name].nan_to_num(-1)), name


def test_state_of_another_data_set_is_refused() -> None:
    with pytest.raises(ValueError, match="4 samples, the data set has 5"):
        prioritizer(size=5).load(prioritizer(size=4).state())


def _one_of_two(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    priority = prioritizer(size=4, batch=4, keep_start=0.5, keep=0.5)
    identity = [0, 1] if rank == 0 else [1, 2]
    kappa = column(0.2, 0.4) if rank == 0 else column(0.8, 0.6)
    priority.update(kappa, torch.full((2, 2), 1.0 + rank), batch_of(identity), 0)
    save_file(priority.state(), Path(folder) / f"{rank}.safetensors")
    dist.destroy_process_group()


def test_two_processes_agree(tmp_path: Path) -> None:
    mp.spawn(_one_of_two, (str(tmp_path),), nprocs=2)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    alone = prioritizer(size=4, batch=4, keep_start=0.5, keep=0.5)
    losses = torch.tensor([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0], [2.0, 2.0]])
    alone.update(column(0.2, 0.4, 0.8, 0.6), losses, batch_of([0, 1, 1, 2]), 0)
    for name, value in alone.state().items():
        assert torch.equal(first[name].nan_to_num(-1), second[name].nan_to_num(-1)), name
        assert torch.equal(first[name].nan_to_num(-1), value.nan_to_num(-1)), name
    assert math.isclose(float(first["memory"][1, 0]), 0.9 * 0.4 + 0.1 * 0.8, rel_tol=1e-6)
