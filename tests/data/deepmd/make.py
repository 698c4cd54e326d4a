"""Makes the models and reference values of this folder with DeePMD-kit's PyTorch backend.

    python make.py          (needs deepmd-kit 3.2 and torch)

Nets, statistics and biases are random, from a fixed seed: the models are for tests, not for science.
"""

import copy
import json
import pathlib
import sys
import tempfile
import zipfile

import numpy as np
import torch
from deepmd.dpmodel.utils.serialization import save_dp_model
from deepmd.pt.model.model import BaseModel, get_model

HERE = pathlib.Path(__file__).parent
TYPES = ["O", "H", "Cu"]
SEL = [14, 16, 14]


def two_body(kind="se_e2_a", **more):
    out = {"type": kind, "sel": SEL, "rcut": 4.0, "rcut_smth": 1.0, "neuron": [3, 6, 6], "seed": 1}
    if kind == "se_e2_a":
        out |= {"axis_neuron": 3, "type_one_side": True}
    return out | {"precision": "float64"} | more


def dpa1(**more):
    out = {
        "type": "dpa1", "sel": 40, "rcut": 4.0, "rcut_smth": 1.0, "neuron": [4, 8], "axis_neuron": 3, "seed": 1,
        "tebd_dim": 4, "attn_layer": 0, "attn": 6, "precision": "float64",
    }  # fmt: skip
    return out | more


def fitting(**more):
    return {"neuron": [8, 8], "seed": 2, "precision": "float64"} | more


def standard(descriptor, fit=None, **more):
    return {"type_map": TYPES, "descriptor": descriptor, "fitting_net": fit or fitting()} | more


TABLE = {"type": "pairtab", "tab_file": "", "rcut": 4.5, "sel": 45, "type_map": TYPES}

