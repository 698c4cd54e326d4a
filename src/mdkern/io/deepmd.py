"""Models of DeePMD-kit: ``.dp`` (HDF5), ``.yaml`` and ``.json``, as its versions 3.0 to 3.2 write them.

Everything is checked here, so that nothing behind it checks again; what is not evaluated is refused by its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.deepmd_map import Map, is_int, show
from mdkern.io.deepmd_models import (
    AttentionLayer,
    DeepModel,
    Descriptor,
    Dpa1,
    EnsembleModel,
    Fitting,
    Hybrid,
    Layer,
    Model,
    Net,
    PairTab,
    SeA,
    SeR,
    SeT,
    StandardModel,
    ZblModel,
    nets_of,
)
from mdkern.io.deepmd_tree import file_kind, read_tree

__all__ = ["is_deepmd", "read_deepmd"]

MAX_CUTOFF = 100.0  # Angstrom
MAX_SEL = 20_000
MAX_LAYERS, MAX_NEURONS, MAX_INPUTS = (
    16,
    8192,
    1 << 20,
)  # kMaxLayers, kMaxWidth; what `NetList` takes
MAX_ATTENTION = 8  # layers that the kernel keeps
MAX_TYPES = 118

Array = NDArray[np.float64]


def is_deepmd(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as a model of DeePMD-kit does."""
    return file_kind(path) is not None


def read_deepmd(path: str | os.PathLike[str]) -> DeepModel:
    """Read a model of DeePMD-kit.

    Parameters
    ----------
    path : str
        A ``.dp``, ``.yaml`` or ``.json`` file, told by its content. ``dp convert-backend MODEL model.dp`` makes one of
        ``.pb``, ``.pth`` and ``.pt``.

    Returns
    -------
    DeepModel

    Raises
    ------
    FormatError
        The file does not follow the format; names the file and the place in it.
    UnsupportedError
        The model asks for something that is not evaluated; names the key and its value.
    OSError
        The file cannot be read.
    """
    kind, tree = read_tree(path)
    top = Map(os.fspath(path), "", tree)
    top.ignore("software", "version", "time", "backend", "tf_version", "pt_version")
    top.ignore("model_def_script", "min_nbor_dist", "jax_version", "pd_version")
    model = _model(top.map("model"), None)
    variables = top.map("@variables", optional=True)
    closest = None
    if variables.data.get("min_nbor_dist") is not None:
        closest = float(variables.array("min_nbor_dist", ()))
    return DeepModel(
        path=os.fspath(path),
        format=kind,
        backend=str(tree.get("backend", ""))[:40],
        version=str(tree.get("version", tree.get("tf_version", "")))[:40],
        min_nbor_dist=closest,
        n_parameters=sum(
            sum(a.size for a in (layer.w, layer.b, layer.idt) if a is not None)
            for net in nets_of(model)
            for layer in net.layers
        ),
        model=model,
    )


# --- nets


def _layer(m: Map) -> Layer:
    m.version(1, 2)
    m.ignore("trainable", "precision", "use_timestep", "bias")
    activation, threshold = m.activation()
    resnet = m.flag("resnet", False)
    v = m.map("@variables")
    w = v.array("w", None)
    if w.ndim != 2 or not min(w.shape, default=0) >= 1:
        raise FormatError(f"{v.name('w')}: shape {w.shape}; expected (in, out)", m.path)
    if w.shape[0] > MAX_INPUTS or w.shape[1] > MAX_NEURONS:
        raise UnsupportedError(
            f"{m.path}: {v.name('w')}: shape {w.shape}; at most {(MAX_INPUTS, MAX_NEURONS)} is evaluated"
        )
    b = v.vector("b", w.shape[1], optional=True)
    idt = v.vector("idt", w.shape[1], optional=True)
    m.done()
    return Layer(w, b, idt, activation, resnet, threshold)


