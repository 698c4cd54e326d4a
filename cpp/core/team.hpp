// The threads that share the work of one call.
//
// Worker threads are started by OpenMP, in a parallel region that never ends, and take jobs from
// mailboxes. So how they wait is ours, whatever the OpenMP runtime and its OMP_WAIT_POLICY: a worker
// without a job spins for some microseconds, as the next loop of a step follows at once, and then
// sleeps, as somebody else may need the CPU.
//
// Nobody ever waits for a worker that has not begun: whoever calls works too, takes parts from the
// same counters, and goes on when none is left. A worker that the system schedules late (another
// process has its CPU) costs its help and nothing else; one that is stopped in the middle of a part
// keeps all waiting, and for a while there are no teams.
#pragma once

#include <cstdint>

namespace mdkern {

// body(context, thread): takes parts of the work until none is left. It may be run by fewer threads
// than asked for, and must not throw.
using TeamBody = void (*)(void* context, int thread);

// Runs body on the calling thread, as thread 0, and on those of n_threads - 1 workers that come in
// time; returns when all that began are done. What workers wrote is visible then. Several threads
// may call at the same time: each gets workers of its own, or does without.
void team_run(int n_threads, TeamBody body, void* context);

// Whether a worker is awake, so that a team costs a microsecond and not some ten.
bool team_is_awake();

// Whether a team had to wait for a worker that did not run, because another process has its CPU, not
// long ago: ten times as long as it waited. One thread alone is faster then.
bool team_is_hindered();

// For loops in which one thread waits for another: offers the CPU, and looks after the workers of
// this thread's team. `looks` counts the calls since the waiting began.
void team_wait(std::int64_t looks);

// Around fork(): a child has none of its parent's workers and starts its own.
void team_before_fork();
void team_after_fork(bool in_child);

}  // namespace mdkern
