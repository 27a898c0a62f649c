"""Sizes beyond the machine are refused with the numbers; the least of what machine, container and process allow counts."""

from __future__ import annotations

import pytest

from recq_lib.cli import main as cli
from recq_lib.data.synthetic import generate, scaled
from recq_lib.errors import ConfigError
from recq_lib.io import memory
from recq_lib.papers.baco.clustering import cluster
from recq_lib.runs.share import share

TINY = generate("tiny")


def test_the_least_limit_counts(monkeypatch, tmp_path):
    machine = memory.limit_bytes()
    assert 1e8 < machine < 1e15
    for text, limit in (("1000000\n", 1e6), ("max\n", machine), ("9" * 30, machine)):
        (tmp_path / "memory.max").write_text(text)
        monkeypatch.setattr(memory, "_CGROUPS", (str(tmp_path / "memory.max"), str(tmp_path / "absent")))
        assert memory.limit_bytes() == min(limit, machine)


def test_what_is_needed_and_what_there_is_are_told(monkeypatch):
    monkeypatch.setattr(memory, "limit_bytes", lambda: 2e9)
    memory.check_memory("this", 2e9, "give less")
    with pytest.raises(ConfigError, match=r"^this needs at least 3.0 GB of memory, but 2.0 GB is all there is; give less$"):
        memory.check_memory("this", 3e9, "give less")


@pytest.mark.parametrize(("arguments", "text"), [
    (["train", "lightgcn", "--dim", "1000000000"], "lightgcn on synthetic-tiny with dim 1,000,000,000 and 3 layers"),
    (["train", "mf", "--dim", "100000000000"], "mf on synthetic-tiny with dim 100,000,000,000 and 0 layers (1 × 100 × 100,000,000,000"),
    (["train", "lightgcn", "--layers", "100000000"], "100,000,000 layers"),
    (["train", "ptq-sign", "--dim", "1000000000"], "ptq-sign on synthetic-tiny with dim"),
    (["train", "lsh", "--set", "bits=1000000000000", "--epochs", "1", "--select-metric", "recall@5"], "LSH with 1,000,000,000,000 bits"),
    (["train", "baco", "--set", "sweeps=1000000000000"], "visiting 100 nodes in 1,000,000,000,000 orders"),
    (["compress", "lp", "--budget", "0.5", "--set", "sweeps=1"], "option of 'lp' is 'sweeps'"),
])  # fmt: skip
def test_commands_refuse_such_sizes(arguments, text, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))
    ks = ["--ks", "5", "--no-save"] if arguments[0] == "train" else []
    assert cli.main([*arguments, "--dataset", "synthetic-tiny", *ks]) == 1
    told = capsys.readouterr().err.splitlines()
    assert text in told[-1] and told[-1].startswith("error: ") and not any("Traceback" in line for line in told)
    assert arguments[1] == "lp" or "GB of memory, but" in told[-1]


@pytest.mark.parametrize("name", ["synthetic-99999999999999999", "synthetic-9999999999999"])
def test_data_that_no_machine_holds_are_not_generated(name, capsys):
    assert cli.main(["data", "stats", name]) == 1
    assert "interactions needs at least" in capsys.readouterr().err


def test_the_library_refuses_as_the_commands_do(monkeypatch):
    monkeypatch.setattr(memory, "limit_bytes", lambda: 100e3)
    with pytest.raises(ConfigError, match=r"generating 2,000 interactions needs at least 0.0 GB"):
        generate(scaled(2000))
    with pytest.raises(ConfigError, match="visiting 100 nodes in 1,000 orders"):
        cluster(TINY, 1.0, sweeps=1000)
    assert share(TINY, gamma=1.0).n_users == 60
