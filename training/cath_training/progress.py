"""What one sees of a training run: a progress bar, ``log.jsonl``, and TensorBoard's scalars and pictures."""

import json
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from cath_training.data.batches import Batch

SHOWN = 4  # samples in a picture
ENLARGED = 2


class Display:
    """Shows a run and keeps its history in ``folder``; with ``quiet``, for all processes but the first, does nothing.

    Rows and events of steps after ``step``, which a run that was killed may have left, are dropped.

    Args:
        folder: of the run; TensorBoard's files go to ``tensorboard`` in it.
        name: of the run.
        step, steps: where it stands and where it ends.
        quiet: whether to show and write nothing.
    """

    def __init__(self, folder: Path, name: str, step: int, steps: int, quiet: bool = False) -> None:
        self.folder, self.step, self.steps, self.quiet = folder, step, steps, quiet
        self.console = Console(quiet=quiet)
        self.writer: SummaryWriter | None = None
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task(name, total=steps, completed=step, figures="")

    def __enter__(self) -> "Display":
        if not self.quiet:
            self._forget_later_rows()
            self.writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.step + 1)
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        if self.writer:
            self.writer.close()

    def _forget_later_rows(self) -> None:
        path = self.folder / "log.jsonl"
        if not path.exists():
            return
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(x for x in lines if x.endswith("\n") and json.loads(x)["step"] <= self.step))

    def advance(self, step: int) -> None:
        """Move the bar."""
        self.step = step
        self.bar.update(self.task, completed=step)

    def figures(self, group: str, row: dict[str, float]) -> None:
        """Append ``row`` to the log and to TensorBoard's ``group``, and show it."""
        if self.quiet:
            return
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"step": self.step} | row) + "\n")
        if self.writer:
            for name, value in row.items():
                self.writer.add_scalar(f"{group}/{name}", value, self.step)
        text = " ".join(f"{name} {value:.3f}" for name, value in row.items())
        if group == "train" and self.console.is_terminal:
            shown = {"loss", "samples_s"} & row.keys()
            self.bar.update(self.task, figures=" ".join(f"{name} {row[name]:.3g}" for name in sorted(shown)))
        else:
            self.console.print(f"step {self.step}/{self.steps} {text}")

    def picture(
        self, name: str, batch: Batch, answers: list[NDArray[np.floating]], mask: Tensor | None
    ) -> None:
        """Write the first samples of ``batch`` side by side, see ``sheet``, to TensorBoard."""
        if self.writer:
            self.writer.add_image(name, sheet(batch, answers, mask), self.step, dataformats="HWC")


def sheet(batch: Batch, answers: list[NDArray[np.floating]], mask: Tensor | None) -> NDArray[np.uint8]:
    """Samples side by side, RGB: the image above (truth green circles, answers red crosses), the mask below.

    Args:
        batch: images and truth.
        answers: for each sample ``(N, 2)`` electrodes found, in px of the image; may be empty.
        mask: ``(B, 1, h, w)`` probabilities, white in the lower row over the truth in green; None shows the truth only.
    """
    columns = []
    for b in range(min(SHOWN, len(batch.image))):
        picture = _grey(batch.image[b, 0])
        for x, y in batch.positions[b]:
            cv2.circle(picture, _place(x, y), 5, (0, 220, 0), 1, cv2.LINE_AA)
        for x, y in answers[b] if answers else ():
            cv2.drawMarker(picture, _place(x, y), (255, 60, 60), cv2.MARKER_TILTED_CROSS, 6, 1, cv2.LINE_AA)
        truth = _enlarged(batch.mask[b, 0], picture)
        found = truth if mask is None else _enlarged(mask[b, 0], picture)
        lower = np.stack([found, truth, found], axis=-1)
        columns.append(np.vstack([picture, (255 * lower).round().astype(np.uint8)]))
    return np.hstack(columns)


def _grey(image: Tensor) -> NDArray[np.uint8]:
    grey = (255 * image.detach().float().clamp(0, 1)).round().to(torch.uint8).cpu().numpy()
    large = cv2.resize(grey, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)


def _enlarged(plane: Tensor, like: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = plane.detach().float().clamp(0, 1).cpu().numpy()
    return np.asarray(cv2.resize(values, like.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.float32)


def _place(x: float, y: float) -> tuple[int, int]:
    """Px of the image -> px of the enlarged one."""
    return round((float(x) + 0.5) * ENLARGED - 0.5), round((float(y) + 0.5) * ENLARGED - 0.5)
