// What a call books, in which order, and what it leaves behind if it is
// refused.
#include "server/calls/call_admission.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/imaging/png_encoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_engine.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

constexpr ImageShape kShape = {1, 8, 8};
constexpr int64_t kReplyBytes = 1 << 20;

// Counts refusals by who refused.
class CountingObserver : public CallObserver, public AccessObserver {
 public:
  void OnEncoderFull() override { ++encoder_full; }
  void OnGuidesFull() override { ++guides_full; }
  void OnReplyBytesFull(ByteLedger::Refusal /*refusal*/) override {
    ++reply_bytes_full;
  }
  void OnQuotaRefusal(QuotaRefusal /*reason*/) override { ++quota; }

  int encoder_full = 0;
  int guides_full = 0;
  int reply_bytes_full = 0;
  int quota = 0;
};

v1::GenerateRequest RequestFor(uint32_t count) {
  v1::GenerateRequest request;
  request.set_count(count);
  request.set_seed(7);
  return request;
}

// With a guide whose picture unpacks to 64 bytes.
v1::GenerateRequest GuidedRequestFor(uint32_t count) {
  v1::GenerateRequest request = RequestFor(count);
  request.mutable_guide()->set_png(
      *EncodePng(std::vector<uint8_t>(64), kShape));
  request.mutable_guide()->set_steps(2);
  return request;
}

class CallAdmissionTest : public ::testing::Test {
 protected:
  struct Result {
    absl::Status status;
    std::unique_ptr<Admission> admission = std::make_unique<Admission>();
  };

  Result Admit(const v1::GenerateRequest& request,
               std::shared_ptr<const Tenant> tenant = nullptr) {
    const CallAdmission admissions({.engine = &engine_,
                                    .encode_pool = &encode_pool_,
                                    .guide_decoder = &guide_decoder_,
                                    .ledger = &ledger_,
                                    .quotas = &quotas_,
                                    .metrics = &observer_,
                                    .access_metrics = &observer_});
    Result result;
    result.status = admissions.Admit(
        {.request = ConvertRequest(request, absl::FromUnixSeconds(5),
                                   [] { return uint64_t{0}; }),
         .request_bytes = static_cast<int64_t>(request.ByteSizeLong()),
         .caller = {.name = "somebody",
                    .account = "their address",
                    .tenant = std::move(tenant)},
         .previews = true},
        [this](const ConvertedRequest&, const ImageShape& shape,
               int64_t) -> absl::StatusOr<ReplySize> {
          EXPECT_EQ(shape, kShape);
          return size_;
        },
        result.admission.get());
    return result;
  }

  // Nothing is left of calls that are gone.
  void ExpectAllGivenBack() {
    EXPECT_EQ(engine_.places(), 0);
    EXPECT_EQ(reply_bytes_, 0);
    EXPECT_TRUE(encode_pool_.Reserve(64).has_value());
    EXPECT_TRUE(guide_decoder_.Reserve("somebody", {.images = 1, .bytes = 150})
                    .has_value());
  }

  FakeEngine engine_{kShape};
  int64_t reply_bytes_ = 0;
  ByteLedger ledger_{{.total = 2 * kReplyBytes, .per_caller = kReplyBytes},
                     [this](int64_t bytes) { reply_bytes_ = bytes; }};
  EncodePool encode_pool_{1, 64};
  GuideDecoder guide_decoder_{1, {.images = 100, .bytes = 300}};
  TenantQuotas quotas_;
  CountingObserver observer_;
  ReplySize size_ = {.fixed = 100, .per_image = 10};
};

TEST_F(CallAdmissionTest, BooksEverythingThatTheCallWillNeed) {
  {
    const Result result = Admit(GuidedRequestFor(4));
    ASSERT_TRUE(result.status.ok()) << result.status;
    const Admission& admission = *result.admission;
    const GenerationRequest& generation = admission.request.generation;
    EXPECT_EQ(generation.count, 4u);
    EXPECT_EQ(generation.caller, "somebody");
    EXPECT_EQ(generation.deadline, absl::FromUnixSeconds(5));
    EXPECT_TRUE(generation.previews);
    EXPECT_EQ(generation.guide->picture, kShape);
    EXPECT_EQ(admission.reply_size.Of(4), 140);
    EXPECT_EQ(reply_bytes_, 140);
    EXPECT_EQ(engine_.places(), 1);
    EXPECT_TRUE(admission.guide_room.has_value());
    EXPECT_FALSE(encode_pool_.Reserve(61).has_value());
    EXPECT_EQ(admission.provenance->OfImage({7, 0})[1].value, "digits");
    EXPECT_EQ(admission.provenance->OfImage({7, 0})[6].value, "2");  // Steps.
  }
  ExpectAllGivenBack();
}

