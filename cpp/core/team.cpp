#include "core/team.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "core/threads.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sched.h>
#include <time.h>
#endif

namespace mdkern {

namespace {

using Clock = std::chrono::steady_clock;

// How long a worker looks for its next job before it sleeps. The gaps between the parallel loops of
// a step, and between steps of a native loop, are shorter.
constexpr auto kSpin = std::chrono::microseconds(100);
constexpr int kLooks = 64;          // looks between two of the clock: about 2 us
constexpr int kYieldsToWatch = 64;  // between two looks after a worker: some 20 us
constexpr std::int64_t kStalledNs = 100'000, kRest = 10, kLongestRestNs = 200'000'000;
constexpr int kLooksToYield = 512;  // at a worker's end, before the caller offers its CPU

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

inline void offer_cpu() {
#if defined(__unix__) || defined(__APPLE__)
    sched_yield();
#else
    std::this_thread::yield();
#endif
}

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
        .count();
}

enum class Mail : int { none, posted, taken };

struct Worker;

// All workers, and those without a job: the first in the list had one last. Never destroyed, as
// workers use it until the process ends.
struct Pool {
    std::mutex lock;
    std::condition_variable started;
    Worker* idle = nullptr;
    int n_workers = 0;
    int most = std::numeric_limits<int>::max();  // workers that the runtime gives
    std::atomic<int> awake{0};                   // workers that have a job or look for one
    std::atomic<std::int64_t> rest_until{0};     // time before which there are no teams
};
Pool* pool = new Pool;

// One worker: a mailbox of its own, on lines of its own. It lives as long as the process.
struct alignas(128) Worker {
    std::atomic<Mail> mail{Mail::none};
    std::atomic<bool> asleep{false};
    TeamBody body = nullptr;
    void* context = nullptr;
    int thread = 0;
    Worker* next = nullptr;  // in a crew, or among the idle
    std::mutex lock;
    std::condition_variable wake;

