"""``mdkern info`` of files that mdkern itself writes beside structures."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.cli.output import UsageError, number, one_line, print_fields, print_json

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["print_own"]

_MAX_TEXT = 1 << 20  # bytes of a description inside a file


def print_own(path: str, as_json: bool) -> bool:
    """Print what a file holds if mdkern wrote it: a checkpoint, arrays (.npz), H5MD frames, a log of samples.

    Raises
    ------
    FormatError, UsageError
        It is one of them, and damaged.
    """
    show = _reader(path)
    if show is None:
        return False
    facts, fields = show(path)
    facts = {"path": path, **facts, "bytes": Path(path).stat().st_size}
    if as_json:
        print_json(facts)
    else:
        print_fields(one_line(path), {"format": facts["format"], **fields})
    return True


_Shown = tuple[dict[str, Any], dict[str, str]]


def _reader(path: str) -> Callable[[str], _Shown] | None:
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        start = file.read(8)
    if start[:4] == b"PK\x03\x04":
        names = set(_arrays(path))
        for wanted, show in (
            ({"meta", "built_positions", "momenta"}, _checkpoint),
            ({"features", "frame", "atom", "descriptor"}, _features),
            ({"format", "descriptor", "weights", "intercepts"}, _linear_model),
            ({"i", "j", "d", "D", "S"}, _pairs),
        ):
            if wanted <= names:
                return show
        return None
    if start == b"\x89HDF\r\n\x1a\n" and Path(path).suffix in (".h5md", ".h5"):
        return _h5md
    return _log if start.startswith(b'# {"') and Path(path).suffix == ".csv" else None


def _arrays(path: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of the arrays of an ``.npz`` file, from their headers; nothing for other archives."""
    import numpy as np

    found: dict[str, tuple[tuple[int, ...], str]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if not name.endswith(".npy"):
                    continue
                with archive.open(name) as stream:
                    if np.lib.format.read_magic(stream) != (1, 0):
                        continue
                    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
                    found[name[:-4]] = shape, str(dtype)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError):
        return {}
    return found


def _cell(atoms: Atoms) -> str:
    a, b, c, *angles = atoms.cell.cellpar()
    periodic = "".join(x for x, p in zip("abc", atoms.pbc, strict=True) if p) or "nothing"
    turn = " ".join(f"{x:.4g}" for x in angles)
    return f"{a:.6g} {b:.6g} {c:.6g} A, {turn} degrees; periodic along {periodic}"


def _checkpoint(path: str) -> _Shown:
    from mdkern.md import read_checkpoint

    checkpoint = read_checkpoint(path)
    atoms, meta = checkpoint.atoms(), checkpoint.meta
    extra: Mapping[str, Any] = meta["extra"] if isinstance(meta["extra"], dict) else {}
    ensemble = extra.get("ensemble")
    timestep = ensemble.get("timestep") if isinstance(ensemble, dict) else None
    time_ps = 1e-3 * timestep * checkpoint.steps if isinstance(timestep, (int, float)) else None
    facts: dict[str, Any] = {
        "format": "checkpoint of mdkern's molecular dynamics",
        "steps": checkpoint.steps,
        "time_ps": time_ps,
        "n_atoms": len(atoms),
        "formula": atoms.get_chemical_formula(empirical=True),
        "temperature_K": float(atoms.get_temperature()),
        "integrator": meta["integrator"],
        "parameters": meta["parameters"],
        "version": meta["version"],
        "isa": meta["isa"],
        "extra": extra,
    }
    of_command = "potential" in extra
    fields = {
        "step": f"{checkpoint.steps:,}" + ("" if time_ps is None else f", {time_ps:.6g} ps"),
        "atoms": f"{len(atoms):,}, {facts['formula']}",
        "cell": _cell(atoms),
        "temperature": f"{number(facts['temperature_K'])} K at this step",
        "integrator": str(meta["integrator"]),
        "written by": f"mdkern {meta['version']}, {meta['isa']}",
    }
    if of_command:
        fields["potential"] = one_line(str(extra["potential"]))
        fields["seed"] = one_line(str(extra.get("seed")))
        fields["command"] = one_line(str(extra.get("command")))
        fields["to go on"] = f"mdkern md --restart {one_line(path)} --steps N"
    else:
        fields["to go on"] = "mdkern.md.read_checkpoint"
    return facts, fields


def _text(path: str, name: str) -> Any:
    """A description as JSON inside an ``.npz`` file."""
    import numpy as np

    shape, dtype = _arrays(path)[name]
    if shape != () or not dtype.startswith("<U") or 4 * int(dtype[2:]) > 4 * _MAX_TEXT:
        raise UsageError(f"{path}: {name}: {dtype} of shape {shape}; expected a text")
    with np.load(path, allow_pickle=False) as file:
        try:
            return json.loads(str(file[name]))
        except ValueError as e:
            raise UsageError(f"{path}: {name}: expected JSON, got {one_line(str(e), 100)}") from e


