"""A skeleton's pixels to paths that run straight through crossings. Units are mask px, points are x, y."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
End = tuple[int, int]
"""(index of a branch or path, 0 for its start or 1 for its end)."""

_OFFSETS = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))  # y, x; straight ones first
_LARGEST_TURN = math.radians(100.0)
"""Two branches that meet with others at a junction continue each other if they turn by less."""
_LONGEST_OVERLAP = 5.0
"""The branch shared by two shafts that cross is as long as this many times their radii together at most ..."""
_OVERLAP_TURN = math.radians(45.0)
"""... and neither turns by more on its way through."""
_TANGENT = 8
"""Points over which a direction is measured."""
_MOST_ENDS = 6
"""Ends at one junction up to which every pairing is tried; beyond, the best pairs are taken one by one."""


@dataclass
class Path:
    """An ordered curve.

    Attributes:
        points: ``(N, 2)``, about 1 px apart.
        seen: ``(N,)``, False where the curve was carried through a crossing or a gap.
        free: whether the start and the end are ends of the mask, not junctions.
        closed: a ring, the last point next to the first.
    """

    points: Floats
    seen: NDArray[np.bool_]
    free: tuple[bool, bool] = (True, True)
    closed: bool = False

    def outward(self, side: int) -> Floats:
        """Unit direction in which the path leaves at an end."""
        points = self.points if side else self.points[::-1]
        return _unit(points[-1] - points[max(0, len(points) - 1 - _TANGENT)])


@dataclass
class _Branch:
    pixels: list[int]
    ends: list[int]  # the junctions' ids, -1 for a free end
    alive: bool = True


@dataclass
class _Graph:
    points: Floats
    radius: Floats
    branches: list[_Branch] = field(default_factory=list)
    rings: list[list[int]] = field(default_factory=list)

    def spread(self, branch: _Branch) -> float:
        """The shafts' radii at its two ends together."""
        return float(self.radius[branch.pixels[0]] + self.radius[branch.pixels[-1]])

    def at_junctions(self) -> dict[int, list[End]]:
        """Junction id -> the ends of the living branches that meet there."""
        meeting: dict[int, list[End]] = {}
        for index, branch in enumerate(self.branches):
            if branch.alive:
                for side in (0, 1):
                    if branch.ends[side] >= 0:
                        meeting.setdefault(branch.ends[side], []).append((index, side))
        return meeting


def skeleton_paths(skeleton: NDArray[np.bool_], distance: NDArray[np.float32]) -> list[Path]:
    """The paths of a one-pixel skeleton.

    Args:
        skeleton: ``(h, w)`` bool.
        distance: ``(h, w)`` distance to the mask's edge in px.

    Spurs about as long as the shaft is wide are left out, junctions nearer to each other than two shafts' overlap is long
    count as one, and at each the branches are paired so that the turning is smallest.
    """
    graph = _build(skeleton, distance)
    _merge(graph, lambda branch: len(branch.pixels) <= 2)
    _prune(graph)
    _merge(graph, lambda branch: len(branch.pixels) <= graph.spread(branch) + 3.0)
    meeting = graph.at_junctions()
    _merge(graph, lambda branch: _is_overlap(graph, branch, meeting))
    links: dict[End, End] = {}
    crossing: set[End] = set()
    for ends in graph.at_junctions().values():
        for first, second in _pairs(graph, ends):
            links[first], links[second] = second, first
            if len(ends) > 2:
                crossing.update((first, second))
    indices = [index for index, branch in enumerate(graph.branches) if branch.alive]
    paths = [_join(graph, chain, closed, crossing) for chain, closed in chains(indices, links)]
    for ring in graph.rings:
        paths.append(Path(graph.points[ring], np.ones(len(ring), bool), closed=True))
    return paths


def chains(indices: Sequence[int], links: dict[End, End]) -> Iterator[tuple[list[End], bool]]:
    """Follow links: each chain as ``(index, side it is entered by)`` in order, and whether it closes on itself."""
    done: set[int] = set()
    starts = [(i, side) for i in indices for side in (0, 1) if (i, side) not in links]
    for start in starts + [(i, 0) for i in indices]:
        if start[0] in done:
            continue
        chain: list[End] = []
        entered: End | None = start
        while entered is not None and entered[0] not in done:
            chain.append(entered)
            done.add(entered[0])
            entered = links.get((entered[0], 1 - entered[1]))
        yield chain, entered is not None


