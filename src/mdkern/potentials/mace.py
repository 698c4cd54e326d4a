"""MACE: message-passing potentials of mace-torch, without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import checks
from mdkern.errors import UnsupportedError
from mdkern.io.mace import MaceModel, read_mace
from mdkern.potentials.base import InCore

__all__ = ["MACE"]

Array = NDArray[np.float64]

_KINDS = {"bessel": 0, "gaussian": 1, "chebyshev": 2}
_TRANSFORMS = {"none": 0, "agnesi": 1, "soft": 2}
_COULOMB = 14.3996  # eV Angstrom / e^2, as mace-torch has it
_BOUNDS = {"double": 1e-10, "single": 3e-8}  # of tables, relative to the largest value


class MACE(InCore):
    r"""MACE of mace-torch: equivariant messages of many bodies.

    .. math:: E = \sum_i \Big[E_0 + \text{shift} + \text{scale}\,\big(E^\text{ZBL}_i + \sum_t \mathcal R_t(h_i^{(t)})\big)\Big]

    where the features h of layer t follow from polynomials of degree three in sums over neighbors
    :math:`\sum_j R(r_{ij})\, Y(\hat{\mathbf r}_{ij}) \otimes h_j^{(t-1)}` (I. Batatia et al., NeurIPS 35 (2022),
    arXiv:2206.07697). Files are read as mace-torch wrote them; nothing in them is run.

    Parameters
    ----------
    path : str
        A ``.model`` file, a TorchScript file of such, an ``.npz`` file of ``mdkern convert``; or what
        :func:`mdkern.io.mace.read_mace` made of one.
    head : str, optional
        Of a model with several heads, the one whose energy this is; by default the one that is called ``Default``, or
        the only one.
    precision : {"double", "single"}
        Of features and products. With "single", positions are subtracted and energies and forces added up in double;
        energies and forces are then good to some 1e-6 of their size.
    radial : {"table", "exact"}
        Radial functions from tables, within 1e-10 of their largest value (3e-8 with "single"), which is verified when they are
        made, for the pairs of elements that are met; or by the model's nets for every pair, which takes ten to thirty times as long.

    Raises
    ------
    ValueError
        An unknown head, precision or radial.
    FormatError
        The file does not follow the format.
    UnsupportedError
        A model with something that is not evaluated; names it.
    OSError
        The file cannot be read.
    """

    core_name = "mace"

    def __init__(
        self,
        path: str | os.PathLike[str] | MaceModel,
        head: str | None = None,
        *,
        precision: str = "double",
        radial: str = "table",
    ) -> None:
        self.model = path if isinstance(path, MaceModel) else read_mace(path)
        self.head = self.model.head(head)
        self.precision = checks.precision(precision)
        if radial not in ("table", "exact"):
            raise ValueError(f"radial: {radial!r}; expected 'table' or 'exact'")
        self.radial = radial
        self.species: tuple[str, ...] = self.model.species
        self.cutoff = self.model.cutoff
        self.make()

    @property
    def source(self) -> MaceModel:
        """The model as read."""
        return self.model

    def fields(self) -> dict[str, Any]:
        """Arrays of the kernel (cpp/potentials/mace/mace_model.hpp)."""
        return fields_of(self.model, self.head, precision=self.precision, radial=self.radial)


def fields_of(
    model: MaceModel, head: int, *, precision: str = "double", radial: str = "table"
) -> dict[str, Any]:
    """The model with one head as the kernel reads it."""
    meta, arrays = model.meta, model.arrays
    fields = {
        "head": meta["heads"][head],  # for who reads what an exported file is
        "single": precision == "single",
        "exact": radial == "exact",
        "bound": _BOUNDS[precision],
        "cutoff": model.cutoff,
        "scale": float(arrays["scale"][head]),
        "energy": arrays["atomic_energies"][head] + arrays["shift"][head],
        "radial": _radial(meta["radial"], arrays),
        "layers": [_layer(model, t) for t in range(len(meta["layers"]))],
        "readouts": [_readout(meta, arrays, k, head) for k in range(len(meta["readouts"]))],
    }
    if meta["zbl"] is not None:
        fields["zbl"] = _repulsion(meta["zbl"], arrays)
    if precision == "single":
        _check_range(model.path, fields)
    return fields


def _check_range(path: str, value: Any) -> None:
    """Refuse numbers that single precision does not have."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_range(path, item)
    elif isinstance(value, np.ndarray) and value.dtype == np.float64:
        largest, end = float(np.abs(value).max(initial=0.0)), float(np.finfo(np.float32).max)
        if largest > end:
            raise UnsupportedError(
                f"{path}: numbers up to {largest:.3g}; expected at most {end:.3g} with precision='single'"
            )


