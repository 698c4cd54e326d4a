"""Derive the coefficients and split constants of ``cpp/simd/math.hpp``.

Run ``python tools/minimax.py`` (needs mpmath, nothing else); the header contains what it prints.

Every polynomial is the minimax solution of one problem: for ``g(z)`` on ``[0, b]`` find ``p`` of
the given degree that minimises ``max |w(z) (g(z) - p(z))|``, with ``w >= 0`` and zero at most at
the left end. The Remez exchange below works in ``PREC`` bits. Coefficients are rounded one after
the other, lowest degree first, and the rest is solved again after each rounding, so that the
rounding of one coefficient is absorbed by those that follow; the error that is printed is that of
the rounded polynomial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mpmath import mp, mpf

PREC = 240
GRID = 400
Function = Callable[[mpf], mpf]


@dataclass(frozen=True)
class Problem:
    """``g`` on ``[0, b]`` with weight ``w``, and the degrees for double and float."""

    name: str
    g: Function
    w: Function
    b: mpf
    degrees: tuple[int, int]


def chebyshev_points(n: int, b: mpf) -> list[mpf]:
    """Return ``n`` points of (0, b], denser at both ends."""
    return [b * (1 - mp.cos(mp.pi * (k + mpf(1) / 2) / n)) / 2 for k in range(n)]


def extrema(error: Function, b: mpf, count: int) -> list[mpf]:
    """Return ``count`` alternating extrema of ``error`` on a fine grid of (0, b]."""
    grid = [*chebyshev_points(GRID, b), b]
    values = [error(z) for z in grid]
    peaks: list[tuple[mpf, mpf]] = []
    for z, v in zip(grid, values, strict=True):
        if peaks and (peaks[-1][1] > 0) == (v > 0):
            if abs(v) > abs(peaks[-1][1]):
                peaks[-1] = (z, v)
        else:
            peaks.append((z, v))
    while len(peaks) > count:
        peaks.pop(0 if abs(peaks[0][1]) < abs(peaks[-1][1]) else -1)
    if len(peaks) < count:
        raise ArithmeticError(f"{len(peaks)} alternations of the error, expected {count}")
    return [z for z, _ in peaks]


def remez(g: Function, w: Function, b: mpf, fixed: list[mpf], degree: int) -> list[mpf]:
    """Minimax coefficients of degree ``degree``, the lowest ``len(fixed)`` of them given."""
    first, n = len(fixed), degree + 1 - len(fixed)

    def rest(z: mpf) -> mpf:
        return g(z) - mp.polyval(fixed[::-1], z) if fixed else g(z)

    points = chebyshev_points(n + 1, b)
    for _ in range(30):
        rows = mp.matrix(n + 1, n + 1)
        rhs = mp.matrix(n + 1, 1)
        for r, z in enumerate(points):
            for c in range(n):
                rows[r, c] = w(z) * z ** (first + c)
            rows[r, n] = (-1) ** r
            rhs[r] = w(z) * rest(z)
        solution = mp.lu_solve(rows, rhs)
        found = [solution[c] for c in range(n)]

        def error(z: mpf, found: list[mpf] = found) -> mpf:
            return w(z) * (rest(z) - z**first * mp.polyval(found[::-1], z))

        points = extrema(error, b, n + 1)
        level = abs(solution[n])
        if abs(error(points[0])) <= level * mpf("1.001"):
            worst = max(abs(error(z)) for z in points)
            if worst <= level * mpf("1.001"):
                break
    return found


def rounded(x: mpf, bits: int) -> mpf:
    """Round ``x`` to ``bits`` significant bits."""
    with mp.workprec(bits):
        return +x


def solve(problem: Problem, degree: int, bits: int) -> tuple[list[mpf], mpf]:
    """Coefficients rounded to ``bits``, lowest degree first, and the weighted error they reach."""
    fixed: list[mpf] = []
    while len(fixed) <= degree:
        fixed.append(rounded(remez(problem.g, problem.w, problem.b, fixed, degree)[0], bits))
    grid = [*chebyshev_points(2 * GRID, problem.b), problem.b]
    worst = max(abs(problem.w(z) * (problem.g(z) - mp.polyval(fixed[::-1], z))) for z in grid)
    return fixed, worst


def split(value: mpf, bits: list[int]) -> list[mpf]:
    """Write ``value`` as a sum of parts of the given numbers of significant bits."""
    parts = []
    for n in bits:
        parts.append(rounded(value, n))
        value -= parts[-1]
    return parts


def problems() -> list[Problem]:
    """All polynomials of math.hpp, in the order in which they appear there."""
    half_ln2 = mp.log(2) / 2 * (1 + mpf(2) ** -20)
    quarter_pi = mp.pi / 4 * (1 + mpf(2) ** -20)
    atanh_end = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * (1 + mpf(2) ** -20)
    root = mp.sqrt
    return [
        Problem(
            "exp_even: (cosh(r) - 1) / z, z = r^2",
            lambda z: (mp.cosh(root(z)) - 1) / z,
            lambda z: z,
            half_ln2**2,
            (4, 2),
        ),
        Problem(
            "exp_odd: (sinh(r) - r) / (r z), z = r^2",
            lambda z: (mp.sinh(root(z)) / root(z) - 1) / z,
            lambda z: z * root(z),
            half_ln2**2,
            (4, 2),
        ),
        Problem(
            "log_poly: (2 atanh(s) / s - 2) / z, z = s^2",
            lambda z: (2 * mp.atanh(root(z)) / root(z) - 2) / z,
            lambda z: z / 2,
            atanh_end**2,
            (6, 2),
        ),
        Problem(
            "tanh_poly: (tanh(x) / x - 1) / z, z = x^2",
            lambda z: (mp.tanh(root(z)) / root(z) - 1) / z,
            lambda z: z,
            mpf("0.55") ** 2,
            (9, 4),
        ),
        Problem(
            "sin_poly: (sin(r) / r - 1) / z, z = r^2",
            lambda z: (mp.sin(root(z)) / root(z) - 1) / z,
            lambda z: z,
            quarter_pi**2,
            (5, 2),
        ),
        Problem(
            "cos_poly: (cos(r) - 1 + z / 2) / z^2, z = r^2",
            lambda z: (mp.cos(root(z)) - 1 + z / 2) / z**2,
            lambda z: z**2,
            quarter_pi**2,
            (5, 2),
        ),
        Problem(
            "erfc_poly: exp(x^2) erfc(x) (1 + x), z = x / (x + 2)",
            lambda z: _erfcx(2 * z / (1 - z)) * (1 + 2 * z / (1 - z)),
            lambda z: 1 / (_erfcx(2 * z / (1 - z)) * (1 + 2 * z / (1 - z))),
            mpf("3.3") / mpf("5.3"),
            (17, 8),
        ),
    ]


def _erfcx(x: mpf) -> mpf:
    return mp.exp(x * x) * mp.erfc(x)


def literal(x: mpf, bits: int) -> str:
    """C++ literal that reads back as ``x``."""
    return str(mp.nstr(x, 17)) if bits == 53 else f"{mp.nstr(x, 9)}f"


def main() -> None:
    """Print all coefficients and constants."""
    mp.prec = PREC
    for problem in problems():
        for degree, bits in zip(problem.degrees, (53, 24), strict=True):
            coefficients, worst = solve(problem, degree, bits)
            ulp = mp.nstr(worst * mpf(2) ** bits, 3)
            print(f"{problem.name}; degree {degree}, {bits} bits, error {ulp} x 2^-{bits}")
            print("    " + ", ".join(literal(c, bits) for c in coefficients))
    # The leading parts are short, so that their products with the integer of the reduction are
    # exact without fma: 11 (float: 8) bits of exponent for ln 2, 20 bits for pi / 2 in double.
    # Float reduces pi / 2 with fma, or in double.
    for name, value, lengths in [
        ("ln2, double", mp.log(2), [42, 53]),
        ("ln2, float", mp.log(2), [16, 24]),
        ("pi/2, double", mp.pi / 2, [33, 33, 33, 53]),
        ("pi/2, float", mp.pi / 2, [24, 24, 24]),
    ]:
        parts = split(value, lengths)
        print(name + ": " + ", ".join(literal(p, 24 if "float" in name else 53) for p in parts))
    for name, value in [("log2(e)", 1 / mp.log(2)), ("2/pi", 2 / mp.pi), ("pi", mp.pi)]:
        print(f"{name}: {mp.nstr(value, 20)}")


if __name__ == "__main__":
    main()
