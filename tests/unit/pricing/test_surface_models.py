"""The surface models: they recover what they can, obey the contract and fail with a reason."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.market.chain import QuoteFlag
from commonmode.pricing import (
    SURFACE_MODELS,
    FlatBlack,
    SabrPerExpiry,
    StickyDelta,
    StickyStrike,
    SviPerExpiry,
    hagan_lognormal_vol,
)
from commonmode.register.cards import Layer, ModelFamily
from commonmode.register.conformance import check_surface_model
from commonmode.register.model import SurfaceModel

ALL = sorted(SURFACE_MODELS)
REACH_EVERY_EXPIRY = ("essvi", "flat-black", "ssvi")


def on_own_quotes(fitted, chain, *, bump=1.0):
    return fitted.implied_vol(chain.strike, chain.years, chain.forward * bump, chain.expiry_ms)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("quotes", ["mark", "mid"])
def test_conformance(kind, quotes, make_chain):
    model = SURFACE_MODELS[kind](id=kind, quotes=quotes)
    assert isinstance(model, SurfaceModel)
    check_surface_model(model, make_chain())


@pytest.mark.parametrize("kind", ALL)
def test_a_flat_smile_is_recovered(kind, make_chain):
    chain = make_chain(lambda k, years: np.full_like(k, 0.63))
    fitted = SURFACE_MODELS[kind](id=kind).calibrate(chain).value
    np.testing.assert_allclose(on_own_quotes(fitted, chain), 0.63, atol=2e-4)
    assert np.all(fitted.rmse < 1e-4)


def test_svi_recovers_an_svi_smile(make_chain):
    chain = make_chain()
    fitted = SviPerExpiry(id="svi").calibrate(chain).value
    # Quotes of a slice differ in their own time by up to 100 s; 1e-4 is a hundredth of a vol point.
    np.testing.assert_allclose(on_own_quotes(fitted, chain), chain.mark_iv, atol=1e-4)
    assert np.all(fitted.parameters["min_g"] > 0)
    assert np.all(fitted.parameters["converged"] == 1.0)


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_sabr_recovers_a_sabr_smile(beta, make_chain):
    def smile(k, years):
        forward = 30_000.0
        alpha = 0.6 * forward ** (1 - beta)
        return hagan_lognormal_vol(forward, forward * np.exp(k), years, alpha, beta, -0.3, 1.1)

    chain = make_chain(smile, days=(7, 30, 90))
    fitted = SabrPerExpiry(id="sabr", beta=beta).calibrate(chain).value
    np.testing.assert_allclose(fitted.parameters["rho"], -0.3, atol=2e-3)
    np.testing.assert_allclose(fitted.parameters["nu"], 1.1, rtol=3e-3)
    np.testing.assert_allclose(on_own_quotes(fitted, chain), chain.mark_iv, atol=1e-4)


@pytest.mark.parametrize("kind", ["sticky-strike", "sticky-delta"])
def test_smoothing_follows_the_smile(kind, make_chain):
    chain = make_chain()
    fitted = SURFACE_MODELS[kind](id=kind).calibrate(chain).value
    assert np.max(fitted.rmse) < 0.005
    inner = np.abs(chain.log_moneyness / np.sqrt(chain.years)) < 0.9
    np.testing.assert_allclose(
        on_own_quotes(fitted, chain)[inner], chain.mark_iv[inner], atol=0.005
    )


def test_sticky_strike_keeps_vol_per_strike_and_sticky_delta_per_moneyness(make_chain):
    chain = make_chain()
    strike_fit = StickyStrike(id="k").calibrate(chain).value
    np.testing.assert_array_equal(
        on_own_quotes(strike_fit, chain), on_own_quotes(strike_fit, chain, bump=1.03)
    )
    for model in (StickyDelta(id="d"), SviPerExpiry(id="svi"), SabrPerExpiry(id="sabr")):
        fitted = model.calibrate(chain).value
        moved = fitted.implied_vol(
            chain.strike * 1.03, chain.years, chain.forward * 1.03, chain.expiry_ms
        )
        np.testing.assert_allclose(moved, on_own_quotes(fitted, chain), rtol=1e-9)
        assert not np.allclose(on_own_quotes(fitted, chain, bump=1.03), moved, rtol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in REACH_EVERY_EXPIRY])
def test_an_expiry_that_was_not_fitted_gives_nan(kind, make_chain):
    chain = make_chain()
    fitted = SURFACE_MODELS[kind](id=kind).calibrate(chain).value
    vols = fitted.implied_vol(chain.strike, chain.years, chain.forward, chain.expiry_ms + 1)
    assert np.isnan(vols).all()


@pytest.mark.parametrize("kind", ALL)
def test_a_bad_slice_fails_alone(kind, make_chain):
    chain = make_chain()
    bad = chain.expiry_ms == chain.expiry_ms[60]
    chain = replace(chain, mark_iv=np.where(bad, np.nan, chain.mark_iv))
    fitted = SURFACE_MODELS[kind](id=kind).calibrate(chain).value
    (expiry,) = fitted.slice_failures
    assert expiry == chain.expiry_ms[60]
    assert fitted.slice_failures[expiry].remedy
    assert len(fitted.expiry_ms) == 4
    assert np.isfinite(on_own_quotes(fitted, chain)[~bad]).all()


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("quotes", ["mark", "mid"])
@pytest.mark.parametrize("broken", ["empty", "nan", "crossed", "expired", "zero"])
def test_a_bad_chain_is_a_failure_with_a_remedy(kind, quotes, broken, make_chain):
    chain = make_chain()
    nan, zero = np.full(len(chain), np.nan), np.zeros(len(chain))
    if broken == "empty":
        chain = chain.select(np.zeros(len(chain), dtype=bool))
    elif broken == "nan":
        chain = replace(chain, mark_iv=nan, bid_iv=nan, ask_iv=nan, forward=nan)
    elif broken == "crossed":
        flags = chain.flags | int(QuoteFlag.CROSSED)
        chain = replace(chain, bid_iv=chain.ask_iv, ask_iv=chain.bid_iv, flags=flags)
    elif broken == "expired":
        chain = replace(chain, quote_ms=chain.expiry_ms + 1)
    else:
        chain = replace(chain, mark_iv=zero, bid_iv=zero, ask_iv=zero)
    result = SURFACE_MODELS[kind](id=kind, quotes=quotes).calibrate(chain)
    assert isinstance(result, Failure)
    assert result.reason in (FailureReason.MISSING_DATA, FailureReason.INVALID_INPUT)
    assert result.remedy
    assert "BTC" in result.message


def test_too_few_strikes_everywhere_names_the_most(make_chain):
    result = SviPerExpiry(id="svi").calibrate(make_chain(strikes=4))
    assert isinstance(result, Failure)
    assert "most: 4" in result.message


def test_mid_ignores_one_sided_and_absurdly_wide_quotes(make_chain):
    chain = make_chain()
    wide = np.arange(len(chain)) % 5 == 0
    poisoned = replace(
        chain,
        bid_iv=np.where(wide, 0.0, chain.bid_iv),
        ask_iv=np.where(wide, 5.0, chain.ask_iv),
    )
    fitted = SviPerExpiry(id="svi", quotes="mid").calibrate(poisoned).value
    np.testing.assert_allclose(on_own_quotes(fitted, chain), chain.mark_iv, atol=1e-4)


def test_spread_weighting_discounts_wide_quotes(make_chain):
    chain = make_chain()
    off = np.arange(len(chain)) % 8 < 2
    poisoned = replace(
        chain,
        bid_iv=np.where(off, chain.bid_iv - 0.02, chain.bid_iv),
        ask_iv=np.where(off, chain.ask_iv + 0.12, chain.ask_iv),
    )
    errors = {}
    for weighting in ("vega", "spread"):
        model = SviPerExpiry(id="svi", quotes="mid", weighting=weighting)
        fitted = model.calibrate(poisoned).value
        errors[weighting] = np.median(np.abs(on_own_quotes(fitted, chain) - chain.mark_iv))
    assert errors["spread"] < 0.25 * errors["vega"]


def test_cards_of_variants_differ_in_their_data_alone():
    mark, mid = (SviPerExpiry(id="svi", quotes=q).card for q in ("mark", "mid"))
    assert mark.family is ModelFamily.SURFACE
    assert {use.layer for use in mark.components} == set(Layer)
    differ = set(mark.components) ^ set(mid.components)
    assert {use.layer for use in differ} == {Layer.DATA}
    names = {use.component for use in mid.components}
    assert {"deribit bid-ask mid", "vega-weighted least squares", "commonmode.pricing.svi"} <= names


def test_sabr_with_a_lognormal_backbone_declares_sticky_moneyness():
    def assumptions(beta):
        card = SabrPerExpiry(id="sabr", beta=beta).card
        return {use.component for use in card.components if use.layer is Layer.ASSUMPTION}

    assert "sticky moneyness" in assumptions(1.0)
    assert "sticky moneyness" not in assumptions(0.5)


@pytest.mark.parametrize(
    ("constructor", "options"),
    [
        (SviPerExpiry, {"quotes": "last"}),
        (SviPerExpiry, {"weighting": "gamma"}),
        (SviPerExpiry, {"min_quotes": 4}),
        (SabrPerExpiry, {"beta": 1.5}),
        (SabrPerExpiry, {"min_quotes": 2}),
        (StickyStrike, {"bandwidth": 0.0}),
        (StickyDelta, {"bandwidth": -1.0}),
        (FlatBlack, {"min_quotes": 0}),
    ],
)
def test_wrong_options_are_refused(constructor, options):
    with pytest.raises(ConfigurationError) as caught:
        constructor(id="m", **options)
    assert caught.value.remedy


def test_fitted_objects_are_frozen(make_chain):
    result = SviPerExpiry(id="svi").calibrate(make_chain())
    assert isinstance(result, Success)
    with pytest.raises(FrozenInstanceError):
        result.value.slices = None
    with pytest.raises(ValueError, match="read-only"):
        result.value.parameters["a"][0] = 1.0


@pytest.mark.parametrize("kind", ["svi", "sabr"])
def test_the_compiled_engine_fits_the_same_smile(kind, make_chain):
    chain = make_chain(lambda k, years: 0.6 + 0.1 * np.tanh(2 * k) + 0.2 * k**2)
    slow, fast = (
        SURFACE_MODELS[kind](id=kind, engine=engine).calibrate(chain).value
        for engine in ("numpy", "numba")
    )
    assert np.all(fast.parameters["converged"] == 1.0)
    np.testing.assert_allclose(fast.rmse, slow.rmse, rtol=1e-4)
    np.testing.assert_allclose(on_own_quotes(fast, chain), on_own_quotes(slow, chain), atol=2e-5)
    with pytest.raises(ConfigurationError, match="engine"):
        SURFACE_MODELS[kind](id=kind, engine="fortran")
