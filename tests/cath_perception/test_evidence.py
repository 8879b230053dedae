from dataclasses import replace

import numpy as np
import pytest

from cath_perception.evidence import Evidence
from cath_perception.pattern import patterns_of
from cath_perception.recognition import Recognizer

from .patterns import straight

DECAPOLAR = [2, 5] * 4 + [2]


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load()


@pytest.fixture(scope="module")
def reading(recognizer):
    return recognizer.read(patterns_of(straight(DECAPOLAR))[0])


def something_else(recognizer, reading):
    """A look by which it is a quadripolar catheter."""
    quadripolar = np.arange(len(recognizer.types)) == recognizer.types.index("quadripolar")
    return replace(reading, scores=np.where(quadripolar, 6.0, -4.0))


def test_a_type_is_told_by_one_look_and_settled_by_two_at_many_electrodes(recognizer, reading):
    evidence = Evidence(recognizer)
    assert (evidence.type, evidence.worth, evidence.note(reading)) == ((None, 0.0), 0.0, True)
    assert evidence.type[0] == "coronary_sinus"
    assert not evidence.settled
    assert not evidence.note(reading)
    assert evidence.settled
    assert evidence.worth == pytest.approx(8.0)  # however well it fits


def test_a_type_that_fits_less_well_is_settled_by_five_looks(recognizer, reading):
    evidence = Evidence(recognizer)
    weak = replace(reading, scores=np.where(np.arange(len(recognizer.types)) == 0, 1.2, -4.0))
    settled = []
    for _ in range(5):
        evidence.note(weak)
        settled.append(evidence.settled)
    assert settled == [False] * 4 + [True]


def test_one_look_at_something_else_changes_no_type_and_many_do(recognizer, reading):
    evidence = Evidence(recognizer)
    for _ in range(5):
        evidence.note(reading)
    other = something_else(recognizer, reading)
    assert not evidence.note(other)
    assert evidence.type[0] == "coronary_sinus"
    changed = [evidence.note(other) for _ in range(12)]
    assert changed.count(True) == 1
    assert evidence.type[0] == "quadripolar"


def test_what_is_lessened_gives_way_at_once(recognizer, reading):
    evidence = Evidence(recognizer)
    for _ in range(20):
        evidence.note(reading)
    evidence.lessen(0.5)
    assert not evidence.settled
    assert evidence.note(something_else(recognizer, reading))
    assert evidence.type[0] == "quadripolar"
