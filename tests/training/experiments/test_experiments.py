"""Experiments: every variant is trained, a run that was cut short loses one result only, tables say what was measured."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from cath_perception.errors import CathError
from cath_training.data import bank
from cath_training.experiments import measure, plans, runner, tables

from ..settings import SMALL


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> plans.Plan:
    """The strategies with two steps each, of a few variants."""
    monkeypatch.setattr(measure, "SCENES", 2)
    monkeypatch.setattr(measure, "ROUNDS", 1)
    whole = plans.PLANS["strategies"]()
    names = ("ours", "single task: segmentation", "GradNorm")
    chosen = tuple(
        replace(v, config=replace(v.config, steps=2, architecture=SMALL.architecture, data=SMALL.data))
        for v in whole.variants
        if v.name in names
    )
    assert whole.start is not None
    start = replace(whole.start, steps=2, architecture=SMALL.architecture, data=SMALL.data)
    return replace(whole, variants=chosen, start=start, seeds=(1, 2))


def test_results_are_kept_and_only_what_is_missing_is_run(
    plan: plans.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plans.PLANS, "strategies", lambda: plan)
    doc = tmp_path / "doc.md"
    doc.write_text("before\n<!-- strategies begin -->\nold\n<!-- strategies end -->\nafter\n")
    out, cache = tmp_path / "out", tmp_path / "cache"
    assert runner.run("strategies", out, cache, doc) == 0
    results = json.loads((out / "strategies.json").read_text())
    assert {len(row["seconds"]["runs"]) for row in results.values()} == {2}
    assert "ap" in results["ours"]
    assert "ap" not in results["single task: segmentation"]
    text = doc.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- strategies end -->\nafter\n")
    assert "old" not in text
    assert "| single task: segmentation | – | 0." in text

    (out / "strategies" / "ours-2.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in (out / "strategies").glob("*.json")}
    runner.run("strategies", out, cache, None)
    after = {path: path.stat().st_mtime_ns for path in (out / "strategies").glob("*.json")}
    assert {path.name for path in after if path not in before} == {"ours-2.json"}
    assert all(after[path] == stamp for path, stamp in before.items())


def test_variants_of_a_seed_meet_the_same_samples(tmp_path: Path) -> None:
    config = replace(SMALL, steps=2)
    variants = tuple(plans.Variant(f"rate {x}", replace(config, learning_rate=x)) for x in (1e-3, 1e-4))
    plan = plans.Plan(variants, {"all": ("rate 0.001", "rate 0.0001")}, seeds=(1,))
    run = runner.Runner(plan, tmp_path / "runs", tmp_path / "cache")
    run.result(variants[0], 5)
    source = run.sources[(config.data, 2, 5)]
    drawn = dict(source.batches)
    run.result(variants[1], 5)
    assert source.batches.keys() == drawn.keys()
    assert all(source.batches[key] is batch for key, batch in drawn.items())


def test_every_table_names_variants_and_every_variant_is_in_a_table() -> None:
    for make in plans.PLANS.values():
        plan = make()
        names = [variant.name for variant in plan.variants]
        assert len(set(names)) == len(names)
        assert {name for table in plan.tables.values() for name in table} == set(names)
        assert all(variant.like in ("", *names) for variant in plan.variants)
        assert plan.published.keys() in (set(), set(names))


def test_strategies_differ_in_their_priority_alone() -> None:
    plan = plans.PLANS["strategies"]()
    alike = {repr(replace(v.config, name="", priority=None)) for v in plan.variants}
    assert len(alike) == 1
    assert len({repr(v.config.priority) for v in plan.variants}) == len(plan.variants)


def test_summary_is_mean_and_standard_deviation() -> None:
    row = tables.summary({"a": [{"ap": 0.1}, {"ap": 0.3}]})["a"]["ap"]
    assert row["mean"] == pytest.approx(0.2)
    assert row["spread"] == pytest.approx(math.sqrt(0.02))
    assert math.isnan(tables.summary({"a": [{"ap": 0.1}]})["a"]["ap"]["spread"])


def test_verdict_counts_the_pairs_that_chance_does_not_explain() -> None:
    def row(*runs: float) -> dict[str, object]:
        return {key: {"runs": list(runs)} for key in ("ap", "j", "seconds")}

    results = {"a": row(0.50, 0.60), "b": row(0.40, 0.52), "c": row(0.41, 0.51), "d": row(0.1)}
    published = {"a": (3.0, 3.0), "b": (4.0, 4.0), "c": (1.0, 1.0), "d": (0.0, 0.0)}
    text = tables.verdict(results, published)
    # the seeds differ by 0.10, 0.12 and 0.10: residuals are +-1/300, +-2/300 and +-1/300, their variance with two
    # degrees of freedom 6/300^2, and the standard error of a difference of means of two its root
    assert "difference 0.0082. Of 3 pair(s) with all seeds, 2 differ" in text
    assert "1 in the paper's order, 1 the other way round" in text
    assert "Too few" in tables.verdict({"a": row(0.5, 0.5)}, published)
    assert "Too few" in tables.verdict({}, published)


def test_text_without_markers_is_refused(tmp_path: Path) -> None:
    doc = tmp_path / "doc.md"
    doc.write_text("nothing here")
    with pytest.raises(CathError, match="expected one line <!-- networks begin -->"):
        tables.write(doc, "networks", plans.PLANS["networks"](), {})


def test_test_scenes_are_others_than_those_of_training(tmp_path: Path) -> None:
    size = bank.BankSize(1, 1, 1)
    train, test = (bank.make(tmp_path, size, seed, []) for seed in (measure.TRAIN_BANK, measure.TEST_BANK))
    assert (train.attenuation != test.attenuation).any()
