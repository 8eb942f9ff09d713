// What a load run does, from its flags.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_LOAD_OPTIONS_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_LOAD_OPTIONS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "client/load_generator/request_mix.h"
#include "ddgan/v1/image_generation.pb.h"

namespace ddgan {

struct LoadOptions {
  // Exactly one of the two is not 0. Callers of a closed loop:
  uint32_t concurrency = 0;
  // Calls per second of an open loop:
  double rate = 0.0;

  // Calls that are due before `warmup` has passed are made, but not counted.
  absl::Duration warmup = absl::Seconds(5);
  // Calls are sent for `duration` after that, or until `calls` of them were
  // due; the one that does not count is infinite or 0.
  absl::Duration duration = absl::Seconds(60);
  uint64_t calls = 0;

  // A call that has no reply after this long is given up. Above 0.
  absl::Duration timeout = absl::Minutes(1);
  // An open loop does not send a call while so many have no reply yet.
  uint32_t max_outstanding = 10'000;
  // Calls of each count that are made one at a time before the run. 0: none,
  // and nothing is known of what a call takes if it is alone.
  uint32_t standalone_calls = 5;

  // Of all randomness in the run.
  uint64_t seed = 1;
  MixOptions mix;
  // What all calls have in common: model and format.
  v1::GenerateRequest request;
  // Compare the bytes of images that were made before.
  bool verify = false;
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_LOAD_OPTIONS_H_
