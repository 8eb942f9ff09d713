#include "server/calls/call_trace.h"

#include <string>
#include <vector>

#include "engine/base/entropy.h"

namespace ddgan {
namespace {

std::vector<std::string> ValuesOf(const grpc::ServerContextBase& context,
                                  const char* key) {
  std::vector<std::string> values;
  const auto [begin, end] = context.client_metadata().equal_range(key);
  for (auto entry = begin; entry != end; ++entry) {
    values.emplace_back(entry->second.data(), entry->second.size());
  }
  return values;
}

}  // namespace

TraceContext TraceCall(grpc::ServerContextBase* context, double ratio) {
  TraceContext trace =
      ContinueTrace({.parents = ValuesOf(*context, kTraceParentKey),
                     .states = ValuesOf(*context, kTraceStateKey)},
                    DrawEntropy);
  if (trace.parent_id.empty()) {
    trace.sampled = IsInTraceRatio(trace.trace_id, ratio);
  }
  context->AddTrailingMetadata(kTraceParentKey, FormatTraceParent(trace));
  if (!trace.state.empty()) {
    context->AddTrailingMetadata(kTraceStateKey, trace.state);
  }
  return trace;
}

}  // namespace ddgan
