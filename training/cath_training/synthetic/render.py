"""Beer-Lambert line integrals of tubes by splatting: samples of their volume are projected and summed.

A sample at a 3-D point carries its share of the volume times the attenuation coefficient; divided by the area
that a pixel covers at its depth it is the mean of (coefficient x path length) over that pixel. Foreshortening,
walls darker than the lumen, doubled crossings and hollow rings come out by themselves.
"""

import numpy as np
from numpy.typing import NDArray

from cath_training.synthetic import curves
from cath_training.synthetic.carm import CArm

Points = NDArray[np.float64]


def splat(image: NDArray[np.float32], uv: Points, weight: NDArray[np.float64]) -> None:
    """Add ``weight`` at ``uv`` ``(N, 2)`` px to ``image`` ``(H, W)``, bilinearly; what falls outside is dropped."""
    height, width = image.shape
    inside = (uv[:, 0] >= 0) & (uv[:, 0] < width - 1) & (uv[:, 1] >= 0) & (uv[:, 1] < height - 1)
    if not inside.any():
        return
    uv, weight = uv[inside], weight[inside]
    base = uv.astype(np.int64)
    fx, fy = (uv - base).T
    index = base[:, 1] * width + base[:, 0]
    wx = weight * fx
    w0 = weight - wx
    corners = ((0, w0 * (1 - fy)), (1, wx * (1 - fy)), (width, w0 * fy), (width + 1, wx * fy))
    lowest = int(index.min())
    extent = int(index.max()) - lowest + width + 2
    total = np.zeros(extent)
    for offset, part in corners:
        total += np.bincount(index - lowest + offset, part, minlength=extent)
    stop = min(extent, image.size - lowest)
    image.reshape(-1)[lowest : lowest + stop] += total[:stop].astype(np.float32)


def _frame(tangent: Points) -> tuple[Points, Points]:
    """Two unit normals for each unit tangent ``(N, 3)``."""
    reference = np.where(np.abs(tangent[:, 2:3]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    normal = np.cross(tangent, reference)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return normal, np.cross(tangent, normal)


def tube(
    image: NDArray[np.float32],
    carm: CArm,
    course: Points,
    span: tuple[float, float],
    radii: tuple[float, float],
    coefficient: float,
    rng: np.random.Generator,
) -> None:
    """Add a tube to the attenuation ``image``.

    Args:
        course: ``(N, 3)`` axis in mm, tip first.
        span: first and last arc length in mm.
        radii: inner and outer radius in mm (inner 0: solid).
        coefficient: attenuation per mm.
    """
    inner, outer = radii
    step = 0.4 / carm.scale
    along = np.arange(span[0], span[1], step) + step * rng.random()
    if len(along) == 0:
        return
    centre = curves.sample(course, along)
    near = np.abs(carm.project(centre) - carm.size / 2).max(axis=1) < carm.size / 2 + 4 * outer * carm.scale
    centre, along = centre[near], along[near]
    if len(centre) < 2:
        return
    tangent = np.gradient(centre, along, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    normal, binormal = _frame(tangent)
    around = int(np.clip(2 * np.pi * outer * carm.scale / 0.8, 10, 48))
    layers = int(np.clip((outer - inner) * carm.scale / 0.7, 1, 8))
    shape = (len(centre), around, layers)
    # equal-volume radii: r^2 is uniform in a cylinder
    share = (np.arange(layers) + rng.random(shape)) / layers
    radius = np.sqrt(inner**2 + share * (outer**2 - inner**2))
    angle = (np.arange(around)[:, None] + rng.random(shape)) * (2 * np.pi / around)
    points = (
        centre[:, None, None]
        + (radius * np.cos(angle))[..., None] * normal[:, None, None]
        + (radius * np.sin(angle))[..., None] * binormal[:, None, None]
    )
    points = points.reshape(-1, 3)
    volume = np.pi * (outer**2 - inner**2) * step / (around * layers)
    splat(image, carm.project(points), coefficient * volume * carm.magnification(points) ** 2)
