/* Black-76 price and nine Greeks by hand for SIMD, as the peer of the compiled Python kernel:
   the same formulas and stages as commonmode.pricing.kernels._stages, in C, for
   gcc -O3 -march=native -mprefer-vector-width=512 -fno-math-errno -fno-trapping-math.
   test_bench_black76.py compiles it where a compiler is found and holds the results together. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define RUN 256
#define PAD (RUN + 24)
#define F1(a, b, c) __builtin_fma(a, b, c)

static inline double from_bits(int64_t b) { double x; memcpy(&x, &b, 8); return x; }
static inline int64_t to_bits(double x) { int64_t b; memcpy(&b, &x, 8); return b; }

static inline double vexp(double x) {
    double y = x < -708.0 ? -708.0 : (x > 709.0 ? 709.0 : x);
    double z = F1(y, 1.4426950408889634, 6755399441055744.0), n = z - 6755399441055744.0;
    double r = F1(n, -1.90821492927058770002e-10, F1(n, -6.93147180369123816490e-01, y));
    double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    double p23 = F1(r, 1.0 / 6.0, 0.5), p45 = F1(r, 1.0 / 120.0, 1.0 / 24.0);
    double p67 = F1(r, 1.0 / 5040.0, 1.0 / 720.0), p89 = F1(r, 1.0 / 362880.0, 1.0 / 40320.0);
    double pab = F1(r, 1.0 / 39916800.0, 1.0 / 3628800.0);
    double pcd = F1(r, 1.0 / 6227020800.0, 1.0 / 479001600.0);
    double low = F1(p23, r2, r), high = F1(pcd, r4, F1(pab, r2, p89));
    double tail = F1(high, r8, F1(F1(p67, r2, p45), r4, low));
    double value = from_bits(to_bits(1.0 + tail) + (int64_t)((uint64_t)to_bits(z) << 52));
    return x >= -708.0 ? value : 0.0;
}

static inline double shape(double t) {
    double t2 = t * t, t4 = t2 * t2, t8 = t4 * t4;
    double p0 = F1(F1(0.082276738489995062602, t, 0.0035854154854790256379), t2,
                   F1(-0.14024059858554525625, t, 1.2375126308378275289));
    double p1 = F1(F1(0.028362277372111138829, t, -0.058693398576649338403), t2,
                   F1(0.092304321164281249882, t, -0.10880393014244461271));
    double p2 = F1(F1(-0.00029015535246077655304, t, 0.00029371437804495802994), t2,
                   F1(0.0017556261651970650726, t, -0.0097465796832652622308));
    double p3 = F1(F1(-9.7926257073035220322e-7, t, -0.000011438048033346893551), t2,
                   F1(0.00002238756571491181656, t, 0.000051646529741774161256));
    double p4 = F1(F1(1.8790823223700481258e-8, t, -2.4857126248016742872e-7), t2,
                   F1(-5.0844653786873021975e-8, t, 1.7419821586224815923e-6));
    double p5 = F1(-2.6231073471334757612e-9, t2,
                   F1(-1.9551358868985616548e-9, t, 3.1979266716668042918e-8));
    return F1(F1(p5, t4, p4), t8 * t8, F1(F1(p3, t4, p2), t8, F1(p1, t4, p0)));
}

static inline int by_series(double h, double t) {
    return (t < (0.02 * h > 0.08 ? 0.02 * h : 0.08)) & (h * t < 1.0);
}

/* out has ten rows of n: price, delta, gamma, vega, theta, rho, vanna, volga, charm, speed. */
void price_and_nine(long n, const double *restrict f_, const double *restrict k_,
                    const double *restrict t_, const double *restrict v_,
                    const double *restrict sign_, double *restrict out) {
    static _Thread_local double root[PAD], tot[PAD], perf[PAD], pers[PAD], pert[PAD], lx[PAD];
    static _Thread_local double mm[PAD], near[PAD], nears[PAD], far[PAD], fars[PAD];
    const double rh = 0.7071067811865475244, c = 0.3989422804014326779;
    const double hp = 1.2533141373155002512;
    for (long start = 0; start < n; start += RUN) {
        long size = n - start < RUN ? n - start : RUN;
        const double *f = f_ + start, *k = k_ + start, *t = t_ + start, *v = v_ + start;
        const double *sg = sign_ + start;
        double *o = out + start;
#pragma GCC ivdep
        for (long i = 0; i < size; i++) {
            double r = sqrt(t[i]), s = v[i] * r;
            int64_t bits = to_bits(k[i]);
            int64_t e = (int64_t)((uint64_t)(to_bits(f[i]) - bits
                                             + ((1024LL << 52) + (1LL << 51))) >> 52);
            double power = from_bits(e | 0x4330000000000000LL) - (4503599627370496.0 + 1024.0);
            double scaled = from_bits(bits + (int64_t)((uint64_t)(e - 1024) << 52));
            double total = f[i] + scaled, gap = f[i] - scaled, st = s * t[i], ft = f[i] * total;
            double joint = 1.0 / (ft * st), perft = joint * st, perst = joint * ft;
            double pertotal = perft * f[i], q = gap * pertotal;
            q = F1(F1(-q, total, gap), pertotal, q);
            double z = q * q, w = z * z;
            double top = F1(0.06812043634691961, z, 0.06603870001699784);
            top = F1(top, w, F1(0.07694484136448797, z, 0.09090867550691496));
            top = F1(top, w, F1(0.11111111540325071, z, 0.14285714283540604));
            double p = F1(top, w, F1(0.20000000000004187, z, 0.3333333333333333));
            double twice = q + q;
            root[i] = r;
            tot[i] = s;
            perf[i] = perft * total;
            pers[i] = perst * t[i];
            pert[i] = perst * s;
            lx[i] = F1(power, 6.93147180369123816490e-01,
                       F1(power, 1.90821492927058770002e-10, F1(twice * z, p, twice)));
        }
#pragma GCC ivdep
        for (long i = 0; i < size; i++) {
            double g = fabs(lx[i]) * pers[i] - 0.5 * tot[i];
            double m = (f[i] < k[i] ? f[i] : k[i]) * vexp(-0.5 * g * g), flow = m * c;
            mm[i] = m;
            o[2 * n + i] = flow * perf[i] * perf[i] * pers[i];
            o[3 * n + i] = flow * root[i];
        }
#pragma GCC ivdep
        for (long i = 0; i < size; i++) {
            double h = fabs(lx[i]) * pers[i], half = 0.5 * tot[i];
            double x = (by_series(h, half) ? h : fabs(h - half)) * rh, y = (h + half) * rh;
            double a = x + 3.75, b = F1(2.0, x, 1.0), d = y + 3.75, e = F1(2.0, y, 1.0);
            double ab = a * b, de = d * e, r = 1.0 / (ab * de), rx = r * de, ry = r * ab;
            near[i] = (x - 3.75) * b * rx;
            nears[i] = a * rx;
            far[i] = (y - 3.75) * e * ry;
            fars[i] = d * ry;
            o[4 * n + i] = -0.5 * (mm[i] * c) * tot[i] * pert[i];
        }
#pragma GCC ivdep
        for (long i = 0; i < size; i++) {
            near[i] = shape(near[i]) * nears[i];
            double flow = mm[i] * c, centre = lx[i] * pers[i], half = 0.5 * tot[i];
            double perv = root[i] * pers[i], d2 = centre - half;
            o[6 * n + i] = -flow * perf[i] * d2 * perv;
            o[7 * n + i] = flow * root[i] * ((centre + half) * d2) * perv;
        }
#pragma GCC ivdep
        for (long i = 0; i < size; i++) {
            far[i] = shape(far[i]) * fars[i];
            double density = mm[i] * c * perf[i], centre = lx[i] * pers[i], half = 0.5 * tot[i];
            o[8 * n + i] = 0.5 * density * (centre - half) * pert[i];
            o[9 * n + i] = -density * perf[i] * pers[i] * perf[i] * F1(centre + half, pers[i], 1.0);
        }
#pragma GCC ivdep
        for (long i = 0; i < size; i++) {
            double least = f[i] < k[i] ? f[i] : k[i], m = mm[i];
            double h = fabs(lx[i]) * pers[i], u = 0.5 * tot[i], y = h * h, w = u * u;
            int series = by_series(h, u), inside = h < u, up = lx[i] > 0.0;
            double e1 = 0.5 * near[i], b = m * (0.5 * far[i]), a = F1(-2.0 * hp * h, e1, 1.0);
            double k1 = F1(a, y, F1(3.0, a, -1.0));
            double k2 = F1(F1(a, y, F1(10.0, a, -1.0)), y, F1(15.0, a, -7.0));
            double k3 = F1(a, y, F1(21.0, a, -1.0));
            k3 = F1(F1(k3, y, F1(105.0, a, -18.0)), y, F1(105.0, a, -57.0));
            double k4 = F1(F1(a, y, F1(36.0, a, -1.0)), y, F1(378.0, a, -33.0));
            k4 = F1(F1(k4, y, F1(1260.0, a, -285.0)), y, F1(945.0, a, -561.0));
            double sum = F1(w, F1(w, k4 * (1.0 / 362880.0), k3 * (1.0 / 5040.0)), k2 * (1.0 / 120.0));
            sum = F1(w, F1(w, sum, k1 * (1.0 / 6.0)), a);
            double small = m * (2.0 * c) * u * sum, m1 = m * e1;
            double part = series ? small + b : (inside ? least - m1 : m1);
            double rest = (series | !inside) ? least - part : m1;
            double intrinsic = sg[i] * (f[i] - k[i]);
            double value = (series ? small : part - b) + (intrinsic > 0.0 ? intrinsic : 0.0);
            double d = sg[i] > 0.0 ? (up ? f[i] - b : part) : (up ? -b : -rest);
            o[i] = value;
            o[n + i] = d * perf[i];
            o[5 * n + i] = -t[i] * value;
        }
    }
}
