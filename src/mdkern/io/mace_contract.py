"""What a MACE model says, checked: a description, and arrays whose shapes follow from it.

Everything is checked here, so that nothing behind it checks again: what passes may be given to a kernel, as every index is in range
and every number finite. Constants, fan-ins and norms of paths are folded into the weights; see the page of the potential for the formulas.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from mdkern.io.deepmd_map import Map, is_int, show
from mdkern.io.mace_arrays import CheckedArrays

__all__ = [
    "BLOCKS",
    "CLASSES",
    "FORMAT",
    "MAX_ELL",
    "READOUTS",
    "VERSION",
    "check_model",
    "irreps",
    "paths_of",
]

FORMAT, VERSION = "mdkern-mace", 1
CLASSES = ("MACE", "ScaleShiftMACE")
BLOCKS = (
    "RealAgnosticInteractionBlock",
    "RealAgnosticResidualInteractionBlock",
    "RealAgnosticDensityInteractionBlock",
    "RealAgnosticDensityResidualInteractionBlock",
    "RealAgnosticResidualNonLinearInteractionBlock",
)
READOUTS = ("LinearReadoutBlock", "NonLinearReadoutBlock", "NonLinearBiasReadoutBlock")

NONLINEAR = BLOCKS[-1]

MAX_ELL = 6
MAX_CORRELATION = 3
MAX_PATHS = 8192  # of a product; more would not fit its 16 bits
MAX_POWER = 100
MAX_CHANNELS = 8192
MAX_LAYERS = 16
MAX_MLP = 16  # layers of a network
MAX_HEADS = 1000
MAX_BASIS = 1000
MAX_HIDDEN = 1024  # numbers of a readout's layers
MAX_CUTOFF = 100.0  # Angstrom

Irreps = list[list[int]]


def irreps(channels: int, l_max: int) -> Irreps:
    """[multiplicity, l, parity (-1)^l] for l = 0 .. l_max."""
    return [[channels, ell, -1 if ell % 2 else 1] for ell in range(l_max + 1)]


def paths_of(l_in: int, max_ell: int) -> tuple[list[list[int]], list[int]]:
    """Paths (l1, l2, slot) of a convolution and the l3 of each slot: |l1-l2| <= l3 <= l1+l2 with l1+l2+l3 even, sorted stably by l3."""
    found = [
        (l3, l1, l2)
        for l1 in range(l_in + 1)
        for l2 in range(max_ell + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, max_ell) + 1, 2)
    ]
    found.sort(key=lambda path: path[0])
    return [[l1, l2, q] for q, (_, l1, l2) in enumerate(found)], [l3 for l3, _, _ in found]


def check_model(
    path: str | os.PathLike[str], meta: Any, arrays: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Description and arrays of a model, with nothing in them that the format does not have.

    Raises
    ------
    FormatError
        What is missing or does not fit: the file, the array or the key, the value, what was expected.
    UnsupportedError
        What is not evaluated, by its name.
    """
    name = os.fspath(path)
    return _Model(name, Map(name, "meta", meta), CheckedArrays(name, arrays)).check()


