"""The mask to smooth, ordered, sub-pixel centrelines in the image's pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from cath_perception.image import Letterbox
from cath_perception.skeleton import End, Floats, Path, bridge, chains, greedy_pairs, skeleton_paths, turning

# All lengths here are in mask px, of which there is one for every two px of the network's input.
_SMALLEST_AREA = 6
_SHORTEST = 8.0
_WIDEST_GAP = 4.0, 5.0
"""A gap is bridged up to this many px plus this many shaft widths, measured between skeletons' ends ..."""
_LARGEST_TURN = math.radians(75.0)
"""... if the whole turn into and out of it is smaller."""
_SMOOTH = np.array([-21, 14, 39, 54, 59, 54, 39, 14, -21]) / 231.0
"""Savitzky-Golay, 9 points, order 2: takes the steps out of a skeleton without cutting curves short."""
_ACROSS = np.linspace(-1.0, 1.0, 11, dtype=np.float32)


@dataclass(frozen=True)
class Trace:
    """A centreline whose distal end is not known yet.

    Attributes:
        points: ``(N, 2)`` x, y in image px, evenly spaced.
        width: the shaft's, in image px.
        score: mean mask probability along it, 0..1.
        closed: a ring; its last point is next to its first.
    """

    points: Floats
    width: float
    score: float
    closed: bool = False


def trace_centerlines(
    probability: NDArray[np.float32], threshold: float, letterbox: Letterbox
) -> list[Trace]:
    """Every shaft in a mask, longest first.

    Args:
        probability: the network's ``(S/2, S/2)`` mask, 0..1.
        threshold: what counts as shaft.
        letterbox: the one the network's input was made with.
    """
    inner = letterbox.inner_mask(probability)
    mask = _cleaned(inner >= threshold)
    if not mask.any():
        return []
    distance: NDArray[Any] = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5)
    skeleton = skeletonize(mask)
    radius = float(np.median(distance[skeleton]))
    paths = [_trimmed(path, round(radius)) for path in skeleton_paths(skeleton, distance)]
    paths = [_smooth(path) for path in _bridged(paths, radius) if len(path.points) >= 3]
    paths = [path for path in paths if arc_lengths(path.points)[-1] >= _SHORTEST]
    if not paths:
        return []
    fine, widths = _refined(paths, inner, distance)
    fine = _extended(fine, inner, threshold, radius)
    traces = [
        Trace(
            _to_image(path.points, letterbox),
            2.0 * width / letterbox.scale,
            float(sample(inner, path.points).mean()),
            path.closed,
        )
        for path, width in zip(fine, widths, strict=True)
    ]
    return sorted(traces, key=lambda trace: -len(trace.points) * trace.score)


def _cleaned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without specks, and with pits and holes of single px filled, each of which would give the skeleton a branch."""
    full = (
        cv2.boxFilter(mask.view(np.uint8), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT) >= 6
    )
    mask = mask | full
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= _SMALLEST_AREA
    keep[0] = False
    return mask if keep[1:].all() else keep[labels]


def _trimmed(path: Path, count: int) -> Path:
    """Without the last points of free ends: there a skeleton turns into a corner of the shaft's end."""
    cut = min(count, len(path.points) // 4)
    if path.closed or not any(path.free) or not cut:
        return path
    part = slice(cut if path.free[0] else 0, len(path.points) - (cut if path.free[1] else 0))
    return Path(path.points[part], path.seen[part], path.free)


def _bridged(paths: list[Path], radius: float) -> list[Path]:
    """Join paths over small gaps where one runs on in the direction of the other."""
    ends: list[End] = [(i, side) for i, path in enumerate(paths) if not path.closed for side in (0, 1)]
    tips = [paths[i].points[-side] for i, side in ends]
    outward = [paths[i].outward(side) for i, side in ends]
    widest = _WIDEST_GAP[0] + _WIDEST_GAP[1] * 2.0 * radius
    costs = {}
    for a, (i, _) in enumerate(ends):
        for b in range(a + 1, len(ends)):
            gap = tips[b] - tips[a]
            distance = math.hypot(*gap)
            if ends[b][0] == i or distance > widest:
                continue
            across = gap if distance > radius else gap * 0.0
            turn = turning(outward[a], outward[b], across)
            if turn < _LARGEST_TURN:
                costs[a, b] = distance / widest + turn / _LARGEST_TURN
    links: dict[End, End] = {}
    for a, b in greedy_pairs(costs):
        links[ends[a]], links[ends[b]] = ends[b], ends[a]
    return [
        joined([paths[i] for i, _ in chain], [side for _, side in chain], closed)
        for chain, closed in chains(range(len(paths)), links)
    ]


def joined(paths: list[Path], entered: list[int], closed: bool = False) -> Path:
    """Paths in a row, each entered by its start (0) or its end (1), as one; straight lines lie between them."""
    if len(paths) == 1 and not closed:
        return paths[0]
    points: list[Floats] = []
    seen: list[NDArray[np.bool_]] = []
    for path, side in zip(paths, entered, strict=True):
        here, flags = (path.points[::-1], path.seen[::-1]) if side else (path.points, path.seen)
        if points:
            between = bridge(points[-1], here)
            points.append(between)
            seen.append(np.zeros(len(between), bool))
        points.append(here)
        seen.append(flags)
    free = paths[0].free[entered[0]], paths[-1].free[1 - entered[-1]]
    return Path(np.concatenate(points), np.concatenate(seen), free, closed or paths[0].closed)


def _smooth(path: Path) -> Path:
    """Resample to one point a px and take out the skeleton's steps."""
    points = np.concatenate((path.points, path.points[:1])) if path.closed else path.points
    along = arc_lengths(points)
    even = resampled(points, along, 1.0)
    at = np.linspace(0.0, along[-1], len(even))
    seen = path.seen[np.minimum(np.searchsorted(along, at), len(path.seen) - 1)]
    return Path(smoothed(even, path.closed), seen, path.free, path.closed)


def arc_lengths(points: Floats) -> Floats:
    """Length along the curve from its start to each of ``(N, 2)`` points."""
    steps = np.diff(points, axis=0)
    return np.concatenate(([0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))))


