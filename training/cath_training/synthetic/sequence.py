"""A fluoroscopy run of a beating, breathing patient with every label: ``SyntheticSequence``."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cath_perception.types import Catheter, Centerline, Electrode
from cath_training.synthetic import background, curves, formation, geometry, instruments
from cath_training.synthetic.carm import CArm
from cath_training.synthetic.instruments import Instrument
from cath_training.synthetic.motion import PatientMotion, Steering

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SyntheticFrame:
    """One frame with its truth.

    Attributes:
        pixels: ``(size, size)`` uint8.
        time_s: from the start of the run.
        catheters: truth in px of this frame, ids stable through the run.
        respiratory_px, cardiac_px: ``(2,)`` mean displacement of the reference (first) catheter's electrodes by each.
        hidden: by catheter id ``(M, 2)`` px of the electrodes within the frame that a shutter covers.
    """

    pixels: NDArray[np.uint8]
    time_s: float
    catheters: tuple[Catheter, ...]
    respiratory_px: NDArray[np.float64]
    cardiac_px: NDArray[np.float64]
    hidden: dict[int, Points]


def _kinds(rng: np.random.Generator, count: int) -> list[str]:
    others = ["ablation", "quadripolar", "circular_mapping"]
    if rng.random() < 0.5:
        others[1:] = others[:0:-1]
    return ["coronary_sinus", *others][:count]


class SyntheticSequence:
    """An endless supply of the same run: iterating twice gives the same bytes.

    Args:
        seconds, rate: length in s and frames a second.
        size: side of the square frames in px, over 150 to 190 mm of detector.
        seed: of everything.
        catheters: how many, 1 to 4: coronary sinus, ablation, then quadripolar or circular mapping.
        clutter: how many unlabelled things.
        quanta: X-ray quanta per pixel at full intensity, 150 (low dose) to 8000 (cine); 0 draws it.
    """

    def __init__(
        self,
        seconds: float = 20.0,
        rate: float = 15.0,
        size: int = 512,
        seed: int = 1,
        catheters: int = 3,
        clutter: int = 2,
        quanta: float = 900.0,
    ) -> None:
        if not (0 < seconds <= 3600 and 0 < rate <= 120 and 64 <= size <= 2048 and 0 <= catheters <= 4):
            raise ValueError(
                "a synthetic run takes seconds in (0, 3600], rate in (0, 120], size in [64, 2048], catheters in [0, 4]; "
                f"got seconds={seconds}, rate={rate}, size={size}, catheters={catheters}"
            )
        self.seconds, self.rate, self.size, self.seed = float(seconds), float(rate), int(size), int(seed)
        self.frames = max(1, round(seconds * rate))
        rng = np.random.default_rng([self.seed, 20])
        self.carm = CArm(self.size, rng.uniform(150, 190) / self.size)
        self.instruments = [part for kind in _kinds(rng, int(catheters)) for part in self._placed(rng, kind)]
        self.steering = [
            Steering(rng, rng.uniform(2, 9) if p.type == "ablation" else 0.8) for p in self.instruments
        ]
        self.clutter = [instruments.clutter(rng) for _ in range(int(clutter))]
        self.motion = PatientMotion(self.seconds, rng)
        side = self.size + 2 * self._margin()
        self.background = cv2.resize(
            background.procedural(rng, 448), (side, side), interpolation=cv2.INTER_CUBIC
        )
        generator = torch.Generator().manual_seed(self.seed)
        exposure = formation.draw_exposure(generator, 1, torch.device("cpu"), inverted=0.0)
        zoom = self.size / 320  # exposures are drawn for the network's input size
        self.exposure = replace(
            exposure,
            blur=exposure.blur * zoom,
            sharpen_blur=exposure.sharpen_blur * zoom,
            quanta=torch.full_like(exposure.quanta, quanta) if quanta else exposure.quanta,
        )

    @property
    def pixel_spacing_mm(self) -> float:
        """Pixel pitch at the detector in mm."""
        return self.carm.pixel_mm

    def _margin(self) -> int:
        return self.size // 12

    def _placed(self, rng: np.random.Generator, kind: str) -> list[Instrument]:
        """A catheter whose electrodes lie well inside the frame (a lab steers the C-arm so)."""
        for _ in range(200):
            parts = instruments.catheter(rng, kind)
            uv = geometry.see(parts[0], self.carm).electrodes[:, :2]
            if (np.abs(uv / self.size - 0.5) < 0.40).all():
                return parts
        return parts

    def __len__(self) -> int:
        return self.frames

    def truth(self, index: int) -> tuple[tuple[Catheter, ...], NDArray[np.float64], NDArray[np.float64]]:
        """Catheters, respiratory and cardiac displacement of one frame, without making the picture (no shutters)."""
        t, everywhere = index / self.rate, np.ones((self.size, self.size), np.float32)
        labelled = enumerate(part for part in self._moved(t) if part.rings)
        truth = [self._truth(i, part, everywhere) for i, part in labelled]
        return tuple(c for c in truth if c is not None), *self._reference_motion(t)

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Where labelled catheters are in one frame, ``(size, size)`` 0..255 (no shutters)."""
        return geometry.mask([part for part in self._moved(index / self.rate) if part.rings], self.carm)

    def reference(self, index: int) -> Points:
        """``(N, 2)`` px of all electrodes of the reference (first) catheter in one frame, from the tip, in view or not."""
        if not self.instruments:
            return np.empty((0, 2))
        part = self.instruments[0]
        course = self._course(part, self.steering[0], index / self.rate)
        return self._electrodes(part, course)

    def __iter__(self) -> Iterator[SyntheticFrame]:
        fixed = geometry.attenuation(self.clutter, self.carm, np.random.default_rng([self.seed, 21]))
        for index in range(self.frames):
            yield self._frame(index, fixed)

    def _moved(self, t: float) -> list[Instrument]:
        return [
            replace(part, course=self._course(part, steering, t))
            for part, steering in zip(self.instruments, self.steering, strict=False)
        ]

    def _course(self, part: Instrument, steering: Steering, t: float) -> Points:
        course = part.course + steering.displace(part.course, t)
        return course + self.motion.cardiac(course, t) + self.motion.respiratory(course, t)

    def _frame(self, index: int, fixed: NDArray[np.float32]) -> SyntheticFrame:
        t = index / self.rate
        rng = np.random.default_rng([self.seed, 22, index])
        moved = self._moved(t)
        attenuation = fixed + geometry.attenuation(moved, self.carm, rng)
        behind = self._behind(t)
        generator = torch.Generator().manual_seed(self.seed * 100_003 + index)
        frame, opening = formation.expose(
            torch.from_numpy(behind)[None, None],
            torch.from_numpy(attenuation)[None, None],
            self.exposure,
            generator,
        )
        pixels = (frame[0, 0] * 255).round().to(torch.uint8).numpy()
        shown, labelled = opening[0, 0].numpy(), [part for part in moved if part.rings]
        truth = [self._truth(i, part, shown) for i, part in enumerate(labelled)]
        hidden = {i: self._hidden(part, shown) for i, part in enumerate(labelled)}
        there = tuple(c for c in truth if c is not None)
        return SyntheticFrame(pixels, t, there, *self._reference_motion(t), hidden)

    def _behind(self, t: float) -> NDArray[np.float32]:
        """The anatomy follows the breath."""
        shift = self.motion.respiratory(np.zeros((1, 3)), t)[0, :2] * self.carm.scale * 0.6
        margin = self._margin()
        shift = np.clip(shift, 1 - margin, margin - 1)
        move = np.array([[1, 0, shift[0] - margin], [0, 1, shift[1] - margin]], np.float32)
        moved = cv2.warpAffine(self.background, move, (self.size, self.size), flags=cv2.INTER_LINEAR)
        return np.asarray(moved, np.float32)

    def _hidden(self, part: Instrument, opening: NDArray[np.float32]) -> Points:
        seen = geometry.see(part, self.carm)
        places = seen.electrodes[seen.inside, :2].astype(np.float64)
        column, row = (places + 0.5).astype(int).T
        return places[opening[row, column] <= formation.LIT]

    def _truth(self, identity: int, part: Instrument, opening: NDArray[np.float32]) -> Catheter | None:
        seen = geometry.see(part, self.carm)
        if len(seen.centerline) < 2 and not seen.inside.any():
            return None
        electrodes = []
        for order, ((x, y, along, across, angle), inside) in enumerate(
            zip(seen.electrodes.tolist(), seen.inside, strict=False)
        ):
            if inside and opening[int(y + 0.5), int(x + 0.5)] > formation.LIT:
                c, s = abs(np.cos(angle)), abs(np.sin(angle))
                box = c * along + s * across, s * along + c * across
                electrodes.append(Electrode(x, y, *box, 1.0, 0.0, identity, order))
        line = Centerline(seen.centerline, seen.width)
        return Catheter(identity, tuple(electrodes), line, 1.0, seen.type, 1.0)

    def _reference_motion(self, t: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What breathing does to the mean of the reference catheter's electrodes, and the heartbeat on top of it, px."""
        if not self.instruments:
            return np.zeros(2), np.zeros(2)
        part = self.instruments[0]
        still = part.course + self.steering[0].displace(part.course, t)
        breath, beat = self.motion.respiratory(still, t), self.motion.cardiac(still, t)
        courses = (still, still + breath, still + breath + beat)
        rest, inhaled, moved = (self._electrodes(part, course).mean(axis=0) for course in courses)
        return inhaled - rest, moved - inhaled

    def _electrodes(self, part: Instrument, course: Points) -> Points:
        """``(N, 2)`` px of the electrodes of an instrument that lies along another course."""
        centres = np.array([ring.centre for ring in part.rings])
        return self.carm.project(curves.sample(course, centres))
