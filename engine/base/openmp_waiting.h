// How threads of OpenMP wait for work.
#ifndef DDGAN_ENGINE_BASE_OPENMP_WAITING_H_
#define DDGAN_ENGINE_BASE_OPENMP_WAITING_H_

namespace ddgan {

// Lets the threads wait by `policy`: "ACTIVE", spinning, which wakes them at
// once, or "PASSIVE", asleep, which leaves the processor to others. OpenMP's
// library reads that when it is loaded, before main, so this starts the program
// anew, once, with OMP_WAIT_POLICY in its environment. Where the user has set
// that variable it counts, and nothing is done. Should the start fail, a line
// on stderr says so and the process goes on as it is.
//
// To be called first in main, with its `argv`. The process is called `program`
// in ps afterwards.
void ChooseOpenMpWaiting(const char* program, const char* policy, char** argv);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_OPENMP_WAITING_H_