def _radial(meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    kind, transform = meta["type"], meta["transform"]
    fields: dict[str, Any] = {
        "kind": _KINDS[kind],
        "basis": _doubles(arrays["radial.centers" if kind == "gaussian" else "radial.freq"])
        if kind != "chebyshev"
        else np.arange(1.0, meta["num_basis"] + 1.0),
        "prefactor": 1.0,
        "p": int(meta["p"]),
        "cutoff_inside": bool(meta["apply_cutoff"]),
        "transform": _TRANSFORMS[transform],
    }
    if kind == "bessel":
        fields["prefactor"] = float(arrays["radial.prefactor"][0])
    elif kind == "gaussian":
        fields["prefactor"] = float(meta["coeff"])
    if transform == "agnesi":
        a = meta["agnesi"]
        fields["transform_p"] = np.array([a["q"], a["p"], a["a"]], dtype=np.float64)
    elif transform == "soft":
        fields["transform_p"] = np.array([meta["soft"]["alpha"], 0.0, 0.0])
    if transform != "none":
        fields["radii"] = _doubles(arrays["radial.covalent_radii"])
    return fields


def _repulsion(meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    z = _doubles(arrays["atomic_numbers"])
    radii = arrays["zbl.covalent_radii"]
    power = z ** meta["a_exp"]
    return {
        "c": np.array(meta["c"], dtype=np.float64),
        "p": int(meta["p"]),
        "charge": 0.5 * _COULOMB * np.outer(z, z),
        "inverse": (power[:, None] + power[None, :]) / (meta["a_prefactor"] * 0.529),
        "range": _doubles(radii[:, None] + radii[None, :]),
    }


def _nets(arrays: Mapping[str, Any], name: str, n: int) -> dict[str, Any]:
    """Layers of a net: weights and, where there are some, biases, and gain and offset of the norm."""
    parts = {"w": "W", "b": "b", "gain": "g", "offset": "h"}
    return {
        "layers": [
            {
                key: _doubles(arrays[f"{name}.{letter}{k}"])
                for key, letter in parts.items()
                if f"{name}.{letter}{k}" in arrays
            }
            for k in range(n)
        ]
    }


def _layer(model: MaceModel, t: int) -> dict[str, Any]:
    meta, arrays = model.meta["layers"][t], model.arrays
    at = f"L{t}."
    kind = meta["type"]
    nonlinear, plain = "NonLinear" in kind, "Residual" not in kind
    target = [tuple(x[1:]) for x in meta["irreps_target"]]
    up, out = ([tuple(x[1:]) for x in meta[f"irreps_{name}"]] for name in ("up", "out"))
    entering = [tuple(x[1:]) for x in meta["irreps_in"]]
    middle = [tuple(x[1:]) for x in meta["irreps_mid"]]
    paths = [(a, l2, middle[slot][0], target.index(middle[slot])) for a, l2, slot in meta["paths"]]
    fields: dict[str, Any] = {
        "l_up": _ls(up),
        "l_in": _ls(entering),
        "l_out": _ls(out),
        "l_x": _ls(target),
        "paths": np.array(paths, dtype=np.int32),
        "cg_index": arrays[at + "conv.cg_idx"].astype(np.int32),
        "cg": _doubles(arrays[at + "conv.cg_val"]),
        "radial": _nets(arrays, at + "radial", meta["radial_layers"]),
        "up": [],
        "lin": [],
        "product": [
            _product(arrays, f"{at}prod.{o}.", f"{at}prod.lin.{o}") for o in range(len(out))
        ],
    }
    if "density_layers" in meta or at + "density.W0" in arrays:
        fields["density"] = _nets(arrays, at + "density", meta.get("density_layers", 1))
    if nonlinear:
        fields |= {
            "source": _doubles(arrays[at + "source"]),
            "target": _doubles(arrays[at + "target"]),
        }
    embedding = arrays["node_embedding"]
    ups = [arrays[f"{at}up.{o}"] for o in range(len(up))]
    if t == 0:
        fields["species_up"] = embedding @ ups[0]
        del fields["up"]
    else:
        fields["up"] = [_doubles(x) for x in ups]

    density = "density" in fields
    scale = 1.0 if density else 1.0 / meta["avg_num_neighbors"]
    for o in range(len(target)):
        w = scale * arrays[f"{at}lin.{o}"][None]
        if plain:  # what follows for each species is part of it
            w = w @ arrays[f"{at}skip.{o}"]
        fields["lin"].append(_doubles(w))
    if not plain and meta["use_sc"]:
        skips = [_skip(arrays, at, o, meta, out) for o in range(len(out))]
        where = [
            entering.index(x) if s is not None else -1 for x, s in zip(out, skips, strict=True)
        ]
        if t == 0:
            k = len(fields["product"][0]["lin"])
            table = np.zeros((len(embedding), len(out), k))
            for o, s in enumerate(skips):
                if s is not None:
                    table[:, o] = np.einsum(
                        "sk,skc->sc", embedding, np.broadcast_to(s, (len(table), *s.shape[1:]))
                    )
            fields["species_skip"] = table
        else:
            fields |= {
                "skip_from": np.array(where, dtype=np.int32),
                "skip": [np.zeros((1, 1, 1)) if s is None else _doubles(s) for s in skips],
            }
    if nonlinear:
        fields |= _gates(arrays, at, meta, up, target)
    return fields


def _skip(
    arrays: Mapping[str, Any], at: str, o: int, meta: Mapping[str, Any], out: list[tuple[int, int]]
) -> Array | None:
    """Matrices (1 or S, K, K) of the self connection to irreps `o` of the output; None: there is none.

    Files number them by the irreps of ``irreps_skip`` which the input has.
    """
    names = [tuple(x[1:]) for x in meta["irreps_skip"]]
    name = f"{at}skip.{names.index(out[o])}" if out[o] in names else ""
    if name not in arrays:
        return None
    w = arrays[name]
    return _doubles(w if w.ndim == 3 else w[None])


def _gates(
    arrays: Mapping[str, Any],
    at: str,
    meta: Mapping[str, Any],
    up: list[tuple[int, int]],
    target: list[tuple[int, int]],
) -> dict[str, Any]:
    res = [f"{at}res.{o}" for o in range(len(target))]
    there = [name in arrays and x in up for name, x in zip(res, target, strict=True)]
    return {
        "gates": len(target) - 1,
        "alpha": float(arrays[at + "alpha"][0]),
        "beta": float(arrays[at + "beta"][0]),
        "silu": float(meta["gate_cst"][0]),
        "sigmoid": float(meta["gate_cst"][1]),
        "res_from": np.array(
            [up.index(x) if ok else -1 for x, ok in zip(target, there, strict=True)], dtype=np.int32
        ),
        "res": [
            _doubles(arrays[name]) if ok else np.zeros((1, 1))
            for name, ok in zip(res, there, strict=True)
        ],
        "lin2": [_doubles(arrays[f"{at}lin2.{o}"]) for o in range(len(target))],
    }


def _product(arrays: Mapping[str, Any], at: str, lin: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"lin": _doubles(arrays[lin])}
    for nu in (1, 2, 3):
        if f"{at}W{nu}" in arrays:
            fields[str(nu)] = {
                "index": arrays[f"{at}U{nu}.idx"].astype(np.int32),
                "value": _doubles(arrays[f"{at}U{nu}.val"]),
                "w": _doubles(arrays[f"{at}W{nu}"]),
            }
    return fields


def _readout(
    meta: Mapping[str, Any], arrays: Mapping[str, Any], k: int, head: int
) -> dict[str, Any]:
    readout, at = meta["readouts"][k], f"R{k}."
    if readout["type"] == "LinearReadoutBlock":
        return {
            "layer": int(readout["layer"]),
            "w2": _doubles(arrays[at + "lin.0"][:, head]),
            "bias": 0.0,
        }
    n = int(readout["hidden_per_head"])
    own = slice(n * head, n * head + n)
    fields: dict[str, Any] = {
        "layer": int(readout["layer"]),
        "activation": str(readout["act"]),
        "factor": float(readout["act_cst"]),
        "bias": 0.0,
    }
    if readout["type"] != "NonLinearBiasReadoutBlock":
        return fields | {
            "w1": _doubles(arrays[at + "lin1.0"][:, own]),
            "w2": _doubles(arrays[at + "lin2.0"][own, head]),
        }
    # The layer in the middle reads the hidden numbers of all heads, the last one those of its own.
    w2 = np.zeros(len(arrays[at + "lin2.0"]))
    w2[own] = arrays[at + "lin2.0"][own, head]
    return fields | {
        "w1": _doubles(arrays[at + "lin1.0"]),
        "mid": _doubles(arrays[at + "mid.0"]),
        "mid_bias": _doubles(arrays[at + "mid.0.bias"]),
        "w2": w2,
        "bias": float(arrays[at + "lin2.0.bias"][head]),
    }


def _ls(irreps: list[tuple[int, int]]) -> NDArray[np.int32]:
    return np.array([x[0] for x in irreps], dtype=np.int32)


def _doubles(x: Any) -> Array:
    return np.ascontiguousarray(x, dtype=np.float64)
