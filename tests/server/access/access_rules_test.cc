#include "server/access/access_rules.h"

#include <google/protobuf/descriptor.h>

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ddgan/v1/image_generation.pb.h"
#include "ddgan/v1/model.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "gtest/gtest.h"
#include "inference/v2.pb.h"

namespace ddgan {
namespace {

std::set<std::string> PathsOf(const google::protobuf::FileDescriptor& file) {
  std::set<std::string> paths;
  for (int i = 0; i < file.service_count(); ++i) {
    for (int j = 0; j < file.service(i)->method_count(); ++j) {
      paths.insert(absl::StrCat("/", file.service(i)->full_name(), "/",
                                file.service(i)->method(j)->name()));
    }
  }
  return paths;
}

std::set<std::string> DescribedPaths() {
  std::set<std::string> paths;
  paths.merge(PathsOf(*v1::GenerateRequest::descriptor()->file()));
  paths.merge(PathsOf(*v1::ListModelsRequest::descriptor()->file()));
  paths.merge(PathsOf(*inference::ModelInferRequest::descriptor()->file()));
  paths.merge(
      PathsOf(*grpc::health::v1::HealthCheckRequest::descriptor()->file()));
  paths.merge(PathsOf(
      *grpc::reflection::v1::ServerReflectionRequest::descriptor()->file()));
  paths.merge(
      PathsOf(*grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()
                   ->file()));
  return paths;
}

TEST(AccessRulesTest, EveryRpcThatIsDescribedHasARule) {
  const std::set<std::string> paths = DescribedPaths();
  ASSERT_GE(paths.size(), 10u);
  for (const std::string& path : paths) {
    EXPECT_NE(RuleFor(path), nullptr)
        << path
        << " is a new RPC: server/access/access_rules.cc must say which scope "
        << "it needs";
  }
}

TEST(AccessRulesTest, EveryRuleIsAboutAnRpcThatThereIsAndOnce) {
  const std::set<std::string> paths = DescribedPaths();
  std::set<std::string> ruled;
  for (const AccessRule& rule : AccessRules()) {
    const std::string path(rule.path);
    EXPECT_TRUE(ruled.insert(path).second) << path;
    EXPECT_TRUE(paths.count(path)) << path;
  }
}

TEST(AccessRulesTest, OnlyHealthIsOpen) {
  const std::set<std::string> open = {
      "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
      "/inference.GRPCInferenceService/ServerLive",
      "/inference.GRPCInferenceService/ServerReady"};
  for (const AccessRule& rule : AccessRules()) {
    EXPECT_EQ(!rule.scope.has_value(), open.count(std::string(rule.path)) == 1)
        << rule.path;
  }
}

TEST(AccessRulesTest, WhateverChangesWhatServesIsForAdmins) {
  for (const AccessRule& rule : AccessRules()) {
    if (!absl::StrContains(rule.path, "ModelService/")) continue;
    const bool reads = absl::StrContains(rule.path, "/List") ||
                       absl::StrContains(rule.path, "/Get") ||
                       absl::StrContains(rule.path, "/Watch");
    EXPECT_EQ(rule.scope, reads ? Scope::kRead : Scope::kAdmin) << rule.path;
  }
}

TEST(AccessRulesTest, ThereIsNoRuleForAnythingElse) {
  for (const char* path :
       {"", "/", "/ddgan.v1.ImageGeneration", "/ddgan.v1.ImageGeneration/",
        "ddgan.v1.ImageGeneration/Generate",
        "/ddgan.v1.ImageGeneration/generate",
        "/ddgan.v1.ImageGeneration/Generate/",
        "//ddgan.v1.ImageGeneration/Generate",
        "/ddgan.v1.ImageGeneration/Generate?x"}) {
    EXPECT_EQ(RuleFor(path), nullptr) << path;
  }
}

TEST(AccessRulesTest, ScopesHaveTheNamesThatTokenFilesUse) {
  for (Scope scope : {Scope::kGenerate, Scope::kRead, Scope::kAdmin}) {
    EXPECT_EQ(ScopeNamed(NameOf(scope)), scope);
  }
  EXPECT_EQ(ScopeNamed("root"), std::nullopt);
  EXPECT_EQ(ScopeNamed(""), std::nullopt);
}

}  // namespace
}  // namespace ddgan
