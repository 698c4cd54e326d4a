"""Cut the descriptor references that the tests carry from the full set: python tools/make_descriptor_data.py

The full set (MDKERN_TEST_DATA/descriptors) was made with DScribe 2.1.2 for structures made for this project; see
tests/data/descriptors/README.md.
"""

import json
import os
from pathlib import Path

import numpy as np
from ase.io import read, write

SOURCE = Path(os.environ["MDKERN_TEST_DATA"]) / "descriptors"
TARGET = Path(__file__).resolve().parent.parent / "tests" / "data" / "descriptors"
CENTERS, GRADIENT_CENTERS = 2, 1
SKIP = {"soap_chon_n8l6", "soap_cu", "acsf_water_50"}  # long, or larger than what they add


def main() -> None:
    arrays, kept, structures = {}, [], {}
    for case in json.loads((SOURCE / "refs" / "cases.json").read_text()):
        name = case["name"]
        if name in SKIP:
            continue
        data = np.load(SOURCE / "refs" / f"{name}.npz")
        frame = int(data["deriv_frame"]) if "deriv_frame" in data.files else case["frames"][0]
        label = f"{Path(case['structure']).stem}_{frame}"
        structures[label] = read(SOURCE / "structures" / case["structure"], frame)
        average = case["args"].get("average", "off") != "off"
        take = slice(None) if average else slice(CENTERS)
        arrays[f"{name}/values"] = data[f"values_{frame}"][take]
        arrays[f"{name}/centers"] = data[f"centers_{frame}"][take]
        for key in ("deriv_attach", "deriv_fixed"):
            if key in data.files:
                some = slice(None) if average else slice(GRADIENT_CENTERS)
                arrays[f"{name}/{key}"] = data[key][some, :3]
                arrays[f"{name}/{key}_centers"] = data["deriv_centers"][some]
        kept.append(
            {k: case[k] for k in ("name", "descriptor", "args", "rtol_of_max")}
            | {"structure": label}
        )
    TARGET.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(TARGET / "references.npz", **arrays)
    (TARGET / "cases.json").write_text(json.dumps(kept, indent=1) + "\n")
    for label, atoms in structures.items():
        write(TARGET / f"{label}.extxyz", atoms)


if __name__ == "__main__":
    main()
