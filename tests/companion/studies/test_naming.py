"""A run's protocol in words: every committed record has one, and the settings it names are those that differ."""

from __future__ import annotations

import dataclasses

import pytest
from helpers import baco_record

from recq_lib.companion.studies import naming
from recq_lib.config import PROFILES, PROTOCOLS, TrainConfig, protocol
from recq_lib.io import paths
from recq_lib.runs import registry
from recq_lib.runs import store as results

FIXED = "all of train for a fixed length (no validation)"


@pytest.fixture(scope="module")
def committed():
    return results.find(paths.project_root() / "results", arrays=False)


def trained(dataset: str, config: TrainConfig, method: str = "lightgcn"):
    return baco_record(method, dataset=dataset, config=config)


class TestCommitted:
    def test_every_record_is_named_by_what_differs_from_a_protocol(self, committed):
        """With the changes put into the protocol named, the settings are the record's own; so none is missing and none invented."""
        assert len(committed) >= 654
        for record in committed:
            found = naming.protocol_of(record)
            if registry.method(record.spec.method).kind == "closed_form":
                assert (str(found), found.of_a_paper) == ("closed form", False)
                continue
            own = {name: value for name, value in record.spec.params.items() if not name.startswith("option.")}
            made = {k: tuple(v) if isinstance(v, list) else v for k, v in (PROTOCOLS[found.name].params() | dict(found.changes)).items()}
            assert {name: made[name] for name in own} == own
            usual = PROTOCOLS[found.name].params()
            assert all(usual[name] != value for name, value in found.changes.items()) and found.title in str(found)

    def test_no_small_run_passes_for_a_papers(self, committed):
        """Smaller batches or steps of its own make a run ours; a paper's settings are those of two datasets here, and one NGCF run."""
        of_papers = {(r.spec.dataset, naming.protocol_of(r).name) for r in committed if naming.protocol_of(r).of_a_paper}
        assert of_papers == {("beauty", "baco"), ("beauty", "ngcf"), ("ml1m", "l2q-authors")}
        for record in committed:
            if naming.protocol_of(record).name in naming.OURS:
                continue
            small = record.spec.params.get("lr") in (5e-3, 1e-2) or record.spec.params.get("batch_size") in (4096, 16384)
            assert not (small and naming.protocol_of(record).of_a_paper)
            assert not small or naming.protocol_of(record).laptop