def _net(m: Map, n_in: int, n_out: int | None = None) -> Net:
    """A network whose widths fit to each other and to what is around it."""
    m.version(1, 2)
    m.ignore("in_dim", "out_dim", "neuron", "activation_function", "resnet_dt", "bias", "bias_out")
    precision = m.precision()
    layers = []
    width = n_in
    found = m.maps("layers", MAX_NEURONS)
    if len(found) > MAX_LAYERS:
        m.refuse("layers", f"; at most {MAX_LAYERS}")
    for k, data in enumerate(found):
        layer = _layer(Map(m.path, f"{m.where}.layers[{k}]", data))
        if layer.w.shape[0] != width:
            raise FormatError(
                f"{m.where}.layers[{k}]: {layer.w.shape[0]} inputs; expected {width}", m.path
            )
        width = layer.w.shape[1]
        layers.append(layer)
    if not layers:
        m.bad("layers", "at least one layer")
    if n_out is not None and width != n_out:
        raise FormatError(f"{m.where}: {width} outputs; expected {n_out}", m.path)
    m.done()
    return Net(tuple(layers), precision)


def _collection(
    m: Map,
    ndim: int,
    n_types: int,
    n_in: int,
    n_out: int | None = None,
    needed: Callable[[int], bool] = lambda _: True,
) -> tuple[Net | None, ...]:
    """Networks by ``a + b * n_types``; all with as many outputs."""
    m.version(1, 1)
    m.ignore("network_type")
    if m.integer("ndim", 0, 2) != ndim:
        m.bad("ndim", str(ndim))
    if ndim and m.integer("ntypes", 1, MAX_TYPES) != n_types:
        m.bad("ntypes", str(n_types))
    m.ignore("ntypes")
    networks = m.maps("networks", n_types**ndim)
    if len(networks) != n_types**ndim:
        m.bad("networks", f"a list of {n_types**ndim}")
    out: list[Net | None] = []
    for k, data in enumerate(networks):
        if not needed(k):
            out.append(None)
            continue
        net = _net(Map(m.path, f"{m.where}.networks[{k}]", data), n_in, n_out)
        n_out = net.n_out
        out.append(net)
    m.done()
    return tuple(out)


def _all(nets: tuple[Net | None, ...]) -> tuple[Net, ...]:
    return tuple(net for net in nets if net is not None)


# --- descriptors


def _common(m: Map, n_types: int, columns: int, mixed: bool = False) -> dict[str, Any]:
    """What every descriptor has: cutoffs, slots, statistics, exclusions."""
    r_cut = m.real("rcut", 1e-3, MAX_CUTOFF)
    smooth = m.real("rcut_smth", 0.0, MAX_CUTOFF)
    if not smooth < r_cut:
        m.bad("rcut_smth", f"less than rcut, {r_cut:g}")
    sel = _sel(m, n_types, mixed)
    m.ignore("neuron", "trainable", "set_davg_zero", "resnet_dt", "activation_function", "type")
    m.ignore("compress", "ntypes", "type_map")
    m.absent("spin")
    protection = m.real("env_protection", 0.0, 1e3, 0.0)
    env = m.map("env_mat", optional=True)
    env.absent("use_exp_switch")
    env.ignore("rcut", "rcut_smth", "protection")
    env.done()
    v = m.map("@variables")
    total = int(sel.sum())
    stats = []
    for key in ("davg", "dstd"):
        table = v.array(key, (n_types, total, columns))
        first = table[:, 0, :]
        if not (table == first[:, None, :]).all():
            raise UnsupportedError(
                f"{m.path}: {v.name(key)}: statistics that differ between slots are not evaluated"
            )
        stats.append(first.copy())
    if not (stats[1] > 0.0).all():
        raise FormatError(f"{v.name('dstd')}: expected numbers above 0", m.path)
    return {
        "r_cut": r_cut,
        "r_cut_smth": smooth,
        "sel": sel,
        "davg": stats[0],
        "dstd": stats[1],
        "protection": protection,
        "exclude": m.pairs("exclude_types", n_types),
        "precision": m.precision(),
    }


