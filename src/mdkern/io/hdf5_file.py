"""HDF5 files: addresses, object headers and their messages, what a file may cost.

Nothing in a file is trusted: every address is checked, every step counts towards a bound that grows with the file, and checksums are
compared where the format has them. (HDF5 File Format Specification 3.0, The HDF Group; R. Jenkins, lookup3, 2006.)
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from typing import Any, NoReturn

from mdkern.errors import FormatError, UnsupportedError

__all__ = ["NOTHING", "SIGNATURE", "Bytes", "checksum"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
NOTHING = 2**64 - 1  # the address of what is not there

_STEPS = 100_000  # of a small file; a large one has one more for every 8 bytes
_UNPACKED = 12 * 2**20  # bytes that arrays may have beyond those of the file


class Bytes:
    """The bytes of an HDF5 file, and its object headers.

    Parameters
    ----------
    path : str
        For messages.
    data : bytes
        The file.

    Attributes
    ----------
    root : int
        Address of the header of the root group.

    Raises
    ------
    FormatError
        Damaged; takes more steps than a file of this size can need.
    UnsupportedError
        User blocks, drivers, addresses that have not 8 bytes.
    """

    def __init__(self, path: str, data: bytes | mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.steps = _STEPS + len(data) // 8
        self.decoded = 4 * (len(data) + _UNPACKED)
        self.checked: set[tuple[int, int]] = set()
        self.room = len(data) + _UNPACKED
        self.root = self._superblock()

    def fail(self, message: str) -> NoReturn:
        raise FormatError(f"damaged HDF5 file: {message}", self.path)

    def refuse(self, feature: str) -> NoReturn:
        raise UnsupportedError(
            f"{self.path}: {feature} is not read; 'python -m mdkern.io.by_h5py {self.path} NEW' saves the file "
            "anew with h5py, for files that you trust"
        )

    def spend(self, steps: int = 1) -> None:
        self.steps -= steps
        if self.steps < 0:
            self.fail("its structure goes in circles")

    def unpack(self, layout: str, at: int) -> tuple[Any, ...]:
        """Little-endian numbers, as of `struct`."""
        self.spend()
        layout = "<" + layout
        if not 0 <= at <= len(self.data) - struct.calcsize(layout):
            self.fail(f"address {at} is beyond the end, {len(self.data)} bytes")
        return struct.unpack_from(layout, self.data, at)

    def integer(self, size: int, at: int) -> int:
        """A number of any size."""
        return int.from_bytes(bytes(self.unpack(f"{size}B", at)), "little")

    def take(self, at: int, n: int) -> bytes:
        self.spend()
        if not 0 <= at <= len(self.data) - n or n < 0:
            self.fail(f"{n} bytes at {at} are beyond the end, {len(self.data)} bytes")
        return bytes(self.data[at : at + n])

    def sign(self, at: int, want: bytes) -> None:
        if self.take(at, 4) != want:
            self.fail(f"no {want.decode()} at {at}")

    def check(self, at: int, end: int, place: int | None = None) -> None:
        """Compare the checksum at `place`, or at `end`, with that of the bytes from `at` to `end`, once; in them it counts as 0."""
        if (at, end) in self.checked:
            return
        self.checked.add((at, end))
        self.spend((end - at) // 8)
        place = end if place is None else place
        data = self.take(at, end - at)
        if place < end:
            data = data[: place - at] + bytes(4) + data[place - at + 4 :]
        if self.unpack("I", place) != (checksum(data),):
            self.fail(f"the bytes from {at} to {end} have another checksum")

    def _superblock(self) -> int:
        if self.take(0, 8) != SIGNATURE:
            self.fail("no signature")
        (version,) = self.unpack("B", 8)
        if version > 3:
            self.refuse(f"HDF5 superblock of version {version}")
        if version < 2:
            sizes, at = self.unpack("BB", 13), 24 + 4 * version
            base, _, end, driver = self.unpack("4Q", at)
            (root,) = self.unpack("Q", at + 40)
        else:
            sizes, driver = self.unpack("BB", 9), NOTHING
            base, _, end, root = self.unpack("4Q", 12)
            self.check(0, 44)
        if (*sizes, base, driver) != (8, 8, 0, NOTHING):
            self.refuse("an HDF5 file with a user block, a driver, or short addresses")
        if end > len(self.data):
            self.fail(f"{len(self.data)} bytes; expected {end}")
        return int(root)

    def messages(self, at: int) -> Iterator[tuple[int, int, int]]:
        """Type, address and size of each message of an object header."""
        modern = self.take(at, 4) == b"OHDR"
        blocks = [self._header_2(at) if modern else self._header_1(at)]
        while blocks:
            at, end, order = blocks.pop(0)
            head = 8 if order is None else 4 + order
            while at + head <= end:
                if order is None:
                    kind, length, flags = self.unpack("HHB", at)
                else:
                    kind, length, flags = self.unpack("BHB", at)
                at += head
                if at + length > end:
                    self.fail(f"message at {at} is longer than its block")
                if flags & 2:
                    self.refuse("an HDF5 message that objects share (a named type)")
                if kind == 0x10:
                    blocks.append(self._block(at, order))
                elif kind:
                    yield kind, at, length
                at += length

    def _header_1(self, at: int) -> tuple[int, int, int | None]:
        version, _, _, _, size = self.unpack("BBHII", at)
        if version != 1:
            self.fail(f"object header at {at} of version {version}")
        return at + 16, at + 16 + size, None

    def _header_2(self, at: int) -> tuple[int, int, int | None]:
        version, flags = self.unpack("BB", at + 4)
        if version != 2:
            self.fail(f"object header at {at} of version {version}")
        place = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        size = self.integer(1 << (flags & 3), place)
        place += 1 << (flags & 3)
        self.check(at, place + size)
        return place, place + size, 2 if flags & 4 else 0

    def _block(self, at: int, order: int | None) -> tuple[int, int, int | None]:
        place, size = self.unpack("QQ", at)
        if order is None:
            return place, place + size, None
        if size < 8:
            self.fail(f"a block of {size} bytes at {place}")
        self.sign(place, b"OCHK")
        self.check(place, place + size - 4)
        return place + 4, place + size - 4, order

    def grant(self, shape: tuple[int, ...], item: int, what: str) -> int:
        """Bytes of an array, where all so far fit to the size of the file: counted as numbers of 8 bytes, which they become."""
        n = math.prod(shape)
        self.room -= n * max(item, 4)
        if self.room < 0:
            raise FormatError(
                f"{what}: shape {show_shape(shape)}; with the others more than a file of {len(self.data)} bytes may hold",
                self.path,
            )
        return int(n * item)


def show_shape(shape: tuple[int, ...]) -> str:
    return str(shape) if len(shape) <= 4 else f"of {len(shape)} dimensions"


def checksum(data: bytes) -> int:
    """Jenkins' lookup3 of bytes."""
    mask = 0xFFFFFFFF
    a = b = c = (0xDEADBEEF + len(data)) & mask
    if not data:
        return c
    whole = (len(data) - 1) // 12
    padded = data.ljust(12 * (whole + 1), b"\0")
    words: tuple[int, ...] = struct.unpack(f"<{3 * (whole + 1)}I", padded)
    for k in range(0, 3 * whole, 3):
        a, b, c = (a + words[k]) & mask, (b + words[k + 1]) & mask, (c + words[k + 2]) & mask
        for shift in (4, 6, 8, 16, 19, 4):
            a = ((a - c) & mask) ^ ((c << shift | c >> (32 - shift)) & mask)
            c = (c + b) & mask
            a, b, c = b, c, a
    a, b, c = (x + y & mask for x, y in zip((a, b, c), words[-3:], strict=True))
    for shift in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - ((b << shift | b >> (32 - shift)) & mask)) & mask
        a, b, c = b, c, a
    # The last of the seven rounds mixed the number that counts, and then the three were turned.
    return b
