import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recq_lib.errors import ConfigError
from recq_lib.papers.hq_gnn.quantizer import BOUNDS, UniformQuantizer, gste, nearest_odd

BITS = (1, 2, 3, 4, 5, 6, 7, 8)


def normal(*shape, seed=0, dtype=torch.float64, std=1.0):
    return std * torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def naive_codes(x, beta, bits):
    """Clip, normalise to [0, 1], round half up on L + 1 levels; one element at a time in Python's own arithmetic."""
    top, out = 2**bits - 1, []
    for value in np.asarray(x, dtype=np.float64).ravel():
        xn = (min(max(float(value), -beta), beta) + beta) / (2 * beta)
        out.append(2 * math.floor(top * xn + 0.5) - top)
    return np.array(out).reshape(np.shape(x))


def ready(bits, bounds="scale", *, beta=1.0, s=1.0, delta=0.0, **options):
    """A quantizer in float64 with known scales."""
    quantizer = UniformQuantizer(bits, bounds, **options).double()
    with torch.no_grad():
        quantizer.raw_beta.fill_(beta)
        if not quantizer.tied:
            quantizer.raw_s.fill_(s)
    quantizer.initialised.fill_(True)
    quantizer.set_delta(delta)
    return quantizer


# ---- gste ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", BITS)
def test_rounding_by_the_definition(bits):
    xn = torch.rand(2000, dtype=torch.float64, generator=torch.Generator().manual_seed(bits))
    top = 2**bits - 1
    z = (nearest_odd(top * (2 * xn - 1)) / top + 1) / 2  # back to the usual notation, z in [0, 1]
    np.testing.assert_allclose(z.numpy(), np.floor(top * xn.numpy() + 0.5) / top, rtol=0, atol=1e-15)
    assert nearest_odd(torch.tensor([-top, top], dtype=torch.float32)).tolist() == [-top, top]


def test_ties_go_up_and_neighbours_of_a_tie_do_not():
    for tie in (np.float32(tie) for tie in (-6, -2, 0, 2, 6)):  # between the levels tie - 1 and tie + 1
        v = torch.tensor([np.nextafter(tie, np.float32(-10)), tie, np.nextafter(tie, np.float32(10))])
        if tie == 0:  # half of the smallest float is 0
            v = torch.tensor([-(2.0**-24), 0.0, 2.0**-24])
        assert nearest_odd(v).tolist() == [tie - 1, tie + 1, tie + 1]
    assert nearest_odd(torch.tensor(-0.0)).item() == 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("delta", [0.3, 2.0, 50.0])
def test_gradient_is_the_formula(bits, delta):
    rng = np.random.default_rng(bits)
    top = 2**bits - 1
    x, g = rng.uniform(-top, top, 500), rng.standard_normal(500)
    g[:5] = 0
    c = 2 * np.floor((x + top) / 2 + 0.5) - top
    expected = g * (1 + delta * np.sign(g) * (x - c))
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-6 * max(1, delta))):
        v = torch.tensor(x, dtype=dtype, requires_grad=True)
        gste(v, nearest_odd(v.detach()), delta).backward(torch.tensor(g, dtype=dtype))
        np.testing.assert_allclose(v.grad.numpy(), expected, rtol=0, atol=tolerance * top)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delta", [0.0, torch.zeros(())])
def test_zero_delta_is_straight_through_bit_for_bit(dtype, delta):
    v = (6 * torch.rand(3000, dtype=dtype, generator=torch.Generator().manual_seed(0)) - 3).requires_grad_()
    g = normal(3000, seed=1, dtype=dtype) * 10.0 ** torch.randint(-30, 30, (3000,), generator=torch.Generator().manual_seed(2))
    (got,) = torch.autograd.grad(gste(v, nearest_odd(v.detach()), delta), v, g)
    assert torch.equal(got, g)


