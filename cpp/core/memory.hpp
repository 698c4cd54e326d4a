// How much memory a result may take.
#pragma once

namespace mdkern {

// Bytes that this process may still take: what the system has available, lowered by a cgroup limit.
double available_memory();

}  // namespace mdkern
