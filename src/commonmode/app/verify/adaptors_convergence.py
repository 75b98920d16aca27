"""Convergence indices C2, C3, C5 and C6 and their closed forms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from commonmode.app.verify.cases import Case
from commonmode.app.verify.registry import Adaptor, Unsupported
from commonmode.core.arrays import FloatArray
from commonmode.stats import cofailure, robust, spectra
from commonmode.stats.ambiguity import krogh_vedelsby
from commonmode.stats.interaction import gaussian_covar, response_gain
from commonmode.stats.reference_series import lcg_normals, one_factor_panel
from commonmode.stats.similarity import linear_cka
from commonmode.stats.spillovers import spillovers
from commonmode.stats.transfer import linear_transfer_entropy, transfer_entropy

__all__ = ["ADAPTORS"]


def error_panel(case: Case) -> FloatArray:
    """The panel a case names (E) or brings along as ``panel`` (rows are times)."""
    if str(case.inputs.get("data", "")).startswith("Panel E"):
        return one_factor_panel()
    if "panel" in case.inputs:
        return np.asarray(case.inputs["panel"], dtype=np.float64)
    raise Unsupported("the case neither names panel E nor gives a panel")


def _indices(correlation: FloatArray) -> dict[str, Any]:
    partial = spectra.partial_correlations(correlation)
    n = len(correlation)
    return {
        "mean_corr": spectra.mean_correlation(correlation),
        "participation_ratio": spectra.participation_ratio(correlation),
        "N_eff_variance": spectra.variance_effective_number(correlation),
        "effective_rank": spectra.effective_rank(correlation),
        "absorption_ratio_1": spectra.absorption_ratio(correlation),
        "partial_corr": partial[0, 1],
        **{f"partial_corr_{i + 1}{j + 1}": partial[i, j] for i in range(n) for j in range(n)},
    }


def _panel_indices(case: Case) -> Any:
    return _indices(spectra.correlation_matrix(error_panel(case)))


def _equicorrelation(case: Case) -> Any:
    n, rho = int(case.inputs["N"]), float(case.inputs["rho"])
    return _indices(np.full((n, n), rho) + (1.0 - rho) * np.eye(n))


def _marchenko_pastur(case: Case) -> Any:
    lower, upper = spectra.marchenko_pastur_edges(case.inputs["N"], case.inputs["T"])
    return {"lower": lower, "upper": upper}


def _participation_bias(case: Case) -> Any:
    i = case.inputs
    return {"naive_PR_iid_approx": spectra.independent_participation_ratio(i["N"], i["T"])}


def _effective_bets(case: Case) -> Any:
    sigma, w = (np.asarray(case.inputs[name], np.float64) for name in ("Sigma", "w"))
    torsion, shares = spectra.enb_minimum_torsion(sigma, w)
    pca, pca_shares = spectra.enb_principal_components(sigma, w)
    return {
        "ENB_pca": pca,
        "ENB_torsion_approx": torsion,
        "p_torsion": shares,
        "p_pca": pca_shares,
    }


def _pair_ratio(case: Case) -> Any:
    return {"ratio": cofailure.gaussian_pair_ratio(case.inputs["p"], case.inputs["rho"])}


def _simultaneous(case: Case) -> Any:
    n, p = int(case.inputs["N"]), float(case.inputs["p"])
    pmf = cofailure.one_factor_failures(n, p, float(case.inputs["rho"]))
    return {
        "P_k": pmf,
        f"ratio_all{n}": cofailure.all_fail_ratio(pmf, p),
        "excess_k>=2_vs_binomial": cofailure.joint_failure_excess(pmf, p),
    }


def _eckhardt_lee(case: Case) -> Any:
    p, ratio = cofailure.eckhardt_lee(case.inputs["a"], case.inputs["b"])
    return {"p": p, "ratio": ratio}


def _alpha_factors(case: Case) -> Any:
    counts = next(value for name, value in case.inputs.items() if name.startswith("counts"))
    factors = cofailure.alpha_factors(np.asarray(counts, np.float64))
    return {
        "alpha": factors.alpha,
        "alpha1_post_mean": factors.posterior_mean[0],
        "alpha1_95CI": [factors.low[0], factors.high[0]],
    }


def _ambiguity(case: Case) -> Any:
    split = krogh_vedelsby(np.asarray(case.inputs["f"], np.float64), float(case.inputs["y"]))
    return {
        "avg_err": split.average_error,
        "ambiguity": split.ambiguity,
        "ens_err": split.ensemble_error,
    }


def _kl_normal(case: Case) -> Any:
    i = case.inputs
    worst, tilt = robust.kl_worst_case_normal(i["mu"], i["sigma"], i["eta"])
    return {"sup": worst, "theta": tilt}


def _kl_square(case: Case) -> Any:
    # log E exp(t X^2) of a standard normal X, finite for t < 1/2
    worst, tilt = robust.kl_worst_case(
        lambda t: -0.5 * float(np.log1p(-2.0 * t)), case.inputs["eta"], t_max=0.5
    )
    return {"sup": worst, "theta": tilt}


def _barrieu_scandolo(case: Case) -> Any:
    level = np.asarray(case.inputs["a"], np.float64)
    worst = robust.worst_tail_given_moments(level)
    shortfall = robust.absolute_model_risk(worst, robust.normal_expected_shortfall(level))
    return {
        "AM_VaR": robust.absolute_model_risk(worst, robust.normal_value_at_risk(level)),
        **{f"AM_ES_{1000 * a:.0f}": am for a, am in zip(level, shortfall, strict=True)},
        "AM_ES": shortfall,
    }


def _risk_ratio(case: Case) -> Any:
    figures = {n: v for n, v in case.inputs.items() if isinstance(v, list)}
    return {n: robust.risk_ratio(np.asarray(v, np.float64)) for n, v in figures.items()}


def _variance_decomposition(case: Case) -> Any:
    i = case.inputs
    # One lag is given as a matrix, several as a list of them.
    phi, sigma = (np.asarray(i[name], np.float64) for name in ("Phi", "Sigma"))
    phi, horizon = phi.reshape(-1, *sigma.shape), int(i["H"])
    general = spillovers(phi, sigma, horizon)
    ordered = spillovers(phi, sigma, horizon, orthogonal=True)
    return {
        "gen_pct": 100.0 * general.table,
        "TCI_gen": 100.0 * general.total,
        "chol_pct": 100.0 * ordered.table,
        "TCI_chol": 100.0 * ordered.total,
    }


def _transfer_entropy(case: Case) -> Any:
    i = case.inputs
    if "b" in i:
        return {"TE_nats": linear_transfer_entropy(float(i["b"]))}
    if "source" in i:
        source, target = (np.asarray(i[name], np.float64) for name in ("source", "target"))
    elif "seed" in i:
        # y_t = 0.5 x_{t-1} + u_t, y_0 = u_0; 500 rows (x, u), filled row by row.
        source, noise = lcg_normals(int(i["seed"]), 1000).reshape(500, 2).T
        target = noise + 0.5 * np.concatenate(([0.0], source[:-1]))
    else:
        raise Unsupported("the case gives neither series, nor a seed, nor a coefficient")
    found = transfer_entropy(source, target, lags=int(i.get("lags", 1)))
    return {"TE": found.entropy, "granger_F": found.statistic, "p_value": found.p_value}


def _cka(case: Case) -> Any:
    i = case.inputs
    if "data" in i:
        panel = error_panel(case)
        return {"CKA": linear_cka(panel[:, :3], panel[:, 3:])}
    if i.get("X") == "two orthonormal columns":
        x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) / 2.0
        turn = np.array([[0.6, -0.8], [0.8, 0.6]])
        return {"CKA_X_x1": linear_cka(x, x[:, :1]), "CKA_X_XQ": linear_cka(x, x @ turn)}
    if "Y" in i:
        return {"CKA": linear_cka(*(np.asarray(i[name], np.float64) for name in ("X", "Y")))}
    raise Unsupported("the case gives no two sets of features")


def _response_gain(case: Case) -> Any:
    gain = response_gain(np.asarray(case.inputs["G"], np.float64))
    return {
        "spectral_radius": gain.spectral_radius,
        "common_shock_gain": gain.common,
        "idiosyncratic_gain": gain.response[:, 0],
    }


def _covar(case: Case) -> Any:
    i = case.inputs
    covar, rise = gaussian_covar(i["q"], i["rho"], i["sigma_j"])
    return {"CoVaR": covar, "DeltaCoVaR": rise}


ADAPTORS: Final[Mapping[str, Adaptor]] = MappingProxyType(
    {
        "Error co-movement indices*": _panel_indices,
        "Equicorrelation closed forms": _equicorrelation,
        "Marchenko-Pastur edges*": _marchenko_pastur,
        "Finite-sample bias of participation ratio*": _participation_bias,
        "Effective number of bets*": _effective_bets,
        "Pairwise co-failure*": _pair_ratio,
        "Distribution of simultaneous failures*": _simultaneous,
        "Eckhardt-Lee difficulty function*": _eckhardt_lee,
        "Common-cause alpha factors*": _alpha_factors,
        "Krogh-Vedelsby*": _ambiguity,
        "Worst-case mean in KL ball*": _kl_normal,
        "Worst-case E[X^2]*": _kl_square,
        "Absolute model risk*": _barrieu_scandolo,
        "Danielsson et al. risk ratio*": _risk_ratio,
        "Generalized and Cholesky FEVD*": _variance_decomposition,
        "Gaussian transfer entropy*": _transfer_entropy,
        "Linear CKA*": _cka,
        "Linear model-interaction gain*": _response_gain,
        "Gaussian CoVaR*": _covar,
    }
)
