// The number of threads: argument of a call > set_num_threads() > MDKERN_NUM_THREADS >
// OMP_NUM_THREADS > available CPUs.
#pragma once

#include <cstdint>
#include <string>

namespace mdkern {

// Reads the environment, installs the fork handlers. std::runtime_error on a bad variable of ours;
// OMP_NUM_THREADS is everybody's: a bad one is passed over, and what there is to say returned.
std::string init_threads();
int available_cpus();  // affinity mask and cgroup quota of this process
int available_cpus_at_start();
// For threads of ours: to all CPUs of the process, where the OpenMP runtime bound its first thread to some of them.
void leave_place();
int get_num_threads();
void set_num_threads(int n);  // n >= 1, checked by the caller
bool has_openmp();

// Threads for one loop, or for some in a row, over `work` items that take one thread about `ns`
// nanoseconds each. requested > 0 is the call's own argument; otherwise the setting counts, lowered
// where someone (threadpoolctl, joblib) lowered OpenMP's own limit since import. So many threads at
// most as have kTeamNs of work each, or kWakeNs where the workers sleep and have to be woken.
int team_size(int requested, std::int64_t work, double ns);
constexpr double kTeamNs = 25e3, kWakeNs = 40e3;

}  // namespace mdkern