def _sel(m: Map, n_types: int, mixed: bool) -> NDArray[np.int64]:
    value = m.get("sel")
    values = value if isinstance(value, list) else [value]
    if not all(is_int(n) and 0 <= n <= MAX_SEL for n in values):
        m.bad("sel", f"numbers of slots from 0 to {MAX_SEL}")
    if not mixed and len(values) != n_types:
        m.bad("sel", f"a number of slots for each of {n_types} types")
    if not 1 <= sum(values) <= MAX_SEL:
        m.bad("sel", f"1 to {MAX_SEL} slots in all")
    return np.array([sum(values)] if mixed else values, dtype=np.int64)


def _axis(m: Map, width: int) -> int:
    return m.integer("axis_neuron", 1, width)


def _se_a(m: Map, n_types: int) -> SeA:
    m.version(1, 3)
    common = _common(m, n_types, 4)
    one_side = m.flag("type_one_side", False)
    nets = _all(_collection(m.map("embeddings"), 1 if one_side else 2, n_types, 1))
    axis = _axis(m, nets[0].n_out)
    m.done()
    return SeA(**common, nets=nets, axis_neuron=axis, one_side=one_side)


def _se_r(m: Map, n_types: int) -> SeR:
    m.version(1, 3)
    common = _common(m, n_types, 1)
    if not m.flag("type_one_side", True):
        m.refuse("type_one_side")
    nets = _all(_collection(m.map("embeddings"), 1, n_types, 1))
    m.done()
    return SeR(**common, nets=nets)


def _se_t(m: Map, n_types: int) -> SeT:
    m.version(1, 3)
    common = _common(m, n_types, 4)
    if not (common["sel"] > 0).all():
        m.bad("sel", "at least one slot for each type")
    nets = _collection(
        m.map("embeddings"), 2, n_types, 1, needed=lambda k: k % n_types <= k // n_types
    )
    m.done()
    return SeT(**common, nets=nets)


def _dpa1(m: Map, n_types: int) -> Dpa1:
    v2 = m.text("type") == "se_atten_v2"
    m.version(1, 3)
    if m.data.get("lmax", 1) != 1:
        m.refuse("lmax")
    m.ignore("lmax", "attn", "trainable_ln", "ln_eps", "use_tebd_bias", "scaling_factor")
    m.absent("attn_mask", "use_econf_tebd")
    common = _common(m, n_types, 4, mixed=True)
    one_side = m.flag("type_one_side", False)
    mode = "strip" if v2 else m.text("tebd_input_mode", "concat")
    if mode not in ("concat", "strip"):
        m.refuse("tebd_input_mode")
    embedding = m.map("type_embedding")
    embedding.absent("use_econf_tebd")
    types = _net(embedding.map("embedding"), n_types)
    n_tebd = types.n_out
    m.integer("tebd_dim", n_tebd, n_tebd)
    vectors = n_tebd * (1 if one_side else 2)
    n_in = 1 if mode == "strip" else 1 + vectors
    net = _all(_collection(m.map("embeddings"), 0, 1, n_in))[0]
    strip = None
    if mode == "strip":
        strip = _all(_collection(m.map("embeddings_strip"), 0, 1, vectors, net.n_out))[0]
    smooth = m.flag("smooth_type_embedding", True)
    layers, scale = _attention(m, net.n_out, v2 or smooth)
    out = Dpa1(
        **common,
        axis_neuron=_axis(m, net.n_out),
        one_side=one_side,
        type_embedding=types,
        tebd_mode=mode,
        net=net,
        strip_net=strip,
        smooth=v2 or smooth,
        concat_output=m.flag("concat_output_tebd", True),
        attention=layers,
        dotr=m.flag("attn_dotr", True),
        normalize=m.flag("normalize", True),
        scale=scale,
    )
    m.done()
    return out


