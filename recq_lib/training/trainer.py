"""`fit`: an explicit training loop with evaluation, early stopping, checkpoint and resume.

On a CPU a run repeats bit for bit for a fixed number of threads, and a resumed run ends as an uninterrupted one: triples and a
method's own noise depend on (seed, epoch) alone, and the checkpoint holds parameters, optimiser state, the best parameters so far
and the history. On an accelerator sums over repeated rows use atomic additions, so two runs agree only within rounding.
"""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, RecordError, RecqError
from recq_lib.evaluation.ranking import Evaluation, evaluate
from recq_lib.parts.content import digest_of
from recq_lib.parts.model import Recommender
from recq_lib.training import checkpoint as checkpoints
from recq_lib.training.checkpoint import Checkpoint
from recq_lib.training.device import usable_device
from recq_lib.training.losses import l2_of_rows
from recq_lib.training.objectives import objective_of
from recq_lib.training.sampling import TripleSampler
from recq_lib.training.steps import step_for


@dataclass
class FitResult:
    """`history`: one dict per epoch; `best_value` of the selection metric is that of `best_epoch` (-inf where nothing selects);
    `seconds` of training alone."""

    history: list[dict[str, float]]
    best_epoch: int
    best_value: float
    seconds: float
    stopped_early: bool
    resumed: bool = False


