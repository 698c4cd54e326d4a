#include "relax/relax_batch.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <numeric>
#include <thread>

#include "core/buffers.hpp"
#include "core/team.hpp"
#include "core/threads.hpp"
#include "relax/relax_loop.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace {

using Clock = std::chrono::steady_clock;
constexpr double kLook = 0.05;  // seconds between two looks of a thread at what the others do
constexpr auto kAsk = std::chrono::milliseconds(200);
constexpr auto kNap = std::chrono::microseconds(200);
constexpr std::int64_t kLooksToNap = 100;
constexpr std::int64_t kLarge = 2000;  // atoms of a structure that several threads share gladly
constexpr double kNsPerAtom = 1e6;     // of a relaxation

class Batch {
public:
    Batch(const RelaxPlan& plan, std::vector<RelaxTask>& tasks, int threads,
          const std::function<bool()>& pause)
        : plan_(plan), tasks_(tasks), threads_(threads), pause_(pause), order_(tasks.size()) {
        std::iota(order_.begin(), order_.end(), 0);
        std::stable_sort(order_.begin(), order_.end(), [&](std::int64_t a, std::int64_t b) {
            return tasks_[std::size_t(a)].atoms.n > tasks_[std::size_t(b)].atoms.n;
        });
        std::int64_t atoms = 0;
        for (const RelaxTask& t : tasks_) atoms += t.atoms.n;
        // A worker that came late once does not matter to a batch: nobody waits for it.
        int most = threads_ > 0 ? threads_ : get_num_threads();
        if (!team_is_hindered()) most = team_size(threads_, atoms, kNsPerAtom);
        team_ = std::max(1, std::min(most, int(std::min<std::size_t>(tasks_.size(), 1 << 20))));
        places_.resize(std::size_t(team_));
    }

    void run() {
        asked_ = Clock::now();
        on_team(team_, [this](int thread) { work(thread); });
        // What was put off is large: now all threads have it.
        for (Place& p : places_) {
            if (!p.task || stop_) continue;
            p.loop->set_threads(threads_);
            go_on(p, 0, false);
        }
    }

private:
    // Of a thread: the loop is kept from structure to structure, and so is its memory.
    struct Place {
        std::unique_ptr<RelaxLoop> loop;
        Buffer<double> energies;
        RelaxTask* task = nullptr;  // under way
    };

    void work(int thread) {
        Place& p = places_[std::size_t(thread)];
        const auto n = std::int64_t(order_.size());
        while (!stop_ && !p.task) {
            ++active_;  // before the look, so that thread 0 never sees that all is done when it is not
            const std::int64_t k = next_++;
            if (k < n) {
                p.task = &tasks_[std::size_t(order_[std::size_t(k)])];
                if (place(p)) go_on(p, thread, team_ > 1);
            }
            --active_;
            if (k >= n) break;
        }
        if (thread > 0) return;
        // Somebody has to look for signals until the others are done.
        for (std::int64_t looks = 0; active_ > 0; ++looks) {
            if (looks < kLooksToNap)
                team_wait(looks);
            else
                std::this_thread::sleep_for(kNap);
            ask();
        }
    }

    // Nothing may leave a thread of the team: all that is thrown becomes the structure's failure.
    bool place(Place& p) {
        RelaxTask& t = *p.task;
        try {
            if (!p.loop) {
                p.loop = std::make_unique<RelaxLoop>(plan_.potential, plan_.skin,
                                                     team_ > 1 ? 1 : threads_);
                p.loop->set_optimizer(plan_.optimizer());  // place() makes it forget
            }
            p.loop->set_cell(plan_.cell);
            p.loop->set_constraints(t.constraints);
            p.loop->place(t.atoms);
            t.first_energy = p.loop->potential_energy();
            t.placed = true;
            return true;
        } catch (const std::exception& e) {
            t.failure = e.what();
        } catch (...) {
            t.failure = "an exception of an unknown kind";
        }
        forget(p);
        return false;
    }

    // Until the structure is done, put off (where it may be), or the batch is interrupted.
    void go_on(Place& p, int thread, bool may_be_put_off) {
        RelaxTask& t = *p.task;
        RelaxLoop& loop = *p.loop;
        try {
            for (;;) {
                const RelaxOutcome r = loop.run(plan_.steps - t.steps, plan_.fmax, kLook);
                t.steps += r.steps;
                t.failure = r.failure;
                t.converged = t.failure.empty() && loop.converged(plan_.fmax);
                if (t.converged || !t.failure.empty() || t.steps >= plan_.steps) break;
                if (thread == 0) ask();
                if (stop_) return;
                if (may_be_put_off && t.atoms.n >= kLarge && next_ >= std::int64_t(order_.size()) &&
                    2 * active_ <= team_)
                    return;
            }
            loop.positions(t.positions);
            loop.cell(t.cell);
            loop.results(p.energies.reserve(std::size_t(t.atoms.n)), t.forces, t.virial);
            t.energy = loop.potential_energy();
            t.largest_force = loop.largest_force();
            t.overflow = loop.overflow();
            t.done = true;
            p.task = nullptr;
        } catch (const std::exception& e) {
            t.failure = e.what();
            forget(p);
        } catch (...) {
            t.failure = "an exception of an unknown kind";
            forget(p);
        }
    }

    // After an exception: nobody knows in which state the loop is.
    void forget(Place& p) {
        p.task->placed = false;
        p.task->converged = false;
        p.task->done = true;
        p.task = nullptr;
        p.loop.reset();
    }

    void ask() {
        if (stop_ || Clock::now() - asked_ < kAsk) return;
        asked_ = Clock::now();
        if (pause_ && pause_()) stop_ = true;
    }

    const RelaxPlan& plan_;
    std::vector<RelaxTask>& tasks_;
    const int threads_;
    const std::function<bool()>& pause_;
    std::vector<std::int64_t> order_;
    std::vector<Place> places_;
    int team_ = 1;
    std::atomic<std::int64_t> next_{0};
    std::atomic<int> active_{0};
    std::atomic<bool> stop_{false};
    Clock::time_point asked_;  // of the calling thread
};

}  // namespace

void relax_batch(const RelaxPlan& plan, std::vector<RelaxTask>& tasks, int threads,
                 const std::function<bool()>& pause) {
    if (tasks.empty()) return;
    Batch(plan, tasks, threads, pause).run();
}

}  // namespace mdkern
