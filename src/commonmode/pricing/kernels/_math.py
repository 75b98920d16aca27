"""Branch-free exp, log and scaled complementary error function for compiled loops.

Each is straight-line code on doubles and 64-bit integers, so that LLVM turns a loop over it into
vector code (numba ships no vector math library). Used on clamped, finite arguments only; the
callers keep everything else out.

Sources: ``exp`` by reduction with Cody and Waite's two-part ``ln 2``, rounding with Dekker's magic
number and a Taylor polynomial of degree 13 on ``|r| <= ln(2)/2``; ``log`` after FreeBSD's
``e_log.c`` (fdlibm); ``erfcx`` after Shepherd and Laframboise (1981), "Chebyshev approximation of
(1 + 2x) exp(x^2) erfc(x)", Mathematics of Computation 36, with coefficients computed by
``scripts/kernel_coefficients.py``, which also has those of the logarithm of a ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "binary_ratio",
    "erfcx_arguments",
    "erfcx_shape",
    "fma",
    "log_from_ratio",
    "verfcx",
    "vexp",
    "vlog",
]

_LOG2E: Final = 1.4426950408889634
_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10
# 1.5 * 2^52: adding it rounds to the nearest integer, left in the low bits of the significand.
_MAGIC: Final = 6755399441055744.0


def _code_bits_of(typing_context: Any, x: Any) -> Any:
    """The 64 bits of a double as an integer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


def _code_double_of(typing_context: Any, bits: Any) -> Any:
    """The double with these 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


def _code_shift_right(typing_context: Any, bits: Any, places: Any) -> Any:
    """Logical (not arithmetic) shift: AVX2 has no arithmetic one for 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.lshr(args[0], args[1])

    return types.int64(types.int64, types.int64), generate


