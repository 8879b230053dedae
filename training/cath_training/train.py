"""Train a network on synthetic fluoroscopy: ``./cath train CONFIG``.

Each step's data is a function of (seed, step) alone and the checkpoint holds weights, their running mean and the
optimizer's moments, so a run that was killed goes on as if it had not been.
"""

import json
import math
import time
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cath_perception.network import build
from cath_perception.network.deployed import IntensityRule, decode_maps
from cath_perception.scoring import match
from cath_training import kpi, losses
from cath_training.config import ConfigError, TrainConfig
from cath_training.data import bank, batches
from cath_training.priority import Prioritizer

VALIDATION_SEED = 7_000_000
LOG_EVERY = 20


class Trainer:
    """State of one run in ``folder``: ``state.safetensors`` (resume), ``mean.safetensors`` (result), ``log.jsonl``."""

    def __init__(self, config: TrainConfig, folder: Path, cache: Path, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.folder, self.device = config, folder, device
        self.console = Console()
        self.network: nn.Module = build(config.architecture).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.rule = IntensityRule(config.intensity_low, config.intensity_high)
        self.stride = int(self.network.stride)  # type: ignore[arg-type]
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        data = config.data
        self.batch_rule = batches.BatchRule(
            crop=data.crop, zoom=data.zoom, sigma=data.sigma, stride=self.stride, targets=data.targets
        )
        size = bank.BankSize(data.catheters, data.clutter, data.procedural)
        self.bank = bank.make(cache, size, config.seed, self._angiograms())
        self.priority: Prioritizer | None = None
        if config.priority:
            samples = len(self.bank.attenuation) + 1  # the last stands for all without a catheter
            self.priority = Prioritizer(config.priority, samples, config.steps, config.batch)
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if config.start_from:
            self.network.load_state_dict(load_file(config.start_from))
        self.mean = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        if (folder / "state.safetensors").exists():
            self._resume()

    def _angiograms(self) -> list[Path]:
        folder = Path(self.config.data.angiograms)
        paths = sorted(folder.glob("*.jpg"))[: self.config.data.angiograms_first]
        if not paths:
            self.console.print(f"no angiograms in {folder}: procedural backgrounds only")
        return paths

    def _resume(self) -> None:
        state = load_file(self.folder / "state.safetensors")
        self.step = int(state["step"])
        self.network.load_state_dict({k[8:]: v for k, v in state.items() if k.startswith("network.")})
        self.mean = {k[5:]: v.to(self.device) for k, v in state.items() if k.startswith("mean.")}
        parameters = dict(self.network.named_parameters())
        for name, parameter in parameters.items():
            if f"first.{name}" in state:
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": state[f"first.{name}"].to(self.device),
                    "exp_avg_sq": state[f"second.{name}"].to(self.device),
                }
        if self.priority:
            self._resume_priority({k[9:]: v for k, v in state.items() if k.startswith("priority.")})
        self.console.print(f"resumed at step {self.step}")

    def _resume_priority(self, state: dict[str, Tensor]) -> None:
        assert self.priority is not None
        if not state:
            raise ConfigError(
                f"{self.folder}: this run was begun without a priority section: train in another folder"
            )
        try:
            self.priority.load(state)
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"{self.folder}: the checkpoint does not fit the priority section: {error}"
            ) from error

    def save(self) -> None:
        """Write the checkpoint; a kill in the middle leaves the one before."""
        state = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        state |= {f"mean.{k}": v for k, v in self.mean.items()}
        for name, parameter in self.network.named_parameters():
            moments = self.optimizer.state.get(parameter)
            if moments:
                state[f"first.{name}"], state[f"second.{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
        if self.priority:
            state |= {f"priority.{k}": v for k, v in self.priority.state().items()}
        state["step"] = torch.tensor(self.step)
        for name, tensors in (("state", state), ("mean", self.mean)):
            part = self.folder / f"{name}.part"
            save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, part)
            part.replace(self.folder / f"{name}.safetensors")

    def _rate(self) -> float:
        config = self.config
        rise = min(1.0, (self.step + 1) / max(1, config.warmup))
        progress = min(1.0, self.step / config.steps)
        return config.learning_rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def train_step(self) -> dict[str, float]:
        """One optimizer step; returns the loss and its parts."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        batch = batches.draw(
            self.bank, self.batch_rule, config.batch, (config.seed, 10, self.step), self.device
        )
        self.network.train()
        maps = self.network(self.rule(batch.image).contiguous(memory_format=torch.channels_last))
        loss, parts = self._loss(maps, batch)
        if not torch.isfinite(loss):
            raise ConfigError(
                f"the loss is {float(loss)} at step {self.step}: lower learning_rate, or look at the data"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        self._update_mean()
        return {"loss": float(loss.detach())} | parts

    def _loss(self, maps: dict[str, Tensor], batch: batches.Batch) -> tuple[Tensor, dict[str, float]]:
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

    @torch.inference_mode()
    def validate(self, rounds: int = 4) -> dict[str, float]:
        """Recall, precision (score 0.4, 2 px) and median error in px of the mean weights on fixed unseen crops."""
        network = build(self.config.architecture).to(self.device)
        network.load_state_dict(self.mean)
        network.eval()
        found = truths = answers = 0
        errors: list[float] = []
        both = either = 0.0
        for k in range(rounds):
            batch = batches.draw(self.bank, self.batch_rule, 16, (VALIDATION_SEED, k), self.device)
            maps: dict[str, Tensor] = network(self.rule(batch.image))
            candidates = decode_maps(maps, self.stride).cpu().numpy()
            mask = maps["mask"] > 0
            target = batch.mask > 0.5
            both += float((mask & target).sum())
            either += float((mask | target).sum())
            for rows, truth in zip(candidates, batch.positions, strict=False):
                points = rows[rows[:, 4] > 0.4, :2]
                pairs, distance = match(points, truth, 2.0)
                found, truths, answers = found + len(pairs), truths + len(truth), answers + len(points)
                errors += distance.tolist()
        return {
            "recall": found / max(1, truths),
            "precision": found / max(1, answers),
            "error": sorted(errors)[len(errors) // 2] if errors else math.nan,
            "iou": both / max(1.0, either),
        }

    def log(self, row: dict[str, float]) -> None:
        """Append ``row`` to the log and show it."""
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"step": self.step} | row) + "\n")
        self.console.print(
            f"step {self.step}/{self.config.steps} " + " ".join(f"{k} {v:.3f}" for k, v in row.items())
        )

    def run(self) -> None:
        """Train to the end, saving and validating every ``save_every`` steps."""
        totals: dict[str, float] = {}
        began, since = time.monotonic(), self.step
        while self.step < self.config.steps:
            for name, value in self.train_step().items():
                totals[name] = totals.get(name, 0.0) + value
            if self.step % LOG_EVERY == 0:
                speed = (self.step - since) * self.config.batch / (time.monotonic() - began)
                self.log({k: v / LOG_EVERY for k, v in totals.items()} | {"samples_s": speed})
                totals = {}
            if self.step % self.config.save_every == 0 or self.step == self.config.steps:
                self.save()
                self.log(self.validate())
