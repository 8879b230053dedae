"""Train a network: ``./cath train CONFIG``, on one CPU, one GPU or several processes of one or more machines.

Each step's data is a function of (seed, step, process) alone and the checkpoint holds weights, their running mean, the
optimizer's moments and the prioritization's memory, so a run that was killed goes on as if it had not been.
"""

import math
import time
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cath_perception.network import build
from cath_perception.network.deployed import IntensityRule, decode_maps
from cath_perception.scoring import match
from cath_training import checkpoint, kpi, losses, processes
from cath_training.config import ConfigError, TrainConfig
from cath_training.data.batches import Batch
from cath_training.data.source import Source
from cath_training.priority import Prioritizer
from cath_training.progress import SHOWN, Display

VALIDATION_SEED = 7_000_000
CONFIDENT = 0.4  # score from which validation counts an answer


def stride(config: TrainConfig) -> int:
    """Px per cell of the network's maps."""
    return int(build(config.architecture).stride)  # type: ignore[arg-type]


class Trainer:
    """State of one run in ``folder``: ``state.safetensors`` (resume), ``mean.safetensors`` (result), ``log.jsonl``.

    Args:
        config: what to train.
        folder: of the run; a run that is there is resumed.
        source: where samples come from.
        fabric: devices and processes, ``processes.start(config)``.
    """

    def __init__(self, config: TrainConfig, folder: Path, source: Source, fabric: Fabric) -> None:
        torch.manual_seed(config.seed)
        self.config, self.folder, self.source, self.fabric = config, folder, source, fabric
        self.device = fabric.device
        self.share = processes.share(config.batch)
        self.rule = IntensityRule(config.intensity_low, config.intensity_high)
        self._set_up_network()
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self._stepper = fabric.setup_optimizers(self.optimizer)
        self.priority: Prioritizer | None = None
        if config.priority:
            self.priority = Prioritizer(config.priority, source.samples, config.steps, config.batch)
        self.step = 0
        self.mean = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / checkpoint.STATE).exists():
            self.step, self.mean = checkpoint.load(folder, self.network, self.optimizer, self.priority)
            fabric.print(f"resumed at step {self.step}")
        steps = processes.gathered(np.array([self.step]))
        if (steps != self.step).any():
            raise ConfigError(
                f"{folder}: the processes found checkpoints of steps {', '.join(map(str, steps))}: the folder must be the "
                "same one on all machines"
            )

    def _set_up_network(self) -> None:
        """``network`` has the weights, under the names of the checkpoint; ``_forward`` runs it over all processes."""
        self.network: nn.Module = build(self.config.architecture)
        self.stride = int(self.network.stride)  # type: ignore[arg-type]
        if self.config.start_from:
            self._start_from(Path(self.config.start_from))
        # on CPUs, where this does not exist, each process normalizes its own share
        if self.fabric.world_size > 1 and self.device.type == "cuda":
            self.network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
        self.network = self.network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.config.compile:
            self.network.compile()
        self._forward = self.fabric.setup_module(self.network)

    def _start_from(self, path: Path) -> None:
        try:
            # blocks that the weights lack change nothing until they are trained
            fresh = {k: v for k, v in self.network.state_dict().items() if k.startswith("refine.")}
            self.network.load_state_dict(fresh | load_file(path))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"start_from: {path} does not fit this architecture: {error}") from error

    def save(self) -> None:
        """Write the checkpoint."""
        if self.fabric.is_global_zero:
            checkpoint.save(self.folder, self.step, self.network, self.mean, self.optimizer, self.priority)

    def _rate(self) -> float:
        config = self.config
        rise = min(1.0, (self.step + 1) / max(1, config.warmup))
        progress = min(1.0, self.step / config.steps)
        return config.learning_rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def draw(self) -> Batch:
        """This process's share of the next step's batch."""
        return self.source.draw(
            self.share, (self.config.seed, 10, self.step, self.fabric.global_rank), self.device
        )

    def train_step(self, batch: Batch | None = None) -> dict[str, float]:
        """One optimizer step, on ``draw()`` unless a batch is given; returns the loss and its parts."""
        batch = batch or self.draw()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self._forward.train()
        loss, parts = self._loss(self.maps(self._forward, batch), batch)
        if not torch.isfinite(loss):
            raise ConfigError(
                f"the loss is {float(loss)} at step {self.step}: lower learning_rate, or look at the data"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._stepper.step()
        self.step += 1
        self._update_mean()
        return {"loss": float(loss.detach())} | parts

    def maps(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """What ``network`` answers to the batch."""
        answer: dict[str, Tensor] = network(
            self.rule(batch.image).contiguous(memory_format=torch.channels_last)
        )
        return answer

    def _loss(self, maps: dict[str, Tensor], batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss to descend and its parts; with prioritization the parts are plain means over the samples."""
        if not self.priority:
            return losses.total(maps, batch, self.config.loss)
        each = losses.each(maps, batch)
        tasks = losses.by_task(each, self.config.loss)
        loss = self.priority.loss(tasks, batch, self.network, self.step)
        kappa = kpi.measure(maps, each, batch, self.stride, self.priority.config)
        self.priority.update(kappa, tasks, batch, self.step)
        progress = dict(zip(("kappa_d", "kappa_s"), self.priority.task_kappa.tolist(), strict=True))
        return loss, {name: float(value.detach().mean()) for name, value in each.items()} | progress

    @torch.no_grad()
    def _update_mean(self) -> None:
        keep = min(self.config.mean_decay, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.mean[name].lerp_(value, 1 - keep)
            else:
                self.mean[name].copy_(value)

    def mean_network(self) -> nn.Module:
        """The network with the mean weights, for answers."""
        network = build(self.config.architecture).to(self.device)
        network.load_state_dict(self.mean)
        answering: nn.Module = network.eval()
        return answering

    @torch.inference_mode()
    def validate(self, rounds: int = 4, display: Display | None = None) -> dict[str, float]:
        """Recall, precision (score 0.4, 2 px), median error in px and IoU of the mean weights on fixed crops.

        Over what is labelled; NaN where nothing is.
        """
        network = self.mean_network()
        found = truths = answers = 0
        errors: list[float] = []
        both = either = 0.0
        for k in range(rounds):
            batch = self.source.draw_unseen(16, (VALIDATION_SEED, k), self.device)
            maps = self.maps(network, batch)
            kept = [rows[rows[:, 4] > CONFIDENT, :2] for rows in decode_maps(maps, self.stride).cpu().numpy()]
            drawn = torch.from_numpy(batch.labelled[:, 1])  # masks that somebody drew
            mask, target = (maps["mask"] > 0).cpu()[drawn], (batch.mask > 0.5).cpu()[drawn]
            both += float((mask & target).sum())
            either += float((mask | target).sum())
            for points, truth, known in zip(kept, batch.positions, batch.labelled[:, 0], strict=True):
                if not known:
                    continue
                pairs, distance = match(points, truth, 2.0)
                found, truths, answers = found + len(pairs), truths + len(truth), answers + len(points)
                errors += distance.tolist()
            if display and k == 0:
                display.picture("answers", batch, kept[:SHOWN], maps["mask"].sigmoid())
        return {
            "recall": found / truths if truths else math.nan,
            "precision": found / max(1, answers) if truths else math.nan,
            "error": sorted(errors)[len(errors) // 2] if errors else math.nan,
            "iou": both / either if either else math.nan,
        }

    def run(self) -> None:
        """Train to the end, logging every ``log_every`` steps, saving and validating every ``save_every``."""
        config, first = self.config, self.fabric.is_global_zero
        totals: dict[str, float] = {}
        with Display(self.folder, config.name, self.step, config.steps, quiet=not first) as display:
            if first and self.step == 0:
                display.picture("data", self.draw(), [], None)
            began, since, logged = time.monotonic(), self.step, self.step
            while self.step < config.steps:
                for name, value in self.train_step().items():
                    totals[name] = totals.get(name, 0.0) + value
                display.advance(self.step)
                if self.step % config.log_every == 0:
                    speed = (self.step - since) * config.batch / (time.monotonic() - began)
                    row = self._over_all(totals, self.step - logged) | {
                        "samples_s": speed,
                        "learning_rate": self._rate(),
                    }
                    display.figures("train", row)
                    totals, logged = {}, self.step
                if self.step % config.save_every == 0 or self.step == config.steps:
                    self.save()
                    if first:
                        display.figures("validation", self.validate(display=display))

    def _over_all(self, totals: dict[str, float], steps: int) -> dict[str, float]:
        """Means over these ``steps`` and over processes."""
        values = processes.averaged(torch.tensor(list(totals.values()), dtype=torch.float64))
        return dict(zip(totals, (values / steps).tolist(), strict=True))
