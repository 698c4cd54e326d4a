"""The modules of a MACE model, as mace-torch saves them, become the arrays of mdkern's format.

The names of classes select the blocks; what they leave open is taken from the sizes and options that the modules keep.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.coupling import coupling
from mdkern.io.mace_contract import (
    BLOCKS,
    CLASSES,
    FORMAT,
    MAX_CORRELATION,
    MAX_ELL,
    MAX_LAYERS,
    NONLINEAR,
    READOUTS,
    VERSION,
    irreps,
    paths_of,
)
from mdkern.io.mace_records import Module, fields_of, model_class
from mdkern.io.mace_weights import (
    activation,
    biased_network,
    by_species,
    close,
    function_name,
    linear,
    network,
)
from mdkern.io.torch_file import TorchFile

__all__ = ["read_modules"]

Array = NDArray[np.float64]

_BASES = {"BesselBasis": "bessel", "GaussianBasis": "gaussian", "ChebychevBasis": "chebyshev"}


def read_modules(file: TorchFile) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Description and arrays of a file's model in mdkern's format; :func:`mdkern.io.mace_contract.check_model` checks them.

    Raises
    ------
    FormatError
        Something is missing or does not fit.
    UnsupportedError
        A class, an option or a function that is not evaluated, by its name.
    """
    if not model_class(file.root):
        raise UnsupportedError(
            f"{file.path}: weights or a checkpoint of a training, not a whole model: torch.save(model, PATH) makes one "
            "that is read"
        )
    try:
        return _read(file)
    except FormatError as e:
        if not file.is_script:
            raise
        raise UnsupportedError(
            f"{e}; TorchScript does not keep all that a model is: the .model that this file was made from is read"
        ) from None


def _read(file: TorchFile) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    root = Module(file, "", file.root)
    if root.kind.endswith("LAMMPS_MACE"):
        root = Module(file, "model", root.get("model"))
        if root.has("heads") and len(root.rows("heads")) > 1:
            root.refuse(
                "heads", "LAMMPS's file for one of several heads; the .model with head=NAME is read"
            )
    return _Reader(file, root).read()


