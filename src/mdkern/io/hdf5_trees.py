"""What HDF5 files keep names and chunks in: symbol tables, B-trees of both kinds, fractal heaps, fixed arrays."""

from __future__ import annotations

from collections.abc import Iterator

from mdkern.io.hdf5_file import NOTHING, Bytes

__all__ = ["FractalHeap", "chunks_of_fixed_array", "chunks_of_tree", "records", "symbols"]

_MAX_LEVELS = 16


def symbols(file: Bytes, tree: int, heap: int) -> Iterator[tuple[str, int]]:
    """Names, and addresses of headers, of the members of a group of the old kind."""
    file.sign(heap, b"HEAP")
    n_names, _, names_at = file.unpack("QQQ", heap + 8)
    file.spend(n_names // 64)
    names = file.take(names_at, n_names)
    for node in _leaves(file, tree, 0, 0):
        file.sign(node, b"SNOD")
        (count,) = file.unpack("H", node + 6)
        for m in range(count):
            offset, header, cache = file.unpack("QQI", node + 8 + 40 * m)
            end = names.find(b"\0", offset) if offset < n_names else -1
            if end < 0:
                file.fail(f"name at {offset} of {n_names} bytes of names")
            name = names[offset:end].decode("utf-8", "replace")
            if cache == 2:
                file.fail(f"{name!r}: links are refused")
            yield name, header


def _leaves(file: Bytes, at: int, kind: int, rank: int) -> Iterator[int]:
    """Children of the lowest nodes of a version-1 B-tree; of chunks the addresses of their keys."""
    key = 8 if kind == 0 else 8 + 8 * (rank + 1)
    todo = [(at, _MAX_LEVELS)]
    while todo:
        at, above = todo.pop()
        file.sign(at, b"TREE")
        found, level, used = file.unpack("BBH", at + 4)
        if found != kind or level >= above:
            file.fail(f"tree node at {at} of type {found}, level {level}")
        places = [at + 24 + k * (key + 8) for k in range(used)]
        if level:
            todo += [(file.unpack("Q", p + key)[0], level) for p in reversed(places)]
        elif kind == 0:
            for p in places:
                yield file.unpack("Q", p + key)[0]
        else:
            yield from places


def chunks_of_tree(file: Bytes, tree: int, rank: int) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Offsets, address and stored bytes of chunks, by a version-1 B-tree."""
    if tree == NOTHING:
        return
    for place in _leaves(file, tree, 1, rank):
        size, mask, *offset, address = file.unpack(f"II{rank + 1}QQ", place)
        if mask:
            file.refuse("an HDF5 chunk that filters left out")
        yield tuple(offset[:rank]), address, size


def records(file: Bytes, at: int, kinds: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Type, address and size of the records of a version-2 B-tree, in the order of their keys."""
    file.sign(at, b"BTHD")
    file.check(at, at + 34)
    version, kind, node_size, size, depth, _, _, root, n, _ = file.unpack("BBIHHBBQHQ", at + 4)
    if version or kind not in kinds or depth > _MAX_LEVELS or not 0 < size <= node_size - 10:
        file.fail(f"tree at {at} of type {kind}, depth {depth}, records of {size} bytes")
    if root == NOTHING:
        return
    # Of each level: bytes of the number of all records below a node.
    most = (node_size - 10) // size
    width, below, totals = _bytes_for(most), [0], most
    for _ in range(depth):
        pointer = 8 + width + below[-1]
        fits = (node_size - 10 - pointer) // (size + pointer)
        if fits < 1:
            file.fail(f"tree at {at} with nodes of {node_size} bytes")
        totals = (fits + 1) * totals + fits
        below.append(_bytes_for(totals))

    def walk(at: int, n: int, level: int) -> Iterator[tuple[int, int, int]]:
        file.sign(at, b"BTIN" if level else b"BTLF")
        if file.unpack("BB", at + 4) != (0, kind):
            file.fail(f"tree node at {at} of another type")
        if n * size > node_size:
            file.fail(f"tree node at {at} with {n} records")
        end = at + 6 + n * size
        pointer = 8 + width + (below[level - 1] if level > 1 else 0)
        file.check(at, end + (pointer * (n + 1) if level else 0))
        for k in range(n + 1):
            if level:
                place = end + k * pointer
                (child,) = file.unpack("Q", place)
                yield from walk(child, file.integer(width, place + 8), level - 1)
            if k < n:
                yield kind, at + 6 + k * size, size

    yield from walk(root, n, depth)


def _bytes_for(n: int) -> int:
    """Bytes that a number up to n takes."""
    return (max(n, 1).bit_length() + 7) // 8


class FractalHeap:
    """Objects by their identifiers of 7 or 8 bytes.

    Raises
    ------
    FormatError
        Damaged.
    UnsupportedError
        Filtered heaps.
    """

    def __init__(self, file: Bytes, at: int) -> None:
        self.file = file
        file.sign(at, b"FRHP")
        file.check(at, at + 142)
        self.at = at
        version, self.id_size, filters, self.flags, most = file.unpack("BHHBI", at + 4)
        (self.huge,) = file.unpack("Q", at + 22)
        self.width, start, largest, bits = file.unpack("HQQH", at + 110)
        self.root, self.rows = file.unpack("QH", at + 132)
        if filters:
            file.refuse("a compressed HDF5 heap")
        powers = all(x > 0 and not x & (x - 1) for x in (self.width, start, largest))
        if version or not powers or not start <= largest <= 2**32 or not 0 < bits <= 64:
            file.fail(f"heap at {at} with blocks of {start} to {largest} bytes")
        self.start, self.largest = start, largest
        self.offset_size = (bits + 7) // 8
        self.length_size = min(_bytes_for(largest - 1), _bytes_for(most))

    def place(self, at: int) -> tuple[int, int]:
        """Address and size of the object whose identifier is at this address."""
        file = self.file
        kind = file.unpack("B", at)[0]
        if kind & 0xC0:
            file.fail(f"heap object of version {kind >> 6}")
        if kind & 0x30 == 0x20:
            return at + 1, (kind & 15) + 1
        if kind & 0x30 == 0x10:
            wanted = file.integer(min(self.id_size - 1, 8), at + 1)
            for _, record, _ in records(file, self.huge, (1,)):
                address, length, found = file.unpack("QQQ", record)
                if found == wanted:
                    return address, length
            file.fail(f"no object {wanted} in the heap at {self.at}")
        offset = file.integer(self.offset_size, at + 1)
        length = file.integer(self.length_size, at + 1 + self.offset_size)
        block, base, size = self._block(offset)
        if offset - base + length > size:
            file.fail(f"heap object of {length} bytes beyond its block")
        return block + offset - base, length

    def _block(self, offset: int) -> tuple[int, int, int]:
        """Address, first offset and size of the direct block that has this offset."""
        file, at, rows, base = self.file, self.root, self.rows, 0
        if not rows:
            return self._direct(at, 0, self.start)
        direct = (self.largest // self.start).bit_length() + 1
        for _ in range(_MAX_LEVELS):
            file.sign(at, b"FHIB")
            head = 13 + self.offset_size
            file.check(at, at + head + 8 * self.width * rows)
            row, first = 0, base
            size = self.start
            while row < rows and offset >= first + self.width * size:
                first += self.width * size
                size = self.start << row
                row += 1
            if row >= rows:
                break
            k = (offset - first) // size
            at = file.unpack("Q", at + head + 8 * (row * self.width + k))[0]
            base = first + k * size
            if row < direct:
                return self._direct(at, base, size)
            rows = (size // (self.start * self.width)).bit_length()
        return file.fail(f"no offset {offset} in the heap at {self.at}")

    def _direct(self, at: int, base: int, size: int) -> tuple[int, int, int]:
        self.file.sign(at, b"FHDB")
        if self.file.integer(self.offset_size, at + 13) != base:
            self.file.fail(f"heap block at {at} of another offset")
        if self.flags & 2:
            self.file.check(at, at + size, at + 13 + self.offset_size)
        return at, base, size


def chunks_of_fixed_array(
    file: Bytes, at: int, counts: tuple[int, ...], filtered: int
) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Numbers along each axis, address and stored bytes of chunks; `filtered`: the bytes of a chunk's size, 0 without filters."""
    if at == NOTHING:
        return
    file.sign(at, b"FAHD")
    file.check(at, at + 24)
    _, client, entry, page_bits = file.unpack("BBBB", at + 4)
    n, block = file.unpack("QQ", at + 8)
    total = 1
    for c in counts:
        total *= c
    if client != bool(filtered) or entry != (12 + filtered if filtered else 8) or n != total:
        file.fail(f"array at {at} of {n} entries of {entry} bytes; expected {total}")
    if block == NOTHING:
        return
    file.sign(block, b"FADB")
    place, page = block + 14, 1 << min(page_bits, 63)
    bitmap = b""
    if n > page:
        size = (-(-n // page) + 7) // 8
        bitmap = file.take(place, size)
        file.check(block, place + size)
        place += size + 4
    else:
        file.check(block, place + n * entry)
    for k in range(n):
        if bitmap:
            number, inside = divmod(k, page)
            if not inside and number:
                place += 4  # checksum of the page before
            if not bitmap[number // 8] >> (7 - number % 8) & 1:
                place += entry
                file.spend()
                continue
            if not inside:
                file.check(place, place + entry * min(page, n - k))
        (address,) = file.unpack("Q", place)
        size = 0
        if filtered:
            size = file.integer(filtered, place + 8)
            if file.unpack("I", place + 8 + filtered)[0]:
                file.refuse("an HDF5 chunk that filters left out")
        place += entry
        if address == NOTHING:
            continue
        rest, where = k, []
        for c in reversed(counts):
            rest, i = divmod(rest, c)
            where.append(i)
        yield tuple(reversed(where)), address, size
