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
int get_num_threads();
void set_num_threads(int n);  // n >= 1, checked by the caller
bool has_openmp();

// Threads for one call. requested > 0 is the call's own argument; otherwise the setting counts,
// lowered where someone (threadpoolctl, joblib) lowered OpenMP's own limit since import. Below
// `grain` units of work per thread fewer threads are used: waking a team costs 5 to 20 us, more
// than a small system takes.
int team_size(int requested, std::int64_t work, std::int64_t grain);

}  // namespace mdkern
