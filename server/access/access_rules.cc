#include "server/access/access_rules.h"

#include <algorithm>

namespace ddgan {
namespace {

// Health is open: probes and load balancers carry no token, and all that it
// tells is whether calls are worth sending here.
constexpr AccessRule kRules[] = {
    {"/ddgan.v1.ImageGeneration/Generate", Scope::kGenerate},
    {"/ddgan.v1.ImageGeneration/GenerateStream", Scope::kGenerate},
    {"/ddgan.v1.ModelService/ListModels", Scope::kRead},
    {"/ddgan.v1.ModelService/GetModel", Scope::kRead},
    {"/ddgan.v1.ModelService/WatchModels", Scope::kRead},
    {"/ddgan.v1.ModelService/PinVersion", Scope::kAdmin},
    {"/ddgan.v1.ModelService/UnpinVersion", Scope::kAdmin},
    {"/ddgan.v1.ModelService/RollBack", Scope::kAdmin},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Scope::kRead},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
     Scope::kRead},
    {"/inference.GRPCInferenceService/ModelInfer", Scope::kGenerate},
    {"/inference.GRPCInferenceService/ModelReady", Scope::kRead},
    {"/inference.GRPCInferenceService/ServerMetadata", Scope::kRead},
    {"/inference.GRPCInferenceService/ModelMetadata", Scope::kRead},
    {"/inference.GRPCInferenceService/ModelConfig", Scope::kRead},
    {"/inference.GRPCInferenceService/ModelStatistics", Scope::kRead},
    {"/inference.GRPCInferenceService/RepositoryIndex", Scope::kRead},
    {"/inference.GRPCInferenceService/ServerLive", std::nullopt},
    {"/inference.GRPCInferenceService/ServerReady", std::nullopt},
    {"/grpc.health.v1.Health/Check", std::nullopt},
    {"/grpc.health.v1.Health/Watch", std::nullopt},
};

constexpr const char* kScopeNames[kNumScopes] = {"generate", "read", "admin"};

}  // namespace

const char* NameOf(Scope scope) { return kScopeNames[static_cast<int>(scope)]; }

std::optional<Scope> ScopeNamed(absl::string_view name) {
  for (int i = 0; i < kNumScopes; ++i) {
    if (name == kScopeNames[i]) return static_cast<Scope>(i);
  }
  return std::nullopt;
}

absl::Span<const AccessRule> AccessRules() { return kRules; }

const AccessRule* RuleFor(absl::string_view path) {
  const auto rule =
      std::find_if(std::begin(kRules), std::end(kRules),
                   [path](const AccessRule& r) { return r.path == path; });
  return rule == std::end(kRules) ? nullptr : rule;
}

}  // namespace ddgan
