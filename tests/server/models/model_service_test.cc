// ModelService, seen by a gRPC client of the whole server.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/server_fixture.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;

class ModelServiceTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    models_ = v1::ModelService::NewStub(channel_);
  }

  absl::StatusOr<v1::Model> GetModel(const std::string& name) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_model(name);
    v1::GetModelResponse response;
    const grpc::Status status = models_->GetModel(&context, request, &response);
    return ResultOf(status, response.model());
  }
  absl::StatusOr<v1::ModelVersion> Pin(const std::string& model,
                                       int64_t version) {
    grpc::ClientContext context;
    v1::PinVersionRequest request;
    request.set_model(model);
    request.set_version(version);
    v1::PinVersionResponse response;
    const grpc::Status status =
        models_->PinVersion(&context, request, &response);
    return ResultOf(status, response.version());
  }
  absl::StatusOr<v1::Model> Unpin(const std::string& model) {
    grpc::ClientContext context;
    v1::UnpinVersionRequest request;
    request.set_model(model);
    v1::UnpinVersionResponse response;
    const grpc::Status status =
        models_->UnpinVersion(&context, request, &response);
    return ResultOf(status, response.model());
  }
  absl::StatusOr<v1::ModelVersion> RollBack(const std::string& model) {
    grpc::ClientContext context;
    v1::RollBackRequest request;
    request.set_model(model);
    v1::RollBackResponse response;
    const grpc::Status status = models_->RollBack(&context, request, &response);
    return ResultOf(status, response.version());
  }

  std::unique_ptr<v1::ModelService::Stub> models_;

 private:
  template <typename Result>
  static absl::StatusOr<Result> ResultOf(const grpc::Status& status,
                                         const Result& result) {
    if (status.ok()) return result;
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        status.error_message());
  }
};

TEST_F(ModelServiceTest, ListsEveryModelWithItsVersions) {
  engine_->SetModel({"cats", std::nullopt, {}});
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  ASSERT_TRUE(models_->ListModels(&context, {}, &response).ok());
  ASSERT_EQ(response.models_size(), 2);
  EXPECT_EQ(response.models(0).name(), "cats");
  const v1::Model& digits = response.models(1);
  EXPECT_EQ(digits.name(), "digits");
  EXPECT_EQ(digits.live_version(), 3);
  EXPECT_FALSE(digits.has_pinned_version());
  ASSERT_EQ(digits.versions_size(), 4);
  EXPECT_EQ(digits.versions(0).state(), v1::MODEL_VERSION_STATE_ON_DISK);
  EXPECT_EQ(digits.versions(1).state(), v1::MODEL_VERSION_STATE_LIVE);
  EXPECT_EQ(digits.versions(2).state(), v1::MODEL_VERSION_STATE_REFUSED);
  EXPECT_THAT(digits.versions(2).reason(), HasSubstr("digest"));
  EXPECT_EQ(digits.versions(3).state(), v1::MODEL_VERSION_STATE_LOADED);
}

TEST_F(ModelServiceTest, GetsOneModelOrNamesThoseThereAre) {
  engine_->SetModel({"cats", std::nullopt, {}});
  EXPECT_EQ(GetModel("digits")->live_version(), 3);
  EXPECT_EQ(GetModel("dogs").status(),
            absl::NotFoundError("model: no model 'dogs'; there are cats, "
                                "digits"));
  engine_->RemoveModel("cats");
  engine_->RemoveModel("digits");
  EXPECT_EQ(GetModel("digits").status(),
            absl::NotFoundError("model: no model 'digits'; there is none"));
}

TEST_F(ModelServiceTest, APinOfALoadedVersionIsLiveAtOnceUntilItIsTakenBack) {
  const absl::StatusOr<v1::ModelVersion> pinned = Pin("digits", 1);
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->version(), 1);
  EXPECT_EQ(pinned->state(), v1::MODEL_VERSION_STATE_LIVE);
  EXPECT_EQ(GetModel("digits")->live_version(), 1);
  EXPECT_EQ(GetModel("digits")->pinned_version(), 1);
  const absl::StatusOr<v1::Model> unpinned = Unpin("digits");
  ASSERT_TRUE(unpinned.ok()) << unpinned.status();
  EXPECT_EQ(unpinned->name(), "digits");
  EXPECT_FALSE(unpinned->has_pinned_version());
  EXPECT_TRUE(Unpin("digits").ok());
}