MODELS = {
    "se_e2_a_dt": standard(
        two_body(neuron=[1, 2, 6], resnet_dt=True, activation_function="silu"),
        fitting(resnet_dt=True, numb_fparam=2, default_fparam=[0.3, -0.2]),
    ),
    "se_e2_a_exclude": standard(
        two_body(type_one_side=False, exclude_types=[[0, 1], [2, 2]], env_protection=0.1),
        fitting(atom_ener=[None, 0.7]),
        pair_exclude_types=[[1, 2]],
        atom_exclude_types=[2],
    ),
    "se_e2_a_float32": standard(two_body(precision="float32"), fitting(precision="float32")),
    "act_silut_softplus": standard(
        two_body(activation_function="silut:0.4"), fitting(activation_function="softplus")
    ),
    "act_gelu_sigmoid": standard(
        two_body(activation_function="gelu"), fitting(activation_function="sigmoid")
    ),
    "act_relu_relu6": standard(
        two_body(activation_function="relu"), fitting(activation_function="relu6")
    ),
    "act_linear_silut": standard(
        two_body(activation_function="linear"), fitting(activation_function="silut:0.4")
    ),
    "se_e2_r": standard(two_body("se_e2_r", exclude_types=[[0, 2]])),
    "se_e3": standard(two_body("se_e3", exclude_types=[[1, 2]])),
    "hybrid": standard(
        {
            "type": "hybrid",
            "list": [
                two_body(rcut=3.2, sel=[8, 9, 8]),
                two_body("se_e2_r", rcut_smth=0.5),
                two_body("se_e3", rcut=3.0, sel=[7, 8, 7], neuron=[4, 4]),
            ],
        }
    ),
    "dpa1_concat": standard(dpa1(tebd_input_mode="concat", set_davg_zero=True)),
    "dpa1_concat_oneside": standard(
        dpa1(type_one_side=True, concat_output_tebd=False, exclude_types=[[0, 1]])
    ),
    "dpa1_strip": standard(
        dpa1(tebd_input_mode="strip", smooth_type_embedding=True, exclude_types=[[1, 1]])
    ),
    "dpa1_strip_plain": standard(
        dpa1(tebd_input_mode="strip", smooth_type_embedding=False, type_one_side=True)
    ),
    "se_atten_v2": standard(dpa1(type="se_atten_v2", attn_layer=0)),
    "dpa1_attention": standard(
        dpa1(attn_layer=2, attn_dotr=True, normalize=True, smooth_type_embedding=True)
    ),
    "dpa1_attention_plain": standard(
        dpa1(
            attn_layer=1, attn_dotr=False, normalize=False, smooth_type_embedding=False, temperature=0.7
        )
    ),
    "zbl": standard(
        dpa1(tebd_input_mode="strip"), use_srtab="", smin_alpha=0.4, sw_rmin=1.2, sw_rmax=2.4, sel=45
    ),
    "linear": {
        "type": "linear_ener",
        "weights": [0.75, 0.5],
        "type_map": TYPES,
        "models": [standard(dpa1(tebd_input_mode="strip")), TABLE],
    },
    "overflow": standard(two_body(sel=[4, 5, 3], neuron=[3, 4])),
    "overflow_dpa1": standard(dpa1(sel=11, tebd_input_mode="strip")),
    "overflow_zbl": standard(
        dpa1(sel=14, tebd_input_mode="strip"), use_srtab="", smin_alpha=0.9, sw_rmin=1.2, sw_rmax=3.4, sel=17
    ),
    "overflow_linear": {
        "type": "linear_ener",
        "weights": [0.75, 0.5],
        "type_map": TYPES,
        "models": [standard(dpa1(sel=11, tebd_input_mode="strip")), TABLE | {"sel": 13}],
    },
    "hybrid_dpa1": standard(
        {
            "type": "hybrid",
            "list": [
                two_body(rcut=3.5, sel=[9, 9, 6], neuron=[3, 6]),
                dpa1(tebd_input_mode="strip", sel=34),
                dpa1(sel=20, rcut=3.0, attn_layer=1),
            ],
        }
    ),
    "overflow_hybrid_dpa1": standard(
        {
            "type": "hybrid",
            "list": [
                dpa1(tebd_input_mode="strip", sel=12),
                two_body("se_e2_r", sel=[5, 7, 6], neuron=[3, 6]),
                dpa1(sel=9, tebd_input_mode="strip", concat_output_tebd=False),
            ],
        }
    ),
    "table": {"type": "linear_ener", "weights": [1.0], "type_map": TYPES, "models": [TABLE]},
    "overflow_table": {
        "type": "linear_ener", "weights": [1.0], "type_map": TYPES, "models": [TABLE | {"sel": 9}],
    },
}  # fmt: skip


def table_file(path):
    """A repulsive table for each pair of types, zero at its end."""
    r = 0.02 + 0.05 * np.arange(90)
    pairs = [(a, b) for a in range(3) for b in range(a, 3)]
    columns = [
        (1.5 + a + 0.5 * b) * np.exp(-1.3 * r) * np.cos(0.3 * r) * (1 - r / r[-1]) ** 3
        for a, b in pairs
    ]
    np.savetxt(path, np.column_stack([r, *columns]), fmt="%.10g")


def randomise(node, rng):
    """Statistics and biases as training would leave them."""
    if isinstance(node, list):
        for x in node:
            randomise(x, rng)
    if not isinstance(node, dict):
        return
    v = node.get("@variables", {})
    if v.get("davg") is not None:
        n_types, _, columns = v["davg"].shape
        mean = np.zeros((n_types, 1, columns))
        if node["type"] not in ("dpa1", "se_atten_v2") or node.get("smooth_type_embedding"):
            mean[:, 0, 0] = rng.uniform(0.02, 0.1, n_types)
        if node.get("tebd_input_mode") == "concat":
            mean[:] = 0.0
        spread = rng.uniform(0.1, 0.3, (n_types, 1, 2))
        v["davg"] = np.broadcast_to(mean, v["davg"].shape).copy()
        v["dstd"] = np.broadcast_to(spread[:, :, [0, 1, 1, 1][:columns]], v["dstd"].shape).copy()
    for key in ("out_bias", "bias_atom_e"):
        if v.get(key) is not None:
            v[key] = rng.normal(size=v[key].shape)
    if v.get("fparam_avg") is not None:
        v["fparam_avg"] = rng.normal(size=v["fparam_avg"].shape)
        v["fparam_inv_std"] = rng.uniform(0.5, 2, v["fparam_inv_std"].shape)
    for x in node.values():
        randomise(x, rng)


