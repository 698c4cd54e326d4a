// What the way forward leaves of a centre's triplets for the way back. Include from kernels only.
#pragma once

#include "potentials/behler_parrinello/symmetry_scratch.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// Memory of tiles that are kept: as long as all of a centre's fit, the way back finds them there.
class TripletTape {
public:
    TripletTape(const SymmetryScratch& scratch, std::size_t largest_tile)
        : memory_(scratch.tape), spare_(scratch.spare), largest_(largest_tile) {}
    void clear() { used_ = 0, kept_ = true; }
    bool kept() const { return kept_; }
    // A tile to fill. What is not kept uses the spare one.
    TripletTile& open(int set, const SymmetrySet& s) {
        if (used_ + kHeader + largest_ > kTape) kept_ = false;
        char* at = kept_ ? memory_ + used_ : spare_;
        TripletTile& tile = kept_ ? *reinterpret_cast<TripletTile*>(at) : single_;
        Arena arena{kept_ ? at + kHeader : at};
        SymmetryScratch::take_tile(arena, s, tile);
        tile.set = set;
        tile.n = tile.n_segments = 0;
        tile.bytes = kHeader + arena.used;
        return tile;
    }
    void close(const TripletTile& tile) {
        if (kept_) used_ += tile.bytes;
    }
    // body(tile) for all that are kept.
    template <class Body> void each(const Body& body) const {
        for (std::size_t at = 0; at < used_;) {
            const TripletTile& tile = *reinterpret_cast<const TripletTile*>(memory_ + at);
            body(tile);
            at += tile.bytes;
        }
    }

private:
    static constexpr std::size_t kHeader = (sizeof(TripletTile) + 63) / 64 * 64;
    char *memory_, *spare_;
    std::size_t largest_, used_ = 0;
    bool kept_ = true;
    TripletTile single_;
};

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
