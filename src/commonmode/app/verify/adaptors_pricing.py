"""Prices, Greeks, implied volatilities and smiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from commonmode.app.verify.cases import Case
from commonmode.app.verify.registry import Adaptor, Unsupported
from commonmode.pricing.black76 import black76_greeks
from commonmode.pricing.black_scholes import bsm_greeks, bsm_price
from commonmode.pricing.fourier import (
    Bates,
    Cgmy,
    CharacteristicModel,
    Heston,
    Kou,
    Merton,
    VarianceGamma,
    cf_implied_vol,
    cf_price,
)
from commonmode.pricing.implied_vol import black76_implied_vol, normalised_black_implied_vol
from commonmode.pricing.inverse import inverse_price
from commonmode.pricing.sabr import hagan_lognormal_vol
from commonmode.pricing.svi import SviRaw, butterfly_report, ssvi_butterfly_free

__all__ = ["ADAPTORS"]


def _numbers(case: Case, names: str) -> tuple[float, ...]:
    return tuple(float(case.inputs[name]) for name in names.split())


def _field(result: object, name: str) -> Any:
    if not hasattr(result, name):
        raise Unsupported(f"no '{name}' among the figures of {type(result).__name__}")
    return getattr(result, name)


def _bsm(case: Case) -> Any:
    s, k, t, vol, r, q, cp = _numbers(case, "S K T sigma r q cp")
    return bsm_price(s, k, t, vol, sign=cp, rate=r, dividend_yield=q)


def _bsm_greek(case: Case) -> Any:
    s, k, t, vol, r, q, cp = _numbers(case, "S K T sigma r q cp")
    greeks = bsm_greeks(s, k, t, vol, sign=cp, rate=r, dividend_yield=q)
    return _field(greeks, case.detail.removesuffix("_per_year"))


def _black76_greek(case: Case) -> Any:
    f, k, t, vol, r, cp = _numbers(case, "F K T sigma r cp")
    return _field(black76_greeks(f, k, t, vol, sign=cp, rate=r), case.detail)


def _inverse(case: Case) -> Any:
    f, k, t, vol, cp = _numbers(case, "F K T sigma cp")
    return inverse_price(f, k, t, vol, sign=cp)


def _implied_vol(case: Case) -> Any:
    price, f, k, t, cp = _numbers(case, "price F K T cp")
    return black76_implied_vol(price, f, k, t, sign=cp, rate=case.inputs.get("r", 0.0))


def _normalised(case: Case) -> Any:
    return normalised_black_implied_vol(*_numbers(case, "x beta"))


def _sabr(case: Case) -> Any:
    return hagan_lognormal_vol(*_numbers(case, "F K T alpha beta rho nu"))


def _svi(case: Case) -> SviRaw:
    return SviRaw(*_numbers(case, "a b rho m sigma"))


def _svi_variance(case: Case) -> Any:
    return _svi(case).total_variance(case.inputs["k"])


def _svi_wings(case: Case) -> Any:
    return _field(_svi(case).jump_wings(float(case.inputs["t"])), case.detail)


def _svi_arbitrage(case: Case) -> Any:
    return asdict(butterfly_report(_svi(case)))


def _svi_repair(case: Case) -> Any:
    slice_ = SviRaw.from_jump_wings(*_numbers(case, "v psi p c v_tilde t"))
    return asdict(butterfly_report(slice_))


def _ssvi(case: Case) -> Any:
    return asdict(ssvi_butterfly_free(*_numbers(case, "rho theta phi")))


def _by_characteristic(case: Case, model: CharacteristicModel) -> Any:
    s, k, t, r, q, cp = _numbers(case, "S K T r q cp")
    return cf_price(model, s * np.exp((r - q) * t), k, t, sign=cp, rate=r)


def _heston_model(case: Case) -> Heston:
    return Heston(*_numbers(case, "v0 kappa theta sigma rho"))


def _heston(case: Case) -> Any:
    return _by_characteristic(case, _heston_model(case))


def _heston_vol(case: Case) -> Any:
    return cf_implied_vol(_heston_model(case), *_numbers(case, "F K T"))


def _bates(case: Case) -> Any:
    names = "v0 kappa theta sigma rho lambda_ jump_log_mean jump_log_std"
    return _by_characteristic(case, Bates(*_numbers(case, names)))


def _merton(case: Case) -> Any:
    names = "diffusive_vol lambda_ jump_log_mean jump_log_std"
    return _by_characteristic(case, Merton(*_numbers(case, names)))


def _kou(case: Case) -> Any:
    return _by_characteristic(case, Kou(*_numbers(case, "sigma lambda_ p eta1 eta2")))


def _variance_gamma(case: Case) -> Any:
    return _by_characteristic(case, VarianceGamma(*_numbers(case, "sigma theta nu")))


def _cgmy(case: Case) -> Any:
    return _by_characteristic(case, Cgmy(*_numbers(case, "C G M Y")))


ADAPTORS: Final[Mapping[str, Adaptor]] = MappingProxyType(
    {
        "BSM": _bsm,
        "BSM Greek: *": _bsm_greek,
        "Black-76 Greek: *": _black76_greek,
        "Inverse (coin-settled) *": _inverse,
        "Black implied vol": _implied_vol,
        "Normalised Black round trip": _normalised,
        "SABR Hagan 2002 lognormal vol": _sabr,
        "SVI raw total variance": _svi_variance,
        "SVI (QuantLib)": _svi_variance,
        "SVI raw->jump-wings: *": _svi_wings,
        "SVI butterfly arbitrage*": _svi_arbitrage,
        "SVI butterfly repair*": _svi_repair,
        "SSVI no-butterfly condition": _ssvi,
        "Bates": _bates,
        "CGMY": _cgmy,
        "Heston": _heston,
        "Heston (*": _heston,
        "Heston implied vol": _heston_vol,
        "Kou double-exponential": _kou,
        "Merton-76": _merton,
        "Variance Gamma": _variance_gamma,
    }
)
