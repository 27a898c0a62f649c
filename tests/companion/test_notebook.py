"""What notebooks call: repeatable set-up, profiles, tables, results, exercise checks, progress."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from recq_lib.companion import notebook
from recq_lib.companion.checks import ExerciseFailed, check, check_close, rejects
from recq_lib.errors import ConfigError
from recq_lib.io.progress import interactive, progress
from recq_lib.runs.provenance import library_hash


@pytest.fixture(autouse=True)
def restore_torch():
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


class TestSetup:
    def draw(self) -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    def test_seed_repeats_and_matters(self) -> None:
        notebook.setup(3)
        first = self.draw()
        notebook.setup(3)
        assert self.draw() == first
        notebook.setup(4)
        assert all(ours != theirs for ours, theirs in zip(self.draw(), first))

    def test_deterministic_and_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RECQ_THREADS", "1")
        notebook.setup(0)
        assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.get_num_threads() == 1

    @pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "0"])
    def test_wrong_seed(self, seed: object) -> None:
        with pytest.raises(ConfigError, match="seed is"):
            notebook.setup(seed)

    @pytest.mark.parametrize("value", ["0", "two", ""])
    def test_wrong_thread_variable(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("RECQ_THREADS", value)
        with pytest.raises(ConfigError, match="RECQ_THREADS"):
            notebook.thread_count()


class TestProfile:
    def test_sizes_grow_and_paper_has_intervals(self) -> None:
        smoke, quick, paper = (notebook.resolve_profile(name) for name in ("smoke", "quick", "paper"))
        assert smoke.max_epochs < quick.max_epochs < paper.max_epochs
        assert len(paper.seeds) >= 3 and not paper.synthetic_allowed and smoke.datasets == ()
        assert [profile.pick(smoke=1, quick=2, paper=3) for profile in (smoke, quick, paper)] == [1, 2, 3]
        assert str(smoke).startswith("smoke: ") and str(smoke).endswith("1 seed")

    def test_datasets_are_in_the_catalogue(self) -> None:
        data = pytest.importorskip("recq_lib.data.catalogue")
        known = set(data.CATALOGUE)
        assert all(set(notebook.resolve_profile(name).datasets) <= known for name in ("smoke", "quick", "paper"))

    def test_unknown_profile(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'quick'"):
            notebook.resolve_profile("quik")


class TestTable:
    frame = pd.DataFrame({"method": ["a<b", "c"], "recall": [0.12345, np.nan], "n": [3, 4]})

    def test_text_and_html_say_profile_and_source(self, capsys: pytest.CaptureFixture[str]) -> None:
        notebook.show_table(self.frame, "Accuracy", profile="smoke", source="synthetic", digits=2)
        text = capsys.readouterr().out
        assert text.startswith("Accuracy · smoke · synthetic\n") and "0.12" in text and "–" in text and "nan" not in text.lower()
        html = notebook.Table(self.frame, "x < y", 2, False)._repr_html_()
        assert "x &lt; y" in html and "a&lt;b" in html and "<table" in html and "0.12" in html

    def test_wrong_arguments(self) -> None:
        with pytest.raises(ConfigError, match="source of table"):
            notebook.show_table(self.frame, "Accuracy", profile="smoke", source="")
        with pytest.raises(ConfigError, match="profile"):
            notebook.show_table(self.frame, "Accuracy", profile="", source="synthetic")


class TestResults:
    @pytest.fixture
    def out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("RECQ_OUT_DIR", str(tmp_path))
        return tmp_path

    def test_written_with_provenance(self, out: Path) -> None:
        values = {"recall@20": np.float32(0.25), "users": np.int64(7)}
        notebook.save_results("02_lightgcn", profile="smoke", source="synthetic", values=values, tolerances={"recall@20": 0.01}, seed=0)
        document = json.loads((out / "smoke" / "02_lightgcn.json").read_text())
        assert document["values"] == {"recall@20": 0.25, "users": 7} and document["tolerances"] == {"recall@20": 0.01}
        assert document["provenance"]["lib_sha256"] == library_hash()
        assert document["source"] == "synthetic"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"values": {"a": float("nan")}}, "result 'a' of 'n' is nan"),
            ({"values": {"a": "0.1"}}, "must be a finite number"),
            ({"tolerances": {"b": 0.1}}, "names no value"),
            ({"tolerances": {"a": -1.0}}, "at least 0"),
            ({"source": ""}, "source of the results"),
            ({"profile": "full"}, "profile is 'full'"),
        ],
    )
    def test_refused(self, out: Path, change: dict, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            notebook.save_results("n", **({"profile": "smoke", "source": "synthetic", "values": {"a": 1.0}} | change))
        assert list(out.iterdir()) == []


class TestChecks:
    def test_check_reports_value_and_rule(self) -> None:
        check(True, "positive", found=3)
        with pytest.raises(ExerciseFailed, match="found -3, but the rule is: positive"):
            check(False, "positive", found=-3)

    @pytest.mark.parametrize("stub", [None, ...])
    def test_empty_stub_fails(self, stub: object) -> None:
        with pytest.raises(ExerciseFailed, match="no answer yet"):
            check(True, "anything", found=stub)
        with pytest.raises(ExerciseFailed, match="no answer yet"):
            check_close(stub, 1.0, "one")

    def test_check_close(self) -> None:
        check_close(torch.tensor([1.0, 2.0]), [1.0, 2.0 + 1e-9], "equal")
        with pytest.raises(ExerciseFailed, match="off by up to 0.5"):
            check_close([1.0, 2.5], [1.0, 2.0], "equal")
        with pytest.raises(ExerciseFailed, match="shape"):
            check_close([1.0], [1.0, 2.0], "equal")
        with pytest.raises(ExerciseFailed, match="not numeric"):
            check_close("abc", 1.0, "a number")
        with pytest.raises(ExerciseFailed, match="off by up to nan"):
            check_close(float("nan"), 1.0, "a number")

    def test_rejects_names_the_rule(self) -> None:
        with pytest.raises(ExerciseFailed, match="ZeroDivisionError.*the rule is: halves"), rejects("halves"):
            _ = 1 / 0


class TestProgress:
    def test_silent_when_nobody_watches(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert list(progress(range(3), label="epoch")) == [0, 1, 2]
        assert capsys.readouterr() == ("", "")

    def test_one_line_per_step_when_verbose(self, capsys: pytest.CaptureFixture[str]) -> None:
        seen = []
        for item in progress([5, 6], label="epoch", verbose=True, note=lambda: f"loss {seen[-1]}"):
            seen.append(item)
        assert capsys.readouterr().out == "epoch 1/2  loss 5\nepoch 2/2  loss 6\n"

    def test_without_length(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert list(progress(iter("ab"), verbose=True)) == ["a", "b"]
        assert capsys.readouterr().out == "step 1\nstep 2\n"

    def test_variable_decides(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("RECQ_PROGRESS", "1")
        assert interactive()
        assert list(progress(range(2), label="epoch")) == [0, 1]
        captured = capsys.readouterr()
        assert "epoch" in captured.err and captured.out == ""
        monkeypatch.setenv("RECQ_PROGRESS", "maybe")
        with pytest.raises(ConfigError, match="RECQ_PROGRESS is 'maybe'"):
            interactive()

    def test_unset_means_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RECQ_PROGRESS")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        assert interactive()
        monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
        assert not interactive()