def test_clamp_stops_a_gradient_from_changing_its_sign():
    value, rounded = torch.tensor([0.4, -0.4, 0.4, 0.1], requires_grad=True), torch.zeros(4)
    g = torch.tensor([-1.0, 1.0, 1.0, -1.0])
    (free,) = torch.autograd.grad(gste(value, rounded, 5.0), value, g)
    (clamped,) = torch.autograd.grad(gste(value, rounded, 5.0, clamp=True), value, g)
    torch.testing.assert_close(free, torch.tensor([1.0, -1.0, 3.0, -0.5]))
    torch.testing.assert_close(clamped, torch.tensor([0.0, 0.0, 3.0, -0.5]))


def test_no_gradient_reaches_delta_or_the_rounded_values():
    value, rounded, delta = (torch.full((3,), v, requires_grad=True) for v in (0.2, 0.0, 1.0))
    gste(value, rounded, delta[0]).sum().backward()
    assert rounded.grad is None and delta.grad is None and value.grad is not None


def test_bad_bits_and_deltas():
    for bits in (0, 9, -1, 2.0, True, "4"):
        with pytest.raises(ConfigError, match="from 1 to 8"):
            UniformQuantizer(bits)
    for delta in (-1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="delta is"):
            UniformQuantizer(2).set_delta(delta)


# ---- codes and values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("beta", [0.05, 1.0, 3.7])
def test_codes_and_values_equal_naive_rounding(bits, beta):
    x = normal(40, 25, seed=bits, std=beta / 2)
    quantizer = ready(bits, beta=beta, s=0.3)
    codes = quantizer.levels(x)
    assert codes.dtype == torch.int16
    np.testing.assert_array_equal(codes.numpy(), naive_codes(x, beta, bits))
    np.testing.assert_allclose(quantizer(x).detach().numpy(), 0.3 / (2**bits - 1) * naive_codes(x, beta, bits), rtol=1e-14)


@given(
    hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-(2.0**40), 2.0**40, width=32)),
    st.integers(1, 8),
    st.floats(2.0**-10, 2.0**10, width=32),
)
def test_any_code_is_odd_in_range_and_has_the_sign_of_its_value(x, bits, beta):
    codes = ready(bits, beta=beta).float().levels(torch.from_numpy(x)).numpy()
    assert (np.abs(codes) <= 2**bits - 1).all() and (codes % 2 == 1).all()
    tiny = np.abs(x) * (2**bits - 1) / beta < 1e-37  # products down there are 0 in float32
    assert ((np.where(codes > 0, 1, -1) == np.where(x >= 0, 1, -1)) | tiny).all()
    assert (codes[np.abs(x) >= beta * (1 + 1e-6)] == np.sign(x[np.abs(x) >= beta * (1 + 1e-6)]) * (2**bits - 1)).all()