def _features(path: str) -> _Shown:
    arrays = _arrays(path)
    descriptor = _text(path, "descriptor")
    shape = arrays["features"][0]
    facts = {
        "format": "features of mdkern describe",
        "arrays": {name: list(s) for name, (s, _) in arrays.items()},
        "descriptor": descriptor,
    }
    kind = descriptor.get("descriptor") if isinstance(descriptor, dict) else None
    rest = {k: v for k, v in descriptor.items() if k != "descriptor"} if kind else {}
    return facts, {
        "features": " x ".join(f"{n:,}" for n in shape) + " (environments, numbers of each)",
        "descriptor": one_line(str(kind)),
        "parameters": one_line(", ".join(f"{k} {v}" for k, v in rest.items() if v is not None)),
        "arrays": ", ".join(arrays),
    }


def _linear_model(path: str) -> _Shown:
    from mdkern.potentials.linear import LinearModel

    model = LinearModel(path)
    description = model.descriptor.to_dict()
    facts = {
        "format": "linear model of mdkern",
        "species": list(model.species),
        "cutoff_A": model.cutoff,
        "n_features": int(model.weights.shape[1]),
        "descriptor": description,
    }
    return facts, {
        "species": ", ".join(model.species),
        "cutoff": f"{model.cutoff:.6g} A",
        "descriptor": f"{description['descriptor']}, {facts['n_features']:,} features",
    }


def _pairs(path: str) -> _Shown:
    import numpy as np

    arrays = _arrays(path)
    facts: dict[str, Any] = {
        "format": "pairs of mdkern neighbors",
        "n_pairs": arrays["i"][0][0] if arrays["i"][0] else None,
        "cutoff": None,
        "arrays": {name: list(s) for name, (s, _) in arrays.items()},
    }
    if arrays.get("cutoff") == ((), "float64"):
        with np.load(path, allow_pickle=False) as file:
            facts["cutoff"] = float(file["cutoff"])
    return facts, {
        "pairs": f"{facts['n_pairs']:,} (both directions)",
        "cutoff": "by elements" if facts["cutoff"] is None else f"{facts['cutoff']:g} A",
        "arrays": ", ".join(arrays),
    }


def _h5md(path: str) -> _Shown:
    try:
        import h5py
    except ImportError:
        raise UsageError(f"{path}: H5MD needs h5py: pip install 'mdkern[h5md]'") from None
    import numpy as np
    from ase.formula import Formula
    from ase.symbols import Symbols

    try:
        with h5py.File(path, "r") as file:
            creator = dict(file["h5md/creator"].attrs)
            steps, times = file["step"][:], file["time"][:]
            numbers = file["particles/all/species"][:]
            frames = len(file["particles/all/position/value"])
    except (OSError, KeyError, ValueError) as e:
        text = one_line(str(e), 200)
        raise UsageError(f"{path}: not H5MD as mdkern md writes it: {text}") from e
    formula = str(Formula.from_list([str(s) for s in Symbols(numbers)]).reduce()[0])
    facts: dict[str, Any] = {
        "format": "H5MD",
        "frames": frames,
        "n_atoms": len(numbers),
        "formula": formula,
        "first_step": int(steps[0]) if len(steps) else None,
        "last_step": int(steps[-1]) if len(steps) else None,
        "last_time_ps": float(times[-1]) if len(times) else None,
        "creator": {k: v.tolist() if isinstance(v, np.generic) else v for k, v in creator.items()},
    }
    return facts, {
        "frames": f"{frames:,}, steps {facts['first_step']} to {facts['last_step']}",
        "time": f"{number(facts['last_time_ps'], 6, 'ps')} at the end",
        "atoms": f"{len(numbers):,}, {formula}",
        "written by": one_line(f"{creator.get('name')} {creator.get('version')}"),
        **{
            k.removeprefix("mdkern_"): one_line(str(v))
            for k, v in creator.items()
            if k in ("mdkern_potential", "mdkern_seed", "mdkern_command")
        },
    }


def _log(path: str) -> _Shown:
    import numpy as np

    with Path(path).open(encoding="utf-8", errors="replace") as file:
        try:
            header = json.loads(file.readline(_MAX_TEXT)[1:])
            names = file.readline(_MAX_TEXT).strip().split(",")
            rows = np.genfromtxt(file, delimiter=",", ndmin=2)
            table = {name: rows[:, k] for k, name in enumerate(names)}
            steps, temperature = table["step"], table["temperature_K"]
        except (ValueError, KeyError, IndexError) as e:
            text = one_line(str(e), 200)
            raise UsageError(f"{path}: not a log as mdkern md writes it: {text}") from e
    facts: dict[str, Any] = {
        "format": "log of mdkern md",
        "samples": len(rows),
        "columns": names,
        "first_step": int(steps[0]) if len(steps) else None,
        "last_step": int(steps[-1]) if len(steps) else None,
        "mean_temperature_K": float(temperature.mean()) if len(steps) else None,
        "header": header,
    }
    fields = {
        "samples": f"{len(rows):,}, steps {facts['first_step']} to {facts['last_step']}",
        "columns": one_line(", ".join(names)),
        "temperature": f"{number(facts['mean_temperature_K'], 4, 'K')} on average",
    }
    if isinstance(header, dict):
        for key in ("potential", "seed", "command"):
            fields[key] = one_line(str(header.get(key)))
    return facts, fields
