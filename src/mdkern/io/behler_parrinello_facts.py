"""What a folder of n2p2 or RuNNer holds, for ``mdkern info``."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from mdkern.io.behler_parrinello import Member, read_behler_parrinello
from mdkern.io.symmetry_functions import ANGULAR, COMPACT, WEIGHTED
from mdkern.registry import Description

__all__ = ["describe_behler_parrinello"]

_CUTOFFS = (
    "hard",
    "cos",
    "tanh^3",
    "tanh^3, normalised",
    "exp",
    "polynomial p1",
    "polynomial p2",
    "polynomial p3",
    "polynomial p4",
)


def describe_behler_parrinello(path: str | os.PathLike[str]) -> Description:
    """Elements, symmetry functions, scaling and nets; of a committee those of its first member.

    Lengths and energies stand in the units of the files, which do not say what they are.
    """
    model = read_behler_parrinello(path)
    member = model.members[0]
    kinds = [Counter(f.kind for f in of_element) for of_element in member.functions]
    facts: dict[str, Any] = {
        "format": "n2p2",
        "species": list(model.species),
        "n_members": len(model.members),
        "cutoff": member.cutoff,
        "cutoff_type": member.cutoff_type,
        "cutoff_alpha": member.alpha,
        "n_functions": {s: len(f) for s, f in zip(model.species, member.functions, strict=True)},
        "types": {
            s: {str(kind): n for kind, n in sorted(k.items())}
            for s, k in zip(model.species, kinds, strict=True)
        },
        "scaling": member.scaling_mode,
        "hidden": {s: nodes for s, (nodes, _) in _nets(model.species, member).items()},
        "activations": {s: letters for s, (_, letters) in _nets(model.species, member).items()},
        "normalised": member.conv_energy != 1.0 or member.mean_energy != 0.0,
        "mean_energy": member.mean_energy,
        "conv_energy": member.conv_energy,
        "atom_energies": dict(zip(model.species, member.atom_energies.tolist(), strict=True)),
        "n_parameters": sum(
            w.size + b.size
            for m in model.members
            for net in m.networks
            for w, b in zip(net.weights, net.biases, strict=True)
        ),
    }
    alpha = f", alpha {member.alpha:g}" if member.alpha else ""
    used = {kind for k in kinds for kind in k}
    fields = {
        "format": "n2p2, second generation",
        "members": str(facts["n_members"]),
        "species": ", ".join(model.species),
        "cutoff": f"{member.cutoff:g} in the folder's unit of length",
        "cutoff function": f"{member.cutoff_type}, {_CUTOFFS[member.cutoff_type]}{alpha}",
    }
    for s, k in zip(model.species, kinds, strict=True):
        listed = ", ".join(f"{n} of type {kind}" for kind, n in sorted(k.items()))
        nodes, letters = _nets(model.species, member)[s]
        fields[f"functions of {s}"] = f"{sum(k.values())}: {listed}"
        fields[f"network of {s}"] = f"{' '.join(map(str, nodes)) or 'no hidden nodes'} ({letters})"
    fields["scaling"] = member.scaling_mode
    if facts["normalised"]:
        fields["normalised"] = (
            f"mean {member.mean_energy:.6g}, conv_energy {member.conv_energy:.6g}"
        )
    fields["parameters"] = f"{facts['n_parameters']:,}"
    topics = ["Behler-Parrinello", "n2p2"]
    topics += ["polynomial symmetry functions"] if used & set(COMPACT) else []
    topics += ["weighted symmetry functions"] if used & set(WEIGHTED) else []
    facts["angular"] = bool(used & set(ANGULAR))
    return Description(facts=facts, fields=fields, topics=tuple(topics))


def _nets(species: tuple[str, ...], member: Member) -> dict[str, tuple[list[int], str]]:
    return {
        s: ([len(b) for b in net.biases[:-1]], net.activations)
        for s, net in zip(species, member.networks, strict=True)
    }
