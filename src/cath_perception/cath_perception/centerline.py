"""The mask to smooth, ordered, sub-pixel centrelines in the image's pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_perception.centring import centred, extended
from cath_perception.compiled import compiled
from cath_perception.curves import Curves, Floats, evenly
from cath_perception.image import Letterbox
from cath_perception.joining import Path, Paths
from cath_perception.paths import chains, graph_paths, greedy_pairs
from cath_perception.skeleton import End, Vector, skeleton_graph, turning
from cath_perception.thinning import shaft_mask, thinned

# All lengths here are in mask px, of which there is one for every two px of the network's input.
_SHORTEST = 10.0
_WIDEST_GAP = 5.0, 5.0
"""A gap is bridged up to this many px plus this many shaft widths, measured between skeletons' ends ..."""
_LARGEST_TURN = math.radians(75.0)
"""... if the whole turn into and out of it is smaller."""
_LEAST_AHEAD = math.cos(_LARGEST_TURN)
_TANGENT = 10
"""A path leaves in the direction of its last so many px."""
_KINK = math.cos(math.radians(90.0))
"""Near the image's border, where shafts leave side by side, a curve that turns by more between two chords is two."""
_KINK_CHORD = 2.0
"""Length of a chord, and breadth of that border, in shaft widths."""


@dataclass(frozen=True)
class Trace:
    """A centreline whose distal end is not known yet.

    Attributes:
        points: ``(N, 2)`` x, y in image px, evenly spaced.
        width: the shaft's, in image px.
        score: mean mask probability along it, 0..1.
        closed: a ring; its last point is next to its first.
        measured: ``(M, 3)`` x, y, where the shaft's width was measured, and that width, in image px.
    """

    points: Floats
    width: float
    score: float
    closed: bool = False
    measured: Floats = field(default_factory=lambda: np.empty((0, 3)))


def trace_centerlines(
    probability: NDArray[np.float32], threshold: float, letterbox: Letterbox
) -> list[Trace]:
    """Every shaft in a mask, longest first.

    Args:
        probability: the network's ``(S/2, S/2)`` mask, 0..1.
        threshold: what counts as shaft.
        letterbox: the one the network's input was made with.
    """
    inner = np.require(letterbox.inner_mask(probability), np.float32, ("C", "W"))
    mask = shaft_mask(inner, threshold)
    skeleton = thinned(mask)
    if not len(skeleton):
        return []
    distance: NDArray[Any] = cv2.distanceTransform(mask[1:-1, 1:-1], cv2.DIST_L2, 5)
    radius = _radius(distance, skeleton)
    paths = graph_paths(skeleton_graph(skeleton, distance))
    paths = replace(paths, each=[_trimmed(path, round(radius)) for path in paths.each])
    paths = _unkinked(_bridged(paths, radius), radius, inner.shape)
    if not paths.each:
        return []
    curves, seen = _even(paths)
    curves, wide, widths, scores = centred(curves, seen, inner, distance)
    measured = _measured(curves, seen, wide, letterbox)
    curves = extended(curves, [path.free for path in paths.each], inner, threshold, radius)
    points = _to_image(curves.points, letterbox)
    traces = [
        Trace(points[part], 2.0 * width / letterbox.scale, score, path.closed, places)
        for part, width, score, path, places in zip(
            curves.parts, widths, scores, paths.each, measured, strict=True
        )
    ]
    return sorted(traces, key=lambda trace: -len(trace.points) * trace.score)


def _measured(curves: Curves, seen: NDArray[np.bool_], wide: Floats, letterbox: Letterbox) -> list[Floats]:
    """For each curve ``(M, 3)`` x, y and width in image px where it was seen."""
    rows = np.column_stack((_to_image(curves.points, letterbox), 2.0 * wide / letterbox.scale))
    return [rows[part][seen[part]] for part in curves.parts]


