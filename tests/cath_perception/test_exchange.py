import numpy as np
import pytest

from cath_perception.exchange import exchange
from cath_perception.naming import Naming
from cath_perception.recognition import Recognizer
from cath_perception.sightings import Sightings
from cath_perception.track import Track
from cath_perception.types import CatheterStatus

from .patterns import seen, straight


@pytest.mark.parametrize(("status", "left"), [(CatheterStatus.DETECTED, 0), (CatheterStatus.PREDICTED, 3)])
def test_only_a_catheter_that_is_there_is_given_its_electrodes_back(status, left):
    """One that is not would show electrodes as seen where it is only predicted."""
    frame = seen(straight([4] * 9, at=(100, 150)), straight([4, 4], at=(300, 330)))
    sightings = Sightings.of(frame)
    tracks = [
        Track(n, np.flatnonzero(sightings.shafts == n), sightings, frame.catheters[n].centerline, 0.9, 0.0)
        for n in (0, 1)
    ]
    for track in tracks:
        rows = sightings.shafts == track.id
        sightings.track[rows], sightings.key[rows] = track.id, track.keys
    owner, borrower = tracks
    owner.status = status
    borrower.elsewhere[:], borrower.host[:], borrower.frames[:] = 1.0, owner.id, 20.0
    recognizer = Recognizer.load()
    exchange(tracks, {track.id: Naming(recognizer) for track in tracks}, sightings)
    assert (len(borrower.keys), len(owner.keys)) == (left, 13 - left)