TEST_F(ModelServiceTest, APinDoesNotWaitForAVersionToBeLoaded) {
  const absl::StatusOr<v1::ModelVersion> pinned = Pin("digits", 4);
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->state(), v1::MODEL_VERSION_STATE_LOADING);
  EXPECT_EQ(GetModel("digits")->live_version(), 3);
  engine_->EndLoading("digits", 4);
  EXPECT_EQ(GetModel("digits")->live_version(), 4);
}

TEST_F(ModelServiceTest, RollsBackToTheNewestOlderVersion) {
  const absl::StatusOr<v1::ModelVersion> version = RollBack("digits");
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->version(), 1);
  EXPECT_EQ(version->state(), v1::MODEL_VERSION_STATE_LIVE);
  EXPECT_EQ(GetModel("digits")->pinned_version(), 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(RollBack("digits").status()));
}

TEST_F(ModelServiceTest, PassesOnWhyTheEngineRefuses) {
  absl::Status status = Pin("digits", 2).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("digest differs"));
  EXPECT_TRUE(absl::IsNotFound(Pin("digits", 9).status()));
  EXPECT_TRUE(absl::IsNotFound(Pin("dogs", 1).status()));
  EXPECT_TRUE(absl::IsNotFound(Unpin("dogs").status()));
  EXPECT_TRUE(absl::IsNotFound(RollBack("dogs").status()));
  engine_->RefuseControl(absl::UnavailableError("state_dir: disk full"));
  for (const absl::Status& refused :
       {Pin("digits", 1).status(), Unpin("digits").status(),
        RollBack("digits").status()}) {
    EXPECT_EQ(refused, absl::UnavailableError("state_dir: disk full"));
  }
}

TEST_F(ModelServiceTest, RefusesToActOnNoModelOrNoVersion) {
  for (const absl::Status& status :
       {GetModel("").status(), Pin("", 1).status(), Unpin("").status(),
        RollBack("").status()}) {
    EXPECT_EQ(status, absl::InvalidArgumentError(
                          "model: name of 0 bytes, allowed are [1, 64]"));
  }
  EXPECT_EQ(Pin("digits", 0).status(),
            absl::InvalidArgumentError("version: 0 is out of range [1, "
                                       "9223372036854775807]"));
  EXPECT_FALSE(GetModel("digits")->has_pinned_version());
}

TEST_F(ModelServiceTest, AHangingDiskHoldsUpNothingButPins) {
  engine_->StallPins();
  std::vector<std::thread> callers;
  for (int i = 0; i < 16; ++i) {
    callers.emplace_back([this] { EXPECT_TRUE(Pin("digits", 1).ok()); });
  }
  engine_->WaitForStalledPin();
  EXPECT_EQ(GetModel("digits")->live_version(), 3);
  EXPECT_TRUE(Generate(RequestFor(1)).ok());
  engine_->ResumePins();
  for (std::thread& caller : callers) caller.join();
}

// A watch whose events the test reads when it wants to.
class WatchCall {
 public:
  explicit WatchCall(v1::ModelService::Stub* stub)
      : reader_(stub->WatchModels(&context_, {})) {}

  // "digits live 3 pinned 4", "cats", "no cats"; "" at the end of the stream.
  std::string Read() {
    v1::WatchModelsResponse event;
    if (!reader_->Read(&event)) return "";
    if (!event.has_model()) return absl::StrCat("no ", event.removed_model());
    const v1::Model& model = event.model();
    return absl::StrCat(model.name(),
                        model.has_live_version()
                            ? absl::StrCat(" live ", model.live_version())
                            : "",
                        model.has_pinned_version()
                            ? absl::StrCat(" pinned ", model.pinned_version())
                            : "");
  }

  grpc::Status Finish() { return reader_->Finish(); }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  const std::unique_ptr<grpc::ClientReader<v1::WatchModelsResponse>> reader_;
};

