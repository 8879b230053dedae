"""The mask to smooth, ordered, sub-pixel centrelines in the image's pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_perception.centring import centred, extended
from cath_perception.curves import Curves, Floats
from cath_perception.image import Letterbox
from cath_perception.paths import Path, bridge, chains, graph_paths, greedy_pairs
from cath_perception.skeleton import End, skeleton_graph, turning
from cath_perception.thinning import shaft_mask, thinned

# All lengths here are in mask px, of which there is one for every two px of the network's input.
_SHORTEST = 8.0
_WIDEST_GAP = 4.0, 5.0
"""A gap is bridged up to this many px plus this many shaft widths, measured between skeletons' ends ..."""
_LARGEST_TURN = math.radians(75.0)
"""... if the whole turn into and out of it is smaller."""
_KINK = math.cos(math.radians(150.0))
"""A curve that turns by more between two chords is two: catheters do not bend that tight, even foreshortened ..."""
_BORDER_KINK = math.cos(math.radians(90.0))
"""... and near the image's border, where shafts leave side by side, already if it turns by more than this."""
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
    inner = np.array(letterbox.inner_mask(probability), np.float32, order="C")
    mask = shaft_mask(inner, threshold)
    skeleton = thinned(mask)
    if not len(skeleton):
        return []
    distance: NDArray[Any] = cv2.distanceTransform(mask[1:-1, 1:-1], cv2.DIST_L2, 5)
    row, column = np.divmod(skeleton, mask.shape[1])
    radius = float(np.median(distance[row - 1, column - 1]))
    paths = [_trimmed(path, round(radius)) for path in graph_paths(skeleton_graph(skeleton, distance))]
    paths = _unkinked(_bridged(paths, radius), radius, inner.shape)
    if not paths:
        return []
    curves, seen = _even(paths)
    curves, widths, scores = centred(curves, seen, inner, distance)
    curves = extended(curves, [path.free for path in paths], inner, threshold, radius)
    points = _to_image(curves.points, letterbox)
    traces = [
        Trace(points[part], 2.0 * width / letterbox.scale, score, path.closed)
        for part, width, score, path in zip(curves.parts, widths, scores, paths, strict=True)
    ]
    return sorted(traces, key=lambda trace: -len(trace.points) * trace.score)


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
    tips = [paths[i].points[-side].tolist() for i, side in ends]
    outward = [paths[i].outward(side) for i, side in ends]
    widest = _WIDEST_GAP[0] + _WIDEST_GAP[1] * 2.0 * radius
    costs = {}
    for a, (i, _) in enumerate(ends):
        x, y = tips[a]
        for b in range(a + 1, len(ends)):
            gap = tips[b][0] - x, tips[b][1] - y
            distance = math.hypot(*gap)
            if distance > widest or ends[b][0] == i:
                continue
            turn = turning(outward[a], outward[b], gap if distance > radius else (0.0, 0.0))
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
    if len(paths) == 1:
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
    return Path(np.concatenate(points), np.concatenate(seen), free, closed)


def _unkinked(paths: list[Path], radius: float, shape: tuple[int, ...]) -> list[Path]:
    """Cut where a curve turns sharper than a catheter can, and leave out what is too short."""
    reach = max(4, round(_KINK_CHORD * 2.0 * radius))
    kept, waiting = [], list(paths)
    while waiting:
        path = waiting.pop()
        points = path.points
        if len(points) < _SHORTEST:
            continue
        at = None if path.closed or len(points) < 2 * reach + 1 else _sharpest(points, reach, shape)
        if at is None:
            kept.append(path)
            continue
        waiting.append(Path(points[: at - 1], path.seen[: at - 1], (path.free[0], False)))
        waiting.append(Path(points[at + 2 :], path.seen[at + 2 :], (False, path.free[1])))
    return kept


def _sharpest(points: Floats, reach: int, shape: tuple[int, ...]) -> int | None:
    """Where a curve turns sharpest between chords over ``reach`` points, None where it is not too sharp anywhere."""
    chord = points[reach:] - points[:-reach]
    into, out = chord[:-reach], chord[reach:]
    length = np.sqrt(np.square(chord).sum(axis=1))
    cosine = (into * out).sum(axis=1) / np.maximum(length[:-reach] * length[reach:], 1e-9)
    sharpest = int(cosine.argmin())
    x, y = points[sharpest + reach].tolist()
    inset = min(x, y, shape[1] - 1 - x, shape[0] - 1 - y)
    return sharpest + reach if cosine[sharpest] < (_BORDER_KINK if inset < reach else _KINK) else None


def _even(paths: list[Path]) -> tuple[Curves, NDArray[np.bool_]]:
    """One point a px without the skeleton's steps, and whether each was seen in the mask."""
    lines = [np.concatenate((p.points, p.points[:1])) if p.closed else p.points for p in paths]
    seen = [np.append(p.seen, True) if p.closed else p.seen for p in paths]
    curves, flags = Curves.of(lines, [p.closed for p in paths]).even(1.0, np.concatenate(seen))
    return curves.smooth(), flags


def _to_image(points: Floats, letterbox: Letterbox) -> Floats:
    """Px of the mask's inner part to image px, within the image."""
    net = (points + 0.5) * 2.0 - 0.5 + (letterbox.left, letterbox.top)
    x, y = letterbox.to_image(net[:, 0], net[:, 1])
    limit = letterbox.width - 0.5, letterbox.height - 0.5
    return np.stack((np.clip(x, -0.5, limit[0]), np.clip(y, -0.5, limit[1])), axis=1)
