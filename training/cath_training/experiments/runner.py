"""Runs a plan: every variant with every seed, one file for each, so that a run that was killed loses one of them only."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console

from cath_training import checkpoint
from cath_training.config import TrainConfig
from cath_training.data import source
from cath_training.data.batches import Batch
from cath_training.experiments import measure, plans, tables
from cath_training.train import Trainer, stride

OTHER_SAMPLES = 1000  # between the seed of a start and that of what follows
TIMED = 5  # steps that tell how long one takes


class Remembered:
    """A source whose batches are drawn once, before the clock starts, and met by all that ask with the same seed."""

    def __init__(self, samples: source.Source) -> None:
        self.source, self.samples = samples, samples.samples
        self.batches: dict[tuple[int, ...], Batch] = {}

    def draw(self, count: int, seed: tuple[int, ...], device: torch.device) -> Batch:
        """What the source draws for ``seed``."""
        if (key := (count, *seed)) not in self.batches:
            self.batches[key] = self.source.draw(count, seed, device)
        return self.batches[key]

    def draw_unseen(self, count: int, seed: tuple[int, ...], device: torch.device) -> Batch:
        """What the source draws."""
        return self.source.draw_unseen(count, seed, device)


class Runner:
    """The runs of ``plan`` in ``folder``: ``VARIANT-SEED.json`` each. On one CPU core.

    Args:
        plan: what to compare.
        folder: where results are, and checkpoints of what the variants start from.
        cache: where generated geometry is kept.
    """

    def __init__(self, plan: plans.Plan, folder: Path, cache: Path) -> None:
        self.plan, self.folder, self.cache = plan, folder, cache
        self.fabric = Fabric(accelerator="cpu", devices=1)
        self.sources: dict[tuple[Any, ...], Remembered] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, variant: plans.Variant, seed: int) -> Path:
        """The file of one run's figures."""
        return self.folder / f"{variant.name}-{seed}.json"

    def result(self, variant: plans.Variant, seed: int) -> dict[str, float]:
        """Figures of one run, from its file if there is one."""
        path = self.path(variant, seed)
        if not path.exists():
            config = replace(variant.config, seed=seed)
            if self.plan.start:  # and go on with samples that the start has not met
                config = replace(config, seed=seed + OTHER_SAMPLES, start_from=str(self._start()))
            if variant.like:
                other = next(v for v in self.plan.variants if v.name == variant.like)
                config = replace(config, steps=self._steps(config, self.result(other, seed)["seconds"]))
            figures = {k: v for k, v in self._train(config).items() if k not in variant.untrained}
            part = path.with_suffix(".part")
            part.write_text(json.dumps(figures))
            part.replace(path)
        kept: dict[str, float] = json.loads(path.read_text())
        return kept

    def _train(self, config: TrainConfig) -> dict[str, float]:
        trainer = self._trainer(config)
        for step in range(config.steps):
            trainer.source.draw(config.batch, (config.seed, 10, step, 0), self.fabric.device)
        began = time.process_time()
        for _ in range(config.steps):
            trainer.train_step()
        seconds = time.process_time() - began
        figures = measure.figures(trainer, self.cache)
        return figures | {"seconds": seconds, "samples": config.steps * config.batch}

    def _trainer(self, config: TrainConfig) -> Trainer:
        key = (config.data, stride(config), config.seed)
        if key not in self.sources:
            self.sources[key] = Remembered(
                source.make(config.data, stride(config), measure.TRAIN_BANK, self.cache)
            )
        return Trainer(config, self.folder / "unsaved", self.sources[key], self.fabric)

    def _start(self) -> Path:
        """Weights that the variants start from."""
        assert self.plan.start is not None
        folder = self.folder / "start"
        path = folder / checkpoint.MEAN
        if not (folder / "figures.json").exists():
            config = self.plan.start
            samples = source.make(config.data, stride(config), measure.TRAIN_BANK, self.cache)
            trainer = Trainer(config, folder, samples, self.fabric)
            while trainer.step < config.steps:
                trainer.train_step()
                if trainer.step % 100 == 0 or trainer.step == config.steps:
                    trainer.save()
            (folder / "figures.json").write_text(json.dumps(measure.figures(trainer, self.cache)))
        return path

    def _steps(self, config: TrainConfig, seconds: float) -> int:
        """Steps of ``config`` that take as long."""
        trainer = self._trainer(config)
        trainer.train_step()
        for step in range(1, TIMED + 1):
            trainer.source.draw(config.batch, (config.seed, 10, step, 0), self.fabric.device)
        began = time.process_time()
        for _ in range(TIMED):
            trainer.train_step()
        return max(1, round(seconds * TIMED / (time.process_time() - began)))


def run(name: str, out: Path, cache: Path, doc: Path | None, report: bool = False) -> int:
    """Run the plan called ``name`` in ``out/name`` and write its table as JSON, and into ``doc`` if given.

    With ``report`` nothing is trained: the tables are of the runs that are there.
    """
    torch.set_num_threads(1)
    console, plan = Console(), plans.PLANS[name]()
    runner = Runner(plan, out / name, cache)
    rows: dict[str, list[dict[str, float]]] = {}
    for variant in plan.variants:
        seeds = [seed for seed in plan.seeds if not report or runner.path(variant, seed).exists()]
        if not seeds:
            continue
        rows[variant.name] = [runner.result(variant, seed) for seed in seeds]
        results = tables.summary(rows)
        (out / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")
        console.print(tables.line(variant.name, results[variant.name]))
    if doc:
        tables.write(doc, name, plan, tables.summary(rows))
    return 0