def bridge(first: Floats, second: Floats) -> Floats:
    """Points about 1 px apart strictly between the end of ``first`` and the start of ``second``."""
    count = max(2, math.ceil(float(np.hypot(*(second[0] - first[-1])))) + 1)
    return np.linspace(first[-1], second[0], count)[1:-1]


def turning(out_first: Floats, out_second: Floats, across: Floats) -> float:
    """Total turn in rad of going out along ``out_first``, ``across`` to the other end and in against ``out_second``."""
    if float(np.hypot(*across)) < 1.0:
        return _angle(out_first, -out_second)
    return _angle(out_first, across) + _angle(across, -out_second)


def _build(skeleton: NDArray[np.bool_], distance: NDArray[np.float32]) -> _Graph:
    padded = np.pad(skeleton, 1)
    ys, xs = np.nonzero(padded)
    index = np.full(padded.shape, -1, np.int32)
    index[ys, xs] = np.arange(len(ys))
    near = np.stack([index[ys + dy, xs + dx] for dy, dx in _OFFSETS], axis=1)
    straight = near[:, :4] >= 0
    # A diagonal link counts only where no straight detour exists, else every corner were a junction.
    near[:, 4:][straight | np.roll(straight, -1, axis=1)] = -1
    degree = (near >= 0).sum(axis=1)
    graph = _Graph(
        np.stack((xs - 1, ys - 1), axis=1).astype(np.float64), distance[ys - 1, xs - 1].astype(float)
    )
    # The two largest ids come first: all there are on a run; junctions get a list of their own.
    near.sort(axis=1)
    neighbours = near[:, :-3:-1].tolist()
    for node in np.flatnonzero(degree != 2).tolist():
        neighbours[node] = [j for j in near[node].tolist() if j >= 0]
    _trace(graph, neighbours, degree.tolist())
    return graph


def _trace(graph: _Graph, neighbours: list[list[int]], degree: list[int]) -> None:
    """Walk every run of pixels with two neighbours from junction or end to junction or end, then the rings."""
    seen = [False] * len(degree)
    for start, links in enumerate(neighbours):
        if degree[start] == 2 or degree[start] == 0:
            continue
        seen[start] = True
        for step in links:
            if seen[step] and (degree[step] == 2 or step < start):
                continue
            pixels = _walk(start, step, neighbours, degree, seen)
            ends = [p if degree[p] > 2 else -1 for p in (pixels[0], pixels[-1])]
            graph.branches.append(_Branch(pixels, ends))
    for start in range(len(degree)):
        if not seen[start] and degree[start] == 2:
            seen[start] = True
            graph.rings.append(_walk(start, neighbours[start][0], neighbours, degree, seen)[:-1])


def _walk(
    start: int, step: int, neighbours: list[list[int]], degree: list[int], seen: list[bool]
) -> list[int]:
    pixels = [start, step]
    while degree[step] == 2 and step != start:
        seen[step] = True
        first, second = neighbours[step]
        step = second if first == pixels[-2] else first
        pixels.append(step)
    return pixels


def _merge(graph: _Graph, within: Callable[[_Branch], bool]) -> None:
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
    for branch in graph.branches:
        branch.ends = [root(end) if end >= 0 else -1 for end in branch.ends]


def _is_overlap(graph: _Graph, branch: _Branch, meeting: dict[int, list[End]]) -> bool:
    """Whether two shafts that cross at a small angle share this branch: beyond it both go on almost straight."""
    first, last = branch.ends
    if first == last or len(branch.pixels) > _LONGEST_OVERLAP * graph.spread(branch):
        return False
    sides = [
        [_approach(graph, end) for end in meeting.get(node, ()) if graph.branches[end[0]] is not branch]
        for node in (first, last)
    ]
    if [len(side) for side in sides] != [2, 2]:
        return False
    turns = [[turning(a[1], b[1], b[0] - a[0]) for b in sides[1]] for a in sides[0]]
    straight = max(turns[0][0], turns[1][1]), max(turns[0][1], turns[1][0])
    return min(straight) < _OVERLAP_TURN


def _prune(graph: _Graph) -> None:
    """Take away spurs, the shortest first, as long as two other branches remain at their junction."""
    count = {junction: len(ends) for junction, ends in graph.at_junctions().items()}
    spurs = [b for b in graph.branches if b.alive and (b.ends[0] < 0) != (b.ends[1] < 0)]
    for branch in sorted(spurs, key=lambda b: len(b.pixels)):
        foot = branch.pixels[0] if branch.ends[1] < 0 else branch.pixels[-1]
        junction = max(branch.ends)
        if count[junction] > 2 and len(branch.pixels) - 1 <= 1.5 * graph.radius[foot] + 2.0:
            branch.alive = False
            count[junction] -= 1


