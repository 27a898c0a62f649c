"""`compress`, as a function and as a command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recq_lib.cli.main import main
from recq_lib.data.synthetic import SyntheticConfig, generate
from recq_lib.errors import ConfigError
from recq_lib.runs.compress import compress


@pytest.fixture(scope="module")
def data():
    return generate(SyntheticConfig(n_users=120, n_items=80, n_interactions=1500, seed=3))


def test_a_budget_is_a_share_or_a_number_of_parameters(data):
    share = compress("random-hash", data, budget=0.25, dim=16)
    assert share.parameters == 16 * (30 + 20) and share.ratio == 0.25 and share.gamma is None
    number = compress("random-hash", data, budget=800, dim=16)
    assert number.parameters == 800
    assert share.table_bytes == 4 * 16 * 50 + 4 * 200 and share.full_bytes == 4 * 16 * 200


def test_baco_meets_a_budget_by_gamma_and_takes_a_given_one(data):
    found = compress("baco", data, budget=0.3, dim=64)
    assert found.ratio == pytest.approx(0.3, rel=0.05) and found.gamma > 0
    again = compress("baco", data, gamma=found.gamma, dim=64)
    assert again.parameters == found.parameters
    plain = compress("baco", data, gamma=found.gamma, scu=False, dim=64)
    assert plain.parameters == 64 * plain.sharing.n_rows


@pytest.mark.parametrize(
    "method, options, message",
    [
        ("baco", {"budget": 0.2, "gamma": 1.0}, "both set the size"),
        ("baco", {"budget": -1.0}, "budget is -1"),
        ("baco", {"gamma": float("nan")}, "gamma is nan"),
        ("baco", {"gamma": -1.0}, "gamma is -1.0"),
        ("infomap", {"budget": 0.2}, "finds its own number of rows"),
        ("lightgcn", {}, "sharing method is 'lightgcn'"),
        ("random-hash", {"gamma": 1.0}, "option of 'random-hash'"),
    ],
)
def test_misuse_is_refused(data, method, options, message):
    with pytest.raises(ConfigError, match=message):
        compress(method, data, **options)


def test_the_command_compresses_the_users_own_table(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = {f"u{rng.integers(40)},i{rng.integers(30)}" for _ in range(400)}
    file, output = tmp_path / "mine.csv", tmp_path / "rows.npz"
    file.write_text("person,thing\n" + "\n".join(sorted(lines)) + "\n")
    arguments = ["compress", "baco", "--csv", str(file), "--user", "person", "--item", "thing", "--gamma", "0.5", "--json"]
    assert main([*arguments, "--output", str(output)]) == 0
    printed = json.loads(capsys.readouterr().out)
    with np.load(output) as saved:
        users, items, ids = saved["user_rows"], saved["item_rows"], saved["user_ids"]
        assert printed["user_rows"] == saved["sizes"][0] == np.unique(users[:, 0]).size
        assert printed["item_rows"] == np.unique(items).size
        assert set(ids) == {line.split(",")[0] for line in lines} and len(users) == len(ids)
    assert printed["parameters"] == 64 * (printed["user_rows"] + printed["item_rows"]) + printed["extra_indices"]
    assert printed["extra_indices"] == (users[:, 1] >= 0).sum()


def test_the_command_needs_a_source_and_says_what_is_wrong(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["compress", "baco"])
    capsys.readouterr()
    empty = tmp_path / "empty.csv"
    empty.write_text("user,item\n")
    assert main(["compress", "baco", "--csv", str(empty)]) == 1
    assert "empty.csv" in capsys.readouterr().err
