// The clock for durations and timeouts: setting the system's time neither fires
// a timeout nor holds it up.
#ifndef DDGAN_ENGINE_BASE_MONOTONIC_CLOCK_H_
#define DDGAN_ENGINE_BASE_MONOTONIC_CLOCK_H_

#include "engine/base/clock.h"

namespace ddgan {

// A clock that is never set: whoever takes one cannot be given RealClock(). Its
// times are to be compared with each other only. A deadline that somebody gives
// as a time of day becomes one of them once, by the time that is left.
class MonotonicClock : public Clock {};

// Goes on at a steady pace from the system's time at its first use. Lives for
// ever, as does, from the first wait on, a thread that ends the waits.
MonotonicClock* RealMonotonicClock();

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_MONOTONIC_CLOCK_H_
