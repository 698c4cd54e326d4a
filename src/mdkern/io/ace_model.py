"""What a file of the atomic cluster expansion holds, whatever its format: the structure that kernels and the NumPy definition take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mdkern.io.files import FileModel

__all__ = [
    "AceBond",
    "AceEmbedding",
    "AceFunction",
    "AceGroup",
    "AceModel",
    "AceProducts",
]

Array = NDArray[np.float64]
Indices = NDArray[np.int32]
Basis = Literal["ChebExpCos", "ChebPow", "ChebLinear", "SBessel", "zero"]
Inner = Literal["density", "distance", "zbl"]


@dataclass(frozen=True)
class AceEmbedding:
    """F = sum_p w_p f(rho_p; m_p) of one central element, and where the core repulsion switches it off.

    Attributes
    ----------
    kind : {"FinnisSinclair", "FinnisSinclairShiftedScaled"}
        Which f.
    weights, exponents : (ndensity,) float64
        w and m.
    rho_cut, drho_cut : float
        F is multiplied by P(rho_core; rho_cut, drho_cut) (eV); not used with ``inner == "zbl"`` nor by GRACE/FS,
        where both are 0.
    """

    kind: Literal["FinnisSinclair", "FinnisSinclairShiftedScaled"]
    weights: Array
    exponents: Array
    rho_cut: float
    drho_cut: float


@dataclass(frozen=True)
class AceBond:
    """Radial functions of an ordered pair (central element, neighbour's element).

    Attributes
    ----------
    basis : {"ChebExpCos", "ChebPow", "ChebLinear", "SBessel", "zero"}
        Kind of g_k; "zero": all g_k are 0 (the reference's TEST bases).
    parameter : float
        lambda of the Chebyshev bases; 0 where a basis has none.
    coefficients : (n_radial_max, l_max + 1, n_radial_base) float64
        c of R_nl = sum_k c_nlk g_k; what the pair's own entry does not have is 0.
    cutoff, dcut : float
        Of all functions, and the width of ChebExpCos's last switch (Angstrom).
    prehc, lambdahc : float
        Core repulsion: absolute values with ``inner`` "density" and "distance"; with "zbl" prehc is the plain factor.
    r_in, d_in : float
        Inner cutoff and its width (Angstrom); 0 where the file says none. ``inner == "distance"``: g is multiplied by
        1 - P(r; r_in, d_in), h by P. Whatever `inner` is, g is 0 for r <= r_in - d_in, so that with "density" and r_in > d_in
        it jumps there (within one bin of the tables), as in the reference. d_in may be 0 but with "zbl".
    """

    basis: Basis
    parameter: float
    coefficients: Array
    cutoff: float
    dcut: float
    prehc: float
    lambdahc: float
    r_in: float
    d_in: float


@dataclass(frozen=True, slots=True)
class AceFunction:
    """One function as the file has it, not merged with others.

    Attributes
    ----------
    mus, ns, ls : (rank,) int32
        Element of the neighbour (0 in GRACE/FS, where A is summed over them), n counted **from 0**, and l of every factor.
        With kind "ace" and rank 1, n counts the g_k and l is 0.
    ms : (terms, rank) int32
        m of every factor.
    couplings : (terms,) or (terms, ndensity) float64
        "grace": generalised Clebsch-Gordan coefficients gen_cg, one per term. "ace": ctildes, coupling times coefficient,
        one per term and density; a file has no coupling alone.
    coefficients : (ndensity,) float64
        "grace": coeff. "ace": ones, so that rho_p = sum_f coefficients_fp B_fp in both kinds.

    Notes
    -----
    The function's value is B_f = sum_t couplings_t prod A ("grace") or B_fp = sum_t couplings_tp Re prod A ("ace"), one
    for each density.
    """

    mus: Indices
    ns: Indices
    ls: Indices
    ms: Indices
    couplings: Array
    coefficients: Array


@dataclass(frozen=True)
class AceGroup:
    """GRACE/FS functions of one central element that differ in n and coefficients only.

    B_n = sum_t couplings_t prod_k A[n, lm_tk], rho_p += coefficients_np B_n for n in `ns`.

    Attributes
    ----------
    ns : (functions,) int32
        From 0, ascending, each once.
    lm : (terms, rank, 2) int32
        l and m of each factor; equal monomials are merged, factors ascend by (l, m).
    couplings : (terms,) float64
    coefficients : (functions, ndensity) float64
    """

    ns: Indices
    lm: Indices
    couplings: Array
    coefficients: Array


@dataclass(frozen=True)
class AceProducts:
    """rho_p of one central element as distinct products of A with summed coefficients.

    Attributes
    ----------
    rank1 : (n1, 2) int32
        (mu, n) of the sums of g_n over neighbours of element mu; n from 0. Empty for "grace", whose rank 1 uses R.
    rank1_coefficients : (n1, ndensity) float64
    a_index : (n_a, 4) int32
        (mu, n, l, m) of every A that is used, n from 0, ascending. "ace": m of either sign, A_-m = (-1)^m conj(A_m).
        "grace": mu is 0, m counts real harmonics, -l .. l.
    terms : dict, rank -> (n_terms, rank) int32
        Rows of indices into `a_index`, each row ascending, rows ascending and distinct. "ace": ranks from 2; of two rows
        that are mirrors of each other (all m negated) one is kept, as the real parts are the same up to a sign.
        "grace": ranks from 1.
    coefficients : dict, rank -> (n_terms, ndensity) float64
        rho_p += sum_t coefficients_tp Re(prod A) ("ace") or prod A ("grace").
    groups : tuple of AceGroup
        The same, in split form; "grace" only.
    """

    rank1: Indices
    rank1_coefficients: Array
    a_index: Indices
    terms: Mapping[int, Indices]
    coefficients: Mapping[int, Array]
    groups: tuple[AceGroup, ...]


@dataclass(frozen=True)
class AceModel(FileModel):
    """A potential of a ``.yace``, ``.ace`` or GRACE/FS ``.yaml`` file.

    Attributes
    ----------
    path : str
        File that was read.
    format : {"yace", "ace", "grace"}
    kind : {"ace", "grace"}
        "ace": complex A for each element of neighbours, half lists of m, real parts. "grace": real A, summed over
        neighbours of all elements with weights.
    elements : tuple of str
        Chemical symbols; their order is that of all indices.
    e0 : (n_elements,) float64
        eV; energy of an atom without neighbours is scale * F(0) + shift + e0.
    scale, shift : float
        E_i = scale * F + shift + e0; 1 and 0 for "ace".
    norm : float
        Factor of every A ("grace": nnorm); 1 for "ace".
    embeddings : tuple of AceEmbedding
        Of each central element.
    n_radial_base, n_radial_max, l_max : int
        Numbers of g_k, of n in R_nl, and the largest l.
    bonds : dict, (central, neighbour) -> AceBond
        All ordered pairs.
    inner : {"density", "distance", "zbl"}
        What the core repulsion does, one setting for the file.
    spline_bins : float
        Width of the bins of the reference's tables, deltaSplineBins (Angstrom).
    species_weights : (n_elements, n_radial_max) float64
        Z of the neighbour's element; ones for "ace".
    functions : tuple, for each element a tuple of AceFunction
        As in the file.
    products : tuple of AceProducts
        The same for each element, merged.
    """

    path: str
    format: Literal["yace", "ace", "grace"]
    kind: Literal["ace", "grace"]
    elements: tuple[str, ...]
    e0: Array
    scale: float
    shift: float
    norm: float
    embeddings: tuple[AceEmbedding, ...]
    n_radial_base: int
    n_radial_max: int
    l_max: int
    bonds: Mapping[tuple[int, int], AceBond]
    inner: Inner
    spline_bins: float
    species_weights: Array
    functions: tuple[tuple[AceFunction, ...], ...]
    products: tuple[AceProducts, ...]

    @property
    def cutoff(self) -> float:
        """The largest of all pairs (Angstrom)."""
        return max(bond.cutoff for bond in self.bonds.values())

    @property
    def n_functions(self) -> int:
        return sum(len(functions) for functions in self.functions)
