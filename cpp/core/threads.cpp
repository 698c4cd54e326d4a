#include "core/threads.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/cgroup.hpp"
#include "core/team.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

namespace mdkern {

namespace {

std::atomic<int> setting{1};
int omp_limit_at_import = 1, cpus_at_start = 1;

int omp_limit() {
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

// A number of threads, or the first one of a list such as "4,2" where a list is allowed
// (OMP_NUM_THREADS); 0: it is none.
int parse_count(const char* text, bool list) {
    errno = 0;
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    while (end && *end == ' ') ++end;
    const bool tail_ok = end && (*end == '\0' || (list && *end == ','));
    const bool good = end != text && tail_ok && errno == 0 && n >= 1 && n <= 65536;
    return good ? int(n) : 0;
}

std::string bad_count(const char* name, const char* text) {
    return std::string("environment variable ") + name + ": '" + text +
           "' is not valid; expected an integer from 1 to 65536";
}

#if defined(__linux__)
// OMP_PROC_BIND and OMP_PLACES make GCC's runtime bind the thread that loads it to the first of its places, and threads
// that are not its own inherit that mask. What the process had before is all places together. Without such
// variables both are empty.
cpu_set_t bound_mask, whole_mask;

void find_whole_mask() {
    CPU_ZERO(&bound_mask);
    CPU_ZERO(&whole_mask);
#if _OPENMP >= 201511
    cpu_set_t before;
    const bool known = sched_getaffinity(0, sizeof before, &before) == 0;
    const int here = omp_get_place_num();
    if (here < 0) return;
    // The question binds a thread that has no place yet, whatever mask it has by somebody's choice.
    if (known) sched_setaffinity(0, sizeof before, &before);
    cpu_set_t place, all;
    CPU_ZERO(&all);
    for (int k = 0; k < omp_get_num_places(); ++k) {
        std::vector<int> cpus(std::size_t(std::max(0, omp_get_place_num_procs(k))));
        omp_get_place_proc_ids(k, cpus.data());
        CPU_ZERO(&place);
        for (const int cpu : cpus)
            if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &place);
        if (k == here) bound_mask = place;
        CPU_OR(&all, &all, &place);
    }
    if (CPU_COUNT(&all) > CPU_COUNT(&bound_mask)) whole_mask = all;
#endif
}

// The CPUs of a thread, by its number or 0 for the caller: all places where it has the mask that the runtime gave it. One
// that somebody else chose stays. False: the system does not tell.
bool own_mask(pid_t thread, cpu_set_t& set) {
    CPU_ZERO(&set);
    if (sched_getaffinity(thread, sizeof set, &set) != 0) return false;
    if (CPU_COUNT(&whole_mask) > 0 && CPU_EQUAL(&set, &bound_mask)) set = whole_mask;
    return true;
}
#endif

#if defined(__unix__) || defined(__APPLE__)
void in_parent() { team_after_fork(false); }
void in_child() { team_after_fork(true); }
#endif

}  // namespace

int available_cpus() {
    int n = int(std::max(1u, std::thread::hardware_concurrency()));
#if defined(__linux__)
    cpu_set_t set;
    if (own_mask(0, set)) n = std::max(1, CPU_COUNT(&set));
#endif
    return int(std::min(double(n), std::ceil(cgroup_cpus().cpus)));
}

void leave_place() {
#if defined(__linux__)
    // The runtime gave this worker a place of its own. The mask of the process is that of its first thread.
    cpu_set_t set;
    if (CPU_COUNT(&whole_mask) > 0 && own_mask(getpid(), set))
        sched_setaffinity(0, sizeof set, &set);
#endif
}

std::string init_threads() {
#if defined(__linux__)
    find_whole_mask();
#endif
    cpus_at_start = available_cpus();
    const char* own = std::getenv("MDKERN_NUM_THREADS");
    const char* omp = std::getenv("OMP_NUM_THREADS");
    std::string complaint;
    int n = 0;
    if (own && *own) {
        n = parse_count(own, false);
        if (n == 0) throw std::runtime_error(bad_count("MDKERN_NUM_THREADS", own));
    } else if (omp && *omp) {
        n = parse_count(omp, true);
        if (n == 0) complaint = bad_count("OMP_NUM_THREADS", omp) + "; it is ignored";
    }
    setting = n > 0 ? n : cpus_at_start;
    omp_limit_at_import = omp_limit();
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(team_before_fork, in_parent, in_child);
#endif
    return complaint;
}

int available_cpus_at_start() { return cpus_at_start; }

int get_num_threads() { return setting; }
void set_num_threads(int n) { setting = n; }

bool has_openmp() {
#if defined(_OPENMP)
    return true;
#else
    return false;
#endif
}

int team_size(int requested, std::int64_t work, double ns) {
    const double total = double(work) * ns;
    if (!has_openmp() || total < 2.0 * kTeamNs) return 1;
    int n = requested;
    if (requested <= 0) {
        n = setting;
        const int now = omp_limit();
        if (now < omp_limit_at_import) n = std::min(n, now);
    }
    if (n <= 1 || team_is_hindered()) return 1;
    const double most = total / (team_is_awake() ? kTeamNs : kWakeNs);
    return most >= n ? n : std::max(1, int(most));
}

}  // namespace mdkern
