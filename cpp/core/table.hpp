// What a potential sees of atoms and their neighbors, wherever they come from: the neighbor table of
// one process (neighbors/table.hpp), or rows and a list of a parallel code (capi/ghost_table.hpp).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/types.hpp"

namespace mdkern {

// The cell that repeats. Null where the caller has given none: what needs it must refuse.
struct Box {
    const double* cell = nullptr;  // (3, 3)
    const bool* pbc = nullptr;     // (3)
};

class Table {
public:
    virtual ~Table() = default;
    virtual System system() const = 0;
    // Pairs in both directions, as the full list has them, with the skin.
    virtual std::int64_t n_pairs() const = 0;
    // The full list, with the skin. Not there for who said Traits::half_list.
    virtual Neighbors neighbors() const = 0;
    // The same pairs as a half list, and the plan of its tiles; made once per build.
    virtual HalfList half(int team) = 0;
    virtual std::size_t half_room() const = 0;  // entries that its first[] may point into
    // The number of the build that the list comes from: plans hold as long as it stays.
    virtual std::int64_t build_number() const = 0;
    // How far apart two rows may be now, where they can come within `cutoff` of each other before the
    // next build: infinite where the atoms do not stand as the list was made for, or nobody knows.
    virtual double reach(double cutoff) const = 0;
    virtual Box box() const = 0;
    // Whether all atoms are here; otherwise rows behind the real ones are atoms of other processes.
    virtual bool whole() const = 0;
    // Gives every row behind the real ones the values of the atom that it stands for: row r has
    // values[stride r + c], c < width <= Traits::exchange_width. Inside one process a copy, in a
    // parallel code communication; so all processes call it together, as often as
    // Traits::exchanges says.
    virtual void forward(double* values, int width, int stride, int threads) const = 0;
    // The other way, and as forward is called: adds to every real row what the rows behind the real
    // ones that stand for the same atom have, in an order that does not depend on threads. What
    // those have afterwards is undefined.
    virtual void reverse(double* values, int width, int stride, int threads) const = 0;
    // Gives n numbers the sums of what all processes have there; all call it together.
    virtual void sum(double* values, std::int64_t n) const = 0;
};

}  // namespace mdkern
