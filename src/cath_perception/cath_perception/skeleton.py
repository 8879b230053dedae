"""A one-pixel skeleton to a graph of branches between junctions and free ends. Units are mask px."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

End = tuple[int, int]
"""(index of a branch or path, 0 for its start or 1 for its end)."""
Vector = tuple[float, float]

_TANGENT = 13
"""Px at a branch's end to which a parabola is fitted for its direction there."""


def _end_slopes(count: int) -> tuple[float, ...]:
    """Weights that give a parabola's slope at the last of ``count`` points; a line's where there are few."""
    powers = np.vander(np.arange(1.0 - count, 1.0), 3 if count >= 7 else 2, increasing=True)
    return tuple(np.linalg.pinv(powers)[1].tolist())


_SLOPES = [_end_slopes(count) if count > 1 else (0.0,) * count for count in range(_TANGENT + 1)]


@dataclass
class Branch:
    """A run of skeleton pixels ``(node numbers)``; ``ends`` are the junctions' ids, -1 for a free end."""

    pixels: list[int]
    ends: list[int]
    alive: bool = True


@dataclass
class Graph:
    """Branches over nodes; ``x``, ``y`` and ``radius`` (distance to the mask's edge) are the nodes', in px.

    ``approaches`` are those worked out so far.
    """

    x: list[int]
    y: list[int]
    radius: list[float]
    branches: list[Branch] = field(default_factory=list)
    rings: list[list[int]] = field(default_factory=list)
    approaches: dict[End, tuple[Vector, Vector]] = field(default_factory=dict)

    def spread(self, branch: Branch) -> float:
        """The shafts' radii at its two ends together."""
        return self.radius[branch.pixels[0]] + self.radius[branch.pixels[-1]]

    def at_junctions(self) -> dict[int, list[End]]:
        """Junction id -> the ends of the living branches that meet there."""
        meeting: dict[int, list[End]] = {}
        for index, branch in enumerate(self.branches):
            if branch.alive:
                for side in (0, 1):
                    if branch.ends[side] >= 0:
                        meeting.setdefault(branch.ends[side], []).append((index, side))
        return meeting

    def overlap(self, end: End) -> int:
        """How many pixels at this end lie within the other shaft; half of the branch at most."""
        pixels = self.branches[end[0]].pixels
        return min(math.ceil(self.radius[pixels[-end[1]]]), (len(pixels) - 1) // 2)

    def approach(self, end: End) -> tuple[Vector, Vector]:
        """Where a branch reaches a junction's overlap, and its unit direction there, towards the junction."""
        if end not in self.approaches:
            self.approaches[end] = self._approach(end)
        return self.approaches[end]

    def _approach(self, end: End) -> tuple[Vector, Vector]:
        pixels, cut = self.branches[end[0]].pixels, self.overlap(end)
        if end[1]:
            pixels = pixels[max(0, len(pixels) - cut - _TANGENT) : len(pixels) - cut]
        else:
            pixels = pixels[cut : cut + _TANGENT][::-1]
        weights = _SLOPES[len(pixels)]
        dx = sum(w * self.x[p] for w, p in zip(weights, pixels, strict=True))
        dy = sum(w * self.y[p] for w, p in zip(weights, pixels, strict=True))
        length = math.hypot(dx, dy) or 1.0
        return (float(self.x[pixels[-1]]), float(self.y[pixels[-1]])), (dx / length, dy / length)


def skeleton_graph(skeleton: NDArray[np.bool_], distance: NDArray[np.float32]) -> Graph:
    """The graph of a ``(h, w)`` skeleton.

    Spurs about as long as the shaft is wide are left out; junctions nearer to each other than a crossing is
    wide count as one. ``distance`` is ``(h, w)``, to the mask's edge.
    """
    graph = _build(skeleton, distance)
    merge(graph, lambda branch: len(branch.pixels) <= 2)
    _prune(graph)
    merge(graph, lambda branch: len(branch.pixels) <= graph.spread(branch) + 3.0)
    return graph


def merge(graph: Graph, within: Callable[[Branch], bool]) -> None:
    """Give junctions joined by a branch that lies within one crossing one id, and drop that branch."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.get(node, node) != node:
            node = parent[node]
        return node

    for branch in graph.branches:
        if branch.alive and min(branch.ends) >= 0 and within(branch):
            parent[root(branch.ends[0])] = root(branch.ends[1])
            branch.alive = False
    if parent:
        for branch in graph.branches:
            branch.ends = [root(end) if end >= 0 else -1 for end in branch.ends]


def turning(out_first: Vector, out_second: Vector, across: Vector) -> float:
    """Total turn in rad of going out along ``out_first``, ``across`` to the other end and in against ``out_second``."""
    back = -out_second[0], -out_second[1]
    if math.hypot(*across) < 1.0:
        return angle(out_first, back)
    return angle(out_first, across) + angle(across, back)


def angle(first: Vector, second: Vector) -> float:
    """Angle between two vectors in rad, 0..pi."""
    return abs(
        math.atan2(first[0] * second[1] - first[1] * second[0], first[0] * second[0] + first[1] * second[1])
    )


def _build(skeleton: NDArray[np.bool_], distance: NDArray[np.float32]) -> Graph:
    """Every skeleton pixel is a node, linked to the pixels it touches."""
    height, width = skeleton.shape
    padded = np.zeros((height + 2, width + 2), np.bool_)
    padded[1:-1, 1:-1] = skeleton
    flat = np.flatnonzero(padded)
    index = np.full(padded.size, -1, np.int32)
    index[flat] = np.arange(len(flat), dtype=np.int32)
    row = width + 2
    # Up, right, down, left, then the diagonals; each diagonal follows the straight step it starts with.
    offsets = np.array((-row, 1, row, -1, 1 - row, 1 + row, row - 1, -1 - row))
    near = index[flat[:, None] + offsets]
    straight = near[:, :4] >= 0
    # A diagonal link counts only where no straight detour exists, else every corner were a junction.
    near[:, 4:][straight | straight[:, (1, 2, 3, 0)]] = -1
    y, x = np.divmod(flat, row)
    graph = Graph((x - 1).tolist(), (y - 1).tolist(), distance[y - 1, x - 1].tolist())
    _trace(graph, *_neighbours(near))
    return graph


def _neighbours(near: NDArray[Any]) -> tuple[list[list[int]], list[int]]:
    """The linked nodes of each node, and how many they are, from ``(N, 8)`` with -1 for none."""
    linked = near >= 0
    degree = linked.sum(axis=1)
    values, stop = near[linked].tolist(), np.cumsum(degree).tolist()
    counts = degree.tolist()
    return [values[end - count : end] for end, count in zip(stop, counts, strict=True)], counts


def _trace(graph: Graph, neighbours: list[list[int]], degree: list[int]) -> None:
    """Walk every run of pixels with two neighbours from junction or end to junction or end, then the rings."""
    seen = [False] * len(degree)
    for start, count in enumerate(degree):
        if count == 2 or count == 0:
            continue
        seen[start] = True
        for step in neighbours[start]:
            if seen[step] and (degree[step] == 2 or step < start):
                continue
            pixels = _walk(start, step, neighbours, degree, seen)
            ends = [p if degree[p] > 2 else -1 for p in (pixels[0], pixels[-1])]
            graph.branches.append(Branch(pixels, ends))
    for start, count in enumerate(degree):
        if count == 2 and not seen[start]:
            seen[start] = True
            graph.rings.append(_walk(start, neighbours[start][0], neighbours, degree, seen)[:-1])


def _walk(
    start: int, step: int, neighbours: list[list[int]], degree: list[int], seen: list[bool]
) -> list[int]:
    pixels, before = [start, step], start
    while degree[step] == 2 and step != start:
        seen[step] = True
        first, second = neighbours[step]
        before, step = step, second if first == before else first
        pixels.append(step)
    return pixels


def _prune(graph: Graph) -> None:
    """Take away spurs, the shortest first, as long as two other branches remain at their junction."""
    count = {junction: len(ends) for junction, ends in graph.at_junctions().items()}
    spurs = [b for b in graph.branches if b.alive and (b.ends[0] < 0) != (b.ends[1] < 0)]
    for branch in sorted(spurs, key=lambda b: len(b.pixels)):
        foot = branch.pixels[0] if branch.ends[1] < 0 else branch.pixels[-1]
        junction = max(branch.ends)
        if count[junction] > 2 and len(branch.pixels) - 1 <= 1.5 * graph.radius[foot] + 2.0:
            branch.alive = False
            count[junction] -= 1
