"""Binary-code baselines of L²Q-GCN's papers as readouts, all on the same LightGCN encoder, losses and protocol.

The originals differ in encoder, loss and data; what is compared here is how each turns vectors into codes. Unless said
otherwise the coded vector is LightGCN's (the mean over layers), one code of d bits per node, without scalers, and the
codes are ±√(10/d): CIGAR's official code multiplies its scores by 10/d, without which BPR saturates.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from recq_lib.codes.codes import Codes
from recq_lib.codes.planes import stored_bytes
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.io.memory import check_memory
from recq_lib.parts.annealing import Schedule
from recq_lib.parts.building import SCHEDULE_OPTIONS, TEACHER_OPTIONS, concatenated, own_generator, recommender
from recq_lib.parts.estimators import sign
from recq_lib.parts.method import Builder, Method, Teacher, no_teacher
from recq_lib.parts.model import Recommender
from recq_lib.parts.pair_scores import pair_scores
from recq_lib.parts.protocols import Auxiliary, Readout
from recq_lib.parts.readouts import Concat

if TYPE_CHECKING:
    from recq_lib.training.trainer import Batch


class UnitCodes(Readout):
    """√(10/d)·sign(mean of layers), [R, d]; subclasses train with something smoother and are always evaluated with this."""

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        x = self.coded(layers)
        codes = self.relaxed(x) if self.training else sign(x)
        return codes * (10 / x.shape[1]) ** 0.5

    def coded(self, layers: torch.Tensor) -> torch.Tensor:
        """[R, d]: the values whose signs are the code."""
        return layers.mean(dim=0)

    def relaxed(self, x: torch.Tensor) -> torch.Tensor:
        """[R, d]: what stands for the signs of `x` in training."""
        return sign(x)

    def n_bytes(self, n_nodes: int, dim: int, n_layers: int) -> int:
        """Bytes stored for search: d bits per node, padded to 64."""
        return stored_bytes(n_nodes, dim)

    def codes(self, layers: torch.Tensor, n_users: int) -> Codes:
        """Layers [L+1, N, d] of all nodes as packed codes; √(10/d) is the weight of their one segment."""
        return _unit_codes(self.coded(layers), n_users)


class ContinuedTanh(UnitCodes):
    """tanh(βx) with a slope β that grows, so that training ends near sign(x).

    HashNet (Cao et al., ICCV 2017) doubles β from stage to stage; HashRec, the hashing part of CIGAR (Kang & McAuley,
    CIKM 2019; official code), takes β = √(1 + 10e) at epoch e. `schedule` gives 1/β. HashNet's weighted likelihood and
    CIGAR's re-ranking are left out.
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule, self.slope = schedule, 1 / schedule(0, 1)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set β."""
        self.slope = 1 / self.schedule(epoch, epochs)

    def relaxed(self, x: torch.Tensor) -> torch.Tensor:
        """tanh(βx) [R, d]"""
        return torch.tanh(self.slope * x)

    def extra_repr(self) -> str:
        return repr(self.schedule)


class GumbelBits(UnitCodes):
    """GumbelRec: each bit is drawn from a two-way Gumbel-softmax with logit x and temperature τ; hard draws forward, soft gradient back.

    The difference of two Gumbel variables is logistic, so one draw per bit does. `schedule` gives τ. Codes at test are
    sign(x), the more likely value. The name is known from BiGeaR's tables; the method is the standard construction
    (Jang et al., ICLR 2017). `gain` multiplies the logits: untouched, embeddings of size 0.1 drown in noise of standard
    deviation 1.8 (ours).
    """

    def __init__(self, schedule: Schedule, gain: float = 10.0) -> None:
        super().__init__()
        self.schedule, self.temperature, self.gain = schedule, schedule(0, 1), gain

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set τ."""
        self.temperature = self.schedule(epoch, epochs)

    def relaxed(self, x: torch.Tensor) -> torch.Tensor:
        """Drawn bits ±1 [R, d], with the gradient of the soft draw; from torch's random state."""
        tiny = torch.finfo(x.dtype).tiny
        uniform = torch.rand_like(x).clamp(tiny, 1 - torch.finfo(x.dtype).eps)
        logits = self.gain * x + torch.log(uniform) - torch.log1p(-uniform)
        soft = torch.tanh(logits / (2 * self.temperature))  # 2·σ(logits/τ) - 1
        return soft + (sign(logits) - soft).detach()

    def extra_repr(self) -> str:
        return f"{self.schedule}, gain={self.gain}"


