#include "potentials/morse.hpp"

#include "core/threads.hpp"
#include "model/potential.hpp"

namespace mdkern {

namespace {

constexpr double kPairNs = 3.0;  // of a listed pair, for team_size()

class Morse final : public Potential {
public:
    explicit Morse(const Fields& f)
        : params_{f.number("D"),
                  f.number("alpha"),
                  f.number("r0"),
                  f.number("cutoff"),
                  f.number("e0"),
                  f.number("r_on"),
                  f.number("r_on") < f.number("cutoff")} {}
    Traits traits() const override {
        Traits t;
        t.cutoff = params_.r_cut;
        t.nine_virials = true;
        t.forces_alone = true;
        return t;
    }
    std::unique_ptr<Workspace> workspace() const override { return std::make_unique<Workspace>(); }
    void compute(Table& table, Workspace&, const Outputs& out, int threads) const override {
        const Neighbors list = table.neighbors();
        morse_compute(params_, table.system(), list, team_size(threads, list.n_pairs, kPairNs),
                      out);
    }

private:
    MorseParams params_;
};

const Registration registration = register_potential<Morse>("morse");

}  // namespace

}  // namespace mdkern