def _code_fma(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z`` rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        double = ir.DoubleType()
        kind = ir.FunctionType(double, [double, double, double])
        return builder.call(builder.module.declare_intrinsic("llvm.fma", [double], kind), args)

    return types.float64(types.float64, types.float64, types.float64), generate


_bits_of: Final = cast(Callable[[float], int], intrinsic(_code_bits_of))
_double_of: Final = cast(Callable[[int], float], intrinsic(_code_double_of))
_shift_right: Final = cast(Callable[[int, int], int], intrinsic(_code_shift_right))
fma: Final = cast(Callable[[float, float, float], float], intrinsic(_code_fma))


@njit(inline="always", error_model="numpy")
def vexp(x: float) -> float:
    """``exp(x)`` to about 1 ulp; 0 below -708, clamped above 709."""
    y = max(min(x, 709.0), -708.0)
    z = fma(y, _LOG2E, _MAGIC)
    n = z - _MAGIC
    r = fma(n, -_LN2_HIGH, y)
    r = fma(n, -_LN2_LOW, r)
    # Estrin's scheme: half the depth of Horner's.
    r2 = r * r
    r4 = r2 * r2
    r8 = r4 * r4
    p23 = fma(r, 1.0 / 6.0, 0.5)
    p45 = fma(r, 1.0 / 120.0, 1.0 / 24.0)
    p67 = fma(r, 1.0 / 5040.0, 1.0 / 720.0)
    p89 = fma(r, 1.0 / 362880.0, 1.0 / 40320.0)
    pab = fma(r, 1.0 / 39916800.0, 1.0 / 3628800.0)
    low = fma(p23, r2, r)
    pcd = fma(r, 1.0 / 6227020800.0, 1.0 / 479001600.0)
    high = fma(pcd, r4, fma(pab, r2, p89))
    tail = fma(high, r8, fma(fma(p67, r2, p45), r4, low))
    value = _double_of(_bits_of(1.0 + tail) + (_bits_of(z) << 52))
    return value if x >= -708.0 else 0.0


@njit(inline="always", error_model="numpy")
def vlog(y: float) -> float:
    """``log(y)`` to about 1 ulp for normal y > 0."""
    # Splits y = 2^e m with m in [1/sqrt 2, sqrt 2) by integer arithmetic alone.
    bits = _bits_of(y) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
    e = _double_of(_shift_right(bits, 52) | 0x4330000000000000) - (4503599627370496.0 + 1023.0)
    f = _double_of((bits & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * fma(w, fma(w, 0.15313837699209373, 0.22222198432149784), 0.3999999999940942)
    odd = fma(w, fma(w, 0.14798198605116586, 0.1818357216161805), 0.2857142874366239)
    odd = z * fma(w, odd, 0.6666666666666735)
    half = 0.5 * f * f
    return e * _LN2_HIGH - ((half - (s * (half + (odd + even)) + e * _LN2_LOW)) - f)


@njit(inline="always", error_model="numpy")
def binary_ratio(f: float, k: float) -> tuple[float, float]:
    """``(e, k 2^e)`` with ``f / (k 2^e)`` in [0.66, 1.51], without a division.

    The bits of a double, read as an integer, are 2^52 times a piecewise linear binary logarithm
    that is at most 0.0861 too low; e rounds the difference of two such.
    """
    bits = _bits_of(k)
    e = _shift_right(_bits_of(f) - bits + ((1024 << 52) + (1 << 51)), 52)
    power = _double_of(e | 0x4330000000000000) - (4503599627370496.0 + 1024.0)
    return power, _double_of(bits + ((e - 1024) << 52))


@njit(inline="always", error_model="numpy")
def log_from_ratio(e: float, s: float) -> float:
    """``log(f/k)`` from ``binary_ratio`` and ``s = (f - k 2^e)/(f + k 2^e)``: ``2 atanh(s)``.

    Near ``f = k`` as accurate as s: e is 0 there, and ``f - k`` has no rounding.
    """
    z = s * s
    w = z * z
    top = fma(0.06812043634691961, z, 0.06603870001699784)
    top = fma(top, w, fma(0.07694484136448797, z, 0.09090867550691496))
    top = fma(top, w, fma(0.11111111540325071, z, 0.14285714283540604))
    p = fma(top, w, fma(0.20000000000004187, z, 0.3333333333333333))
    twice = s + s
    return fma(e, _LN2_HIGH, fma(e, _LN2_LOW, fma(twice * z, p, twice)))


@njit(inline="always", error_model="numpy")
def verfcx(x: float) -> float:
    """``exp(x^2) erfc(x)`` to 6e-16 relative for 0 <= x < 1e100."""
    a = x + 3.75
    b = fma(2.0, x, 1.0)
    r = 1.0 / (a * b)
    return erfcx_shape((x - 3.75) * b * r) * (a * r)


@njit(inline="always", error_model="numpy")
def erfcx_arguments(x: float, y: float) -> tuple[float, float, float, float]:
    """``(t, w)`` of x and of y at one division: ``erfcx_shape(t) * w`` is ``verfcx``."""
    a = x + 3.75
    b = fma(2.0, x, 1.0)
    c = y + 3.75
    d = fma(2.0, y, 1.0)
    ab = a * b
    cd = c * d
    r = 1.0 / (ab * cd)
    rx = r * cd
    ry = r * ab
    return (x - 3.75) * b * rx, a * rx, (y - 3.75) * d * ry, c * ry


@njit(inline="always", error_model="numpy")
def erfcx_shape(t: float) -> float:
    """``erfcx(x) (1 + 2x)`` for ``t = (x - 3.75)/(x + 3.75)``."""
    t2 = t * t
    t4 = t2 * t2
    t8 = t4 * t4
    p0 = fma(
        fma(0.082276738489995062602, t, 0.0035854154854790256379),
        t2,
        fma(-0.14024059858554525625, t, 1.2375126308378275289),
    )
    p1 = fma(
        fma(0.028362277372111138829, t, -0.058693398576649338403),
        t2,
        fma(0.092304321164281249882, t, -0.10880393014244461271),
    )
    p2 = fma(
        fma(-0.00029015535246077655304, t, 0.00029371437804495802994),
        t2,
        fma(0.0017556261651970650726, t, -0.0097465796832652622308),
    )
    p3 = fma(
        fma(-9.7926257073035220322e-7, t, -0.000011438048033346893551),
        t2,
        fma(0.00002238756571491181656, t, 0.000051646529741774161256),
    )
    p4 = fma(
        fma(1.8790823223700481258e-8, t, -2.4857126248016742872e-7),
        t2,
        fma(-5.0844653786873021975e-8, t, 1.7419821586224815923e-6),
    )
    p5 = fma(
        -2.6231073471334757612e-9,
        t2,
        fma(-1.9551358868985616548e-9, t, 3.1979266716668042918e-8),
    )
    q0 = fma(p1, t4, p0)
    q1 = fma(p3, t4, p2)
    q2 = fma(p5, t4, p4)
    return fma(q2, t8 * t8, fma(q1, t8, q0))
