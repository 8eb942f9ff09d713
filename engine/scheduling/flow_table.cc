#include "engine/scheduling/flow_table.h"

#include <algorithm>

namespace ddgan {

size_t FlowTable::Enter(const GenerationRequest& request) {
  const auto request_class = static_cast<size_t>(request.request_class);
  const double weight = WeightOf(request);
  std::pair<RequestClass, std::string> key(
      request.request_class, request.caller.substr(0, kMaxCallerSize));
  auto found = index_.find(key);
  if (found == index_.end()) {
    const size_t flow = FreeFlow();
    flows_[flow].caller = key.second;
    shares_.flows[flow] = {request.request_class, weight, 0};
    found = index_.emplace(std::move(key), flow).first;
  }
  Flow& flow = flows_[found->second];
  FlowShare& share = shares_.flows[found->second];
  double& active_weight = shares_.active_weight[request_class];
  if (flow.requests > 0) active_weight += weight - share.weight;
  share.weight = weight;
  if (flow.requests++ == 0) {
    share.service =
        ServiceOnReturn(share.service, shares_.virtual_time[request_class]);
    active_weight += weight;
  }
  return found->second;
}

void FlowTable::Leave(size_t flow) {
  if (--flows_[flow].requests > 0) return;
  const FlowShare& share = shares_.flows[flow];
  double& weight =
      shares_.active_weight[static_cast<size_t>(share.request_class)];
  weight = std::max(weight - share.weight, 0.0);
}

double FlowTable::WeightOf(const GenerationRequest& request) const {
  if (request.caller_weight.has_value()) return *request.caller_weight;
  const auto weight = weights_.find(request.caller.substr(0, kMaxCallerSize));
  return weight == weights_.end() ? 1 : weight->second;
}

size_t FlowTable::FreeFlow() {
  for (size_t flow = 0; flow < flows_.size(); ++flow) {
    if (flows_[flow].requests > 0) continue;
    const FlowShare& share = shares_.flows[flow];
    const bool owes =
        share.service >
        shares_.virtual_time[static_cast<size_t>(share.request_class)];
    if (owes && flows_.size() < kMaxFlows) continue;
    index_.erase({share.request_class, flows_[flow].caller});
    return flow;
  }
  flows_.emplace_back();
  shares_.flows.emplace_back();
  return flows_.size() - 1;
}

}  // namespace ddgan