def test_one_bit_is_sign_with_plus_at_zero():
    x = torch.tensor([-1.0, -1e-30, -0.0, 0.0, 1e-30, 5.0])
    assert ready(1, beta=0.7).float().levels(x).tolist() == [-1, -1, 1, 1, 1, 1]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_values_equal_the_normalised_form(bits):
    """Pitfall of units: Q through xn and z in [0, 1] with δ·2s gives the gradient that the quantizer computes in code units."""
    beta, s, delta = 0.8, 0.5, 1.7
    x, g = normal(300, seed=3, std=0.5), normal(300, seed=4)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    xn = ((a + beta) / (2 * beta)).clamp(0, 1)
    z = torch.floor((2**bits - 1) * xn.detach() + 0.5) / (2**bits - 1)
    expected = s * (2 * gste(xn, z, delta * 2 * s) - 1)
    got = ready(bits, beta=beta, s=s, delta=delta)(b)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-14)
    expected.backward(g)
    got.backward(g)
    torch.testing.assert_close(b.grad, a.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bounds", ["scale", "learn", "scale_ema"])
def test_gradients_of_scales_by_hand(bounds):
    """With δ = 0: c depends on v as if it were v, so dQ/dβ = -(s/β)·(x/β) inside the range and 0 outside; dQ/ds = c/L."""
    beta, s, bits = 0.8, (0.8 if bounds == "learn" else 0.5), 2
    x, g = normal(200, seed=5, std=0.6), normal(200, seed=6)
    quantizer = ready(bits, bounds, beta=-beta, s=-s, momentum=0.0).eval()  # absolute values count: the gradient's sign turns with them
    quantizer(x).backward(g)
    inside = x.abs() <= beta
    by_beta = float((g * torch.where(inside, -(s / beta) * (x / beta), 0.0)).sum())
    by_s = float((g * torch.from_numpy(naive_codes(x, beta, bits)) / 3).sum())
    if bounds == "learn":
        assert float(quantizer.raw_beta.grad) == pytest.approx(-(by_beta + by_s), rel=1e-12)
    else:
        assert float(quantizer.raw_s.grad) == pytest.approx(-by_s, rel=1e-12)
        if bounds == "scale":
            assert float(quantizer.raw_beta.grad) == pytest.approx(-by_beta, rel=1e-12)


def test_clipped_values_get_no_gradient():
    x = torch.tensor([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    ready(2, beta=1.0, delta=3.0)(x).sum().backward()
    assert (x.grad != 0).tolist() == [False, True, True, True, True, False]


# ---- scales ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("bits", [1, 3])
def test_first_batch_sets_the_scales(bounds, bits):
    x = normal(50, 8, seed=7, std=0.2) + 0.01
    array, quantizer = x.numpy(), UniformQuantizer(bits, bounds).double()
    assert bool(quantizer.initialised) == (bounds == "fixed")
    quantizer(x)
    assert bool(quantizer.initialised)
    beta = {"fixed": 1.0, "ema": np.sort(np.abs(array).ravel())[395]}.get(bounds, 3 * array.std())  # the 396th of 400 values is 99 %
    assert quantizer.beta.item() == pytest.approx(beta, rel=1e-12)
    levels = np.abs(naive_codes(array, beta, bits)).mean() / (2**bits - 1)
    s = np.abs(array).mean() / levels if bounds in ("scale", "scale_ema") else beta
    assert quantizer.s.item() == pytest.approx(s, rel=1e-12)
    learned = {"scale": {"raw_beta", "raw_s"}, "learn": {"raw_beta"}, "scale_ema": {"raw_s"}}.get(bounds, set())
    assert {name for name, _ in quantizer.named_parameters()} == learned


def test_looking_before_the_first_batch_keeps_nothing():
    x = normal(30, 4, seed=8)
    quantizer, trained = UniformQuantizer(2).double(), UniformQuantizer(2).double()
    expected = trained(x)
    with torch.no_grad():
        torch.testing.assert_close(quantizer(x), expected)
    torch.testing.assert_close(quantizer.eval()(x), expected)
    assert torch.equal(quantizer.levels(x), trained.levels(x))
    assert not quantizer.initialised and quantizer.beta.item() == 1.0


@pytest.mark.parametrize("bounds", ["scale_ema", "ema"])
def test_moving_averages_follow_training_only(bounds):
    quantizer = UniformQuantizer(2, bounds, momentum=0.75).double()
    batches = [normal(100, seed=seed, std=1 + seed) for seed in range(3)]
    bound = (lambda x: float(np.sort(np.abs(x.numpy()))[98])) if bounds == "ema" else (lambda x: 3 * float(x.numpy().std()))
    expected = bound(batches[0])
    quantizer(batches[0])
    for x in batches[1:]:
        expected = 0.75 * expected + 0.25 * bound(x)
        quantizer(x)
    assert quantizer.beta.item() == pytest.approx(expected, rel=1e-12)
    with torch.no_grad():
        quantizer(batches[0])
    quantizer.levels(batches[0])
    quantizer.eval()(batches[0])
    assert quantizer.beta.item() == pytest.approx(expected, rel=1e-12)
    assert quantizer.statistics()["beta"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_state_round_trip(bounds):
    first = UniformQuantizer(3, bounds)
    for seed in range(3):
        first(normal(64, seed=seed, dtype=torch.float32))
    first.update_delta(0.37)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = UniformQuantizer(3, bounds)
    second.load_state_dict(torch.load(file, weights_only=True))
    for model in (first, second):  # the next batches and the next measurement meet the same state
        model(normal(64, seed=9, dtype=torch.float32))
        model.update_delta(0.1)
    state = second.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())
    fresh = UniformQuantizer(3, bounds)
    second.load_state_dict(fresh.state_dict())
    assert bool(second.initialised) == (bounds == "fixed") and second.delta.item() == 0


def test_delta_is_averaged_from_the_second_measurement():
    quantizer = UniformQuantizer(2)
    for measured, expected in ((0.4, 0.4), (None, 0.4), (0.8, 0.9 * 0.4 + 0.1 * 0.8)):
        quantizer.update_delta(measured)
        assert quantizer.delta.item() == pytest.approx(expected, rel=1e-6)
    quantizer.set_delta(1e-3)
    assert quantizer.delta.item() == pytest.approx(1e-3)
    with pytest.raises(ConfigError, match="delta is nan"):
        quantizer.update_delta(math.nan)


def test_statistics_by_hand():
    # v = 3x/1.5 = 2x, clipped to [-3, 3]; codes of two bits are -3, -1, 1, 3
    x = torch.tensor([-2.0, -0.75, -0.25, 0.0, 0.75, 1.5, 1.75, 0.25], dtype=torch.float64)
    v, c = np.array([-3, -1.5, -0.5, 0, 1.5, 3, 3, 0.5]), np.array([-3, -1, -1, 1, 1, 3, 3, 1])
    quantizer = ready(2, beta=1.5, s=0.6, delta=2.0)
    assert quantizer.levels(x).tolist() == c.tolist()
    got = quantizer.statistics(x)
    size = 2.0 * 0.2 * np.abs(v - c)  # s/L = 0.2
    share = np.array([1, 2, 3, 2]) / 8
    expected = {
        "beta": 1.5, "s": 0.6, "delta": 2.0, "clipped": 2 / 8, "entropy": -(share * np.log2(share)).sum(), "used_levels": 1.0,
        "correction": size.mean(), "flips": 0.0,
    }  # fmt: skip
    assert got == pytest.approx(expected)
    quantizer.set_delta(6.0)  # size is now 1.2 where v - c is 1 and 0.6 where it is 0.5
    assert quantizer.statistics(x)["flips"] == pytest.approx(1 / 8)
    ones = quantizer.statistics(torch.full((5,), 1.4, dtype=torch.float64))
    assert ones["entropy"] == 0 and ones["used_levels"] == 0.25
    with pytest.raises(ConfigError, match="has not quantized anything"):
        quantizer.statistics()
    quantizer(x)
    assert quantizer.statistics() == quantizer.statistics(x)


def test_unusable_input_is_refused():
    for bits in (0, 9, 1.0, None):
        with pytest.raises(ConfigError, match="from 1 to 8"):
            UniformQuantizer(bits)
    with pytest.raises(ConfigError, match="did you mean 'scale'"):
        UniformQuantizer(2, "scal")
    with pytest.raises(ConfigError, match="momentum is 1"):
        UniformQuantizer(2, momentum=1)
    for call in ("__call__", "levels"):
        with pytest.raises(ConfigError, match=r"of items: there is nothing to quantize \(shape \(0, 4\)\)"):
            getattr(UniformQuantizer(2, name="items"), call)(torch.empty(0, 4))
        with pytest.raises(ConfigError, match="of users: 2 of 4 values are NaN or infinite"):
            getattr(UniformQuantizer(2, name="users"), call)(torch.tensor([1.0, math.nan, math.inf, 2.0]))
        with pytest.raises(ConfigError, match="β is 0.0 .* all alike"):
            getattr(UniformQuantizer(2), call)(torch.zeros(4))


@pytest.mark.parametrize("bounds", ["scale_ema", "ema"])
def test_a_bad_batch_leaves_the_moving_average_as_it_was(bounds):
    quantizer = UniformQuantizer(2, bounds)
    quantizer(normal(50, dtype=torch.float32))
    before = quantizer.beta.item()
    with pytest.raises(ConfigError, match="1 of 2 values"):
        quantizer(torch.tensor([1.0, math.nan]))
    assert quantizer.beta.item() == before


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_scales_that_broke_in_training_are_named(value):
    for broken in ("beta", "s"):
        quantizer = ready(2, **{broken: value})
        with pytest.raises(ConfigError, match=f"of values: .*{'β' if broken == 'beta' else 's'} is {value}"):
            quantizer(normal(5))
