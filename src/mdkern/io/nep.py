"""``nep.txt`` of GPUMD: neuroevolution potentials NEP3, NEP4 and NEP5, with charges, and their tensor models.

Every header variant of the versions since mid-2022 is read: old and new flags of the 4- and 5-body
terms, cutoffs with and without neighbor counts, one pair of cutoffs for all or for each type,
universal, typewise and flexible ZBL.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from mdkern import _core
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.files import FileModel
from mdkern.io.foreign import check_foreign
from mdkern.io.text import read_head, read_text, show

__all__ = [
    "BODY_ORDERS",
    "NepCharge",
    "NepModel",
    "NepNetworks",
    "NepZbl",
    "is_nep",
    "is_nep_tensor",
    "read_nep",
]

# Flags of the line l_max in the order of the file, and the l that each couples.
BODY_ORDERS: dict[str, tuple[int, ...]] = {
    "222": (2, 2, 2),
    "1111": (1, 1, 1, 1),
    "112": (1, 1, 2),
    "123": (1, 2, 3),
    "233": (2, 3, 3),
    "134": (1, 3, 4),
}

MAX_FILE_BYTES = 256 * 2**20
MAX_TYPES = 94  # H .. Pu: what the format can name
MAX_N, MAX_BASIS, MAX_L, MAX_HIDDEN = 31, 31, 8, 1000
MAX_CUTOFF = 100.0  # Angstrom; larger ones are damaged files, and would exhaust the memory later
MAX_MAGNITUDE = 1e100  # keeps products of two parameters finite

_TAG = re.compile(r"nep([0-9]*)((?:_[a-z0-9]+)*)")
_NUMBERS = re.compile(rb"[0-9eE+.\-\s]*")
_INTEGER = re.compile(rb"[+-]?[0-9]{1,9}")
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")

Array = NDArray[np.float64]
Kind = Literal["potential", "dipole", "polarizability"]


@dataclass(frozen=True, slots=True)
class NepNetworks:
    """One network per type; with NEP3 a single one for all.

    Attributes
    ----------
    w0 : (n_nets, hidden, n_descriptors) array
    b0, w1 : (n_nets, hidden) array
    bias : (n_nets,) array
        The constant to subtract, that of the type (NEP5) included.
    """

    w0: Array
    b0: Array
    w1: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class NepZbl:
    """Screened nuclear repulsion.

    Attributes
    ----------
    inner, outer : (n_types, n_types) array
        Where the switching begins and ends for each pair of types, in Angstrom.
    phi : (n_types, n_types, 8) array or None
        Screening function a1 b1 .. a4 b4 of each pair (flexible); None: the universal one.
    """

    inner: Array
    outer: Array
    phi: Array | None


@dataclass(frozen=True, slots=True)
class NepCharge:
    """Charges of the atoms and how they interact (qNEP).

    Attributes
    ----------
    mode : int
        1: Ewald sum; 2: its reciprocal part alone; 3: its real part alone, shifted to end smoothly.
    networks : NepNetworks
        The networks of the energy with the weights that give the charge, in e.
    sqrt_eps_inf : float
        Factor of the Born effective charges, the square root of the electronic permittivity.
    """

    mode: int
    networks: NepNetworks
    sqrt_eps_inf: float


@dataclass(frozen=True, slots=True)
class NepModel(FileModel):
    """Content of a ``nep.txt``.

    Attributes
    ----------
    tag : str
        First word of the file, such as ``nep4_zbl``.
    version : int
        3, 4 or 5.
    kind : {"potential", "dipole", "polarizability"}
    path : str
        For messages.
    species : tuple of str
        Chemical symbols in the order of the types.
    rc_radial, rc_angular : (n_types,) array
        Cutoffs in Angstrom; a pair has the mean of its two types'.
    l_max : int
        Largest l of the 3-body descriptors.
    bodies : tuple of str
        Flags that are on, of "222", "1111", "112", "123", "233", "134", in this order.
    networks : NepNetworks
    scalar : NepNetworks or None
        Second set of networks of a polarizability model: its isotropic part.
    c_radial : (n_radial, basis_radial, n_types, n_types) array
    c_angular : (n_angular, basis_angular, n_types, n_types) array
        Coefficients of the basis functions by centre and neighbor type.
    q_scaler : (n_descriptors,) array
    zbl : NepZbl or None
    charge : NepCharge or None
    n_values : int
        Numbers in the file behind the header.
    """

    tag: str
    version: int
    kind: Kind
    path: str
    species: tuple[str, ...]
    rc_radial: Array
    rc_angular: Array
    l_max: int
    bodies: tuple[str, ...]
    networks: NepNetworks
    scalar: NepNetworks | None
    c_radial: Array
    c_angular: Array
    q_scaler: Array
    zbl: NepZbl | None
    charge: NepCharge | None
    n_values: int

    @property
    def n_descriptors(self) -> int:
        """Length of the descriptor."""
        return len(self.q_scaler)

    @property
    def hidden(self) -> int:
        """Neurons of the hidden layer."""
        return int(self.networks.w0.shape[1])

    @property
    def cutoff(self) -> float:
        """Largest distance of two atoms that interact, in Angstrom."""
        return float(max(self.rc_radial.max(), self.rc_angular.max()))

    def pair_cutoffs(self, rc: Array) -> Array:
        """(n_types, n_types) table of the mean cutoffs."""
        return np.asarray((rc[:, None] + rc[None, :]) / 2)


def is_nep(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as a ``nep.txt`` does."""
    words = read_head(path)[:200].split(maxsplit=1)
    return bool(words) and re.fullmatch(rb"nep[0-9]*(_[a-z0-9]+)*", words[0]) is not None


