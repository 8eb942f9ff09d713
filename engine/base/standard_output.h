// Whether what a program prints has arrived.
#ifndef DDGAN_ENGINE_BASE_STANDARD_OUTPUT_H_
#define DDGAN_ENGINE_BASE_STANDARD_OUTPUT_H_

namespace ddgan {

// The exit code of a program that has printed what it was asked for: 0, or 1
// and a line on stderr if standard output did not take all of it, as on a full
// disk or for a reader that has left. Writes out what stdio and std::cout hold.
int EndOfOutput(const char* program);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_STANDARD_OUTPUT_H_
