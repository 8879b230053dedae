"""A one-pixel skeleton to a graph of branches between junctions and free ends. Units are mask px."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

End = tuple[int, int]
"""(index of a branch or path, 0 for its start or 1 for its end)."""
Vector = tuple[float, float]

_FREE, _RING = -1, -2
"""What a run of pixels begins and ends at where that is no junction."""

_TANGENT = 16
"""Px at a branch's end to which a parabola is fitted for its direction there."""


def _end_slopes(count: int) -> NDArray[np.float64]:
    """Weights that give a parabola's slope at the last of ``count`` points; a line's where there are few."""
    weights = np.zeros(_TANGENT)
    if count > 1:
        powers = np.vander(np.arange(1.0 - count, 1.0), 3 if count >= 7 else 2, increasing=True)
        weights[:count] = np.linalg.pinv(powers)[1]
    return weights


_SLOPES = np.stack([_end_slopes(count) for count in range(_TANGENT + 1)])


class Side(NamedTuple):
    """An end of a branch.

    Attributes:
        radius: of the shaft there, the distance to the mask's edge.
        overlap: how many pixels (whole) lie within the other shaft at a junction; half of the branch at most.
        at: where the branch reaches that overlap.
        out: unit direction there, towards the end.
    """

    radius: float
    overlap: float
    at: Vector
    out: Vector


@dataclass
class Branch:
    """A run of ``count`` skeleton pixels; ``ends`` are the junctions' ids, -1 for a free end."""

    first: int
    count: int
    ends: list[int]
    sides: tuple[Side, Side]
    alive: bool = True


@dataclass
class Graph:
    """Branches, and rings without junctions.

    ``pixels`` are those of all branches and rings, each one's in a row, ``(N, 2)`` x, y.
    """

    pixels: NDArray[np.float64]
    branches: list[Branch]
    rings: list[Branch]

    def spread(self, branch: Branch) -> float:
        """The shafts' radii at its two ends together."""
        return branch.sides[0].radius + branch.sides[1].radius

    def at_junctions(self) -> dict[int, list[End]]:
        """Junction id -> the ends of the living branches that meet there."""
        meeting: dict[int, list[End]] = {}
        for index, branch in enumerate(self.branches):
            if branch.alive:
                for side, junction in enumerate(branch.ends):
                    if junction >= 0:
                        meeting.setdefault(junction, []).append((index, side))
        return meeting

    def side(self, end: End) -> Side:
        """What the branch is like at this end."""
        return self.branches[end[0]].sides[end[1]]


def skeleton_graph(skeleton: NDArray[np.int64], distance: NDArray[np.float32]) -> Graph:
    """The graph of a skeleton.

    Spurs about as long as the shaft is wide are left out; junctions nearer to each other than a crossing is
    wide count as one.

    Args:
        skeleton: places of its px as ``thinning`` gives them, for a mask of the size of ``distance`` and its border.
        distance: ``(h, w)``, to the mask's edge.
    """
    graph = _build(skeleton, distance)
    merge(graph, lambda branch: branch.count <= 2)
    _prune(graph)
    merge(graph, lambda branch: branch.count <= graph.spread(branch) + 3.0)
    return graph


def merge(graph: Graph, within: Callable[[Branch], bool]) -> bool:
    """Give junctions joined by a branch that lies within a crossing one id, and drop that branch; whether there was one."""
    short = [b for b in graph.branches if b.alive and b.ends[0] >= 0 and b.ends[1] >= 0 and within(b)]
    if not short:
        return False
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while (above := parent.get(node, node)) != node:
            parent[node] = parent.get(above, above)  # shorter every time: a noisy mask has thousands in a row
            node = above
        return node

    for branch in short:
        parent[root(branch.ends[0])] = root(branch.ends[1])
        branch.alive = False
    names = {node: root(node) for node in parent}
    for branch in graph.branches:
        first, last = branch.ends
        branch.ends = [names.get(first, first), names.get(last, last)]
    return True


def turning(out_first: Vector, out_second: Vector, across: Vector) -> float:
    """Total turn in rad of going out along ``out_first``, ``across`` to the other end and in against ``out_second``."""
    (a, b), (c, d), (x, y) = out_first, out_second, across
    if math.hypot(x, y) < 1.0:
        return abs(math.atan2(b * c - a * d, -a * c - b * d))
    return abs(math.atan2(a * y - b * x, a * x + b * y)) + abs(math.atan2(c * y - d * x, -c * x - d * y))


def _build(skeleton: NDArray[np.int64], distance: NDArray[np.float32]) -> Graph:
    """Branches as they are in the skeleton, one for every run of pixels between junctions or ends."""
    height, width = distance.shape
    links, degree = _linked(skeleton, width + 2, (height + 2) * (width + 2))
    nodes, runs = _traced(links, degree)
    pixels = np.empty((len(nodes), 2))
    pixels[:, 1], pixels[:, 0] = np.divmod(skeleton[nodes], width + 2)
    pixels -= 1.0
    sides = _sides(pixels, runs, distance).tolist()
    graph = Graph(pixels, [], [])
    for (first, count, start, stop), rows in zip(runs.tolist(), sides, strict=True):
        here, there = [Side(radius, overlap, (x, y), (u, v)) for radius, overlap, x, y, u, v in rows]
        branch = Branch(first, count, [start, stop], (here, there))
        (graph.rings if start == _RING else graph.branches).append(branch)
    return graph


