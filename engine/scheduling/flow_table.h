// Callers with work, and the shares of the devices that they have had.
#ifndef DDGAN_ENGINE_SCHEDULING_FLOW_TABLE_H_
#define DDGAN_ENGINE_SCHEDULING_FLOW_TABLE_H_

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "engine/api/generation.h"
#include "engine/scheduling/batch_policy.h"

namespace ddgan {

// A *flow* is one caller's requests of one class. A flow without requests is
// remembered while it owes service (batch_policy.h), so that a caller cannot
// shed its debt by going away; after that its place may be reused.
// Thread-compatible.
class FlowTable {
 public:
  // Longest part of a caller's name that tells it from others, in bytes.
  static constexpr size_t kMaxCallerSize = 256;
  // Flows that are remembered while they have no requests.
  static constexpr size_t kMaxFlows = 4096;

  // `weights`: shares of callers by name, each > 0; who is not named has 1.
  explicit FlowTable(std::map<std::string, double> weights)
      : weights_(std::move(weights)) {}

  // Counts `request` in. Returns its flow, an index into shares().flows.
  size_t Enter(const GenerationRequest& request);
  // A request of the flow has ended.
  void Leave(size_t flow);

  // ChargeRows of batch_policy.h.
  void Charge(absl::Span<const RunnableTrajectory> runnable,
              absl::Span<const size_t> rows) {
    ChargeRows(runnable, rows, &shares_);
  }

  const Shares& shares() const { return shares_; }

 private:
  // A flow, beside its FlowShare at the same index.
  struct Flow {
    std::string caller;
    size_t requests = 0;
  };

  double WeightOf(const GenerationRequest& request) const;
  // A flow that may be forgotten, or a new one.
  size_t FreeFlow();

  const std::map<std::string, double> weights_;
  std::vector<Flow> flows_;
  Shares shares_;
  std::map<std::pair<RequestClass, std::string>, size_t> index_;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_SCHEDULING_FLOW_TABLE_H_
