import copy

import numpy as np
import pytest

from cath_perception.counting import MATURE
from cath_perception.doubles import doubles
from cath_perception.naming import Naming
from cath_perception.recognition import Recognizer
from cath_perception.sightings import Sightings
from cath_perception.track import Track

from .patterns import ABLATION, CS, DT, moved, seen, straight


def tracks_at(*shifts):
    """Tracks of one catheter, shifted: the first is missed, the others are seen."""
    made = []
    for n, (dx, dy) in enumerate(shifts):
        frame = seen(moved(ABLATION, dx, dy))
        made.append(Track(n, np.arange(4), Sightings.of(frame), frame.catheters[0].centerline, 0.9, 0.0))
    made[0].miss(DT, 0.5)
    return made, {track.id: Naming(Recognizer.load()) for track in made}


@pytest.mark.parametrize(("shift", "one"), [((1.5, -1.0), True), ((0.0, 30.0), False)])
def test_tracks_with_their_electrodes_at_the_same_places_are_one(shift, one):
    tracks, names = tracks_at((0.0, 0.0), shift)
    assert [(kept.id, other.id) for kept, other in doubles(tracks, names, DT)] == ([(1, 0)] if one else [])


def test_a_track_that_believes_in_a_single_electrode_is_told_by_all_of_them():
    tracks, names = tracks_at((0.0, 0.0), (1.5, -1.0))
    tracks[1].hits, tracks[1].confirmed = MATURE, np.array([True, False, False, False])
    assert [(kept.id, other.id) for kept, other in doubles(tracks, names, DT)] == [(1, 0)]


def test_a_catheter_beside_a_larger_one_is_none_of_it():
    tracks, names = tracks_at((0.0, 0.0), (0.0, 0.0))
    frame = seen(straight([2] * 11, at=(300, 330), angle=1.2))
    tracks[1] = Track(1, np.arange(12), Sightings.of(frame), frame.catheters[0].centerline, 0.9, 0.0)
    assert list(doubles(tracks, names, DT)) == []


def test_of_two_tracks_for_one_catheter_one_goes_on_under_the_first_id(tracker):
    """Each frame shows but two of the electrodes, which go to either track."""
    odd = straight([12, 1, 7], 1.25, at=(250, 400), angle=0.0)
    rng, ids = np.random.default_rng(1), set()
    for i in range(10):
        tracker.update(seen(CS, odd), i * DT)
    (first,) = (c.id for c in tracker.update(seen(CS, odd), 10 * DT).catheters if len(c.electrodes) == 4)
    sightings = Sightings.of(seen(odd))
    double = Track(99, np.arange(4), sightings, odd.centerline, 0.9, 10 * DT)
    tracker._tracks.append(double)
    tracker._names[99] = Naming(Recognizer.load())
    for i in range(11, 30):
        kept = [1, 2, 3] if i % 3 else [0, 2]
        result = tracker.update(seen(CS, moved(odd, *rng.normal(0, 0.7, 2), keep=kept)), i * DT)
        ids |= {c.id for c in result.catheters if c.electrodes and c.type is None}
    assert ids == {first}


def test_two_known_tracks_of_one_catheter_are_one(tracker):
    """Its type was known of either before they were found at the same places, and each frame shows both some."""
    for i in range(20):
        tracker.update(seen(CS, ABLATION), i * DT)
    (first,) = (c.id for c in tracker.update(seen(CS, ABLATION), 20 * DT).catheters if c.type == "ablation")
    double = Track(99, np.arange(4), Sightings.of(seen(ABLATION)), ABLATION.centerline, 0.9, 20 * DT)
    tracker._tracks.append(double)
    one_for_all = {id(tracker._recognizer): tracker._recognizer}
    tracker._names[99] = copy.deepcopy(tracker._names[first], one_for_all)
    tracker.update(seen(CS, ABLATION), 21 * DT)
    assert [track.id for track in tracker._tracks if len(track.keys) == 4] == [first]