@compiled("(i8[::1], i8, i8)")
def _linked(
    skeleton: NDArray[np.int64], width: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nodes that each skeleton pixel touches, ``(N, 8)``, and how many they are, ``(N,)``.

    A diagonal link counts only where no straight detour exists, else every corner were a junction.
    """
    node = np.full(size, -1, np.int64)
    for k in range(len(skeleton)):
        node[skeleton[k]] = k
    links, degree = np.empty((len(skeleton), 8), np.int64), np.zeros(len(skeleton), np.int64)
    straight = (-width, 1, width, -1)
    for k in range(len(skeleton)):
        p = skeleton[k]
        for step in straight:
            if node[p + step] >= 0:
                links[k, degree[k]] = node[p + step]
                degree[k] += 1
        for i in range(4):
            first, second = straight[i], straight[(i + 1) % 4]
            if node[p + first] < 0 and node[p + second] < 0 and node[p + first + second] >= 0:
                links[k, degree[k]] = node[p + first + second]
                degree[k] += 1
    return links, degree


@compiled("(i8[:, ::1], i8[::1])")
def _traced(
    links: NDArray[np.int64], degree: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every run of pixels with two neighbours from junction or end to junction or end, then the rings.

    Returns the nodes of all runs, and for each run its first's place among these, how many they are, and what it starts
    and stops at: a junction's node, ``_FREE`` or ``_RING``.
    """
    seen = np.zeros(len(degree), np.bool_)
    most = len(degree) + degree.sum()
    nodes, runs = np.empty(2 * most, np.int64), np.empty((most, 4), np.int64)
    filled = count = 0
    for rings in (False, True):
        for start in range(len(degree)):
            if degree[start] == 0 or (degree[start] == 2) != rings or (rings and seen[start]):
                continue
            seen[start] = True
            for k in range(1 if rings else degree[start]):
                before, node = start, links[start, k]
                if not rings and seen[node] and (degree[node] == 2 or node < start):
                    continue
                runs[count, 0] = filled
                nodes[filled] = start
                filled += 1
                while degree[node] == 2 and node != start:
                    seen[node] = True
                    nodes[filled] = node
                    filled += 1
                    after = links[node, 0] if links[node, 0] != before else links[node, 1]
                    before, node = node, after
                if not rings:
                    nodes[filled] = node
                    filled += 1
                runs[count, 1] = filled - runs[count, 0]
                runs[count, 2] = _RING if rings else (start if degree[start] > 2 else _FREE)
                runs[count, 3] = _RING if rings else (node if degree[node] > 2 else _FREE)
                count += 1
    return nodes[:filled], runs[:count]


@compiled("(f8[:, ::1], i8[:, ::1], f4[:, ::1])")
def _sides(
    pixels: NDArray[np.float64], runs: NDArray[np.int64], distance: NDArray[np.float32]
) -> NDArray[np.float64]:
    """``(R, 2, 6)``: radius, overlap, x, y, and the direction's x, y at both ends of every run (see ``Side``)."""
    sides = np.empty((len(runs), 2, 6))
    for run in range(len(runs)):
        first, count = runs[run, 0], runs[run, 1]
        for side in range(2):
            tip, inward = (first + count - 1, -1) if side else (first, 1)
            radius = distance[int(pixels[tip, 1]), int(pixels[tip, 0])]
            overlap = min(math.ceil(radius), (count - 1) // 2)
            used = min(_TANGENT, count - overlap)
            tip += inward * overlap
            dx = dy = 0.0
            for k in range(used):
                at = tip + inward * (used - 1 - k)
                dx += _SLOPES[used, k] * pixels[at, 0]
                dy += _SLOPES[used, k] * pixels[at, 1]
            length = math.hypot(dx, dy)
            length = length if length > 0.0 else 1.0
            sides[run, side, 0], sides[run, side, 1] = radius, overlap
            sides[run, side, 2], sides[run, side, 3] = pixels[tip, 0], pixels[tip, 1]
            sides[run, side, 4], sides[run, side, 5] = dx / length, dy / length
    return sides


def _prune(graph: Graph) -> None:
    """Take away spurs, the shortest first, as long as two other branches remain at their junction."""
    spurs = [b for b in graph.branches if b.alive and (b.ends[0] < 0) != (b.ends[1] < 0)]
    count = {junction: len(ends) for junction, ends in graph.at_junctions().items()} if spurs else {}
    for branch in sorted(spurs, key=lambda b: b.count):
        foot = branch.sides[0 if branch.ends[1] < 0 else 1]
        junction = max(branch.ends)
        if count[junction] > 2 and branch.count - 1 <= 1.5 * foot.radius + 2.0:
            branch.alive = False
            count[junction] -= 1