def _pairs(graph: _Graph, ends: list[End]) -> list[tuple[End, End]]:
    """Which ends at a junction continue each other."""
    if len(ends) == 2:
        return [(ends[0], ends[1])]
    approach = [_approach(graph, end) for end in ends]
    costs = {}
    for i, (tip, out) in enumerate(approach):
        for j in range(i + 1, len(ends)):
            if ends[i][0] != ends[j][0]:
                cost = turning(out, approach[j][1], approach[j][0] - tip)
                if cost < _LARGEST_TURN:
                    costs[i, j] = cost
    few = len(ends) <= _MOST_ENDS
    chosen = _best_pairs(tuple(range(len(ends))), costs)[1] if few else greedy_pairs(costs)
    return [(ends[i], ends[j]) for i, j in chosen]


def _best_pairs(
    rest: tuple[int, ...], costs: dict[tuple[int, int], float]
) -> tuple[float, list[tuple[int, int]]]:
    """The pairing of least total turn, an end left alone costing half the largest turn."""
    if not rest:
        return 0.0, []
    first, others = rest[0], rest[1:]
    total, chosen = _best_pairs(others, costs)
    best = (total + _LARGEST_TURN / 2, chosen)
    for other in others:
        if (first, other) in costs:
            total, chosen = _best_pairs(tuple(o for o in others if o != other), costs)
            if total + costs[first, other] < best[0]:
                best = (total + costs[first, other], [(first, other), *chosen])
    return best


def greedy_pairs(costs: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
    """Disjoint pairs, the cheapest first."""
    chosen: list[tuple[int, int]] = []
    used: set[int] = set()
    for i, j in sorted(costs, key=costs.__getitem__):
        if i not in used and j not in used:
            chosen.append((i, j))
            used.update((i, j))
    return chosen


def _approach(graph: _Graph, end: End) -> tuple[Floats, Floats]:
    """Where a branch reaches a junction's overlap, and its unit direction there, towards the junction."""
    points = graph.points[_towards(graph.branches[end[0]].pixels, end[1])]
    cut = _overlap(graph, end)
    tip = points[len(points) - 1 - cut]
    return tip, _unit(tip - points[max(0, len(points) - 1 - cut - _TANGENT)])


def _overlap(graph: _Graph, end: End) -> int:
    """How many pixels at this end lie within the other shaft; half of the branch at most."""
    pixels = graph.branches[end[0]].pixels
    node = pixels[-1] if end[1] else pixels[0]
    return min(math.ceil(graph.radius[node]), (len(pixels) - 1) // 2)


def _towards(pixels: list[int], side: int) -> list[int]:
    return pixels if side else pixels[::-1]


def _join(graph: _Graph, chain: list[End], closed: bool, crossing: set[End]) -> Path:
    """One path out of branches; through a crossing it is carried in a straight line."""
    parts: list[Floats] = []
    seen: list[NDArray[np.bool_]] = []
    for index, entered in chain:
        points = graph.points[_towards(graph.branches[index].pixels, 1 - entered)]
        start = _overlap(graph, (index, entered)) if (index, entered) in crossing else 0
        left = (index, 1 - entered)
        stop = len(points) - (_overlap(graph, left) if left in crossing else 0)
        points = points[start:stop]
        if parts:
            between = bridge(parts[-1], points)
            parts.append(between)
            seen.append(np.zeros(len(between), bool))
        parts.append(points)
        seen.append(np.ones(len(points), bool))
    parts = [part for part in parts if len(part)]
    first, last = chain[0], (chain[-1][0], 1 - chain[-1][1])
    free = tuple(graph.branches[index].ends[side] < 0 for index, side in (first, last))
    return Path(np.concatenate(parts), np.concatenate(seen), (free[0], free[1]), closed)


def _unit(vector: Floats) -> Floats:
    length = float(np.hypot(*vector))
    return vector / length if length > 0 else vector


def _angle(first: Floats, second: Floats) -> float:
    """Angle between two vectors in rad, 0..pi."""
    cross = float(first[0] * second[1] - first[1] * second[0])
    return abs(math.atan2(cross, float(first @ second)))