class _Reader:
    def __init__(self, file: TorchFile, model: Module) -> None:
        self.file, self.m = file, model
        self.arrays: dict[str, NDArray[Any]] = {}

    def read(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        m = self.m
        kind = m.be(*CLASSES)
        for key in ("embedding_specs", "joint_embedding", "embedding_readout"):
            if m.has(key):
                m.refuse(key, "inputs such as charge and spin are not evaluated")
        heads = list(m.rows("heads")) if m.has("heads") else ["Default"]
        self.n_heads = len(heads)
        z = m.flat("atomic_numbers")
        if z.dtype != np.int64 or not z.size:
            m.bad("atomic_numbers", f"{z.size} numbers of {z.dtype}; expected int64")
        self.n_species = z.size
        if not self.n_heads:
            m.bad("heads", "expected at least one")
        harmonics = m.module("spherical_harmonics")
        ones, self.top = harmonics.channels("irreps_out")
        if ones != 1:
            harmonics.bad("irreps_out", f"{ones} of each; expected one")
        if harmonics.get("normalization") != "component" or harmonics.get("normalize") is not True:
            harmonics.refuse("normalization", "another than 'component' of unit vectors")
        embedding = m.module("node_embedding").module("linear")
        a = self.arrays
        a["atomic_numbers"] = z
        a["node_embedding"] = linear(embedding).get(0, np.zeros((0, 0)))
        energies = m.module("atomic_energies_fn").vector("atomic_energies", self.n_heads * z.size)
        a["atomic_energies"] = energies.reshape(self.n_heads, -1)
        for key, default in (("scale", 1.0), ("shift", 0.0)):
            found = (
                m.module("scale_shift").vector(key)
                if kind == "ScaleShiftMACE"
                else np.array(default)
            )
            if found.size not in (1, self.n_heads):
                m.bad(f"scale_shift.{key}", f"{found.size} numbers; expected {self.n_heads}")
            a[key] = np.ones(self.n_heads) * found
        meta: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "model": kind,
            "source_dtype": self.file.dtype(embedding.get("weight"), embedding.name("weight")),
            "heads": heads,
            "radial": self.radial(m.module("radial_embedding"), z),
            "zbl": self.zbl(z),
            "max_ell": self.top,
            "sh_irreps": irreps(1, self.top),
            "layers": self.layers(),
        }
        meta["readouts"] = self.readouts(len(meta["layers"]))
        return meta, a

    def radial(self, m: Module, z: NDArray[Any]) -> dict[str, Any]:
        a = self.arrays
        m.be("RadialEmbeddingBlock")
        basis, cutoff = m.module("bessel_fn"), m.module("cutoff_fn")
        kind = _BASES[basis.be(*_BASES)]
        cutoff.be("PolynomialCutoff")
        out: dict[str, Any] = {"type": kind}
        if kind == "bessel":
            a["radial.freq"] = basis.vector("bessel_weights")
            a["radial.prefactor"] = basis.vector("prefactor", 1)
            out["num_basis"] = a["radial.freq"].size
        elif kind == "gaussian":
            a["radial.centers"] = basis.vector("gaussian_weights")
            out |= {"num_basis": a["radial.centers"].size, "coeff": basis.number("coeff")}
        else:
            n = basis.vector("n")
            if not (n == np.arange(1, n.size + 1)).all():
                basis.bad("n", "expected 1, 2, 3, ..")
            out["num_basis"] = n.size
        out |= {"p": cutoff.number("p"), "r_max": self.m.number("r_max")}
        out["apply_cutoff"] = m.flag("apply_cutoff", self.m.flag("apply_cutoff", True))
        out["transform"] = "none"
        if m.has("distance_transform"):
            t = m.module("distance_transform")
            agnesi = t.be("AgnesiTransform", "SoftTransform") == "AgnesiTransform"
            name, keys = ("agnesi", ("q", "p", "a")) if agnesi else ("soft", ("alpha",))
            out |= {"transform": name, name: {key: t.number(key) for key in keys}}
            a["radial.covalent_radii"] = _of_elements(t, z)
        return out

    def zbl(self, z: NDArray[Any]) -> dict[str, Any] | None:
        if not self.m.has("pair_repulsion_fn"):
            return None
        m = self.m.module("pair_repulsion_fn")
        m.be("ZBLBasis")
        self.arrays["zbl.covalent_radii"] = _of_elements(m, z)
        numbers = {key: m.number(key) for key in ("a_exp", "a_prefactor", "p")}
        return {**numbers, "c": m.vector("c", 4).tolist()}

    # --- layers

    def layers(self) -> list[dict[str, Any]]:
        blocks = self.m.module("interactions").modules(MAX_LAYERS)
        products = self.m.module("products").modules(MAX_LAYERS)
        if len(blocks) != len(products):
            self.m.bad("products", f"{len(products)}; expected {len(blocks)}")
        return [self.layer(t, m, p) for t, (m, p) in enumerate(zip(blocks, products, strict=True))]

    def layer(self, t: int, m: Module, product: Module) -> dict[str, Any]:
        a = self.arrays
        kind = m.be(*BLOCKS)
        k, l_in = m.module("linear_up").channels("irreps_in")
        up, l_up = m.module("linear_up").channels("irreps_out")
        l_out = product.module("linear").channels("irreps_out")[1]
        paths, l3 = paths_of(l_up, self.top)
        self.keep(f"L{t}.up", linear(m.module("linear_up")))
        self.coupling(f"L{t}.conv", m.module("conv_tp"), paths, l3)
        out: dict[str, Any] = {
            "type": kind,
            "irreps_in": irreps(k, l_in),
            "irreps_up": irreps(up, l_up),
            "irreps_mid": [irreps(up, self.top)[ell] for ell in l3],
            "irreps_target": irreps(k, self.top),
            "irreps_out": irreps(k, l_out),
            "irreps_skip": irreps(k, l_out if "Residual" in kind else self.top),
            "paths": paths,
            "avg_num_neighbors": m.number("avg_num_neighbors"),
        }
        if kind == NONLINEAR:
            out |= self.nonlinear(t, m, k)
        else:
            self.keep(f"L{t}.lin", linear(m.module("linear")))
            self.keep(f"L{t}.skip", by_species(m.module("skip_tp"), self.n_species))
            networks = {"radial": m.module("conv_tp_weights")}
            if "Density" in kind:
                networks["density"] = m.module("density_fn")
            for name, held in networks.items():
                weights = network(held)
                a.update({f"L{t}.{name}.W{n}": w for n, w in enumerate(weights)})
                out[f"{name}_layers"] = len(weights)
        return out | self.product(f"L{t}.prod", product)

    def keep(self, name: str, parts: dict[int, Array]) -> None:
        self.arrays.update({f"{name}.{slot}": w for slot, w in parts.items()})

    def coupling(self, name: str, m: Module, paths: list[list[int]], l3: list[int]) -> None:
        """Coefficients of the paths, whose order and norms must be those that are evaluated."""
        m.be("TensorProduct")
        rows = [fields_of(row) for row in m.rows("instructions")]
        for q, (l1, l2, _) in enumerate(paths):
            row = rows[q] if q < len(rows) else ()
            if row[:5] != (l1, l2, q, "uvu", True) or not close(row[5:6], math.sqrt(2 * l3[q] + 1)):
                m.refuse("instructions", f"path {q} is another than ({l1}, {l2}) to {l3[q]}")
        if len(rows) != len(paths):
            m.refuse("instructions", f"{len(rows)} paths; expected {len(paths)}")
        index, value = [], []
        for (l1, l2, q), ell in zip(paths, l3, strict=True):
            c = coupling(l1, l2, ell) * math.sqrt(2 * ell + 1)
            where = np.argwhere(c)
            index.append(np.insert(where, 0, q, axis=1))
            value.append(c[tuple(where.T)])
        self.arrays[f"{name}.cg_idx"] = np.concatenate(index).astype(np.int32)
        self.arrays[f"{name}.cg_val"] = np.concatenate(value)

    def nonlinear(self, t: int, m: Module, k: int) -> dict[str, Any]:
        a = self.arrays
        for name, key in (
            ("lin", "linear_1"),
            ("res", "linear_res"),
            ("lin2", "linear_2"),
            ("skip", "skip_tp"),
        ):
            self.keep(f"L{t}.{name}", linear(m.module(key)))
        for name in ("source", "target"):
            a[f"L{t}.{name}"] = linear(m.module(f"{name}_embedding")).get(0, np.zeros((0, 0)))
        for name in ("alpha", "beta"):
            a[f"L{t}.{name}"] = m.vector(name, 1)
        layers = {}
        for name, key in (("radial", "conv_tp_weights"), ("density", "density_fn")):
            parts = {f"L{t}.{name}.{x}": w for x, w in biased_network(m.module(key))}
            a.update(parts)
            layers[f"{name}_layers"] = sum(".W" in x for x in parts)
        return {
            **layers,
            "gate_cst": self.gate(m.module("equivariant_nonlin")),
            "irreps_nonlin": [[k * (1 + self.top), 0, 1], *irreps(k, self.top)[1:]],
        }

    def gate(self, m: Module) -> list[float]:
        out = []
        if m.be("GatedEquivariantBlock", "Gate") == "Gate":
            for key, known in (("act_scalars", "silu"), ("act_gates", "sigmoid")):
                found = [activation(x) for x in m.module(key).module("acts").modules(MAX_ELL + 1)]
                for function, _ in found:
                    if function != known:
                        m.refuse(key, f"{function} is not evaluated; {known} is")
                out += [constant for _, constant in found[:1]]
            return out
        for key, cst, known in (
            ("_act_scalar", "_scalar_cst", "silu"),
            ("_act_gate", "_gate_cst", "sigmoid"),
        ):
            if (function := function_name(m.get(key))) != known:
                m.refuse(key, f"{function} is not evaluated; {known} is")
            out.append(m.number(cst))
        return out

    def product(self, name: str, m: Module) -> dict[str, Any]:
        a = self.arrays
        m.be("EquivariantProductBasisBlock")
        self.keep(f"{name}.lin", linear(m.module("linear")))
        contractions = m.module("symmetric_contractions")
        contractions.be("SymmetricContraction")
        correlations = []
        for ell, c in enumerate(contractions.module("contractions").modules(MAX_ELL + 1)):
            c.be("Contraction")
            top = c.whole("correlation")
            if not 1 <= top <= MAX_CORRELATION:
                c.refuse("correlation", f"{top} is not evaluated; 1 to {MAX_CORRELATION} are")
            correlations.append(top)
            for nu in range(1, top + 1):
                held, key = (
                    (c, "weights_max") if nu == top else (c.module("weights"), str(top - 1 - nu))
                )
                a[f"{name}.{ell}.W{nu}"] = held.array(key, None, None, None)
                u = c.tensor(f"U_matrix_{nu}", *[None] * (nu + 1 + (ell > 0)), kept=False)
                index, value = _sparse(c, f"U_matrix_{nu}", u if ell else u[None])
                a[f"{name}.{ell}.U{nu}.idx"] = index
                a[f"{name}.{ell}.U{nu}.val"] = value
        return {
            "correlation": correlations,
            "agnostic_product": m.flag("use_agnostic_product", False),
            "use_sc": m.flag("use_sc", False),
        }

    # --- readouts

    def readouts(self, n_layers: int) -> list[dict[str, Any]]:
        found = self.m.module("readouts").modules(n_layers)
        if len(found) not in (1, n_layers):
            self.m.refuse("readouts", f"{len(found)} of {n_layers} layers")
        first = n_layers - len(found)
        return [self.readout(n, m, first + n) for n, m in enumerate(found)]

    def readout(self, n: int, m: Module, layer: int) -> dict[str, Any]:
        a = self.arrays
        kind = m.be(*READOUTS)
        out: dict[str, Any] = {"type": kind, "layer": layer}
        if kind == "LinearReadoutBlock":
            self.keep(f"R{n}.lin", linear(m.module("linear")))
            return out
        acts = m.module("non_linearity").module("acts").modules(2)
        if len(acts) != 1:
            m.refuse("non_linearity", f"{len(acts)} functions; expected one")
        out["act"], out["act_cst"] = activation(acts[0])
        parts = [("lin1", "linear_1"), ("lin2", "linear_2")]
        if kind == "NonLinearBiasReadoutBlock":
            parts.insert(1, ("mid", "linear_mid"))
        for name, key in parts:
            biased = kind == "NonLinearBiasReadoutBlock" and name != "lin1"
            self.keep(f"R{n}.{name}", linear(m.module(key), biased))
            if biased:
                a[f"R{n}.{name}.0.bias"] = m.module(key).vector("bias")
        hidden = a.get(f"R{n}.lin1.0", np.zeros((0, 0))).shape[1]
        out["hidden_per_head"] = hidden // self.n_heads
        return out


def _of_elements(m: Module, z: NDArray[Any]) -> Array:
    """Covalent radii of the species, of a table by atomic number."""
    radii = m.vector("covalent_radii")
    if z.size and not (z.min() >= 0 and z.max() < radii.size):
        m.bad("covalent_radii", f"{radii.size} of them; too few for the elements")
    found: Array = radii[z]
    return found


def _sparse(m: Module, key: str, u: NDArray[Any]) -> tuple[NDArray[np.int16], Array]:
    """Indices and values of the entries that are not zero; of a tensor of zeros its first."""
    count = int(np.count_nonzero(u))
    small = min(u.shape) > 0 and max(u.shape) <= 2**15
    if not small or (u.size > 2**16 and count > u.size // 4):
        m.bad(
            key, f"shape {u.shape}, {count} entries; expected few of a tensor of small dimensions"
        )
    index = np.zeros((max(count, 1), u.ndim), np.int16)
    if count:
        for axis, column in enumerate(np.nonzero(u)):
            index[:, axis] = column
    return index, u[tuple(index.T)].astype(np.float64)
