"""What each process that torchrun starts does in test_processes.py: some steps of every prioritization, results to files."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from cath_training.config import ConfigError

from .settings import PRIORITIES, SMALL, hold_batch_norm, trainer

STEPS = 3


def main(folder: Path, cache: Path) -> None:
    torch.set_num_threads(1)
    hold_batch_norm()
    for name, priority in PRIORITIES.items():
        run = trainer(replace(SMALL, batch=4, priority=priority), folder / name, cache)
        assert run.fabric.world_size == 2
        run.train_step()
        gradients = {
            key: p.grad.clone().contiguous()
            for key, p in run.network.named_parameters()
            if p.grad is not None
        }
        for _ in range(1, STEPS):
            run.train_step()
        state = run.priority.state() if run.priority else {}
        rank = run.fabric.global_rank
        save_file(gradients, folder / f"{name}-{rank}-gradients.safetensors")
        save_file({"step": torch.tensor(run.step)} | state, folder / f"{name}-{rank}-state.safetensors")
        run.save()
    own = folder / ("none" if run.fabric.is_global_zero else "nothing here")
    run.fabric.barrier()
    try:
        trainer(replace(SMALL, batch=4), own, cache)
    except ConfigError as error:
        (folder / f"refusal-{run.fabric.global_rank}.txt").write_text(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
