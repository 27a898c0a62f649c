"""`share`: budgets kept or refused, misuse, own ids; and the command `compress`."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from recq_lib.cli.main import main
from recq_lib.data.id_bytes import decode_ids
from recq_lib.data.interactions import Interactions
from recq_lib.data.synthetic import SyntheticConfig, generate
from recq_lib.errors import ConfigError
from recq_lib.runs.share import share
from recq_lib.sharing.grouping import OutOfReach
from recq_lib.sharing.sharing import Sharing


@pytest.fixture(scope="module")
def data():
    return generate(SyntheticConfig(n_users=120, n_items=80, n_interactions=1500, seed=3))


def test_a_budget_is_a_share_or_a_number_of_parameters(data):
    rows = share(data, "random-hash", budget=0.25, dim=16)
    assert rows.n_parameters(16) == 16 * (30 + 20) and rows.ratio(16) == 0.25 and rows.found.gamma is None
    assert share(data, "random-hash", budget=800, dim=16).n_parameters(16) == 800
    summary = rows.summary(16)
    assert summary == {
        "method": "random-hash", "dataset": data.name, "dim": 16, "user_rows": 30, "item_rows": 20, "extra_indices": 0,
        "asked": 800, "parameters": 800, "ratio": 0.25, "table_bytes": 4 * 16 * 50 + 4 * 200, "full_bytes": 4 * 16 * 200,
        "seconds": rows.found.seconds, "gamma": None,
    }  # fmt: skip
    assert rows.found.seconds > 0 and json.loads(json.dumps(summary)) == summary


def test_baco_meets_a_budget_by_gamma_and_takes_a_given_one(data):
    rows = share(data, budget=0.3, dim=64)
    assert rows.ratio(64) == pytest.approx(0.3, rel=0.05) and rows.found.gamma > 0 and rows.found.method == "baco"
    again = share(data, gamma=rows.found.gamma, dim=64)
    assert again == rows and again.found.gamma == rows.found.gamma
    plain = share(data, gamma=rows.found.gamma, scu=False, dim=64)
    assert plain.n_parameters(64) == 64 * plain.n_rows
    official = share(data, gamma=rows.found.gamma, ties="official", dim=64)
    assert official.found.settings["ties"] == "official" and rows.found.settings["ties"] == "last"


def test_a_size_out_of_reach_is_told_in_the_users_own_words(data):
    small = Interactions.from_pairs(([0, 0, 1, 2], [0, 1, 1, 2]), name="small")  # 6 nodes, so a full table has 60 parameters at width 10
    with pytest.raises(ConfigError, match=r"^a budget of 54 parameters \(90.0% of a full table\) is out of reach on small: ") as caught:
        share(small, budget=0.9, dim=10)
    assert ("set one in between" in str(caught.value)) == (" to " in str(caught.value).split("sweeps give")[1].split(";")[0])
    with pytest.raises(ConfigError, match=r"^a budget of 55 parameters \(91.7% "):
        share(small, budget=55, dim=10)
    with pytest.warns(UserWarning, match=r"^the default size, GraphHash's at resolution 200, \d+ parameters .* is out of reach on small"):
        share(small, dim=10)
    with pytest.raises(ConfigError, match="budget is 61 parameters, but a full table of small has 60"):
        share(small, "random-hash", budget=61, dim=10)


def test_one_value_in_reach_has_no_in_between():
    alike = OutOfReach("a size", "mine", 128, 128, 256, "5 sweeps", "")
    assert "128 parameters (50.0%) whatever the setting; set that one (" in str(alike) and "between" not in str(alike)
    told = OutOfReach("a size", "mine", 128, 192, 256, "5 sweeps", ", or more").told("another", dim=8)
    assert str(told).startswith("another is out of reach on mine: 5 sweeps give 128 to 192 (50.0% to 75.0%); set one in between")
    assert str(told).endswith(", or more")
    rows = OutOfReach("a size", "mine", 2, 3, 4, "5 sweeps", "", unit="rows").told("another", dim=8, least=20)
    assert "5 sweeps give 20 to 24 (62.5% to 75.0%)" in str(rows)


def test_one_user_takes_one_row_and_numbers_of_numpy_count():
    one = Interactions.from_pairs(([0] * 5, range(5)), name="one")
    rows = share(one, "random-hash", budget=0.5, seed=np.int64(5), dim=np.int64(8))
    assert (rows.n_user_rows, rows.n_item_rows) == (1, 2) and rows.ratio(8) == 0.5


def test_own_ids_go_along_with_the_rows(data, tmp_path):
    users, items = np.array([f"u{n}" for n in range(120)], object), np.arange(80) + 1000

    rows = share(dataclasses.replace(data, user_ids=users, item_ids=items), "random-hash", budget=0.5)
    assert rows == share(data, "random-hash", budget=0.5)
    again = Sharing.load(rows.save(tmp_path / "rows.npz"))
    assert again.user_ids.tolist() == users.tolist() and again.item_ids.tolist() == items.tolist()
    assert share(data, "random-hash", budget=0.5).user_ids is None


def test_all_that_a_method_says_comes_back_from_a_file(data, tmp_path):
    for name, size in (("baco", {"budget": 0.3}), ("graphhash", {"budget": 0.3}), ("brim", {}), ("lp", {"budget": 0.3})):
        rows = share(data, name, **size)
        again = Sharing.load(rows.save(tmp_path / "rows.npz"), n_users=120, n_items=80)
        assert again == rows and (rows.found.tried or name == "brim") and (rows.found.objective or name != "brim")
        for field in dataclasses.fields(rows.found):
            assert np.array_equal(getattr(again.found, field.name), getattr(rows.found, field.name)), field.name


@pytest.mark.parametrize(
    "method, options, message",
    [
        ("baco", {"budget": 0.2, "gamma": 1.0}, "both set the size"),
        ("baco", {"budget": 0.2, "ratio": 0.2}, "both set the size"),
        ("baco", {"budget": -1.0}, "budget is -1"),
        ("baco", {"budget": 0}, "budget is 0"),
        ("baco", {"budget": float("nan")}, "budget is nan"),
        ("baco", {"gamma": float("nan")}, "gamma .*is nan"),
        ("baco", {"gamma": -1.0}, "gamma .*is -1.0"),
        ("baco", {"dim": 0}, "dim is 0"),
        ("baco", {"budget": 0.9}, "out of reach .*budget="),
        ("infomap", {"budget": 0.2}, "finds its own number of rows"),
        ("lightgcn", {}, "sharing method is 'lightgcn'"),
        ("random-hash", {"gamma": 1.0}, "option of 'random-hash'"),
    ],
)
def test_misuse_is_refused(data, method, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        share(data, method, **options)
    assert "\n" not in str(caught.value)


def test_the_command_compresses_the_users_own_table(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = {f"u{rng.integers(40)},i{rng.integers(30)}" for _ in range(400)}
    file, output = tmp_path / "mine.csv", tmp_path / "rows.npz"
    file.write_text("person,thing\n" + "\n".join(sorted(lines)) + "\n")
    arguments = ["compress", "baco", "--csv", str(file), "--user", "person", "--item", "thing", "--gamma", "0.5", "--json"]
    assert main([*arguments, "--output", str(output)]) == 0
    printed = json.loads(capsys.readouterr().out)
    with np.load(output) as saved:
        users, items, ids = saved["user_rows"], saved["item_rows"], decode_ids(saved["user_ids"])
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
