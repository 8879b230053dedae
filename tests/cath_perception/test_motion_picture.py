from dataclasses import replace

import numpy as np

from cath_perception.motion import Motion
from cath_perception.motion_picture import MotionPicture

from .patterns import straight

NOTHING = np.zeros(2)


def motion(x, valid=True):
    part = np.array((x, 0.0))
    return Motion(valid, 0.0, part, 0.0, NOTHING, 0.8 * part, 0.2 * part, 0.1, 0.9)


def drawn(frames, catheters):
    picture, pictures = MotionPicture(), []
    for i, item in enumerate(frames):
        pictures.append(np.full((300, 480, 3), 100, np.uint8))
        picture.draw(pictures[-1], item, catheters, i / 15)
    return pictures


def test_an_arrow_and_three_curves_while_the_reference_is_seen():
    reference = replace(straight([2, 5] * 4 + [2], at=(60, 200), angle=0.0), type="coronary_sinus")
    pictures = drawn([motion(30 * np.sin(i / 5)) for i in range(60)], (reference,))
    last = pictures[-1].astype(int)
    red = (last[100:280, :, 2] - last[100:280, :, 0]) > 100
    assert red.any()
    assert red[:, :200].any()
    panel = last[6:70, -206:-6]
    for colour in ((255, 200, 90), (80, 120, 255)):
        assert (np.abs(panel - colour).max(axis=2) < 40)[20:].any()


def test_no_arrow_and_a_word_where_it_is_not_seen():
    first, second = drawn([motion(5.0, valid=False), motion(5.0, valid=False)], ())
    assert (first[100:] == 100).all()
    assert (second[6:70, -206:-6] != 100).any()
    small = np.full((80, 80, 3), 50, np.uint8)
    MotionPicture().draw(small, motion(5.0), (), 0.0)
    assert (small == 50).all()
