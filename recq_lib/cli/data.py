"""`recq data …`: the catalogue, and copies of its datasets."""

from __future__ import annotations

from dataclasses import dataclass

from recq_lib.cli.flags import Name
from recq_lib.data import CATALOGUE, available, fetch, load, verify
from recq_lib.io.output import show


@dataclass(frozen=True)
class List:
    """The catalogue: sizes, terms of use, whether a dataset is at hand."""

    json: bool = False  # print JSON

    def run(self) -> None:
        at_hand = available()
        cards = [
            {
                "name": card.name, "users": card.n_users, "items": card.n_items, "train": card.n_train, "val": card.n_val,
                "test": card.n_test, "at_hand": card.name in at_hand, "terms": card.licence,
            }
            for card in CATALOGUE.values()
        ]  # fmt: skip
        show(cards, "\n".join([_HEADER, *map(_described, cards)]), as_json=self.json)


_HEADER = f"{'name':<12} {'users':>9} {'items':>9} {'train':>11}  a copy is"


def _described(card: dict) -> str:
    sizes = f"{card['users']:>9,} {card['items']:>9,} {card['train']:>11,}"
    return f"{card['name']:<12} {sizes}  {'at hand' if card['at_hand'] else 'to be fetched'}\n{'':<12} terms: {card['terms']}"


@dataclass(frozen=True)
class Fetch:
    """Download and convert a dataset, hashes checked; one that is at hand is not fetched again."""

    name: Name  # as `recq data list` shows it
    json: bool = False  # print JSON

    def run(self) -> None:
        path = fetch(self.name)
        show({"name": self.name, "path": str(path)}, f"{self.name} lies at {path}", as_json=self.json)


@dataclass(frozen=True)
class Verify:
    """Check the copies at hand against the catalogue's hashes; status 1 when there is none or one is wrong."""

    name: Name  # as `recq data list` shows it
    json: bool = False  # print JSON

    def run(self) -> int:
        copies = verify(self.name)
        text = "\n".join(f"{path}: {verdict}" for path, verdict in copies.items())
        show(copies, text or f"no copy of {self.name} at hand; fetch it with: recq data fetch {self.name}", as_json=self.json)
        return 0 if copies and all(verdict.startswith("ok") for verdict in copies.values()) else 1


@dataclass(frozen=True)
class Stats:
    """Sizes, density, tails."""

    name: Name  # of the catalogue, or synthetic-smoke, synthetic-tiny, synthetic-<number of interactions>
    json: bool = False  # print JSON

    def run(self) -> None:
        stats = load(self.name).stats()
        lines = [f"{name:<22} {value:,.4g}" if isinstance(value, float) else f"{name:<22} {value}" for name, value in stats.items()]
        show(stats, "\n".join(lines), as_json=self.json)