class _Model:
    """One model while it is checked."""

    def __init__(self, path: str, meta: Map, arrays: CheckedArrays) -> None:
        self.path, self.m, self.arrays = path, meta, arrays

    def check(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        m, a = self.m, self.arrays
        if m.get("format") != FORMAT:
            m.bad("format", repr(FORMAT))
        if not is_int(m.get("version")) or m.data["version"] != VERSION:
            m.refuse("version", f"; version {VERSION} is")
        model = _word(m, "model", CLASSES)
        source = _word(m, "source_dtype", ("float64", "float32"))
        self.heads = self._heads()
        self.max_ell = m.integer("max_ell", 0, 1000)
        if self.max_ell > MAX_ELL:
            m.refuse("max_ell", f"; at most {MAX_ELL}")
        _same(m, "sh_irreps", irreps(1, self.max_ell))
        self.n_species = self._species()
        self.channels = a.floats("node_embedding", self.n_species, None).shape[1]
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise a.bad("node_embedding", f"{self.channels} channels; expected 1 to {MAX_CHANNELS}")
        a.floats("atomic_energies", len(self.heads), self.n_species)
        a.floats("scale", len(self.heads))
        a.floats("shift", len(self.heads))
        out: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "model": model,
            "source_dtype": source,
            "heads": self.heads,
            "max_ell": self.max_ell,
            "sh_irreps": irreps(1, self.max_ell),
            "radial": self._radial(m.map("radial")),
            "zbl": self._zbl(),
            "layers": self._layers(),
        }
        out["readouts"] = self._readouts(len(out["layers"]))
        return out, a.kept

    def _heads(self) -> list[str]:
        heads = self.m.maps("heads", MAX_HEADS)
        fine = all(isinstance(x, str) and x.isprintable() and 0 < len(x) <= 200 for x in heads)
        if not heads or not fine or len(set(heads)) != len(heads):
            self.m.bad("heads", "a list of different names that can be printed")
        return heads

    def _species(self) -> int:
        a = self.arrays
        z = a.indices("atomic_numbers", np.int64, (None,))
        last = len(chemical_symbols) - 1
        if z.min() < 1 or z.max() > last or len(np.unique(z)) != len(z):
            raise a.bad("atomic_numbers", f"{show(z.tolist())}; expected different ones, 1 to {last}")  # fmt: skip
        a.kept["atomic_numbers"] = np.require(z, np.int64, ("C", "A"))
        return len(z)

    def _radial(self, m: Map) -> dict[str, Any]:
        kind = _word(m, "type", ("bessel", "gaussian", "chebyshev"))
        self.n_basis = m.integer("num_basis", 1, MAX_BASIS)
        self.apply_cutoff = m.flag("apply_cutoff", True)
        transform = _word(m, "transform", ("none", "agnesi", "soft"))
        out: dict[str, Any] = {
            "type": kind,
            "num_basis": self.n_basis,
            "p": m.integer("p", 1, MAX_POWER),
            "r_max": m.real("r_max", 1e-3, MAX_CUTOFF),
            "apply_cutoff": self.apply_cutoff,
            "transform": transform,
        }
        if kind == "bessel":
            self.arrays.floats("radial.freq", self.n_basis)
            self.arrays.floats("radial.prefactor", 1)
        if kind == "gaussian":
            out["coeff"] = m.real("coeff", -1e12, 0.0)
            self.arrays.floats("radial.centers", self.n_basis)
        if transform == "agnesi":
            t = m.map("agnesi")
            out["agnesi"] = {"q": t.real("q", 0.0, 100.0), "p": t.real("p", 0.0, 100.0), "a": t.real("a", 0.0, 1e6)}  # fmt: skip
        if transform == "soft":
            out["soft"] = {"alpha": m.map("soft").real("alpha", 0.0, 1e6)}
        if transform != "none":
            self.arrays.floats("radial.covalent_radii", self.n_species, positive=True)
        return out

    def _zbl(self) -> dict[str, Any] | None:
        if self.m.get("zbl") is None:
            return None
        m = self.m.map("zbl")
        self.arrays.floats("zbl.covalent_radii", self.n_species, positive=True)
        return {
            "a_exp": m.real("a_exp", 0.0, 10.0),
            "a_prefactor": m.real("a_prefactor", 1e-6, 1e6),
            "c": _numbers(m, "c", 4),
            "p": m.integer("p", 1, MAX_POWER),
        }

    # --- layers

    def _layers(self) -> list[dict[str, Any]]:
        found = self.m.maps("layers", MAX_LAYERS)
        if not found:
            self.m.bad("layers", f"1 to {MAX_LAYERS} of them")
        out: list[dict[str, Any]] = []
        self.l_in = 0
        for t, data in enumerate(found):
            out.append(self._layer(t, Map(self.path, f"meta.layers[{t}]", data)))
        return out

    def _layer(self, t: int, m: Map) -> dict[str, Any]:
        a, k, top = self.arrays, self.channels, self.max_ell
        block = _word(m, "type", BLOCKS)
        residual = "Residual" in block
        l_in, l_out = self.l_in, _l_max(m, "irreps_out", top)
        up, l_up = _channels(m, "irreps_up"), _l_max(m, "irreps_up", l_in)
        paths, l3 = paths_of(l_up, top)
        out: dict[str, Any] = {
            "type": block,
            "irreps_in": irreps(k, l_in),
            "irreps_up": irreps(up, l_up),
            "irreps_mid": [irreps(up, top)[ell] for ell in l3],
            "irreps_target": irreps(k, top),
            "irreps_skip": irreps(k, l_out if residual else top),
            "irreps_out": irreps(k, l_out),
            "paths": paths,
        }
        if block == NONLINEAR:
            out["irreps_nonlin"] = [[k * (1 + top), 0, 1], *irreps(k, top)[1:]]
        for key, value in list(out.items())[1:]:
            _same(m, key, value)
        out["avg_num_neighbors"] = m.real("avg_num_neighbors", 1e-9, 1e9)
        out["agnostic_product"] = m.flag("agnostic_product", False)
        out["use_sc"] = m.flag("use_sc", residual)
        out["correlation"] = self._correlation(m, l_out)

        for ell in range(l_up + 1):
            a.floats(f"L{t}.up.{ell}", k, up)
        self._coupling(f"L{t}.conv", paths, l3)
        for ell in range(top + 1):
            scalars = block == NONLINEAR and ell == 0
            a.floats(f"L{t}.lin.{ell}", l3.count(ell) * up, k * (1 + top) if scalars else k)
        both = range(min(l_in, l_out) + 1)
        if block == NONLINEAR:
            out |= self._nonlinear(t, m, up, l_up, len(l3))
            for ell in both:
                a.floats(f"L{t}.skip.{ell}", k, k)
        else:
            out["radial_layers"] = self._mlp(f"L{t}.radial", m, "radial_layers", self.n_basis, len(l3) * up)  # fmt: skip
            if "Density" in block:
                if m.integer("density_layers", 1, MAX_MLP, 1) != 1:
                    m.refuse("density_layers", "; 1 is")
                out["density_layers"] = 1
                a.floats(f"L{t}.density.W0", self.n_basis, 1)
            for ell in both if residual else range(top + 1):
                a.floats(f"L{t}.skip.{ell}", self.n_species, k, k)
        for ell, correlation in enumerate(out["correlation"]):
            self._product(f"L{t}.prod.{ell}", ell, correlation, out["agnostic_product"])
            a.floats(f"L{t}.prod.lin.{ell}", k, k)
        self.l_in = l_out
        return out

    def _correlation(self, m: Map, l_out: int) -> list[int]:
        found = m.maps("correlation", MAX_ELL + 1)
        if len(found) != l_out + 1 or not all(is_int(n) and n >= 1 for n in found):
            m.bad("correlation", f"{l_out + 1} numbers from 1 to {MAX_CORRELATION}")
        if max(found) > MAX_CORRELATION:
            m.refuse("correlation", f"; at most {MAX_CORRELATION}")
        return found

    def _coupling(self, name: str, paths: list[list[int]], l3: list[int]) -> None:
        """Entries of the coupling coefficients: (path, m1, m2, m3), each within its path."""
        a = self.arrays
        index = a.indices(f"{name}.cg_idx", np.int32, (None, 4))
        most = sum((2 * l1 + 1) * (2 * l2 + 1) * (2 * l3[q] + 1) for l1, l2, q in paths)
        if len(index) > most:
            raise a.bad(f"{name}.cg_idx", f"{len(index)} rows; expected at most {most}")
        ends = np.array([[len(l3) - 1, 2 * l1, 2 * l2, 2 * l3[q]] for l1, l2, q in paths])
        path = np.clip(index[:, 0], 0, len(l3) - 1)
        a.within(f"{name}.cg_idx", index, np.int32, ends[path])
        a.floats(f"{name}.cg_val", len(index))

    def _nonlinear(self, t: int, m: Map, up: int, l_up: int, n_paths: int) -> dict[str, Any]:
        a, k, top = self.arrays, self.channels, self.max_ell
        n_in = self.n_basis + 2 * k
        for name in ("source", "target"):
            a.floats(f"L{t}.{name}", self.n_species, k)
        for name in ("alpha", "beta"):
            a.floats(f"L{t}.{name}", 1)
        for ell in range(l_up + 1):
            a.floats(f"L{t}.res.{ell}", up, k if ell else k * (1 + top))
        for ell in range(top + 1):
            a.floats(f"L{t}.lin2.{ell}", k, k)
        return {
            "gate_cst": _numbers(m, "gate_cst", 2),
            "radial_layers": self._mlp(
                f"L{t}.radial", m, "radial_layers", n_in, n_paths * up, True
            ),
            "density_layers": self._mlp(f"L{t}.density", m, "density_layers", n_in, 1, True),
        }

    def _mlp(self, name: str, m: Map, key: str, n_in: int, n_out: int, biased: bool = False) -> int:
        """Weights [in, out] of a network; where it is biased also offsets, and norms of its hidden layers."""
        a, layers = self.arrays, m.integer(key, 1, MAX_MLP)
        for n in range(layers):
            last = n == layers - 1
            width = a.floats(f"{name}.W{n}", n_in, n_out if last else None).shape[1]
            if not 1 <= width <= max(n_out, MAX_CHANNELS):
                raise a.bad(f"{name}.W{n}", f"{width} columns; expected 1 to {MAX_CHANNELS}")
            for mark in "" if not biased else "b" if last else "bgh":
                a.floats(f"{name}.{mark}{n}", width)
            n_in = width
        return layers

    def _product(self, name: str, ell: int, correlation: int, agnostic: bool) -> None:
        """Entries (m, a1 .. anu, p) of each U, and weights [species, p, channel]."""
        a, n_parts = self.arrays, (self.max_ell + 1) ** 2
        for nu in range(1, correlation + 1):
            w = a.floats(f"{name}.W{nu}", 1 if agnostic else self.n_species, None, self.channels)
            if not 1 <= w.shape[1] <= MAX_PATHS:
                raise a.bad(f"{name}.W{nu}", f"{w.shape[1]} rows; expected 1 to {MAX_PATHS}")
            index = a.indices(f"{name}.U{nu}.idx", np.int16, (None, nu + 2))
            most = [2 * ell, *[n_parts - 1] * nu, w.shape[1] - 1]
            a.within(f"{name}.U{nu}.idx", index, np.int16, most)
            a.floats(f"{name}.U{nu}.val", len(index))

    # --- readouts

    def _readouts(self, n_layers: int) -> list[dict[str, Any]]:
        found = self.m.maps("readouts", n_layers)
        if not found:
            self.m.bad("readouts", f"1 to {n_layers} of them")
        out: list[dict[str, Any]] = []
        first = 0
        for n, data in enumerate(found):
            out.append(
                self._readout(n, Map(self.path, f"meta.readouts[{n}]", data), first, n_layers)
            )
            first = out[-1]["layer"] + 1
        return out

    def _readout(self, n: int, m: Map, first: int, n_layers: int) -> dict[str, Any]:
        a, k, n_heads = self.arrays, self.channels, len(self.heads)
        kind = _word(m, "type", READOUTS)
        out: dict[str, Any] = {"type": kind, "layer": m.integer("layer", first, n_layers - 1)}
        if kind == "LinearReadoutBlock":
            a.floats(f"R{n}.lin.0", k, n_heads)
            return out
        out["act"] = _word(m, "act", ("silu", "tanh", "sigmoid"))
        out["act_cst"] = m.real("act_cst", 1e-6, 1e6)
        out["hidden_per_head"] = m.integer("hidden_per_head", 1, MAX_CHANNELS)
        hidden = n_heads * out["hidden_per_head"]
        # A head has its own hidden numbers, but a layer in the middle reads those of all.
        mixed = kind == "NonLinearBiasReadoutBlock"
        if (hidden if mixed else out["hidden_per_head"]) > MAX_HIDDEN:
            heads = f" for all of {n_heads} heads" if mixed else ""
            m.refuse("hidden_per_head", f"; at most {MAX_HIDDEN}{heads}")
        a.floats(f"R{n}.lin1.0", k, hidden)
        a.floats(f"R{n}.lin2.0", hidden, n_heads)
        if mixed:
            a.floats(f"R{n}.mid.0", hidden, hidden)
            a.floats(f"R{n}.mid.0.bias", hidden)
            a.floats(f"R{n}.lin2.0.bias", n_heads)
        return out