def resampled(points: Floats, along: Floats, spacing: float) -> Floats:
    """The curve at even distances of about ``spacing``, three points at least."""
    at = np.linspace(0.0, along[-1], max(3, round(along[-1] / spacing) + 1))
    return np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], axis=1)


def smoothed(points: Floats, closed: bool) -> Floats:
    """Evenly spaced points through the smoothing filter; the ends of an open curve stay where they are."""
    reach = min(len(_SMOOTH) // 2, len(points) - 1)
    if reach < len(_SMOOTH) // 2:
        return points
    if closed:
        before, after = points[-1 - reach : -1], points[1 : 1 + reach]
    else:
        before = 2.0 * points[0] - points[reach:0:-1]
        after = 2.0 * points[-1] - points[-2 : -2 - reach : -1]
    padded = np.concatenate((before, points, after))
    return np.stack([np.convolve(padded[:, axis], _SMOOTH, "valid") for axis in (0, 1)], axis=1)


def _refined(
    paths: list[Path], inner: NDArray[np.float32], distance: NDArray[np.float32]
) -> tuple[list[Path], list[float]]:
    """Every point moved to the centroid of the probability across the shaft, smoothed; and the shafts' widths."""
    points = np.concatenate([path.points for path in paths])
    normals = np.concatenate([_normals(path) for path in paths])
    seen = np.concatenate([path.seen for path in paths])
    half = sample(distance, points).clip(1.0, 8.0) + 1.5
    offsets = half[:, None] * _ACROSS
    profile = sample(inner, points[:, None] + offsets[:, :, None] * normals[:, None])
    middle = len(_ACROSS) // 2
    # What rises again beyond a valley belongs to a neighbour.
    np.minimum.accumulate(profile[:, middle:], axis=1, out=profile[:, middle:])
    profile[:, middle::-1] = np.minimum.accumulate(profile[:, middle::-1], axis=1)
    weight = profile.sum(axis=1)
    shift = np.where(seen, (profile * offsets).sum(axis=1) / np.maximum(weight, 1e-6), 0.0)
    points = points + shift.clip(-1.5, 1.5)[:, None] * normals
    widths = weight * half * (_ACROSS[1] - _ACROSS[0])
    fine, across, stop = [], [], 0
    for path in paths:
        part = slice(stop, stop := stop + len(path.points))
        fine.append(replace(path, points=smoothed(points[part], path.closed)))
        across.append(float(np.median(widths[part][path.seen] if path.seen.any() else widths[part])))
    return fine, across


def _extended(paths: list[Path], inner: NDArray[np.float32], threshold: float, radius: float) -> list[Path]:
    """Carry free ends on to the mask's edge, which a skeleton stops short of by about the shaft's radius."""
    steps = np.arange(0.5, 3.0 * radius + 3.0, 0.5)
    ends = [(i, side) for i, p in enumerate(paths) if not p.closed for side in (0, 1) if p.free[side]]
    if not ends:
        return paths
    rays = np.stack([paths[i].points[-side] + steps[:, None] * paths[i].outward(side) for i, side in ends])
    limit = np.array(inner.shape[::-1]) - 0.5
    inside = (rays >= -0.5).all(axis=2) & (rays <= limit).all(axis=2) & (sample(inner, rays) >= threshold)
    reach = np.cumprod(inside, axis=1).sum(axis=1).tolist()
    for (i, side), ray, count in zip(ends, rays, reach, strict=True):
        tail = ray[1:count:2]
        if not len(tail):
            continue
        path = paths[i]
        parts, flags = [path.points, tail], [path.seen, np.zeros(len(tail), bool)]
        if side == 0:
            parts, flags = [tail[::-1], path.points], flags[::-1]
        paths[i] = replace(path, points=np.concatenate(parts), seen=np.concatenate(flags))
    return paths


def sample(image: NDArray[np.float32], points: Floats) -> NDArray[np.float32]:
    """Bilinear values of ``image`` at ``(..., 2)`` x, y; the edge is repeated outside."""
    at = points.astype(np.float32).reshape(len(points), -1, 2)
    values: NDArray[Any] = cv2.remap(  # type: ignore[call-overload]
        image, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return values.reshape(points.shape[:-1])


def _normals(path: Path) -> Floats:
    """Unit normals ``(N, 2)`` from differences over two points to each side."""
    points = path.points
    index = np.arange(len(points))
    ahead, behind = index + 2, index - 2
    if path.closed:
        along = points[ahead % len(points)] - points[behind % len(points)]
    else:
        along = points[ahead.clip(max=len(points) - 1)] - points[behind.clip(min=0)]
    along = along / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    return np.stack((-along[:, 1], along[:, 0]), axis=1)


def _to_image(points: Floats, letterbox: Letterbox) -> Floats:
    """Px of the mask's inner part to image px, within the image."""
    net = (points + 0.5) * 2.0 - 0.5 + (letterbox.left, letterbox.top)
    x, y = letterbox.to_image(net[:, 0], net[:, 1])
    return np.stack((x.clip(-0.5, letterbox.width - 0.5), y.clip(-0.5, letterbox.height - 0.5)), axis=1)