def _trimmed(path: Path, count: int) -> Path:
    """Without the last points of free ends: there a skeleton turns into a corner of the shaft's end."""
    if path.closed or path.free == (False, False):
        return path
    cut = min(count, path.count // 4)
    start, stop = path.free
    return Path(path.start + cut * start, path.stop - cut * stop, path.free)


def _bridged(paths: Paths, radius: float) -> Paths:
    """Join paths over small gaps where one runs on in the direction of the other."""
    ends: list[End] = [(i, side) for i, path in enumerate(paths.each) if not path.closed for side in (0, 1)]
    places = [paths.each[i].place(side, inward) for i, side in ends for inward in (0, _TANGENT)]
    points = paths.points[places].tolist()
    tips, outward = points[::2], [_direction(b, a) for a, b in zip(points[::2], points[1::2], strict=True)]
    widest = _WIDEST_GAP[0] + _WIDEST_GAP[1] * 2.0 * radius
    costs = {}
    for a, (x, y) in enumerate(tips):
        (path, _), (p, q) = ends[a], outward[a]
        for b in range(a + 1, len(tips)):
            u, v = tips[b][0] - x, tips[b][1] - y
            if u * u + v * v > widest * widest or ends[b][0] == path:
                continue
            apart = math.hypot(u, v)
            if apart > radius and p * u + q * v < _LEAST_AHEAD * apart:
                continue
            turn = turning((p, q), outward[b], (u, v) if apart > radius else (0.0, 0.0))
            if turn < _LARGEST_TURN:
                costs[a, b] = apart / widest + turn / _LARGEST_TURN
    links: dict[End, End] = {}
    for a, b in greedy_pairs(costs):
        links[ends[a]], links[ends[b]] = ends[b], ends[a]
    return paths.joined(list(chains(range(len(paths.each)), links))) if links else paths


def _direction(start: list[float], end: list[float]) -> Vector:
    """The unit vector from one point towards another."""
    x, y = end[0] - start[0], end[1] - start[1]
    length = math.hypot(x, y) or 1.0
    return x / length, y / length


def _unkinked(paths: Paths, radius: float, shape: tuple[int, ...]) -> Paths:
    """Cut where shafts side by side were joined at the border, and leave out what is too short."""
    reach = max(4, round(_KINK_CHORD * 2.0 * radius))
    kept, waiting = [], list(paths.each)
    while waiting:
        path = waiting.pop()
        if path.count < _SHORTEST:
            continue
        whole = path.closed or path.count < 2 * reach + 1
        at = -1 if whole else _sharpest(paths.points, path.start, path.stop, reach, shape[1], shape[0])
        if at < 0:
            kept.append(path)
            continue
        waiting.append(Path(path.start, at - 1, (path.free[0], False)))
        waiting.append(Path(at + 2, path.stop, (False, path.free[1])))
    return replace(paths, each=kept)


@compiled("(f8[:, ::1], i8, i8, i8, i8, i8)")
def _sharpest(points: Floats, start: int, stop: int, reach: int, width: int, height: int) -> int:
    """The point within ``reach`` of the border where chords over ``reach`` points turn sharpest; -1: none too sharp."""
    least, sharpest = _KINK, -1
    for i in range(start + reach, stop - reach):
        if min(points[i, 0], points[i, 1], width - 1 - points[i, 0], height - 1 - points[i, 1]) >= reach:
            continue
        x, y = points[i, 0] - points[i - reach, 0], points[i, 1] - points[i - reach, 1]
        u, v = points[i + reach, 0] - points[i, 0], points[i + reach, 1] - points[i, 1]
        cosine = (x * u + y * v) / max(math.sqrt((x * x + y * y) * (u * u + v * v)), 1e-9)
        if cosine < least:
            least, sharpest = cosine, i
    return sharpest


def _even(paths: Paths) -> tuple[Curves, NDArray[np.bool_]]:
    """One point a px without the skeleton's steps, and whether each was seen in the mask."""
    first, stop, closed = np.array([(path.start, path.stop, path.closed) for path in paths.each]).T.copy()
    curves, nearest = evenly(paths.points, first, stop - first, closed.astype(np.bool_), 1.0)
    return curves.smooth(), paths.seen[nearest]


def _to_image(points: Floats, letterbox: Letterbox) -> Floats:
    """Px of the mask's inner part to image px, within the image."""
    (x, u), (y, v) = letterbox.to_image(
        np.array([0.5, 2.5]) + letterbox.left, np.array([0.5, 2.5]) + letterbox.top
    )
    return _laid(points, x, y, u - x, v - y, letterbox.width - 0.5, letterbox.height - 0.5)


@compiled("(f8[:, ::1], f8, f8, f8, f8, f8, f8)")
def _laid(points: Floats, x: float, y: float, u: float, v: float, right: float, bottom: float) -> Floats:
    """See ``_to_image``: where the first point lies, how far apart two are, and the image's edge."""
    laid = np.empty(points.shape)
    for n in range(len(points)):
        laid[n, 0] = min(max(points[n, 0] * u + x, -0.5), right)
        laid[n, 1] = min(max(points[n, 1] * v + y, -0.5), bottom)
    return laid


@compiled("(f4[:, ::1], i8[::1])")
def _radius(distance: NDArray[np.float32], skeleton: NDArray[np.int64]) -> float:
    """The median distance of a skeleton from the mask's edge; its places are in a mask with a border of one px."""
    width, radii = distance.shape[1] + 2, np.empty(len(skeleton))
    for n in range(len(skeleton)):
        radii[n] = distance[skeleton[n] // width - 1, skeleton[n] % width - 1]
    return float(np.median(radii))