def example():
    """A small model of water's two elements, for the documentation."""
    descriptor = two_body(sel=[46, 92], rcut=6.0, rcut_smth=0.5, neuron=[4, 8], axis_neuron=4)
    model = standard(descriptor, fitting(neuron=[16, 16])) | {"type_map": ["O", "H"]}
    data = get_model(model).serialize()
    randomise(data, np.random.default_rng(1))
    save_dp_model(
        str(HERE / "water_random.dp"), {"model": data, "model_def_script": {}, "backend": "PyTorch"}
    )


def structures():
    """Two small systems: a triclinic crystal's cell with atoms out of it, and a free molecule."""
    rng = np.random.default_rng(7)
    cell = np.array([[6.2, 0, 0], [0.9, 6.6, 0], [-0.7, 0.5, 7.1]])
    grid = np.stack(np.meshgrid([0, 0.5], [0, 0.5], [0, 0.33, 0.67], indexing="ij"), -1)
    crystal = grid.reshape(-1, 3) @ cell + rng.uniform(-0.35, 0.35, (12, 3)) + [9.0, -3.0, 1.0]
    free = np.array(
        [
            [0, 0, 0],
            [1.1, 0.2, 0.1],
            [-0.3, 1.3, 0.4],
            [2.2, 1.9, 0.3],
            [0.4, -0.2, 3.7],
            [5.9, 1.9, 0.3],
        ]
    )
    return {
        "crystal": (crystal, np.array([0, 1, 2, 1, 0, 1, 1, 2, 0, 1, 0, 1]), cell),
        "free": (free, np.array([0, 1, 1, 2, 0, 1]), None),
        "alone": (np.zeros((1, 3)), np.array([1]), None),
    }


def main(folder):
    table_file(HERE / "table.txt")
    example()
    values = {}
    for name, (positions, types, cell) in structures().items():
        values |= {f"{name}/positions": positions, f"{name}/types": types}
        if cell is not None:
            values[f"{name}/cell"] = cell
    for k, (name, config) in enumerate(MODELS.items()):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        text = json.dumps(config).replace('"tab_file": ""', f'"tab_file": "{HERE / "table.txt"}"')
        text = text.replace('"use_srtab": ""', f'"use_srtab": "{HERE / "table.txt"}"')
        data = get_model(json.loads(text)).serialize()
        randomise(data, np.random.default_rng(100 + k))
        known_as = {"linear": "linear_ener"}.get(data["type"], data["type"])
        model = BaseModel.deserialize(copy.deepcopy(data) | {"type": known_as})
        file = pathlib.Path(folder) / (name + (".yaml" if name == "se_e2_r" else ".dp"))
        save_dp_model(
            str(file), {"model": copy.deepcopy(data), "model_def_script": {}, "backend": "PyTorch"}
        )
        for system, (positions, types, cell) in structures().items():
            coord = torch.tensor(positions[None], requires_grad=True)
            box = None if cell is None else torch.tensor(cell[None]).reshape(1, 9)
            fparam = torch.tensor([[0.3, -0.2]]) if "dt" in name else None
            out = model(coord, torch.tensor(types[None]), box=box, fparam=fparam)
            n = len(types)
            shapes = {"energy": (), "force": (n, 3), "atom_energy": (n,)}
            if cell is not None:
                shapes["virial"] = (3, 3)
            for key, shape in shapes.items():
                values[f"{name}/{system}/{key}"] = out[key].detach().numpy().reshape(shape)
        print(
            name,
            file.stat().st_size,
            values[f"{name}/crystal/energy"],
            abs(values[f"{name}/crystal/force"]).max(),
        )
    np.savez_compressed(HERE / "references.npz", **values)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
        with zipfile.ZipFile(
            HERE / "models.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as archive:
            for file in sorted(pathlib.Path(folder).iterdir()):
                archive.writestr(
                    zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED
                )
