from dataclasses import replace

import numpy as np
import pytest

from cath_perception.pattern import patterns_of
from cath_perception.recognition import Recognizer
from cath_perception.templates import TemplateError, load_templates
from cath_perception.types import Electrode

from .patterns import catheter, straight

DECAPOLAR = [2, 5] * 4 + [2]


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load()


@pytest.mark.parametrize(
    ("kind", "gaps", "tip"),
    [
        ("coronary_sinus", DECAPOLAR, 1.25),
        ("coronary_sinus", [2, 8] * 4 + [2], 1.25),
        ("ablation", [2, 5, 2], 3.5),
        ("ablation", [2, 5, 2], 8.0),
        ("quadripolar", [5, 5, 5], 1.5),
        ("quadripolar", [2, 5, 2], 1.5),
        ("halo", [2, 8] * 9 + [2], 1.15),
    ],
)
@pytest.mark.parametrize("squeeze", [1.0, 0.5])
def test_patterns_of_the_field_also_foreshortened(recognizer, kind, gaps, tip, squeeze):
    found, confidence = recognizer.identify(straight(gaps, tip, squeeze=squeeze))
    assert found == kind
    # an ablation catheter has these gaps, too, and boxes show little of the tip where it is foreshortened
    as_ablation = (kind, gaps, squeeze) == ("quadripolar", [2, 5, 2], 0.5)
    assert confidence > (0.5 if as_ablation else 0.6)


@pytest.mark.parametrize(("count", "missing"), [(10, ()), (20, (4, 9, 15))])
def test_rings_on_a_loop_are_a_circular_catheter(recognizer, count, missing):
    turn = np.radians(np.linspace(0, 325, count))
    points = np.stack((250 + 40 * np.cos(turn), 250 + 25 * np.sin(turn)), axis=1)
    rings = [Electrode(x, y, 6.0, 6.0, 0.9) for n, (x, y) in enumerate(points) if n not in missing]
    assert recognizer.identify(catheter(rings, points))[0] == "circular_mapping"


def test_a_tip_that_lies_in_a_bend_does_not_look_longer_than_it_is(recognizer):
    """The chord from the tip to the first ring runs level and the shaft down and up, where equal bars have larger boxes."""
    turns = [45] * 9 + [45, 0, -45] + [-45] * 9 + [*np.linspace(-45, 0, 9)] + [0] * 60
    headings = np.stack((np.cos(np.radians(turns)), np.sin(np.radians(turns))), axis=1)
    course = 100.0 + np.cumsum(headings, axis=0)
    rings = [Electrode(*course[at], *[8.0 * np.abs(headings[at]).sum()] * 2, 0.9) for at in (5, 15, 33, 42)]
    found, confidence = recognizer.identify(catheter(rings, course))
    assert found == "quadripolar"
    assert confidence > 0.8


def test_two_missing_and_one_false_electrode_are_borne(recognizer):
    assert recognizer.identify(straight(DECAPOLAR, keep=[0, 1, 2, 4, 5, 6, 7, 9]))[0] == "coronary_sinus"
    whole = straight(DECAPOLAR)
    first, second = whole.electrodes[3], whole.electrodes[4]
    false = Electrode(
        first.x + 0.4 * (second.x - first.x), first.y + 0.4 * (second.y - first.y), 8.0, 8.0, 0.5
    )
    rings = [*whole.electrodes[:4], false, *whole.electrodes[4:]]
    assert recognizer.identify(catheter(rings, whole.centerline.points))[0] == "coronary_sinus"


def test_unknown_is_an_answer(recognizer):
    assert recognizer.identify(straight([1, 9, 1.5, 14, 3, 1, 20]))[0] is None
    assert recognizer.identify(catheter([], [(0, 0), (10, 10)])) == (None, 0.0)
    assert recognizer.identify(straight([5, 5, 5], keep=[0, 1])) == (None, 0.0)
    named = recognizer(straight(DECAPOLAR))
    assert (named.type, named.type_confidence > 0.9) == ("coronary_sinus", True)


def test_a_user_adds_a_template(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "schema_version: 1\ntemplates:\n"
        "  - {type: octopus, electrodes: 8, gaps_mm: [1, 9, 1.5, 14, 3, 1, 20], tip_mm: 1.25, ring_mm: 1.25}\n"
    )
    mine = Recognizer.load(path)
    assert mine.identify(straight([1, 9, 1.5, 14, 3, 1, 20]))[0] == "octopus"
    assert mine.identify(straight([5, 5, 5]))[0] is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("schema_version: 2\ntemplates: []", "schema_version"),
        ("schema_version: 1\ntemplates:\n  - {type: a, electrodes: 4}", "template 1: expected"),
        (
            "schema_version: 1\ntemplates:\n"
            "  - {type: a, electrodes: 1, gaps_mm: [2], tip_mm: 1, ring_mm: 1}",
            "2 to 64",
        ),
        (
            "schema_version: 1\ntemplates:\n"
            "  - {type: a, electrodes: 4, gaps_mm: [-2], tip_mm: 1, ring_mm: 1}",
            "expected mm",
        ),
        ("{", "cannot be read"),
    ],
)
def test_bad_templates_are_refused_with_the_reason(tmp_path, text, reason):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(TemplateError, match=reason):
        load_templates(path)
    with pytest.raises(TemplateError, match="cannot be read"):
        load_templates(tmp_path / "none.yaml")


@pytest.mark.parametrize(("diameter", "kind"), [(2.6, "ablation"), (1.85, "quadripolar")])
def test_the_width_beside_other_catheters_tells_types_whose_patterns_are_alike(recognizer, diameter, kind):
    """The tip's length lies between an ablation and a quadripolar catheter's."""
    between = patterns_of(straight([2, 5, 2], 2.5, ring=1.25))[0]
    scale = between.width / diameter
    known = recognizer.verdict(recognizer.read(replace(between, scale=scale)).scores)
    assert known[0] == kind
    assert known[1] > 0.85
    assert recognizer.verdict(recognizer.read(between).scores)[1] < 0.7