def _attention(m: Map, width: int, smooth: bool) -> tuple[tuple[AttentionLayer, ...], float]:
    n_layers = m.integer("attn_layer", 0, 1000, 0)
    if n_layers > MAX_ATTENTION:
        m.refuse("attn_layer", f"; at most {MAX_ATTENTION}")
    outer = m.map("attention_layers", optional=n_layers == 0)
    outer.absent("do_mask")
    m.get("temperature")
    if not n_layers:
        return (), 0.0
    hidden = m.integer("attn", 1, MAX_NEURONS)
    if m.data.get("temperature") is not None:
        scale = m.real("temperature", -1e6, 1e6)
    else:
        scale = (hidden * m.real("scaling_factor", 1e-12, 1e12, 1.0)) ** -0.5
    stack = outer.maps("attention_layers", MAX_ATTENTION)
    if len(stack) != n_layers:
        outer.bad("attention_layers", f"a list of {n_layers}")
    layers = []
    for k, data in enumerate(stack):
        item = Map(m.path, f"{outer.where}.attention_layers[{k}]", data)
        gate = item.map("attention_layer")
        if gate.integer("num_heads", 1, 1000, 1) != 1:
            gate.refuse("num_heads")
        if gate.flag("smooth", smooth) != smooth:
            gate.refuse("smooth")
        w_in, b_in = _affine(gate.map("in_proj"), width, 3 * hidden)
        w_out, b_out = _affine(gate.map("out_proj"), hidden, width)
        norm = item.map("attn_layer_norm")
        norm.version(1, 1)
        v = norm.map("@variables")
        layers.append(
            AttentionLayer(
                w_in,
                b_in,
                w_out,
                b_out,
                v.array("w", (width,)),
                v.array("b", (width,)),
                norm.real("eps", 0.0, 1.0, 1e-5),
            )
        )
    return tuple(layers), scale


def _affine(m: Map, n_in: int, n_out: int) -> tuple[Array, Array]:
    layer = _layer(m)
    if layer.w.shape != (n_in, n_out):
        raise FormatError(f"{m.where}: weights {layer.w.shape}; expected {(n_in, n_out)}", m.path)
    if layer.activation != "linear" or layer.idt is not None or layer.resnet:
        m.refuse("activation_function")
    return layer.w, layer.b if layer.b is not None else np.zeros(n_out)


def _hybrid(m: Map, n_types: int) -> Hybrid:
    m.version(1, 1)
    m.ignore("type")
    parts = []
    for k, data in enumerate(m.maps("list", 32)):
        part = _descriptor(Map(m.path, f"{m.where}.list[{k}]", data), n_types)
        if isinstance(part, Hybrid):
            m.refuse("list", ": a hybrid in a hybrid")
        parts.append(part)
    if not parts:
        m.bad("list", "at least one descriptor")
    m.done()
    return Hybrid(tuple(parts))


_DESCRIPTORS: dict[str, Callable[[Map, int], Descriptor]] = {
    "se_e2_a": _se_a,
    "se_a": _se_a,
    "se_r": _se_r,
    "se_e2_r": _se_r,
    "se_e3": _se_t,
    "se_t": _se_t,
    "se_at": _se_t,
    "se_a_3be": _se_t,
    "dpa1": _dpa1,
    "se_atten": _dpa1,
    "se_atten_v2": _dpa1,
    "hybrid": _hybrid,
}


def _descriptor(m: Map, n_types: int) -> Descriptor:
    kind = m.text("type")
    if kind not in _DESCRIPTORS:
        m.refuse("type", f"; {', '.join(_DESCRIPTORS)} are")
    return _DESCRIPTORS[kind](m, n_types)


# --- fitting and models


