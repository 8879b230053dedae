"""A skeleton's branches to paths straight through crossings and along shared stretches. Mask px; points are x, y."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cath_perception.joining import Paths, walked
from cath_perception.skeleton import Branch, End, Graph, merge, turning

_LARGEST_TURN = math.radians(100.0)
"""Two branches that meet with others at a junction continue each other if they turn by less."""
_LONGEST_OVERLAP = 5.0
"""The branch of two shafts that cross is one junction with its ends up to this many times their radii together ..."""
_OVERLAP_TURN = math.radians(45.0)
"""... if neither turns by more on its way through."""
_SHARED_TURN = math.radians(75.0)
"""A longer branch is shared by two shafts if all four that meet its ends turn by less into it ..."""
_LONGEST_SHARED = 76
"""... and it has no more px than this."""
_LASSO_TURN = math.radians(120.0)
"""A shaft runs on into a ring if it turns by less."""
_EVENLY = 1e-6
"""Of two ways to pair ends that turn by the same in total, the one counts for less that shares it more evenly."""
_MOST_ENDS = 6
"""Ends at one junction up to which every pairing is tried; beyond, the best pairs are taken one by one."""


def graph_paths(graph: Graph) -> Paths:
    """The paths through a graph: at each junction branches are paired so that the turning is smallest; a branch
    that two shafts share, or one twice, is run through twice."""
    meeting = graph.at_junctions()
    if merge(graph, lambda branch: _is_overlap(graph, branch, meeting)):
        meeting = graph.at_junctions()
    shared = _shared(graph, meeting)
    links: dict[End, End] = {}
    crossing: set[End] = set()
    for ends in meeting.values():
        for first, second in _pairs(graph, ends):
            links[first], links[second] = second, first
            if len(ends) > 2:
                crossing.update((first, second))
    for ends in meeting.values():
        _open_ring(graph, ends, links)
    for index, sides in shared:
        _run_twice(graph, index, sides, links)
        crossing.update(*sides)
    indices = [index for index, branch in enumerate(graph.branches) if branch.alive]
    return _carried(graph, list(chains(indices, links)), crossing)


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


def greedy_pairs(costs: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
    """Disjoint pairs, the cheapest first."""
    chosen: list[tuple[int, int]] = []
    used: set[int] = set()
    for i, j in sorted(costs, key=costs.__getitem__):
        if i not in used and j not in used:
            chosen.append((i, j))
            used.update((i, j))
    return chosen


def _straightest(graph: Graph, sides: tuple[list[End], list[End]]) -> tuple[float, float]:
    """The larger turn of two ways that lead from one pair of ends to another: first to first, or first to second."""
    near, far = ([graph.side(end) for end in side] for side in sides)

    def turn(a: int, b: int) -> float:
        (x, y), (u, v) = near[a].at, far[b].at
        return turning(near[a].out, far[b].out, (u - x, v - y))

    return max(turn(0, 0), turn(1, 1)), max(turn(0, 1), turn(1, 0))


def _others(
    branch: Branch, graph: Graph, meeting: dict[int, list[End]]
) -> tuple[list[End], list[End]] | None:
    """The two ends that meet each end of a branch; None unless there are just two at each."""
    first, last = branch.ends
    here, there = meeting.get(first, ()), meeting.get(last, ())
    if first == last or len(here) != 3 or len(there) != 3:
        return None
    near, far = ([end for end in ends if graph.branches[end[0]] is not branch] for ends in (here, there))
    return near, far


def _is_overlap(graph: Graph, branch: Branch, meeting: dict[int, list[End]]) -> bool:
    """Whether two shafts that cross at a small angle share this branch: beyond it both go on almost straight."""
    if branch.count > _LONGEST_OVERLAP * graph.spread(branch):
        return False
    sides = _others(branch, graph, meeting)
    return sides is not None and min(_straightest(graph, sides)) < _OVERLAP_TURN


def _shared(graph: Graph, meeting: dict[int, list[End]]) -> list[tuple[int, tuple[list[End], list[End]]]]:
    """Branches that two shafts run along, or one twice, with the ends that meet theirs; their junctions are taken out."""
    found = []
    for index, branch in enumerate(graph.branches):
        if not branch.alive or branch.count > _LONGEST_SHARED:
            continue
        sides = _others(branch, graph, meeting)
        if sides is None:
            continue
        turns = [
            turning(branch.sides[side].out, graph.side(end).out, (0.0, 0.0))
            for side in (0, 1)
            for end in sides[side]
        ]
        if max(turns) < _SHARED_TURN:
            found.append((index, sides))
            del meeting[branch.ends[0]], meeting[branch.ends[1]]
    return found


def _run_twice(graph: Graph, index: int, sides: tuple[list[End], list[End]], links: dict[End, End]) -> None:
    """Link both ways through a shared branch, of which a copy is made; a way that closes a ring comes second."""
    branch = graph.branches[index]
    twin = len(graph.branches)
    graph.branches.append(replace(branch, ends=list(branch.ends)))
    (a, b), (c, d) = sides
    straight, swapped = _straightest(graph, sides)
    beyond_a, beyond_b = _far_end(a, links), _far_end(b, links)
    if (beyond_a == d or beyond_b == c, swapped) < (beyond_a == c or beyond_b == d, straight):
        c, d = d, c
    for way, first, second in ((index, a, c), (twin, b, d)):
        links[first], links[way, 0] = (way, 0), first
        links[second], links[way, 1] = (way, 1), second


def _open_ring(graph: Graph, ends: list[End], links: dict[End, End]) -> None:
    """Let a shaft that ends at a ring run on into it: such is a loop that its own shaft carries."""
    if len(ends) != 3:
        return
    for shaft in ends:
        first, second = (end for end in ends if end is not shaft)
        if shaft not in links and links.get(first, second) == second:
            break
    else:
        return
    beyond = {here: there for here, there in links.items() if here not in (first, second)}
    if _far_end(first, beyond) != second:
        return
    turns = [turning(graph.side(shaft).out, graph.side(end).out, (0.0, 0.0)) for end in (first, second)]
    if min(turns) < _LASSO_TURN:
        into, tip = (first, second) if turns[0] <= turns[1] else (second, first)
        links[shaft], links[into] = into, shaft
        links.pop(tip, None)


def _far_end(end: End, links: dict[End, End]) -> End:
    """Where one comes out who leaves a junction by this end and follows the links."""
    for _ in range(len(links) + 1):
        end = end[0], 1 - end[1]
        if end not in links:
            break
        end = links[end]
    return end


def _pairs(graph: Graph, ends: list[End]) -> list[tuple[End, End]]:
    """Which ends at a junction continue each other."""
    if len(ends) < 2:
        return []
    sides = [graph.side(end) for end in ends]
    costs = {}
    for i, side in enumerate(sides):
        for j in range(i + 1, len(ends)):
            if ends[i][0] != ends[j][0]:
                (x, y), (u, v) = side.at, sides[j].at
                cost = turning(side.out, sides[j].out, (u - x, v - y))
                if cost < _LARGEST_TURN:
                    costs[i, j] = cost + _EVENLY * cost * cost
    if len(ends) > _MOST_ENDS:
        chosen = greedy_pairs(costs)
    else:
        # An end left alone counts as the largest turn.
        chosen = _best_pairs([(cost - 2.0 * _LARGEST_TURN, i, j) for (i, j), cost in costs.items()])[1]
    return [(ends[i], ends[j]) for i, j in chosen]


def _best_pairs(pairs: list[tuple[float, int, int]]) -> tuple[float, list[tuple[int, int]]]:
    """The disjoint ones out of pairs ``(cost, i, j)`` that cost least together; every cost is negative."""
    if not pairs:
        return 0.0, []
    (cost, i, j), rest = pairs[0], pairs[1:]
    apart = [pair for pair in rest if i not in pair[1:] and j not in pair[1:]]
    total, chosen = _best_pairs(apart)
    best = (total + cost, [(i, j), *chosen])
    return best if len(apart) == len(rest) else min(best, _best_pairs(rest))


def _carried(graph: Graph, found: list[tuple[list[End], bool]], crossing: set[End]) -> Paths:
    """One path out of each chain of branches, through crossings in straight lines; and the rings."""
    steps: list[tuple[int, int, int, int]] = []
    ends: list[tuple[tuple[bool, bool], bool]] = []
    for chain, closed in found:
        for end in chain:
            branch, left = graph.branches[end[0]], (end[0], 1 - end[1])
            start = int(graph.side(end).overlap) if end in crossing else 0
            stop = branch.count - (int(graph.side(left).overlap) if left in crossing else 0)
            if start < stop:
                place = branch.count - 1 - start if end[1] else start
                steps.append((len(ends), branch.first + place, -1 if end[1] else 1, stop - start))
        (i, first), (j, last) = chain[0], chain[-1]
        ends.append(((graph.branches[i].ends[first] < 0, graph.branches[j].ends[1 - last] < 0), closed))
    for ring in graph.rings:
        steps.append((len(ends), ring.first, 1, ring.count))
        ends.append(((True, True), True))
    return walked(graph.pixels, np.ones(len(graph.pixels), np.bool_), steps, ends)