@dataclass(frozen=True)
class Batch:
    """A batch of triples and its encoded nodes; each distinct node is encoded once.

    users, positives, negatives : [B] user and item ids
    rows : [R] encoded nodes, ascending, or None when all nodes are (on an accelerator, where finding the distinct ones would stall it)
    slot : [n_nodes] the place of a node among `rows`, undefined for others; None with `rows`
    layers, vectors : [L+1, R, d] and [R, D], the encoder's and the readout's output
    """

    users: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor
    n_users: int
    rows: torch.Tensor | None
    slot: torch.Tensor | None
    layers: torch.Tensor
    vectors: torch.Tensor

    def at(self, nodes: torch.Tensor) -> torch.Tensor:
        """Where `nodes` stand among the encoded rows."""
        return nodes if self.slot is None else self.slot[nodes]

    def at_items(self, items: torch.Tensor) -> torch.Tensor:
        return self.at(items + self.n_users)

    def places(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Where users, positives and negatives stand among the encoded rows, [B] each."""
        return self.at(self.users), self.at_items(self.positives), self.at_items(self.negatives)


class Trainer:
    """State of one run. `fit` is the usual entry; the class exists so that a notebook can step through a run.

    Raises `ConfigError` for a model that cannot be trained or was built on other training interactions, and for an unusable device.
    """

    def __init__(self, model: Recommender, data: Interactions, config: TrainConfig, *, device: str | torch.device = "cpu") -> None:
        check_model(model, data)
        self.device = torch.device(usable_device(device))
        self.content = digest_of(model.parts())
        self.model, self.data, self.config = model.to(self.device), data, config
        self.sampler = TripleSampler(data, convention=config.sampling, negatives=config.negatives, seed=config.seed, device=self.device)
        self.optimizer = torch.optim.Adam(model.parameter_groups(config.lr), lr=config.lr, weight_decay=config.weight_decay, fused=True)
        self.objective = objective_of(self.sampler, config)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.step = step_for(self)
        self.epoch = 0  # next epoch to train
        self.history: list[dict[str, float]] = []
        self.best_value, self.best_epoch, self.stale = -math.inf, -1, 0
        self.best_state = {} if config.select_on == "none" else self._parameters()  # there the last epoch's alone is kept
        self.seconds = 0.0

    # ---- one step, one epoch --------------------------------------------------------------------------------------------

    def loss(self, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
        """The objective, plus L2 on the layer-0 rows of a batch of triples [B], plus what the model's own auxiliary loss adds."""
        batch = self.encode(users, positives, negatives)
        loss = self.objective(batch)
        if self.config.l2:
            counts = torch.bincount(torch.cat(batch.places()), minlength=batch.layers.shape[1])
            loss = loss + self.config.l2 * l2_of_rows(batch.layers[0], counts, users.numel())
        if self.model.auxiliary is not None:
            loss = loss + self.model.auxiliary(self.model, batch)
        return loss

    def encode(self, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> Batch:
        """Layers and stored vectors of a batch's nodes."""
        model, rows, slot = self.model, None, None
        if self.device.type == "cpu":
            nodes = [users, positives + self.data.n_users, negatives + self.data.n_users]
            rows = torch.unique(torch.cat(nodes + ([model.auxiliary.nodes(users)] if model.auxiliary is not None else [])))
            slot = torch.empty(self.data.n_nodes, dtype=torch.int64)
            slot[rows] = torch.arange(rows.numel())
        layers = model.layers(rows)
        return Batch(users, positives, negatives, self.data.n_users, rows, slot, layers, model.readout(layers, rows))

    def train_batch(self, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor | float:
        """One step of the optimiser; returns the batch's loss before it."""
        loss = self.step(users, positives, negatives)
        self.optimizer.step()
        return loss

    def train_epoch(self) -> float:
        """Train one epoch and return its mean loss. Raises `RecqError` when the loss is not finite."""
        self.model.train()
        self.model.begin_epoch(self.epoch, self.config.epochs)
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            # noise drawn by a method depends on (seed, epoch) alone, like the triples, so a resumed run needs no random state
            torch.manual_seed(self.config.seed * 1_000_003 + self.epoch)
            for part in self.model.parts():
                part.prepare(self)
            with torch.enable_grad():  # a caller may be inside no_grad
                return self._train_batches()

    def timed_epoch(self) -> float:
        """`train_epoch`, its time added to `seconds`."""
        start = time.perf_counter()
        loss = self.train_epoch()
        self.seconds += time.perf_counter() - start
        return loss

    def _train_batches(self) -> float:
        total, batches = torch.zeros((), device=self.device), 0
        for users, positives, negatives in self.sampler.epoch(self.epoch).batches(self.config.batch_size):
            self._set_rates(batches)
            total += self.train_batch(users, positives, negatives)
            batches += 1
        mean = float(total) / batches
        if not math.isfinite(mean):
            raise RecqError(f"the loss of epoch {self.epoch} is {mean}; lower the learning rate ({self.config.lr}) or check the input")
        return mean

    def _set_rates(self, batch: int) -> None:
        """Learning rates for batch number `batch` of the epoch: of the place in the run alone, so a resumed run has them too."""
        if self.config.lr_decay == "none":
            return
        per_epoch = -(-self.sampler.n_triples // self.config.batch_size)
        left = 1 - (self.epoch * per_epoch + batch) / (self.config.epochs * per_epoch)
        for group, rate in zip(self.optimizer.param_groups, self.rates):
            group["lr"] = rate * left

    # ---- evaluation and selection -----------------------------------------------------------------------------------------

    def validate(self) -> float:
        config = self.config
        k = int(config.select_metric.partition("@")[2])
        ks = config.ks if config.select_on == "test" else (k,)
        masks = config.mask_at_selection if config.select_on == "val" else ("train", "val")
        result = evaluate(self.model, self.data, ks=sorted({*ks, k}), split=config.select_on, mask=masks)
        entry = self.history[-1]
        if config.select_on == "test":
            entry.update(result.values)  # the authors' protocol records whole learning curves
        else:
            entry[f"{config.select_on}_{config.select_metric}"] = result.values[config.select_metric]
        return result.values[config.select_metric]

    def step_epoch(self) -> None:
        """Train one epoch, evaluate when due, remember the best parameters."""
        loss = self.timed_epoch()
        self.history.append({"epoch": self.epoch, "loss": loss})
        self.history[-1].update(self.model.readout.diagnostics(self.model))
        if self.config.select_on == "none":
            if self.epoch == self.config.epochs - 1:
                self._keep()
        elif self.epoch % self.config.eval_every == 0:
            value = self.validate()
            if value > self.best_value:
                self.best_value = value
                self._keep()
            else:
                self.stale += 1
        self.epoch += 1

    def _keep(self) -> None:
        self.best_epoch, self.stale, self.best_state = self.epoch, 0, self._parameters()

    def _parameters(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    @property
    def finished(self) -> bool:
        return self.epoch >= self.config.epochs or self.stopped_early

    @property
    def stopped_early(self) -> bool:
        return 0 < self.config.patience <= self.stale

    # ---- checkpoints -------------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        checkpoints.save(path, *self._state())

    def remember(self) -> Checkpoint:
        """A copy of the state as it is, to be saved if what follows is interrupted."""
        tensors, meta = self._state()
        kept = {name: tensor if name.startswith("best.") else tensor.clone() for name, tensor in tensors.items()}  # the best stays as it is
        return Checkpoint(kept, meta | {"history": list(self.history)})

    def _state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best_state.items()}
        state = self.optimizer.state_dict()["state"]
        tensors |= {f"adam.{i}.{k}": v for i, part in state.items() for k, v in part.items()}
        names = ("epoch", "history", "best_value", "best_epoch", "stale", "seconds")
        return {name: tensor.detach() for name, tensor in tensors.items()}, {
            "run": self._identity(), **{name: getattr(self, name) for name in names}
        }  # fmt: skip

    def _identity(self) -> dict[str, Any]:
        shape = {name: list(tensor.shape) for name, tensor in self.model.state_dict().items()}
        params = json.loads(json.dumps(self.config.params()))
        return {"params": params, "seed": self.config.seed, "data": self.data.fingerprint, "model": shape, "content": self.content}

    def restore(self, path: Path, saved: Checkpoint | None = None) -> None:
        """Continue from `path`, or from what was read there. Raises `RecordError` for another configuration, dataset or model."""
        saved = checkpoints.load(path) if saved is None else saved
        if saved.meta.get("run") != self._identity():
            raise RecordError(
                f"checkpoint {path} belongs to another run (configuration, data or model differ) or an earlier version; "
                "delete it or choose another path"
            )
        parts = {"model": {}, "best": {}, "adam": {}}
        for name, tensor in saved.tensors.items():
            kind, _, rest = name.partition(".")
            if kind in parts:
                parts[kind][rest] = tensor
        self.model.load_state_dict(parts["model"])
        self.best_state = {name: tensor.to(self.device) for name, tensor in parts["best"].items()}
        optimizer = self.optimizer.state_dict()
        for name, tensor in parts["adam"].items():
            index, _, field = name.partition(".")
            optimizer["state"].setdefault(int(index), {})[field] = tensor
        self.optimizer.load_state_dict(optimizer)
        for name in ("epoch", "history", "best_value", "best_epoch", "stale", "seconds"):
            setattr(self, name, saved.meta[name])


def fit(
    model: Recommender,
    data: Interactions,
    config: TrainConfig | None = None,
    *,
    device: str | torch.device = "cpu",
    checkpoint: Path | str | None = None,
    checkpoint_seconds: float = 60.0,
    on_epoch: Callable[[Trainer], None] | None = None,
) -> FitResult:
    """Train until `config.epochs` or early stopping; afterwards `model` holds the parameters of the best epoch.

    Epochs 0, `eval_every`, 2·`eval_every`, … are evaluated, and the best of these is kept; a warning says when epoch 0 is the only one.
    With `select_on="none"` nothing is evaluated and the last epoch is kept.

    Parameters
    ----------
    config : default: the one the model was built with
    checkpoint : file to resume from and to save to, at most every `checkpoint_seconds` and when interrupted; removed by the caller when
        done. A damaged one is moved aside with a warning, and the run begins anew
    on_epoch : called after each epoch, for progress and for tests that interrupt

    Raises `ConfigError` for a model that is not trained or was built on other interactions, a device that cannot be used, and a split
    or cut-off that the data do not have; `RecqError` when the loss is not finite.

    >>> import recq_lib as recq
    >>> data = recq.load("synthetic")
    >>> model = recq.build("lightgcn", data, recq.TrainConfig(dim=8, n_layers=2, epochs=3, eval_every=1, lr=0.01))
    >>> result = recq.fit(model, data)
    >>> len(result.history), result.history[0]["loss"] > result.history[-1]["loss"]
    (3, True)
    >>> 0 <= result.best_value <= 1  # of `select_metric` on the validation split, at `best_epoch`
    True
    """
    check_model(model, data)
    config = config or model.config
    if config is None:
        raise ConfigError("config is missing: this model was not built by name; pass fit(model, data, TrainConfig(…))")
    _check_evaluations(data, config)
    if config.select_on == "val" and data.val.nnz == 0:
        raise ConfigError(
            f"{data.name} has no validation split; carve one from train with data.splits.with_validation, "
            "or choose the authors' protocol (select_on='test') and say so"
        )
    if config.select_on != "none" and 1 < config.epochs <= config.eval_every:
        kept = f"only epoch 0 is evaluated, so its parameters are kept; set eval_every to at most {config.epochs - 1}"
        warnings.warn(f"epochs is {config.epochs} and eval_every {config.eval_every}: {kept}", stacklevel=2)
    trainer = Trainer(model, data, config, device=device)
    checkpoint = None if checkpoint is None else Path(checkpoint)
    saved = None if checkpoint is None else checkpoints.load_or_set_aside(checkpoint)
    if saved is not None:
        trainer.restore(checkpoint, saved)
    _train(trainer, checkpoint, checkpoint_seconds, on_epoch)
    model.load_state_dict(trainer.best_state)
    return FitResult(trainer.history, trainer.best_epoch, trainer.best_value, trainer.seconds, trainer.stopped_early, saved is not None)


def _train(trainer: Trainer, checkpoint: Path | None, checkpoint_seconds: float, on_epoch: Callable[[Trainer], None] | None) -> None:
    """The loop. Where there is a checkpoint, an interruption (Ctrl-C) saves the state after the last whole epoch on its way out."""
    last_saved, remembered = time.monotonic(), None
    try:
        while not trainer.finished:
            trainer.step_epoch()
            if checkpoint is not None:
                remembered = trainer.remember()
                if trainer.finished or time.monotonic() - last_saved >= checkpoint_seconds:
                    checkpoints.save(checkpoint, remembered.tensors, remembered.meta)
                    last_saved, remembered = time.monotonic(), None
            if on_epoch is not None:
                on_epoch(trainer)
    except KeyboardInterrupt:
        if remembered is not None:
            checkpoints.save(checkpoint, remembered.tensors, remembered.meta)
        raise


def check_model(model: Recommender, data: Interactions) -> None:
    """Refuse what cannot be trained on `data`: no `Recommender`, no `Interactions`, or the graph of other training interactions."""
    if not isinstance(model, Recommender):
        rule = "a closed form such as MostPop is ready as it is, with nothing to train; fit takes what build gives for other methods"
        raise ConfigError(f"model is of type {type(model).__name__}, but must be a Recommender; {rule}")
    if not isinstance(data, Interactions):
        raise ConfigError(f"data is of type {type(data).__name__}, but must be Interactions: fit(model, data)")
    own, other = model.graph.interactions(), data.train
    if own.shape != other.shape or own.nnz != other.nnz:
        sizes = [f"{m.shape[0]} users, {m.shape[1]} items and {m.nnz} training interactions" for m in (own, other)]
        raise ConfigError(f"the model was built on {sizes[0]}, but {data.name} has {sizes[1]}; build it on the data to train on")
    if not (np.array_equal(own.indptr, other.indptr) and np.array_equal(own.indices, other.indices)):
        raise ConfigError(f"the model was built on other training interactions than those of {data.name}; build it on the data to train on")


def _check_evaluations(data: Interactions, config: TrainConfig) -> None:
    """Refuse before training what an evaluation would refuse after it."""
    for k in (*config.ks, int(config.select_metric.partition("@")[2])):
        if k > data.n_items:
            raise ConfigError(f"K is {k}, but {data.name} has {data.n_items} items; choose ks and select_metric within the catalogue")
    if config.select_on == "test" and data.test.nnz == 0:
        raise ConfigError(f"{data.name} has no test split to select on; choose select_on='val'")


def final_evaluation(model: Recommender, data: Interactions, config: TrainConfig) -> Evaluation:
    """The one look at the test split: full ranking with train and validation items masked."""
    return evaluate(model, data, ks=config.ks, split="test", mask=("train", "val"))
