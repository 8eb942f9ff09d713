// What a call takes if the server has nothing else to do.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_STANDALONE_LATENCY_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_STANDALONE_LATENCY_H_

#include <cstdint>
#include <functional>
#include <map>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/image_client.h"
#include "client/load_generator/load_options.h"

namespace ddgan {

// The median of `options.standalone_calls` latencies for each count of the mix,
// one call at a time. One more call goes ahead, whose time is not counted: it
// connects. `on_call` gets the number of images of each reply.
// Blocks. The first error ends it. An empty map if no calls are wanted.
absl::StatusOr<std::map<uint32_t, absl::Duration>> MeasureStandaloneLatency(
    const ImageClient& client, const LoadOptions& options,
    const std::function<void(uint32_t images)>& on_call);

// Images that MeasureStandaloneLatency asks for. Pure.
uint32_t StandaloneImages(const LoadOptions& options);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_STANDALONE_LATENCY_H_
