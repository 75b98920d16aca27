"""Write a panel, read it, and nothing has changed to the last bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.adapters.store.cards import cards_from_toml, cards_to_toml
from commonmode.adapters.store.packed import pack_panel, unpack_panel
from commonmode.adapters.store.panels import load_panel, write_panel
from commonmode.core.errors import PanelError
from commonmode.core.ids import ComponentId, ModelId, TargetId
from commonmode.core.result import Failure, FailureReason
from commonmode.panel.error_panel import CellFailure, ErrorPanel, PanelKind
from commonmode.register.cards import Card, ComponentUse, Layer, Materiality, ModelFamily

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=5e-324, max_value=1.7e308)
names = st.lists(
    st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=8),
    min_size=1,
    max_size=3,
    unique=True,
)
texts = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=12)


@st.composite
def panels(draw: st.DrawFn) -> ErrorPanel:
    kind = draw(st.sampled_from(PanelKind))
    models, targets = draw(names), draw(names)
    first = draw(st.integers(1_000_000_000_000, 2_000_000_000_000))
    steps = draw(st.lists(st.integers(1, 10**8), max_size=5))
    times = first + np.concatenate(([0], np.cumsum(steps))).astype(np.int64)
    t, k, n = len(times), len(targets), len(models)
    sign = -1.0 if kind is PanelKind.QUANTILE else 1.0
    signed = kind in (PanelKind.QUANTILE, PanelKind.VOL)
    numbers = positive.map(lambda x: sign * x) if signed else finite
    forecast = draw(arrays(np.float64, (t, k, n), elements=numbers))
    failed = draw(arrays(np.bool_, (t, k, n)))
    forecast[failed] = np.nan
    reasons = draw(
        st.lists(
            st.builds(Failure, st.sampled_from(FailureReason), texts, texts),
            min_size=1,
            max_size=2,
            unique_by=lambda f: (f.reason, f.message, f.remedy),
        )
    )
    which = draw(arrays(np.int64, (t, k, n), elements=st.integers(0, len(reasons) - 1)))
    benchmarks = [None, None]
    if draw(st.booleans()):
        benchmarks = [draw(arrays(np.float64, (t, k), elements=numbers)) for _ in range(2)]
    state = draw(st.sampled_from([(), ("vol",), ("vol", "funding")]))
    market = finite | st.just(float("nan"))
    return ErrorPanel(
        name="panel",
        kind=kind,
        level=draw(st.floats(0.001, 0.5)) if kind is PanelKind.QUANTILE else 0.0,
        horizon_ms=draw(st.integers(0, 10**10)),
        times_ms=times,
        models=tuple(ModelId(m) for m in models),
        targets=tuple(TargetId(k) for k in targets),
        forecast=forecast,
        outcome=draw(arrays(np.float64, (t, k), elements=market)),
        scale=draw(arrays(np.float64, (t, k), elements=positive)),
        benchmark_a=benchmarks[0],
        benchmark_b=benchmarks[1],
        exposure_usd=draw(arrays(np.float64, n, elements=st.floats(0, 1e12))),
        state={s: draw(arrays(np.float64, (t, k), elements=market)) for s in state},
        failures=_runs(times, targets, models, failed, which, reasons),
    )


def _runs(times, targets, models, failed, which, reasons) -> tuple[CellFailure, ...]:  # type: ignore[no-untyped-def]
    """Failures as the reader lists them: consecutive times of one reason are one entry."""
    found: list[CellFailure] = []
    for k, target in enumerate(targets):
        for n, model in enumerate(models):
            run: list[int] = []
            for t in range(len(times) + 1):
                here = t < len(times) and failed[t, k, n]
                if run and not (here and which[t, k, n] == which[run[0], k, n]):
                    reason = reasons[which[run[0], k, n]]
                    first = int(times[run[0]])
                    found.append(
                        CellFailure(ModelId(model), TargetId(target), first, len(run), reason)
                    )
                    run = []
                if here:
                    run.append(t)
    return tuple(found)


def _bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def assert_same(back: ErrorPanel, panel: ErrorPanel) -> None:
    for name in ("name", "kind", "level", "horizon_ms", "models", "targets", "failures"):
        assert getattr(back, name) == getattr(panel, name)
    for name in ("times_ms", "forecast", "outcome", "scale", "benchmark_a", "benchmark_b"):
        left, right = getattr(back, name), getattr(panel, name)
        assert (left is None and right is None) or _bits(left) == _bits(right), name
    assert _bits(back.exposure_usd) == _bits(panel.exposure_usd)
    assert list(back.state) == list(panel.state)
    assert all(_bits(back.state[s]) == _bits(panel.state[s]) for s in panel.state)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@given(panel=panels())
def test_round_trip_is_exact(suffix: str, panel: ErrorPanel) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"panel.{suffix}"
        write_panel(panel, path)
        again = load_panel(path)
    assert again.notes == ()
    assert_same(again.panel, panel)


@given(panel=panels())
def test_packed_round_trip_is_exact_and_equal_panels_are_equal_files(panel: ErrorPanel) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "a.panel", Path(folder) / "b.panel"
        pack_panel(panel, path)
        back = unpack_panel(path)
        pack_panel(back, again)
        assert path.read_bytes() == again.read_bytes()
    assert_same(back, panel)
    assert back.content_hash == panel.content_hash


@given(panel=panels(), data=st.data())
def test_a_damaged_packed_panel_is_an_error_or_the_same(
    panel: ErrorPanel, data: st.DataObject
) -> None:
    """Some bytes of the archive carry nothing; no damage may change a number unnoticed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.panel"
        pack_panel(panel, path)
        whole = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            whole[place] ^= data.draw(st.integers(1, 255))
        else:
            del whole[place:]
        path.write_bytes(whole)
        try:
            back = unpack_panel(path)
        except PanelError:
            return
    assert_same(back, panel)


@st.composite
def cards(draw: st.DrawFn) -> Card:
    parts = draw(
        st.lists(
            st.builds(
                ComponentUse,
                texts.map(ComponentId),
                st.sampled_from(Layer),
                st.floats(0, 1, exclude_min=True),
            ),
            max_size=5,
            unique_by=lambda part: (part.layer, part.component),
        )
    )
    order = list(Layer)
    return Card(
        model=ModelId(draw(texts)),
        family=draw(st.sampled_from(ModelFamily)),
        owner=draw(st.text(max_size=5).filter(lambda t: t.isprintable())),
        purpose=draw(texts),
        materiality=draw(st.sampled_from(Materiality)),
        components=tuple(sorted(parts, key=lambda part: order.index(part.layer))),
    )


@given(
    several=st.lists(cards(), min_size=1, max_size=3, unique_by=lambda card: card.model),
    usd=st.floats(0, 1e12),
)
def test_cards_round_trip(several: list[Card], usd: float) -> None:
    exposure = {several[0].model: usd}
    again = cards_from_toml(cards_to_toml(several, exposure))
    assert list(again.cards) == several
    assert again.exposure_usd == exposure