class GuidedHash(UnitCodes):
    """HashGNN's hash layer (Tan et al., WWW 2020; official code): a dense layer, tanh, then sign with the straight-through gradient.

    Guidance: while training, a node is given by its code with probability β, else by its tanh values; `schedule` lets β
    grow. Here one draw serves a node for a whole batch. `soft` (HashGNN_s) keeps the mixture at search, with the last
    β: its vectors are float32, so nothing is compressed. The GraphSAGE encoder is replaced by the common one.
    """

    def __init__(self, dim: int, schedule: Schedule, *, soft: bool = False, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.schedule, self.soft = schedule, soft
        self.weight = nn.Parameter(torch.randn(dim, dim, generator=generator) / dim**0.5)
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("probability", torch.tensor(float(schedule(0, 1))))  # of the best epoch, when its parameters are restored

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set the probability β of a code."""
        self.probability.fill_(self.schedule(epoch, epochs))

    def coded(self, layers: torch.Tensor) -> torch.Tensor:
        """tanh(mean of layers · W + b) [R, d]"""
        return torch.tanh(layers.mean(dim=0) @ self.weight + self.bias)

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        x = self.coded(layers)
        codes = sign(x)
        if self.training or self.soft:
            # evaluation may not depend on torch's random state, so its draw has its own
            generator = None if self.training else torch.Generator(x.device).manual_seed(0)
            coded = torch.rand(x.shape[0], 1, device=x.device, generator=generator) < self.probability
            codes = torch.where(coded, codes, x)
        return codes * (10 / x.shape[1]) ** 0.5

    def n_bytes(self, n_nodes: int, dim: int, n_layers: int) -> int:
        """Bytes stored for search: d bits per node, or d float32 numbers if `soft`."""
        return 4 * n_nodes * dim if self.soft else super().n_bytes(n_nodes, dim, n_layers)

    def codes(self, layers: torch.Tensor, n_users: int) -> Codes:
        """As `UnitCodes.codes`; raises `ConfigError` if `soft`."""
        if self.soft:
            raise ConfigError("HashGNN (soft) searches in a mixture of codes and floats, so it has no codes to pack; use the hard one")
        return super().codes(layers, n_users)

    def extra_repr(self) -> str:
        return f"soft={self.soft}, {self.schedule}"


class LinkEntropy(Auxiliary):
    """weight · mean of softplus(-y⁺) + softplus(y⁻): cross-entropy of observed and unobserved links, beside BPR.

    On the stored vectors (HashGNN) or on layer 0 (`layer0`, BGCH).
    """

    def __init__(self, weight: float, *, layer0: bool = False) -> None:
        super().__init__()
        self.weight, self.layer0 = weight, layer0

    def forward(self, model: Recommender, batch: Batch) -> torch.Tensor:
        u, p, n = batch.at(batch.users), batch.at_items(batch.positives), batch.at_items(batch.negatives)
        z = batch.layers[0] if self.layer0 else batch.vectors
        positive, negative = pair_scores(z, torch.cat([u, u]), torch.cat([p, n])).chunk(2)
        return self.weight * (F.softplus(-positive) + F.softplus(negative)).mean()

    def extra_repr(self) -> str:
        return f"{self.weight}, layer0={self.layer0}"


class RandomHyperplanes(Readout):
    """LSH codes of a trained model: √(10/bits)·sign(z·W), W Gaussian and fixed (Charikar, STOC 2002); z is its `Concat` readout."""

    def __init__(self, width: int, bits: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if bits < 1:
            raise ConfigError(f"LSH with {bits} bits has no code; give at least 1")
        check_memory(f"LSH with {bits:,} bits of {width:,} numbers", 4 * bits * width, "give fewer bits")
        self.inner, self.bits = Concat(), bits
        self.register_buffer("planes", torch.randn(width, bits, generator=generator))

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        return sign(self.inner(layers) @ self.planes) * (10 / self.bits) ** 0.5

    def width(self, dim: int, n_layers: int) -> int:
        """As many as bits."""
        return self.bits

    def n_bytes(self, n_nodes: int, dim: int, n_layers: int) -> int:
        """Bytes stored for search: `bits` bits per node, padded to 64."""
        return stored_bytes(n_nodes, self.bits)

    def codes(self, layers: torch.Tensor, n_users: int) -> Codes:
        """Layers [L+1, N, d] of all nodes as packed codes."""
        return _unit_codes(self.inner(layers) @ self.planes, n_users)

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


def _unit_codes(x: torch.Tensor, n_users: int) -> Codes:
    """√(10/d)·sign(x), x [N, d], as packed codes."""
    return Codes.from_signs(x[None], weights=[(10 / x.shape[1]) ** 0.5], n_users=n_users)


# ---- entries ----------------------------------------------------------------------------------------------------------------

def _lsh(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    width = config.dim * (config.n_layers + 1)
    readout = RandomHyperplanes(width, config.options["bits"] or config.dim, generator=own_generator(config))
    return recommender(data, config, readout, teacher=teacher)


def _continued(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, ContinuedTanh(Schedule.from_options(config.options)))


def _gumbel(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, GumbelBits(Schedule.from_options(config.options), config.options["gain"]))


def _hashgnn(data: Interactions, config: TrainConfig, teacher: Recommender | None, *, soft: bool) -> Recommender:
    readout = GuidedHash(config.dim, Schedule.from_options(config.options), soft=soft, generator=own_generator(config))
    return recommender(data, config, readout, auxiliary=LinkEntropy(config.options["link_weight"]))


_SLOPE = SCHEDULE_OPTIONS | {"schedule": "doubling", "end": 1 / 64, "hold": 0.1, "span": 0.8}
_ROOT = SCHEDULE_OPTIONS | {"schedule": "root"}
_NOISY = SCHEDULE_OPTIONS | {"end": 0.2, "hold": 0.0, "span": 0.8, "gain": 10.0}
_GUIDED = SCHEDULE_OPTIONS | {"schedule": "linear", "start": 0.0, "end": 1.0, "hold": 0.0, "span": 0.8, "link_weight": 0.1}
_LSH = TEACHER_OPTIONS | {"bits": 0}  # 0: as many as d
_hard, _soft = (partial(_hashgnn, soft=soft) for soft in (False, True))


def _entry(name: str, title: str, kind: str, build: Builder, options: dict[str, Any], teacher: Teacher, marker: str) -> Method:
    return Method(name, title, "one bit", kind, build, options, teacher, marker=marker, colour="brown")


METHODS = (
    _entry("lsh", "LSH", "derived", _lsh, _LSH, concatenated, "+"),
    _entry("hashnet", "HashNet", "trained", _continued, _SLOPE, no_teacher, "v"),
    _entry("hashrec", "HashRec (CIGAR)", "trained", _continued, _ROOT, no_teacher, "<"),
    _entry("gumbelrec", "GumbelRec", "trained", _gumbel, _NOISY, no_teacher, ">"),
    _entry("hashgnn-hard", "HashGNN (hard)", "trained", _hard, _GUIDED, no_teacher, "P"),
    _entry("hashgnn-soft", "HashGNN (soft)", "trained", _soft, _GUIDED | {"end": 0.5}, no_teacher, "p"),
)