class TestExamples:
    @pytest.mark.parametrize("name", PROTOCOLS)
    def test_a_protocol_itself(self, name):
        found = naming.protocol_of(trained("yelp2018", PROTOCOLS[name]))
        assert (found.name, found.laptop, dict(found.changes)) == (name, False, {})
        assert str(found) == found.title == naming.TITLES[name] and found.of_a_paper is (name != "fast")

    @pytest.mark.parametrize(
        ("record", "text", "of_a_paper"),
        [
            (baco_record("baco", gamma=0.1308), "BACO's protocol", True),
            (trained("beauty", protocol("baco", patience=0)), "BACO's protocol with patience 0", True),
            (trained("ml1m", protocol("l2q-authors", epochs=44)), "BiGeaR's protocol with epochs 44", True),
            (trained("beauty", protocol("baco", n_layers=1)), "BACO's protocol with L 1", False),
            (trained("gowalla", protocol("lightgcn", lr=5e-3)), "LightGCN's protocol with step 0.005", False),
            (
                trained("gowalla-resplit", protocol("baco", init_std=0.1, batch_size=16384, epochs=150, lr=1e-2, l2=1e-4, eval_every=5)),
                "laptop scale of BACO's protocol (start σ 0.1, step 0.01, batch 16384, λ 0.0001, epochs 150, eval_every 5)",
                False,
            ),
            (
                trained("lastfm", protocol("l2q", dim=64, lr=5e-3, l2=1e-3, epochs=60, eval_every=4, patience=0, ks=(20, 50, 100))),
                "laptop scale of BiGeaR's protocol on validation "
                "(d 64, step 0.005, λ 0.001, epochs 60, eval_every 4, patience 0, ks 20, 50, 100)",
                False,
            ),
            (
                trained("lastfm", protocol("lightgcn", lr=1e-2, l2=1e-3, epochs=60, eval_every=4, patience=0, select_metric="recall@50")),
                "laptop scale of LightGCN's protocol (step 0.01, λ 0.001, epochs 60, eval_every 4, patience 0, select_metric recall@50)",
                False,
            ),
            (trained("gowalla", protocol("fast", select_on="none")), f"our fast recipe with {FIXED}", False),
            (trained("gowalla", protocol("fast", select_on="test")), "our fast recipe with epoch chosen on test", False),
            (baco_record("mostpop"), "closed form", False),
        ],
    )
    def test_worked_out_from_the_settings(self, record, text, of_a_paper):
        found = naming.protocol_of(record)
        assert (str(found), found.of_a_paper) == (text, of_a_paper)

    def test_a_methods_own_options_do_not_count(self):
        assert str(naming.protocol_of(baco_record("baco", ratio=0.2, scu=False))) == "BACO's protocol"

    def test_a_setting_added_since_has_its_default(self):
        """A record leaves it out, so a protocol that sets it to something else is no nearer."""
        record = baco_record("lightgcn")
        params = {name: value for name, value in record.spec.params.items() if name != "readout"}
        bare = dataclasses.replace(record, spec=dataclasses.replace(record.spec, params=params))
        assert naming.settings_of(bare)["readout"] == "mean" and str(naming.protocol_of(bare)) == "BACO's protocol"

    def test_the_profile_does_not_count(self):
        record = baco_record("lightgcn")
        for profile in PROFILES:
            same = dataclasses.replace(record, spec=dataclasses.replace(record.spec, profile=profile))
            assert naming.protocol_of(same) == naming.protocol_of(record)


class TestTold:
    def test_values_of_one_protocol_are_listed(self):
        config = protocol("l2q", lr=5e-3, l2=1e-3, epochs=60, eval_every=4, patience=0, ks=(20, 50, 100))
        runs = [trained("lastfm", dataclasses.replace(config, dim=dim)) for dim in (256, 32, 64)]
        found = naming.told(runs)
        assert found == "laptop scale of BiGeaR's protocol on validation (d 32/64/256, step 0.005, λ 0.001, epochs 60)"
        more = [trained("lastfm", dataclasses.replace(config, dim=dim)) for dim in (16, 32, 64, 128, 256)]
        assert "(d 16…256, step" in naming.told(more)

    def test_runs_with_and_without_a_chosen_epoch_stand_together(self):
        runs = [trained("gowalla", protocol("fast", select_on=on)) for on in ("none", "val", "test")]
        assert naming.told(runs[:1]) == f"our fast recipe with {FIXED}"
        both = naming.told([trained("gowalla", protocol("fast", select_on=on, dim=256)) for on in ("none", "test")])
        assert both == f"our fast recipe with d 256, epoch chosen on test or {FIXED}"

    def test_the_most_frequent_comes_first_and_closed_forms_count_only_alone(self):
        exact, longer = baco_record("baco"), trained("beauty", protocol("baco", patience=0))
        assert naming.told([longer, exact, exact, baco_record("mostpop")]) == "BACO's protocol; BACO's protocol with patience 0"
        assert naming.told([baco_record("mostpop")]) == "closed form"
        assert naming.told([]) == ""

    def test_runs_from_uncommitted_code_are_counted(self):
        record = baco_record("baco")
        code = {"commit": "c", "dirty": False, "library": "l"}
        provenances = (
            code, code | {"dirty": None}, code | {"dirty": True}, code | {"code": [code, code | {"dirty": True}]},
            code | {"teacher": [code | {"dirty": True}]}, code | {"teacher": [code]},
        )  # fmt: skip
        runs = [dataclasses.replace(record, provenance=provenance) for provenance in provenances]
        assert naming.told(runs) == "BACO's protocol; 3 of 6 runs from uncommitted code"