def _fitting(m: Map, n_types: int, width: int, mixed_descriptor: bool) -> Fitting:
    m.version(1, 4)
    if m.text("type", "ener") not in ("ener", "invar"):
        m.refuse("type")
    if m.text("var_name", "energy") != "energy":
        m.refuse("var_name")
    m.ignore("ntypes", "neuron", "resnet_dt", "activation_function", "rcond", "trainable")
    m.ignore("type_map", "seed")
    m.absent("numb_aparam", "dim_case_embd", "use_aparam_as_mask", "spin", "tot_ener_zero")
    m.absent("layer_name")
    m.integer("dim_out", 1, 1, 1)
    m.integer("dim_descrpt", width, width, width)
    n_fparam = m.integer("numb_fparam", 0, 1000, 0)
    mixed = m.flag("mixed_types", False)
    if mixed_descriptor and not mixed:
        m.refuse("mixed_types", " with a mixed-type descriptor")
    nets = _all(
        _collection(m.map("nets"), 0 if mixed else 1, 1 if mixed else n_types, width + n_fparam, 1)
    )
    v = m.map("@variables")
    bias = v.vector("bias_atom_e", n_types, optional=True)
    avg = v.vector("fparam_avg", n_fparam) if n_fparam else np.zeros(0)
    inv_std = v.vector("fparam_inv_std", n_fparam) if n_fparam else np.zeros(0)
    assert avg is not None
    assert inv_std is not None
    m.ignore("default_fparam")
    default = m.vector("default_fparam", n_fparam, optional=True) if n_fparam else None
    fitting = Fitting(
        nets=nets,
        mixed_types=mixed,
        bias=np.zeros(n_types) if bias is None else bias,
        exclude_types=m.indices("exclude_types", n_types),
        zero=_zero_types(m, n_types, mixed),
        fparam=default,
        fparam_avg=avg,
        fparam_inv_std=inv_std,
        precision=m.precision(),
    )
    m.done()
    return fitting


def _zero_types(m: Map, n_types: int, mixed: bool) -> NDArray[np.bool_]:
    """Types whose net's value at a zero descriptor is subtracted: those with an entry, and those beyond the list."""
    given = m.get("atom_ener", [])
    if isinstance(given, np.ndarray):
        given = given.ravel().tolist()
    if not isinstance(given, list) or len(given) > n_types:
        m.bad("atom_ener", f"a list of at most {n_types}")
    has = [x is not None for x in given]
    if not any(has):
        return np.zeros(n_types, dtype=bool)
    return np.array([mixed or t >= len(has) or has[t] for t in range(n_types)])


def _type_map(m: Map) -> tuple[str, ...]:
    names = m.get("type_map")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_TYPES:
        m.bad("type_map", f"1 to {MAX_TYPES} chemical symbols")
    for name in names:
        if not isinstance(name, str) or not 1 <= atomic_numbers.get(name, 0) <= MAX_TYPES:
            raise UnsupportedError(
                f"{m.path}: {m.name('type_map')}: {show(name)}; expected chemical symbols"
            )
    if len(set(names)) != len(names):
        m.bad("type_map", "different symbols")
    return tuple(names)


def _model(m: Map, outer: tuple[str, ...] | None) -> Model:
    kind = m.text("type", "standard")
    m.version(1, 3)
    m.ignore("rcond", "preset_out_bias", "modifier", "hessian", "data_stat_protect")
    names = _type_map(m)
    if outer is not None and names != outer:
        m.refuse("type_map", f": it differs from that of the whole model, {', '.join(outer)}")
    n = len(names)
    v = m.map("@variables", optional=True)
    bias = v.vector("out_bias", n, optional=True)
    common: dict[str, Any] = {
        "type_map": names,
        "out_bias": np.zeros(n) if bias is None else bias,
        "pair_exclude": m.pairs("pair_exclude_types", n),
        "atom_exclude": m.indices("atom_exclude_types", n),
    }
    makers: dict[str, Callable[[Map, dict[str, Any]], Model]] = {
        "standard": _standard,
        "pairtab": _pairtab,
        "zbl": _zbl,
        "linear": _linear,
        "linear_ener": _linear,
    }
    if kind not in makers or (outer is not None and kind not in ("standard", "pairtab")):
        m.refuse("type")
    model = makers[kind](m, common)
    m.done()
    return model


