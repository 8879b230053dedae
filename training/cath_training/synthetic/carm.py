"""C-arm geometry: a point source, an isocentre and a flat detector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CArm:
    """Pinhole model of a C-arm looking along +z, isocentre at the origin, x right and y down in mm.

    Attributes:
        size: detector side in px (square).
        pixel_mm: detector pixel pitch in mm.
        source_detector_mm: source-detector distance (SID), about 1000 mm.
        source_isocentre_mm: source-isocentre distance (SOD), about 750 mm.
    """

    size: int
    pixel_mm: float
    source_detector_mm: float = 1050.0
    source_isocentre_mm: float = 750.0

    @property
    def scale(self) -> float:
        """Magnification at the isocentre in px per mm."""
        return self.source_detector_mm / self.source_isocentre_mm / self.pixel_mm

    def magnification(self, points: Points) -> NDArray[np.float64]:
        """px per mm at each 3-D point; ``points`` is ``(..., 3)`` in mm."""
        depth = self.source_isocentre_mm + points[..., 2]
        return self.source_detector_mm / self.pixel_mm / depth

    def project(self, points: Points) -> Points:
        """Detector position ``(..., 2)`` in px of 3-D points ``(..., 3)`` in mm."""
        centre = (self.size - 1) / 2
        return points[..., :2] * self.magnification(points)[..., None] + centre