TEST_F(CallAdmissionTest, WithoutAGuideTheDecoderIsLeftAlone) {
  const Result result = Admit(RequestFor(1));
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_FALSE(result.admission->guide_room.has_value());
  EXPECT_EQ(result.admission->provenance->OfImage({7, 0})[6].value, "4");
}

TEST_F(CallAdmissionTest, RefusesBadRequestsBeforeAnythingIsBooked) {
  EXPECT_TRUE(absl::IsInvalidArgument(Admit(RequestFor(0)).status));
  v1::GenerateRequest request = RequestFor(1);
  request.set_model("cats");
  EXPECT_TRUE(absl::IsNotFound(Admit(request).status));
  v1::GenerateRequest guided = GuidedRequestFor(1);
  guided.mutable_guide()->set_png("no picture");
  EXPECT_THAT(std::string(Admit(guided).status.message()),
              HasSubstr("guide.png"));
  ExpectAllGivenBack();
}

TEST_F(CallAdmissionTest, ARefusalByTheEngineGivesEverythingBack) {
  engine_.RefuseRequests(absl::ResourceExhaustedError("queue full"));
  EXPECT_EQ(Admit(GuidedRequestFor(4)).status,
            absl::ResourceExhaustedError("queue full"));
  ExpectAllGivenBack();
}

TEST_F(CallAdmissionTest, RefusesWhatHasNoRoomAtTheEncoders) {
  const auto room = encode_pool_.Reserve(60);
  EXPECT_TRUE(absl::IsResourceExhausted(Admit(RequestFor(5)).status));
  EXPECT_EQ(observer_.encoder_full, 1);
  EXPECT_TRUE(Admit(RequestFor(4)).status.ok());
}

TEST_F(CallAdmissionTest, RefusesRepliesThatHaveNoRoomOrNeverCould) {
  size_.per_image = kReplyBytes / 4;
  const Result first = Admit(RequestFor(2));
  EXPECT_TRUE(first.status.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Admit(RequestFor(2)).status));
  EXPECT_EQ(observer_.reply_bytes_full, 1);
  EXPECT_TRUE(absl::IsInvalidArgument(Admit(RequestFor(4)).status));
}

// Before the engine has a place for it, so that a flood of guides leaves the
// engine's room to others.
TEST_F(CallAdmissionTest, AFloodOfGuidesIsRefusedAndLeavesRoomForOthers) {
  std::vector<Result> admitted;
  while (true) {
    Result result = Admit(GuidedRequestFor(1));
    if (!result.status.ok()) {
      EXPECT_TRUE(absl::IsResourceExhausted(result.status)) << result.status;
      EXPECT_THAT(std::string(result.status.message()),
                  HasSubstr("unpacks to 64 bytes"));
      break;
    }
    admitted.push_back(std::move(result));
  }
  EXPECT_EQ(admitted.size(), 2u);  // Of 300 bytes one caller may have half.
  EXPECT_EQ(observer_.guides_full, 1);
  EXPECT_EQ(engine_.places(), 2);
  EXPECT_TRUE(Admit(RequestFor(1)).status.ok());
  // On the account that no caller may choose, whatever it calls itself.
  EXPECT_FALSE(
      guide_decoder_.Reserve("their address", {.images = 1, .bytes = 64})
          .has_value());
  EXPECT_TRUE(guide_decoder_.Reserve("another", {.images = 1, .bytes = 64})
                  .has_value());
}

TEST_F(CallAdmissionTest, ATenantsQuotaIsTakenAndItsWeightTold) {
  auto tenant = std::make_shared<Tenant>();
  tenant->name = "studio";
  tenant->weight = 7;
  tenant->quota.images_in_flight = 5;
  const Result first = Admit(RequestFor(3), tenant);
  ASSERT_TRUE(first.status.ok()) << first.status;
  EXPECT_EQ(first.admission->request.generation.caller_weight, 7);
  EXPECT_TRUE(first.admission->holdings.quota.has_value());
  EXPECT_TRUE(absl::IsResourceExhausted(Admit(RequestFor(3), tenant).status));
  EXPECT_EQ(observer_.quota, 1);
  EXPECT_EQ(engine_.places(), 1);
}

TEST_F(CallAdmissionTest, WhatIsAdmittedKeepsItsVersionWhateverGoesLive) {
  const Result result = Admit(RequestFor(1));
  ASSERT_TRUE(result.status.ok()) << result.status;
  engine_.GoLive(4, {3, 16, 16});
  EXPECT_EQ(result.admission->provenance->OfImage({7, 0})[2].value, "3");
}

}  // namespace
}  // namespace ddgan
