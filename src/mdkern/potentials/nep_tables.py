"""Angular algebra of NEP: polynomials, weights and couplings, exact from closed formulas."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial, gcd, lcm, pi, sqrt

__all__ = ["cubic_terms", "index", "polynomial", "weight"]


def index(l: int, m: int, part: str = "c") -> int:
    """Place of a sum in the order l0, 1c, 1s, 2c, 2s, ... of l = 1, 2, ...; part is "c" or "s"."""
    return l * l - 1 + (0 if m == 0 else 2 * m - (part == "c"))


@cache
def _derivative_of_legendre(l: int, m: int) -> tuple[Fraction, ...]:
    """Coefficients of d^m P_l / dz^m, lowest power first."""
    c = [Fraction(0)] * (l + 1)
    for k in range(l // 2 + 1):
        power = l - 2 * k
        c[power] = Fraction(
            (-1) ** k * factorial(2 * l - 2 * k),
            2**l * factorial(k) * factorial(l - k) * factorial(power),
        )
    for _ in range(m):
        c = [k * x for k, x in enumerate(c)][1:]
    return tuple(c)


@cache
def polynomial(l: int, m: int) -> tuple[tuple[int, ...], Fraction]:
    """Z_lm(z), d^m P_l / dz^m divided by s_lm so that its coefficients are coprime integers.

    Returns the integers, lowest power first, and s_lm.
    """
    c = _derivative_of_legendre(l, m)
    scale = lcm(*(x.denominator for x in c))
    common = gcd(*(int(x * scale) for x in c))
    return tuple(int(x * scale) // common for x in c), Fraction(common, scale)


@cache
def weight(l: int, m: int) -> float:
    """C_lm = (2l+1)/(4 pi) (l-m)!/(l+m)! s_lm^2 (Fan et al., J. Chem. Phys. 157, 114801 (2022))."""
    s = polynomial(l, m)[1]
    return float((2 * l + 1) * Fraction(factorial(l - m), factorial(l + m)) * s * s) / (4 * pi)


def _wigner_3j(l1: int, l2: int, l3: int, m1: int, m2: int, m3: int) -> float:
    """Racah's formula; m1 + m2 + m3 = 0 and l1, l2, l3 form a triangle."""
    f = factorial
    low = max(0, l2 - l3 - m1, l1 - l3 + m2)
    high = min(l1 + l2 - l3, l1 - m1, l2 + m2)
    total = Fraction(0)
    for k in range(low, high + 1):
        product = f(k) * f(l1 + l2 - l3 - k) * f(l1 - m1 - k) * f(l2 + m2 - k)
        product *= f(l3 - l2 + m1 + k) * f(l3 - l1 - m2 + k)
        total += Fraction((-1) ** k, product)
    triangle = Fraction(f(l1 + l2 - l3) * f(l1 - l2 + l3) * f(l2 + l3 - l1), f(l1 + l2 + l3 + 1))
    parts = f(l1 - m1) * f(l1 + m1) * f(l2 - m2) * f(l2 + m2) * f(l3 - m3) * f(l3 + m3)
    sign = -1.0 if (l1 - l2 - m3) % 2 else 1.0
    return sign * sqrt(triangle * parts) * float(total)


def _linear(l: int, m: int) -> list[tuple[complex, int]]:
    """A_lm as a linear form of the sums S: [(coefficient, index)]."""
    a = sqrt(weight(l, abs(m)))
    if m == 0:
        return [(a, index(l, 0))]
    sign, i = ((-1) ** m, 1j) if m > 0 else (1, -1j)
    return [(sign * a, index(l, abs(m), "c")), (sign * a * i, index(l, abs(m), "s"))]


@cache
def cubic_terms(l1: int, l2: int, l3: int) -> tuple[tuple[float, int, int, int], ...]:
    r"""Invariant of three sums as a real polynomial, [(coefficient, i, j, k)] with i <= j <= k.

    .. math:: \sum_{m_1+m_2+m_3=0} \begin{pmatrix} l_1 & l_2 & l_3 \\ m_1 & m_2 & m_3 \end{pmatrix}
        A_{l_1 m_1} A_{l_2 m_2} A_{l_3 m_3}, \quad A_{lm} = (-1)^m \sqrt{C_{lm}} (S^c_{lm} + i S^s_{lm})
    """
    terms: dict[tuple[int, int, int], complex] = {}
    for m1 in range(-l1, l1 + 1):
        for m2 in range(-l2, l2 + 1):
            m3 = -m1 - m2
            if abs(m3) > l3:
                continue
            w = _wigner_3j(l1, l2, l3, m1, m2, m3)
            for a, i in _linear(l1, m1):
                for b, j in _linear(l2, m2):
                    for c, k in _linear(l3, m3):
                        p, q, r = sorted((i, j, k))
                        terms[p, q, r] = terms.get((p, q, r), 0) + w * a * b * c
    largest = max(abs(x) for x in terms.values())
    return tuple(
        (x.real, *key) for key, x in sorted(terms.items()) if abs(x.real) > 1e-12 * largest
    )
