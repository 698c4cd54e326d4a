"""What a model of DeePMD-kit consists of, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mdkern.io.files import FileModel

__all__ = [
    "AttentionLayer",
    "DeepModel",
    "Descriptor",
    "Dpa1",
    "EnsembleModel",
    "Fitting",
    "Hybrid",
    "Layer",
    "Model",
    "Net",
    "PairTab",
    "SeA",
    "SeR",
    "SeT",
    "StandardModel",
    "ZblModel",
]

Array = NDArray[np.float64]
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """``y = act(x w + b) * idt``, plus x (or x twice, where ``out == 2 * in``) if `resnet` and the shapes allow it.

    Attributes
    ----------
    w : (in, out) array
    b, idt : (out,) array or None
    activation : str
        tanh, relu, relu6, softplus, sigmoid, silu, gelu, linear, or "silut" with its threshold in `threshold`.
    threshold : float
    resnet : bool
        A skip is present: 1 or 2 times as many outputs as inputs are checked.
    """

    w: Array
    b: Array | None
    idt: Array | None
    activation: str
    resnet: bool
    threshold: float = 0.0

    @property
    def skip(self) -> int:
        """How often the input is added to the output: 0, 1, or 2 (side by side)."""
        n_in, n_out = self.w.shape
        return {n_in: 1, 2 * n_in: 2}.get(n_out, 0) if self.resnet else 0


@dataclass(frozen=True, slots=True)
class Net:
    """Layers one after the other; widths fit. `precision` is that of the reference's arithmetic."""

    layers: tuple[Layer, ...]
    precision: str

    @property
    def n_in(self) -> int:
        return int(self.layers[0].w.shape[0])

    @property
    def n_out(self) -> int:
        return int(self.layers[-1].w.shape[1])

    @property
    def neurons(self) -> tuple[int, ...]:
        return tuple(int(layer.w.shape[1]) for layer in self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentMatrix:
    """Neighbors of a centre and the rows of its environment matrix, the beginning of every descriptor.

    Attributes
    ----------
    r_cut, r_cut_smth : float
        Angstrom.
    sel : (T,) int array
        Slots for the neighbors of each type.
    davg, dstd : (T, 4) array
        Mean and standard deviation of the environment rows by the type of the centre.
    protection : float
        Added to distances in denominators, Angstrom.
    exclude : tuple of pairs
        Types (a, b), a <= b, that do not see each other.
    precision : str
        Of the reference's arithmetic.
    mixed : bool
        Whether all types share the slots.
    """

    mixed: ClassVar[bool] = False
    r_cut: float
    r_cut_smth: float
    sel: NDArray[np.int64]
    davg: Array
    dstd: Array
    protection: float
    exclude: Pairs
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeA(EnvironmentMatrix):
    """Two-body embedding with all coordinates, ``se_e2_a``.

    Attributes
    ----------
    nets : tuple of Net
        By neighbor type b (`one_side`), else at ``a + b * T`` for centre type a.
    axis_neuron : int
    one_side : bool
    """

    nets: tuple[Net, ...]
    axis_neuron: int
    one_side: bool
    kind: ClassVar[str] = "se_e2_a"

    def net(self, a: int, b: int) -> Net:
        """Net of neighbors of type b around a centre of type a."""
        return self.nets[b if self.one_side else a + b * len(self.sel)]

    @property
    def width(self) -> int:
        """Length of the descriptor."""
        return self.nets[0].n_out * self.axis_neuron


@dataclass(frozen=True, slots=True, kw_only=True)
class SeR(EnvironmentMatrix):
    """Two-body embedding of distances alone, ``se_e2_r``; `nets` by neighbor type, statistics (T, 1)."""

    nets: tuple[Net, ...]
    kind: ClassVar[str] = "se_e2_r"

    @property
    def width(self) -> int:
        return self.nets[0].n_out


@dataclass(frozen=True, slots=True, kw_only=True)
class SeT(EnvironmentMatrix):
    """Three-body embedding of angles, ``se_e3``; `nets` at ``a + b * T`` for neighbor types a <= b, None elsewhere."""

    nets: tuple[Net | None, ...]
    kind: ClassVar[str] = "se_e3"

    def net(self, a: int, b: int) -> Net:
        net = self.nets[min(a, b) + max(a, b) * len(self.sel)]
        assert net is not None
        return net

    @property
    def width(self) -> int:
        return self.net(0, 0).n_out


@dataclass(frozen=True, slots=True)
class AttentionLayer:
    """Gated self-attention over the neighbors, with the norm behind it.

    Attributes
    ----------
    w_in, b_in : (M, 3 H), (3 H,) array
        Queries, keys and values side by side.
    w_out, b_out : (H, M), (M,) array
    norm_w, norm_b : (M,) array
    eps : float
        Of the norm.
    """

    w_in: Array
    b_in: Array
    w_out: Array
    b_out: Array
    norm_w: Array
    norm_b: Array
    eps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dpa1(EnvironmentMatrix):
    """Two-body embedding that knows types by vectors, ``dpa1`` (``se_atten``, ``se_atten_v2``); `sel` is (1,), for all types together.

    Attributes
    ----------
    type_embedding : Net
        From one-hot vectors of the T types; :func:`mdkern.reference.deepmd_nets.type_vectors` has the table.
    tebd_mode : {"concat", "strip"}
    net : Net
        Of ``[s, tebd_j, tebd_i]`` ("concat"; without the last if `one_side`) or of s alone ("strip").
    strip_net : Net or None
        Of ``[tebd_j, tebd_i]``, or of tebd_j alone.
    smooth : bool
        The factor of `strip_net` carries the switch, and so do attention weights.
    concat_output : bool
        The type vector of the centre is appended to the descriptor.
    attention : tuple of AttentionLayer
    dotr, normalize : bool
    scale : float
        Of the attention's logits.
    axis_neuron : int
    one_side : bool
    """

    axis_neuron: int
    one_side: bool
    type_embedding: Net
    tebd_mode: str
    net: Net
    strip_net: Net | None
    smooth: bool
    concat_output: bool
    attention: tuple[AttentionLayer, ...]
    dotr: bool
    normalize: bool
    scale: float
    kind: ClassVar[str] = "dpa1"
    mixed: ClassVar[bool] = True

    @property
    def n_tebd(self) -> int:
        """Length of a type vector."""
        return self.type_embedding.n_out

    @property
    def width(self) -> int:
        own = self.net.n_out * self.axis_neuron
        return own + (self.n_tebd if self.concat_output else 0)


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Descriptors side by side."""

    parts: tuple[SeA | SeR | SeT | Dpa1, ...]
    kind: ClassVar[str] = "hybrid"

    @property
    def mixed(self) -> bool:
        return any(part.mixed for part in self.parts)

    @property
    def width(self) -> int:
        return sum(part.width for part in self.parts)

    @property
    def r_cut(self) -> float:
        return max(part.r_cut for part in self.parts)

    @property
    def sel(self) -> NDArray[np.int64]:
        """Slots of the common neighbor list."""
        if self.mixed:
            return np.array([max(int(np.sum(part.sel)) for part in self.parts)])
        return np.asarray(np.max([np.asarray(part.sel) for part in self.parts], axis=0))


Descriptor = SeA | SeR | SeT | Dpa1 | Hybrid


@dataclass(frozen=True, slots=True)
class Fitting:
    """Energies of atoms from descriptors.

    Attributes
    ----------
    nets : tuple of Net
        By type; a single one if `mixed_types`.
    mixed_types : bool
    bias : (T,) array
        eV, ``bias_atom_e``.
    exclude_types : tuple of int
        Types whose output, with its bias, is zero.
    zero : (T,) bool array
        Types whose net gives zero for a zero descriptor by definition (``atom_ener``): that value is subtracted.
    fparam : (P,) array or None
        Frame parameters where the caller gives none; None: the caller must (if there are any).
    fparam_avg, fparam_inv_std : (P,) array
        Frame parameters enter as ``(fparam - avg) * inv_std``.
    precision : str
    """

    nets: tuple[Net, ...]
    mixed_types: bool
    bias: Array
    exclude_types: tuple[int, ...]
    zero: NDArray[np.bool_]
    fparam: Array | None
    fparam_avg: Array
    fparam_inv_std: Array
    precision: str

    def net(self, t: int) -> Net:
        return self.nets[0 if self.mixed_types else t]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomicModel:
    """What all kinds of models have.

    Attributes
    ----------
    type_map : tuple of str
    out_bias : (T,) array
        eV.
    pair_exclude : tuple of pairs
        Types (a, b), a <= b, that are taken out of each other's neighbors after the selection.
    atom_exclude : tuple of int
        Types without energy.
    """

    type_map: tuple[str, ...]
    out_bias: Array
    pair_exclude: Pairs
    atom_exclude: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardModel(AtomicModel):
    """A descriptor and a fitting."""

    descriptor: Descriptor
    fitting: Fitting
    kind: ClassVar[str] = "standard"

    @property
    def r_cut(self) -> float:
        return self.descriptor.r_cut

    @property
    def sel(self) -> NDArray[np.int64]:
        return self.descriptor.sel


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTab(AtomicModel):
    """Pair energies from cubic pieces.

    Attributes
    ----------
    r_min, step : float
        Where the table begins, and the length of a piece, Angstrom.
    table : (T, T, pieces, 4) array
        ``a3, a2, a1, a0`` of ``((a3 f + a2) f + a1) f + a0``, f in [0, 1) within the piece; eV.
    r_cut : float
    sel : (1,) int array
    """

    r_min: float
    step: float
    table: Array
    r_cut: float
    sel: NDArray[np.int64]
    kind: ClassVar[str] = "pairtab"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZblModel(AtomicModel):
    """A pair table at short distances, a deep potential elsewhere.

    Attributes
    ----------
    model : StandardModel
    table : PairTab
    sw_r_min, sw_r_max : float
        Averaged distances between which the weight of the table goes from 1 to 0, Angstrom.
    alpha : float
        Length of the average, Angstrom.
    """

    model: StandardModel
    table: PairTab
    sw_r_min: float
    sw_r_max: float
    alpha: float
    kind: ClassVar[str] = "zbl"

    @property
    def r_cut(self) -> float:
        return max(self.model.r_cut, self.table.r_cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleModel(AtomicModel):
    """Weighted sum of models with the same `type_map` (``linear`` in DeePMD-kit)."""

    models: tuple[StandardModel | PairTab, ...]
    weights: Array
    kind: ClassVar[str] = "linear"

    @property
    def r_cut(self) -> float:
        return max(model.r_cut for model in self.models)


Model = StandardModel | PairTab | ZblModel | EnsembleModel


@dataclass(frozen=True, slots=True)
class DeepModel(FileModel):
    """Content of a model file.

    Attributes
    ----------
    path : str
        For messages.
    format : str
        dp, yaml or json.
    backend, version : str
        What wrote the file.
    min_nbor_dist : float or None
        Shortest distance of the training data, Angstrom.
    n_parameters : int
        Numbers in the nets.
    model : StandardModel, PairTab, ZblModel or EnsembleModel
    """

    path: str
    format: str
    backend: str
    version: str
    min_nbor_dist: float | None
    n_parameters: int
    model: Model

    @property
    def type_map(self) -> tuple[str, ...]:
        return self.model.type_map

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols in the order of the types."""
        return self.model.type_map

    @property
    def cutoff(self) -> float:
        """Angstrom."""
        return self.model.r_cut


def nets_of(x: Any) -> list[Net]:
    """All nets of a model or a part of it."""
    if isinstance(x, Net):
        return [x]
    out: list[Net] = []
    if isinstance(x, tuple):
        for part in x:
            out += nets_of(part)
    else:
        for name in (
            "descriptor",
            "fitting",
            "parts",
            "nets",
            "net",
            "strip_net",
            "type_embedding",
            "model",
            "models",
        ):
            part = getattr(x, name, None)
            if part is not None and not callable(part):
                out += nets_of(part)
    return out
