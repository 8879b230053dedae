"""The node with the model that ships: real electrodes out of a synthetic frame, over DDS."""

from collections.abc import Callable

import numpy as np
import pytest
from cath_msgs.msg import CatheterArray
from node.harness import NodeProcess, Peer, Stream

from cath_perception.convert import image_message
from cath_perception.scoring import match
from cath_training.synthetic.sequence import SyntheticSequence

pytestmark = pytest.mark.ros


def test_node_finds_the_electrodes_of_a_synthetic_frame(
    peer: Peer, start: Callable[..., NodeProcess]
) -> None:
    frame = next(iter(SyntheticSequence(seconds=0.1, seed=9)))
    truth = np.array([(e.x, e.y) for catheter in frame.catheters for e in catheter.electrodes])
    start("-p", "deadline:=0.0", "-p", "max_age:=0.0")
    stream = Stream.configured(peer)
    catheters = peer.listen(CatheterArray, "/perception/catheters")
    header = stream.header()
    answer = stream.answer(image_message(frame.pixels, "mono8", header))
    found = np.array([(e.x, e.y) for e in answer.electrodes])
    pairs, distance = match(found, truth, limit=4.0)
    assert len(pairs) >= 0.8 * len(truth)
    assert np.median(distance) < 1.0
    grouped = peer.wait(lambda: catheters.of(header), "catheters")
    assert grouped.computed
    assert max(len(catheter.electrodes) for catheter in grouped.catheters) >= 3
