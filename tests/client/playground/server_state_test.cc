#include "client/playground/server_state.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace ddgan::playground {
namespace {

using Contact = ServerState::Contact;

v1::ListModelsResponse Models(const std::vector<std::string>& names) {
  v1::ListModelsResponse models;
  for (const std::string& name : names) models.add_models()->set_name(name);
  return models;
}

TEST(ServerStateTest, IsFoundAlsoWithoutAModel) {
  ServerState state;
  EXPECT_EQ(state.contact, Contact::kConnecting);
  TakeModels({}, &state);
  EXPECT_EQ(state.contact, Contact::kFound);
}

TEST(ServerStateTest, KeepsWhatWasKnownWhileTheServerIsLost) {
  ServerState state;
  TakeModels(Models({"a", "b"}), &state);
  EXPECT_TRUE(
      TakeFailure(absl::UnavailableError("connection refused"), &state));
  EXPECT_EQ(state.contact, Contact::kLost);
  EXPECT_EQ(state.failure, "UNAVAILABLE: connection refused");
  EXPECT_EQ(state.models.size(), 2u);
}

TEST(ServerStateTest, TheSameFailureAgainIsNoNews) {
  ServerState state;
  EXPECT_TRUE(TakeFailure(absl::UnavailableError("refused"), &state));
  EXPECT_FALSE(TakeFailure(absl::UnavailableError("refused"), &state));
  EXPECT_TRUE(TakeFailure(absl::UnavailableError("reset"), &state));
  EXPECT_TRUE(TakeFailure(absl::UnauthenticatedError("reset"), &state));
  TakeModels({}, &state);
  EXPECT_TRUE(TakeFailure(absl::UnauthenticatedError("reset"), &state));
}

TEST(ServerStateTest, ForgetsWhatIsGoneWhenTheServerIsFoundAgain) {
  ServerState state;
  TakeModels(Models({"a", "b"}), &state);
  TakeFailure(absl::UnavailableError(""), &state);
  TakeModels(Models({"b"}), &state);
  EXPECT_EQ(state.contact, Contact::kFound);
  EXPECT_EQ(state.failure, "");
  EXPECT_EQ(state.models.count("a"), 0u);
  EXPECT_EQ(state.models.count("b"), 1u);
}

TEST(ServerStateTest, TellsAServerThatRefusesFromOneThatIsLost) {
  for (const absl::Status& status :
       {absl::PermissionDeniedError(""), absl::UnauthenticatedError(""),
        absl::UnimplementedError("")}) {
    ServerState state;
    TakeFailure(status, &state);
    EXPECT_EQ(state.contact, Contact::kRefused) << status;
  }
  for (const absl::Status& status :
       {absl::UnavailableError(""), absl::DeadlineExceededError(""),
        absl::InternalError(""), absl::DataLossError("")}) {
    ServerState state;
    TakeFailure(status, &state);
    EXPECT_EQ(state.contact, Contact::kLost) << status;
  }
}

TEST(ServerStateTest, TellsNewsFromWhatIsKnown) {
  ServerState state;
  TakeModels(Models({"a"}), &state);
  v1::WatchModelsResponse change;
  change.mutable_model()->set_name("a");
  EXPECT_FALSE(TakeChange(change, &state));
  change.mutable_model()->set_live_version(3);
  EXPECT_TRUE(TakeChange(change, &state));
  EXPECT_FALSE(TakeChange(change, &state));
  EXPECT_EQ(state.models["a"].live_version(), 3);
  change.set_removed_model("a");
  EXPECT_TRUE(TakeChange(change, &state));
  EXPECT_FALSE(TakeChange(change, &state));
  EXPECT_TRUE(state.models.empty());
}

}  // namespace
}  // namespace ddgan::playground