    void post(TeamBody b, void* c, int number) {
        body = b;
        context = c;
        thread = number;
        mail.store(Mail::posted);
        // Either this sees that the worker sleeps, or the worker sees the job before it does.
        if (!asleep.load()) return;
        const std::lock_guard<std::mutex> hold(lock);
        wake.notify_one();
    }
    // Nothing runs the job when this returns.
    void finish() {
        Mail was = Mail::posted;
        if (mail.compare_exchange_strong(was, Mail::none, std::memory_order_acq_rel)) return;
        for (std::int64_t looks = 0; mail.load(std::memory_order_acquire) != Mail::none; ++looks)
            if (looks < kLooksToYield)
                relax();
            else
                wait(looks - kLooksToYield);
    }
    // While another thread waits for this one; it counts the calls in `looks`.
    void wait(std::int64_t looks) {
        offer_cpu();
        if (looks % kYieldsToWatch != 0) return;
        const std::int64_t now = now_ns(), used = cpu_ns();
        if (looks == 0) {
            seen_at = now;
            seen_used = used;
        } else if (now - seen_at > kStalledNs) {
            if (used - seen_used < (now - seen_at) / 4)
                pool->rest_until = now + std::min(kRest * (now - seen_at), kLongestRestNs);
        }
    }
    // Time that it ran, where the system tells.
    std::int64_t cpu_ns() const {
#if defined(__linux__)
        timespec t;
        if (has_clock && clock_gettime(clock, &t) == 0)
            return std::int64_t(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
#endif
        return now_ns();
    }
    // By the worker itself.
    void begin() {
#if defined(__linux__)
        has_clock = pthread_getcpuclockid(pthread_self(), &clock) == 0;
#endif
    }
    [[noreturn]] void serve() {
        for (;;) {
            const auto until = Clock::now() + kSpin;
            for (int looks = 1; mail.load(std::memory_order_relaxed) != Mail::posted; ++looks) {
                relax();
                if (looks % kLooks == 0 && Clock::now() > until) sleep();
            }
            Mail was = Mail::posted;
            if (!mail.compare_exchange_strong(was, Mail::taken, std::memory_order_acq_rel))
                continue;
            body(context, thread);
            mail.store(Mail::none, std::memory_order_release);
        }
    }

private:
#if defined(__linux__)
    clockid_t clock{};
    bool has_clock = false;
#endif
    std::int64_t seen_at = 0, seen_used = 0;  // when the waiting began
    void sleep() {
        std::unique_lock<std::mutex> hold(lock);
        asleep.store(true);
        --pool->awake;
        while (mail.load() != Mail::posted) wake.wait(hold);
        ++pool->awake;
        asleep.store(false);
    }
};

#if defined(_OPENMP)
// Starts n workers; returns when they run. The region is opened by a thread of its own, whose first
// it is: no thread of the caller ever has an OpenMP team, which would not survive a fork.
void start(int n, std::unique_lock<std::mutex>& hold) {
    struct Start {
        int begun = 0, given = -1;
    };
    const auto s = std::make_shared<Start>();
    std::thread([n, s] {
#pragma omp parallel num_threads(n)
        {
            leave_place();
            auto* me = new Worker;
            me->begin();
            {
                Pool& p = *pool;
                const std::lock_guard<std::mutex> own(p.lock);
                Worker** last = &p.idle;
                while (*last) last = &(*last)->next;
                *last = me;
                ++p.n_workers;
                ++p.awake;
                ++s->begun;
                s->given = omp_get_num_threads();
                p.started.notify_all();
            }
            me->serve();
        }
    }).detach();
    pool->started.wait(hold, [&] { return s->begun == s->given; });
    if (s->given < n) pool->most = pool->n_workers;
}
#endif

// Up to n idle workers, as a list.
Worker* take(int n) noexcept {
#if defined(_OPENMP)
    Pool& p = *pool;
    std::unique_lock<std::mutex> hold(p.lock);
    // Another caller has the others: more workers than CPUs would only get in each other's way.
    const int most = std::min(std::max(n, available_cpus_at_start() - 1), p.most);
    const int more = p.n_workers < n ? n - p.n_workers : p.idle ? 0 : n;
    if (const int wanted = std::min(more, most - p.n_workers); wanted > 0) {
        try {
            start(wanted, hold);
        } catch (...) {  // no more threads to be had: those that there are do
            p.most = p.n_workers;
        }
    }
    Worker *first = p.idle, **last = &first;
    while (n-- > 0 && *last) last = &(*last)->next;
    p.idle = *last;
    *last = nullptr;
    return first;
#else
    (void)n;
    return nullptr;
#endif
}

// In the same order, so that a worker meets the same part of the data again.
void give(Worker* first) {
    Worker* last = first;
    while (last->next) last = last->next;
    const std::lock_guard<std::mutex> hold(pool->lock);
    last->next = pool->idle;
    pool->idle = first;
}

thread_local Worker* own_crew = nullptr;  // of the call that this thread is in

}  // namespace

void team_run(int n_threads, TeamBody body, void* context) {
    Worker* crew = n_threads > 1 ? take(n_threads - 1) : nullptr;
    int thread = 0;
    for (Worker* w = crew; w; w = w->next) w->post(body, context, ++thread);
    Worker* const outer = std::exchange(own_crew, crew);
    body(context, 0);
    own_crew = outer;
    if (!crew) return;
    for (Worker* w = crew; w; w = w->next) w->finish();
    give(crew);
}

bool team_is_awake() { return pool->awake.load(std::memory_order_relaxed) > 0; }

bool team_is_hindered() {
    const std::int64_t until = pool->rest_until.load(std::memory_order_relaxed);
    if (until == 0) return false;
    if (now_ns() < until) return true;
    pool->rest_until = 0;
    return false;
}

void team_wait(std::int64_t looks) {
    for (Worker* w = own_crew; w; w = w->next)
        if (w->mail.load(std::memory_order_relaxed) == Mail::taken) return w->wait(looks);
    offer_cpu();
}

void team_before_fork() { pool->lock.lock(); }

void team_after_fork(bool in_child) {
    if (in_child)
        new (pool) Pool;
    else
        pool->lock.unlock();
}

}  // namespace mdkern