def is_nep_tensor(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as a ``nep.txt`` of dipoles or polarizabilities does."""
    tag = read_head(path)[:200].split(maxsplit=1)[:1]
    return is_nep(path) and tag[0].endswith((b"_dipole", b"_polarizability"))


def read_nep(path: str | os.PathLike[str]) -> NepModel:
    """Read a ``nep.txt``.

    Parameters
    ----------
    path : str
        File written by GPUMD's ``nep`` program.

    Returns
    -------
    NepModel

    Raises
    ------
    FormatError
        The file does not follow the format; names path and line.
    UnsupportedError
        Dispersion and temperature models, two hidden layers, NEP1 and NEP2.
    OSError
        The file cannot be read.
    """
    return _Reader(path).read()


class _Reader:
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        if not is_nep(path):
            check_foreign(path)
        self.lines = read_text(path, MAX_FILE_BYTES).split(b"\n", 8)
        self.line = 0

    def fail(self, message: str, line: int | None = None) -> NoReturn:
        raise FormatError(message, self.path, line)

    # --- header

    def header(self, keyword: str, counts: Any, what: str) -> list[bytes]:
        """Words behind the keyword of the next line."""
        words = self.lines[self.line].split() if self.line < len(self.lines) else []
        self.line += 1
        if not words or words[0] != keyword.encode():
            have = show(b" ".join(words[:1])) if words else "nothing"
            self.fail(f"{have}; expected {keyword!r} and {what}", self.line)
        if len(words) - 1 not in counts:
            self.fail(f"{len(words) - 1} values behind {keyword!r}; expected {what}", self.line)
        return words[1:]

    def integer(self, word: bytes, low: int, high: int, what: str) -> int:
        if not _INTEGER.fullmatch(word) or not low <= int(word) <= high:
            self.fail(f"{what}: {show(word)}; expected an integer from {low} to {high}", self.line)
        return int(word)

    def real(self, word: bytes, low: float, high: float, what: str) -> float:
        if not _NUMBER.fullmatch(word) or not low <= float(word) <= high:
            self.fail(
                f"{what}: {show(word)}; expected a number from {low:g} to {high:g}", self.line
            )
        return float(word)

    def read(self) -> NepModel:
        version, kind, charge_mode, with_zbl, tag, species = self._first_line()
        n_types = len(species)
        zbl_words: list[bytes] = []
        if with_zbl:
            zbl_words = self.header("zbl", (2, 3), "inner and outer cutoff, perhaps a factor")
        rc_radial, rc_angular = self._cutoffs(n_types)
        n_radial, n_angular = self._pair("n_max", MAX_N)
        k_radial, k_angular = self._pair("basis_size", MAX_BASIS)
        l_max, bodies = self._l_max()
        words = self.header("ANN", (2,), "the number of neurons and 0")
        hidden = self.integer(words[0], 1, MAX_HIDDEN, "neurons")
        if self.integer(words[1], 0, MAX_HIDDEN, "neurons of a second layer"):
            raise UnsupportedError(f"{self.path}:{self.line}: networks of two hidden layers")
        zbl_line = 2
        n_zbl, inner, outer = self._zbl_range(zbl_words, zbl_line, species)

        n_d = n_radial + n_angular * (l_max + len(bodies))
        n_nets = 1 if version == 3 else n_types
        charged = charge_mode > 0
        per_net = (n_d + 2 + charged) * hidden + (version == 5)
        n_sets = 2 if kind == "polarizability" else 1
        n_c = n_types**2 * (n_radial * k_radial + n_angular * k_angular)
        count = n_sets * (n_nets * per_net + 1) + charged + n_c + n_d + n_zbl
        values = _Values(self._numbers(count))
        charge = None
        if charged:
            networks, charge = values.charged_networks(n_nets, hidden, n_d, charge_mode)
        else:
            networks = values.networks(n_nets, hidden, n_d, version)
        scalar = values.networks(n_nets, hidden, n_d, version) if n_sets == 2 else None
        c_radial = values.take(n_radial, k_radial, n_types, n_types)
        c_angular = values.take(n_angular, k_angular, n_types, n_types)
        q_scaler = values.take(n_d)
        zbl = None
        if with_zbl:
            zbl = self._zbl(inner, outer, values, n_types, bool(n_zbl))
        return NepModel(
            tag=tag,
            version=version,
            kind=kind,
            path=self.path,
            species=species,
            rc_radial=rc_radial,
            rc_angular=rc_angular,
            l_max=l_max,
            bodies=bodies,
            networks=networks,
            scalar=scalar,
            c_radial=c_radial,
            c_angular=c_angular,
            q_scaler=q_scaler,
            zbl=zbl,
            charge=charge,
            n_values=count,
        )

    def _first_line(self) -> tuple[int, Kind, int, bool, str, tuple[str, ...]]:
        words = self.lines[0].split()
        self.line = 1
        tag = words[0].decode("ascii", "replace") if words else ""
        match = _TAG.fullmatch(tag)
        if match is None:
            self.fail(f"{show(words[0]) if words else 'nothing'}; expected a tag such as nep4", 1)
        version = int(match[1][:4] or 1)
        extras = match[2].split("_")[1:]
        where = f"{self.path}:1: {tag}:"
        if version not in (3, 4, 5):
            raise UnsupportedError(f"{where} NEP{version}; mdkern evaluates NEP3, NEP4 and NEP5")
        with_zbl = extras[:1] == ["zbl"]
        extras = extras[with_zbl:]
        refused = {
            "vdw": "models with dispersion (vdw)",
            "temperature": "models of the free energy with a temperature",
        }
        for word in extras:
            for name, what in refused.items():
                if re.fullmatch(name + "[0-9]*", word):
                    raise UnsupportedError(f"{where} {what} are not evaluated")
        kind: Kind = "potential"
        charge_mode = 0
        if version == 4 and extras in (["charge1"], ["charge2"], ["charge3"]):
            charge_mode = int(extras[0][-1])
        elif extras in (["dipole"], ["polarizability"]) and not with_zbl:
            kind = "dipole" if extras == ["dipole"] else "polarizability"
        elif extras:
            raise UnsupportedError(f"{where} models of kind {'_'.join(extras)!r} are not evaluated")
        if len(words) < 2:
            self.fail("no number of types behind the tag", 1)
        n_types = self.integer(words[1], 1, MAX_TYPES, "number of types")
        if len(words) != 2 + n_types:
            self.fail(
                f"{len(words) - 2} chemical symbols; expected {n_types}, one for each type", 1
            )
        species = tuple(word.decode("ascii", "replace") for word in words[2:])
        for symbol in species:
            if not 1 <= atomic_numbers.get(symbol, 0) <= MAX_TYPES:
                self.fail(f"unknown chemical symbol {symbol[:20]!r}; expected one of H to Pu", 1)
        if len(set(species)) != n_types:
            self.fail(f"species {', '.join(species)}; expected different ones", 1)
        return version, kind, charge_mode, with_zbl, tag, species

    def _cutoffs(self, n_types: int) -> tuple[Array, Array]:
        what = "cutoffs rcR rcA for all or for each type, then two neighbor counts"
        words = self.header("cutoff", (2, 4, 2 * n_types + 2), what)
        n_pairs = 1 if len(words) in (2, 4) else n_types
        values = [self.real(w, 1e-3, MAX_CUTOFF, "cutoff") for w in words[: 2 * n_pairs]]
        for word in words[2 * n_pairs :]:  # largest numbers of neighbors in training: not needed
            self.real(word, 0, 1e9, "number of neighbors")
        rc = np.broadcast_to(np.array(values).reshape(n_pairs, 2), (n_types, 2))
        for radial, angular in rc.tolist():
            if angular > radial:
                self.fail(
                    f"angular cutoff {angular:g}; expected at most the radial cutoff {radial:g}",
                    self.line,
                )
        return rc[:, 0].copy(), rc[:, 1].copy()

    def _pair(self, keyword: str, high: int) -> tuple[int, int]:
        """Numbers of functions: the file has their largest indices."""
        words = self.header(keyword, (2,), "the numbers of radial and angular functions")
        a, b = (self.integer(word, 0, high, keyword) for word in words)
        return a + 1, b + 1

    def _l_max(self) -> tuple[int, tuple[str, ...]]:
        what = f"l_max and up to {len(BODY_ORDERS)} flags"
        words = self.header("l_max", range(1, 2 + len(BODY_ORDERS)), what)
        l_max = self.integer(words[0], 1, MAX_L, "l_max")
        # Files before the flags of 2025 have l_max of the 4-body terms, 2, as a flag.
        flags = [self.integer(word, 0, 9, "flag of l_max") for word in words[1:]]
        bodies = tuple(name for name, on in zip(BODY_ORDERS, flags, strict=False) if on)
        for name in bodies:
            if max(BODY_ORDERS[name]) > l_max:
                self.fail(
                    f"descriptors {name} with l_max {l_max}; expected l_max of at least "
                    f"{max(BODY_ORDERS[name])}",
                    self.line,
                )
        return l_max, bodies

    # --- ZBL

    def _zbl_range(
        self, words: list[bytes], line: int, species: tuple[str, ...]
    ) -> tuple[int, Array, Array]:
        """Values of the flexible table, and the cutoffs of the pairs otherwise."""
        n = len(species)
        if not words:
            return 0, np.zeros((n, n)), np.zeros((n, n))
        after, self.line = self.line, line
        inner, outer = (self.real(w, 0.0, MAX_CUTOFF, "zbl cutoff") for w in words[:2])
        factor = self.real(words[2], 0.0, MAX_CUTOFF, "zbl factor") if len(words) == 3 else None
        if factor == 0.0:
            self.fail("zbl factor 0; expected more than 0", line)
        self.line = after
        if inner == 0.0 and outer == 0.0:
            return 5 * n * (n + 1), np.zeros((n, n)), np.zeros((n, n))
        if not inner < outer:
            self.fail(f"zbl cutoffs {inner:g} {outer:g}; expected inner < outer", line)
        if factor is not None:
            radius = np.array([COVALENT_RADII[atomic_numbers[s] - 1] for s in species])
            limit = np.minimum(outer, factor * (radius[:, None] + radius[None, :]))
            return 0, np.zeros((n, n)), limit
        return 0, np.full((n, n), inner), np.full((n, n), outer)

    def _zbl(
        self, inner: Array, outer: Array, values: _Values, n_types: int, flexible: bool
    ) -> NepZbl:
        if not flexible:
            return NepZbl(inner, outer, None)
        rows = values.take(n_types * (n_types + 1) // 2, 10)
        a, b = np.triu_indices(n_types)
        table = np.empty((n_types, n_types, 10))
        table[a, b] = table[b, a] = rows
        if not (rows[:, 0] >= 0.0).all() or not (rows[:, 0] < rows[:, 1]).all():
            k = int(np.argmin((rows[:, 0] >= 0.0) & (rows[:, 0] < rows[:, 1])))
            self.fail(
                f"flexible zbl, pair {k + 1}: cutoffs {rows[k, 0]:g} {rows[k, 1]:g}; expected "
                "0 <= inner < outer"
            )
        return NepZbl(table[..., 0].copy(), table[..., 1].copy(), table[..., 2:].copy())

    # --- parameters

    def _numbers(self, count: int) -> Array:
        """The rest of the file: exactly `count` finite numbers."""
        rest = b"\n".join(self.lines[self.line :])
        values = _core.read_numbers(rest, count)
        # Behind one number too many nothing was read.
        if values is None or (len(values) > count and not _NUMBERS.fullmatch(rest)):
            self._blame(rest)
        if len(values) != count:
            last = self.line + len(rest.rstrip().split(b"\n"))
            found = sum(1 for _ in re.finditer(rb"\S+", rest))
            self.fail(f"{found} numbers behind the header; expected {count}", last)
        if not (np.abs(values) <= MAX_MAGNITUDE).all():
            self._blame(rest)
        return np.asarray(values)

    def _blame(self, rest: bytes) -> NoReturn:
        for k, line in enumerate(rest.split(b"\n")):
            for word in line.split():
                if not _NUMBER.fullmatch(word) or not abs(float(word)) <= MAX_MAGNITUDE:
                    self.fail(f"{show(word)}; expected a finite number", self.line + 1 + k)
        self.fail("expected numbers behind the header", self.line + 1)


class _Values:
    """Numbers handed out in the order of the file."""

    def __init__(self, values: Array) -> None:
        self.values = values
        self.at = 0

    def take(self, *shape: int) -> Array:
        n = int(np.prod(shape))
        self.at += n
        return self.values[self.at - n : self.at].reshape(shape)

    def networks(self, n_nets: int, hidden: int, n_d: int, version: int) -> NepNetworks:
        block = self.take(n_nets, (n_d + 2) * hidden + (version == 5))
        common = self.take(1)
        w0, rest = np.split(block, [n_d * hidden], axis=1)
        bias = common + (rest[:, -1] if version == 5 else 0.0)
        return NepNetworks(
            w0=w0.reshape(n_nets, hidden, n_d).copy(),
            b0=rest[:, :hidden].copy(),
            w1=rest[:, hidden : 2 * hidden].copy(),
            bias=np.broadcast_to(bias, n_nets).copy(),
        )

    def charged_networks(
        self, n_nets: int, hidden: int, n_d: int, mode: int
    ) -> tuple[NepNetworks, NepCharge]:
        """Networks whose last layer has two rows, energy and charge; one more number before the constant."""
        w0, b0, w1, w1_charge = np.split(
            self.take(n_nets, (n_d + 3) * hidden),
            [n_d * hidden, (n_d + 1) * hidden, (n_d + 2) * hidden],
            axis=1,
        )
        w0, b0 = w0.reshape(n_nets, hidden, n_d).copy(), b0.copy()
        sqrt_eps_inf, bias = self.take(2).tolist()
        charge = NepNetworks(w0=w0, b0=b0, w1=w1_charge.copy(), bias=np.zeros(n_nets))
        energy = NepNetworks(w0=w0, b0=b0, w1=w1.copy(), bias=np.full(n_nets, bias))
        return energy, NepCharge(mode=mode, networks=charge, sqrt_eps_inf=sqrt_eps_inf)


# Angstrom, H .. Pu: 4/3 of the D3 covalent radii (P. Pyykkoe and M. Atsumi, Chem. Eur. J. 15, 186 (2009);
# S. Grimme et al., J. Chem. Phys. 132, 154104 (2010)), in the rounding of the format's own program.
COVALENT_RADII = np.array(
    [
        float(x)
        for x in [
            "0.426667",
            "0.613333",
            "1.6",
            "1.25333",
            "1.02667",
            "1.0",
            "0.946667",
            "0.84",
            "0.853333",
            "0.893333",
            "1.86667",
            "1.66667",
            "1.50667",
            "1.38667",
            "1.46667",
            "1.36",
            "1.32",
            "1.28",
            "2.34667",
            "2.05333",
            "1.77333",
            "1.62667",
            "1.61333",
            "1.46667",
            "1.42667",
            "1.38667",
            "1.33333",
            "1.32",
            "1.34667",
            "1.45333",
            "1.49333",
            "1.45333",
            "1.53333",
            "1.46667",
            "1.52",
            "1.56",
            "2.52",
            "2.22667",
            "1.96",
            "1.85333",
            "1.76",
            "1.65333",
            "1.53333",
            "1.50667",
            "1.50667",
            "1.44",
            "1.53333",
            "1.64",
            "1.70667",
            "1.68",
            "1.68",
            "1.64",
            "1.76",
            "1.74667",
            "2.78667",
            "2.34667",
            "2.16",
            "1.96",
            "2.10667",
            "2.09333",
            "2.08",
            "2.06667",
            "2.01333",
            "2.02667",
            "2.01333",
            "2.0",
            "1.98667",
            "1.98667",
            "1.97333",
            "2.04",
            "1.94667",
            "1.82667",
            "1.74667",
            "1.64",
            "1.57333",
            "1.54667",
            "1.48",
            "1.49333",
            "1.50667",
            "1.76",
            "1.73333",
            "1.73333",
            "1.81333",
            "1.74667",
            "1.84",
            "1.89333",
            "2.68",
            "2.41333",
            "2.22667",
            "2.10667",
            "2.02667",
            "2.04",
            "2.05333",
            "2.06667",
        ]
    ]
)
