"""What protocol a run followed, in words: a paper's own, or ours at laptop scale, with the settings that differ (ours).

A profile says how large a run is meant to be, not whose settings it has: LastFM in batches of 2048 for 60 epochs is of profile "paper" and
no paper's. So a record's settings are compared with the protocols of `config.PROTOCOLS` and with what the studies make of them for small
data, and the nearest one gives the name. A method's own options do not count: they are the method, not how it is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recq_lib.companion.studies import bits, codes, sharing
from recq_lib.companion.studies.protocols import SMALL
from recq_lib.config import OPTION, PROTOCOLS, TrainConfig
from recq_lib.runs import registry
from recq_lib.runs.rebuildable import uncommitted
from recq_lib.runs.records import RunRecord

TITLES = {
    "lightgcn": "LightGCN's protocol",
    "ngcf": "NGCF's protocol",
    "baco": "BACO's protocol",
    "l2q-authors": "BiGeaR's protocol",
    "l2q": "BiGeaR's protocol on validation",
    "fast": "our fast recipe",
}
OURS = {"fast"}  # no paper's
_LAPTOPS = (("l2q", codes.laptop, SMALL), ("lightgcn", bits.laptop, SMALL), ("baco", sharing.laptop, (*SMALL, *sharing.LARGE)))
_LENGTH = {"epochs", "eval_every", "patience"}
_WORDS = {
    "dim": "d", "batch_size": "batch", "lr": "step", "l2": "λ", "epochs": "epochs", "n_layers": "L", "init_std": "start σ",
    "select_on": "epoch chosen on",
}  # fmt: skip
_SELECTED = {"none": "all of train for a fixed length (no validation)"}  # in place of "epoch chosen on …"
_SHOWN = 4  # values of one setting that are listed; of more the smallest and the largest


@dataclass(frozen=True)
class Protocol:
    """A protocol's name, and the settings that differ from it.

    name : key of `config.PROTOCOLS`; "" for a closed form, which is not trained
    laptop : whether the studies' version for small data is nearer than any paper's own
    changes : setting → the run's value, where it is not the paper's
    """

    name: str
    laptop: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Without the settings: "BACO's protocol", "laptop scale of BACO's protocol", "closed form"."""
        title = TITLES.get(self.name, f"protocol {self.name}") if self.name else "closed form"
        return f"laptop scale of {title}" if self.laptop else title

    @property
    def of_a_paper(self) -> bool:
        """Whether the settings are a paper's own, but for the length of the run."""
        return bool(self.name) and self.name not in OURS and not self.laptop and self.changes.keys() <= _LENGTH

    def __str__(self) -> str:
        return _text(self, {name: [value] for name, value in self.changes.items()})


def protocol_of(record: RunRecord) -> Protocol:
    """The protocol that a record's settings are nearest to: of equals the paper's own, then the one listed first."""
    method = registry.METHODS.get(record.spec.method)
    if method is not None and method.kind == "closed_form":
        return Protocol("")
    ours = settings_of(record)
    candidates = [(name, False, config) for name, config in PROTOCOLS.items()]
    candidates += [(name, True, laptop(record.spec.dataset)) for name, laptop, there in _LAPTOPS if record.spec.dataset in there]
    name, at_laptop, _ = min(candidates, key=lambda candidate: len(differences(ours, candidate[2])))
    return Protocol(name, at_laptop, differences(ours, PROTOCOLS[name]))


def settings_of(record: RunRecord) -> dict[str, Any]:
    """A record's settings of training; what was added since it was made has its default. Tuples are lists, as in `TrainConfig.params`."""
    params = {name: list(value) if isinstance(value, tuple) else value for name, value in record.spec.params.items()}
    return TrainConfig().params() | {name: value for name, value in params.items() if not name.startswith(OPTION)}


def differences(settings: Mapping[str, Any], config: TrainConfig) -> dict[str, Any]:
    """The `settings` whose value is not that of `config`; a method's own options are left out."""
    theirs = config.params()
    return {name: value for name, value in settings.items() if not name.startswith(OPTION) and theirs.get(name) != value}


def told(records: Iterable[RunRecord]) -> str:
    """What a stamp says of runs: their protocols, the most frequent first, and how many come from code that no commit holds.

    Settings that differ among the runs of a protocol are listed with all their values. Empty for no records; closed forms are named only
    where nothing is trained.
    """
    records = list(records)
    groups: dict[tuple[str, bool], list[tuple[Protocol, dict[str, Any]]]] = {}
    for record in records:
        found = protocol_of(record)
        groups.setdefault((found.title, found.of_a_paper and not found.changes), []).append((found, settings_of(record)))
    trained = [group for group in groups.values() if group[0][0].name] or list(groups.values())
    names = [_group_text(group) for group in sorted(trained, key=len, reverse=True)]
    lost = sum(uncommitted(record.provenance) for record in records)
    return "; ".join(names) + (f"; {lost} of {len(records)} runs from uncommitted code" if lost else "")


def _group_text(group: list[tuple[Protocol, dict[str, Any]]]) -> str:
    protocol = group[0][0]
    changed = dict.fromkeys(name for found, _ in group for name in found.changes)
    values = {name: sorted({_plain(settings[name]) for _, settings in group}) for name in changed}
    if protocol.laptop:  # what a reader needs to see the scale; all of it is in the report
        values = {name: values[name] for name in _WORDS if name in values}
    return _text(protocol, values)


def _text(protocol: Protocol, values: Mapping[str, list[Any]]) -> str:
    settings = ", ".join(_setting(name, of) for name, of in values.items())
    if not settings:
        return protocol.title
    return f"{protocol.title} ({settings})" if protocol.laptop else f"{protocol.title} with {settings}"


def _setting(name: str, values: list[Any]) -> str:
    """A setting and its values: "step 0.005", "epoch chosen on test/val"."""
    if name != "select_on":
        return f"{_WORDS.get(name, name)} {_listed(values)}"
    chosen = [value for value in values if value not in _SELECTED]
    told = [f"{_WORDS[name]} {_listed(chosen)}"] if chosen else []
    return " or ".join([*told, *(_SELECTED[value] for value in values if value in _SELECTED)])


def selection(select_on: str) -> str:
    """How a run's epoch was chosen, in words, from its setting `select_on`."""
    return _setting("select_on", [select_on])


def _listed(values: list[Any]) -> str:
    texts = [f"{value:g}" if isinstance(value, float) else str(_plain(value)) for value in values]
    return "/".join(texts) if len(texts) <= _SHOWN else f"{texts[0]}…{texts[-1]}"


def _plain(value: Any) -> Any:
    """A value that can be listed beside others."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value