def _word(m: Map, key: str, known: tuple[str, ...]) -> str:
    value = m.text(key)
    if value not in known:
        m.refuse(key, f"; {', '.join(known)} are" if len(known) > 1 else f"; {known[0]} is")
    return value


def _same(m: Map, key: str, expected: list[list[int]]) -> None:
    """Of what follows from other values: it must say that."""
    if m.get(key) != expected:
        m.bad(key, text if len(text := str(expected)) < 120 else text[:117] + "...")


def _channels(m: Map, key: str) -> int:
    value = m.get(key)
    first = value[0] if isinstance(value, list) and value else None
    channels = first[0] if isinstance(first, list) and first else None
    if channels is None or not is_int(channels) or not 1 <= channels <= MAX_CHANNELS:
        m.bad(key, f"[[channels, l, parity], ...] with 1 to {MAX_CHANNELS} channels")
    return int(channels)


def _l_max(m: Map, key: str, most: int) -> int:
    value = m.get(key)
    if not isinstance(value, list) or not 1 <= len(value) <= most + 1:
        m.bad(key, f"a list of 1 to {most + 1} irreps")
    return len(value) - 1


def _numbers(m: Map, key: str, n: int) -> list[float]:
    values = m.vector(key, n)
    assert values is not None
    return [float(x) for x in values]
