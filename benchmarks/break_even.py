"""From how many rows the compiled kernels pay although numba must still be loaded.

``python benchmarks/break_even.py`` measures, each in a fresh process with the machine code already
cached: the seconds until a kernel has given its first result, beyond those numpy needs, and the
nanoseconds per row of both engines. The quotient belongs in
``commonmode.pricing.kernels.dispatch.BREAK_EVEN``.
"""

from __future__ import annotations

import subprocess
import sys

CODE = """
import time
import numpy as np
from commonmode.pricing.kernels import black76, implied_vol
n = 200_000
rng = np.random.default_rng(0)
k = 3e4 * np.exp(rng.uniform(-0.6, 0.6, n))
t, v = rng.uniform(0.02, 1.0, n), rng.uniform(0.3, 1.2, n)
sign = np.where(k > 3e4, 1.0, -1.0)
price = black76(3e4, k, t, v, sign=sign, greeks="price", engine="numpy")["price"]
out = np.empty((10, n))
jobs = dict(
    price=lambda n, e: black76(
        3e4, k[:n], t[:n], v[:n], sign=sign[:n], greeks="price", engine=e),
    greeks=lambda n, e: black76(
        3e4, k[:n], t[:n], v[:n], sign=sign[:n], greeks="nine", engine=e),
    implied_vol=lambda n, e: implied_vol(
        price[:n], 3e4, k[:n], t[:n], sign=sign[:n], engine=e),
)
def seconds(call, *args):
    start = time.perf_counter()
    call(*args)
    return time.perf_counter() - start
job = jobs["{name}"]
job(100, "numpy")
slow = min(seconds(job, n, "numpy") for _ in range(3)) / n
first = seconds(job, 100, "numba")
fast = min(seconds(job, n, "numba") for _ in range(3)) / n
print(first, slow * 1e9, fast * 1e9, first / (slow - fast))
"""


def main() -> None:
    """Print one line per kernel."""
    for name in ("price", "greeks", "implied_vol"):
        command = [sys.executable, "-c", CODE.replace("{name}", name)]
        subprocess.run(command, check=True, capture_output=True)  # fills the cache
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        first, slow, fast, rows = map(float, done.stdout.split())
        print(
            f"{name:12} start-up {first:5.2f} s, numpy {slow:6.0f} ns, compiled {fast:5.1f} ns "
            f"a row: break-even {rows:,.0f} rows"
        )


if __name__ == "__main__":
    main()