// So large that what is not read stays with the server.
ModelStatus LargeModel(std::optional<int64_t> pinned) {
  ModelVersionStatus version;
  version.identity = {"large", 1, ""};
  version.reason = std::string(1 << 20, 'x');
  return {"large", pinned, {version}};
}

TEST_F(ModelServiceTest, AWatchTellsEveryModelAndThenEachChange) {
  engine_->SetModel({"cats", std::nullopt, {}});
  WatchCall watch(models_.get());
  EXPECT_EQ(watch.Read(), "cats");
  EXPECT_EQ(watch.Read(), "digits live 3");
  ASSERT_TRUE(Pin("digits", 4).ok());
  EXPECT_EQ(watch.Read(), "digits live 3 pinned 4");
  engine_->EndLoading("digits", 4);
  EXPECT_EQ(watch.Read(), "digits live 4 pinned 4");
  engine_->RemoveModel("cats");
  EXPECT_EQ(watch.Read(), "no cats");
}

TEST_F(ModelServiceTest, AWatchOfNoModelTellsTheFirstThatComes) {
  engine_->RemoveModel("digits");
  WatchCall watch(models_.get());
  engine_->WaitForWatches(1);
  engine_->SetModel({"cats", std::nullopt, {}});
  EXPECT_EQ(watch.Read(), "cats");
}

TEST_F(ModelServiceTest, ASlowReaderOfAWatchGetsTheNewestStateAndNoBacklog) {
  engine_->RemoveModel("digits");
  WatchCall watch(models_.get());
  engine_->WaitForWatches(1);
  for (int64_t pinned = 1; pinned <= 50; ++pinned) {
    engine_->SetModel(LargeModel(pinned));
  }
  int events = 0;
  std::string last;
  while (last != "large pinned 50") {
    last = watch.Read();
    ASSERT_NE(last, "");
    ++events;
  }
  // What gRPC had taken, and the newest.
  EXPECT_LE(events, 5);
  engine_->RemoveModel("large");
  EXPECT_EQ(watch.Read(), "no large");
}

TEST_F(ModelServiceTest, AWatchWhoseCallerLeavesListensNoLonger) {
  WatchCall reads(models_.get());
  EXPECT_EQ(reads.Read(), "digits live 3");
  engine_->SetModel(LargeModel(1));
  WatchCall does_not_read(models_.get());
  engine_->WaitForWatches(2);
  reads.Cancel();
  engine_->WaitForWatches(1);
  does_not_read.Cancel();
  engine_->WaitForWatches(0);
  EXPECT_EQ(reads.Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ModelServiceTest, WatchesComeAndGoWhileModelsChange) {
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([this] {
      for (int round = 0; round < 20; ++round) {
        WatchCall watch(models_.get());
        EXPECT_NE(watch.Read(), "");
        watch.Cancel();
      }
    });
  }
  for (int64_t pinned = 1; pinned <= 200; ++pinned) {
    engine_->SetModel({"cats", pinned, {}});
  }
  for (std::thread& caller : callers) caller.join();
  engine_->WaitForWatches(0);
}

TEST_F(ModelServiceTest, AStopEndsWatchesBeforeItWaitsForWork) {
  engine_->HoldRequests();
  StreamCall call(images_.get(), StreamRequestFor(1, false));
  EXPECT_TRUE(call.Read().has_accepted());
  const RequestId id = engine_->WaitForHeld(1).front();
  WatchCall watch(models_.get());
  EXPECT_EQ(watch.Read(), "digits live 3");
  std::thread stopper([this] { server_->Stop(absl::InfiniteDuration()); });
  EXPECT_EQ(watch.Read(), "");
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "the server is shutting down");

  engine_->FinishHeld(id, absl::OkStatus());
  stopper.join();
}

TEST_F(ModelServiceTest, AWatcherThatReadsNothingDoesNotHoldUpAStop) {
  WatchCall watch(models_.get());
  EXPECT_EQ(watch.Read(), "digits live 3");
  engine_->SetModel(LargeModel(1));
  server_->Stop(absl::ZeroDuration());
  while (!watch.Read().empty()) continue;
  EXPECT_FALSE(watch.Finish().ok());
}

}  // namespace
}  // namespace ddgan
