// A sink that does nothing, for tests and benchmarks that count what the engine
// itself costs.
#ifndef DDGAN_TESTS_FAKES_SILENT_SINK_H_
#define DDGAN_TESTS_FAKES_SILENT_SINK_H_

#include "engine/api/generation.h"

namespace ddgan {

class SilentSink : public GenerationSink {
 public:
  void OnImage(GeneratedImage) override {}
  void OnFinished(const absl::Status&, const GenerationTimings&) override {}
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_SILENT_SINK_H_
