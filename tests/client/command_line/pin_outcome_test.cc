#include "client/command_line/pin_outcome.h"

#include <optional>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

// "mnist" with version 3 live, and 4 pinned and in `state`.
v1::Model Pinned(v1::ModelVersionState state) {
  v1::Model model;
  model.set_name("mnist");
  model.set_pinned_version(4);
  v1::ModelVersion* pinned = model.add_versions();
  pinned->set_version(4);
  pinned->set_state(state);
  v1::ModelVersion* live = model.add_versions();
  live->set_version(3);
  live->set_state(v1::MODEL_VERSION_STATE_LIVE);
  model.set_live_version(3);
  return model;
}

TEST(PinOutcomeTest, IsOpenWhileTheVersionMayStillBecomeLive) {
  for (v1::ModelVersionState state :
       {v1::MODEL_VERSION_STATE_ON_DISK, v1::MODEL_VERSION_STATE_LOADING,
        v1::MODEL_VERSION_STATE_WAITING, v1::MODEL_VERSION_STATE_LOADED}) {
    EXPECT_EQ(PinOutcome(Pinned(state), 4), std::nullopt);
  }
}

TEST(PinOutcomeTest, IsGoodOnceTheVersionIsLive) {
  v1::Model model = Pinned(v1::MODEL_VERSION_STATE_LIVE);
  model.set_live_version(4);
  EXPECT_EQ(PinOutcome(model, 4), absl::OkStatus());
  model.clear_pinned_version();  // Live by itself: what was wanted.
  EXPECT_EQ(PinOutcome(model, 4), absl::OkStatus());
}

TEST(PinOutcomeTest, SaysWhyTheVersionIsRefused) {
  v1::Model model = Pinned(v1::MODEL_VERSION_STATE_REFUSED);
  model.mutable_versions(0)->set_reason("canary: all black");
  EXPECT_EQ(PinOutcome(model, 4), absl::FailedPreconditionError(
                                      "mnist 4 is refused: canary: all black"));
}

TEST(PinOutcomeTest, SaysThatTheVersionIsGone) {
  v1::Model model = Pinned(v1::MODEL_VERSION_STATE_LOADING);
  model.mutable_versions()->DeleteSubrange(0, 1);
  EXPECT_EQ(PinOutcome(model, 4), absl::NotFoundError("mnist 4 is gone"));
}

TEST(PinOutcomeTest, EndsWhenSomebodyElseDecides) {
  v1::Model model = Pinned(v1::MODEL_VERSION_STATE_LOADING);
  model.set_pinned_version(2);
  EXPECT_EQ(PinOutcome(model, 4),
            absl::AbortedError(
                "mnist 4 is not pinned any more: somebody has pinned 2"));
  model.clear_pinned_version();
  EXPECT_EQ(PinOutcome(model, 4),
            absl::AbortedError("mnist 4 is not pinned any more: somebody has "
                               "taken the pin back"));
}

}  // namespace
}  // namespace ddgan