def _standard(m: Map, common: dict[str, Any]) -> StandardModel:
    n = len(common["type_map"])
    d = _descriptor(m.map("descriptor"), n)
    return StandardModel(
        **common, descriptor=d, fitting=_fitting(m.map("fitting"), n, d.width, d.mixed)
    )


def _pairtab(m: Map, common: dict[str, Any]) -> PairTab:
    n = len(common["type_map"])
    tab = m.map("tab")
    tab.version(1, 1)
    tab.ignore("rmin", "rmax", "hh", "ntypes", "rcut", "nspline")
    tab.done()
    v = tab.map("@variables")
    r_min, step, pieces, n_types = v.array("tab_info", (4,)).tolist()
    if n_types != n or not pieces.is_integer() or not 1 <= pieces <= 10**8:
        raise FormatError(
            f"{v.name('tab_info')}: {pieces:g} pieces for {n_types:g} types; expected {n} types",
            m.path,
        )
    if not 0.0 <= r_min <= MAX_CUTOFF or not 0.0 < step <= MAX_CUTOFF:
        raise FormatError(f"{v.name('tab_info')}: rmin {r_min:g}, step {step:g}", m.path)
    table = v.array("tab_data", None)
    if table.size != n * n * int(pieces) * 4:
        raise FormatError(
            f"{v.name('tab_data')}: {table.size} numbers; expected {n * n * int(pieces) * 4}",
            m.path,
        )
    return PairTab(
        **common,
        r_min=r_min,
        step=step,
        table=table.reshape(n, n, int(pieces), 4),
        r_cut=m.real("rcut", 1e-3, MAX_CUTOFF),
        sel=_sel(m, n, mixed=True),
    )


def _submodels(m: Map, names: tuple[str, ...]) -> tuple[StandardModel | PairTab, ...]:
    out = []
    for k, data in enumerate(m.maps("models", 64)):
        model = _model(Map(m.path, f"{m.where}.models[{k}]", data), names)
        assert isinstance(model, (StandardModel, PairTab))
        out.append(model)
    if not out:
        m.bad("models", "at least one model")
    return tuple(out)


def _zbl(m: Map, common: dict[str, Any]) -> ZblModel:
    models = _submodels(m, common["type_map"])
    m.ignore("weights")
    if len(models) != 2 or models[0].kind != "standard" or models[1].kind != "pairtab":
        m.bad("models", "a standard model and a pairtab")
    assert isinstance(models[0], StandardModel)
    assert isinstance(models[1], PairTab)
    low, high = m.real("sw_rmin", 0.0, MAX_CUTOFF), m.real("sw_rmax", 0.0, MAX_CUTOFF)
    if not low < high:
        m.bad("sw_rmax", f"more than sw_rmin, {low:g}")
    return ZblModel(
        **common,
        model=models[0],
        table=models[1],
        sw_r_min=low,
        sw_r_max=high,
        alpha=m.real("smin_alpha", 1e-6, MAX_CUTOFF, 0.1),
    )


def _linear(m: Map, common: dict[str, Any]) -> EnsembleModel:
    models = _submodels(m, common["type_map"])
    value = m.get("weights", "mean")
    if value in ("mean", "sum") if isinstance(value, str) else False:
        weights = np.full(len(models), 1.0 / len(models) if value == "mean" else 1.0)
    else:
        if isinstance(value, str):
            m.refuse("weights")
        found = m.vector("weights", len(models))
        assert found is not None
        weights = found
    return EnsembleModel(**common, models=models, weights=weights)
