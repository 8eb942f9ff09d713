#include "tests/client/fake_image_server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>

#include <chrono>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace ddgan {
namespace {

// Empty if the call has none.
std::string MetadataOf(const grpc::ServerContext& context, const char* key) {
  const auto value = context.client_metadata().find(key);
  if (value == context.client_metadata().end()) return "";
  return std::string(value->second.data(), value->second.size());
}

constexpr uint32_t kSide = 4;

std::string Digest() { return std::string(64, 'd'); }

v1::ListModelsResponse DefaultModels(uint32_t channels) {
  v1::ListModelsResponse models;
  v1::Model* model = models.add_models();
  model->set_name(FakeImageServer::kModel);
  model->set_live_version(FakeImageServer::kVersion);
  v1::ModelVersion* refused = model->add_versions();
  refused->set_version(FakeImageServer::kVersion + 1);
  refused->set_state(v1::MODEL_VERSION_STATE_REFUSED);
  refused->set_reason("model.safetensors: size 7, the manifest says 9");
  v1::ModelVersion* live = model->add_versions();
  live->set_version(FakeImageServer::kVersion);
  live->set_state(v1::MODEL_VERSION_STATE_LIVE);
  live->set_checkpoint_digest(Digest());
  live->mutable_shape()->set_channels(channels);
  live->mutable_shape()->set_height(kSide);
  live->mutable_shape()->set_width(kSide);
  live->set_num_timesteps(4);
  live->set_training_step(12345);
  live->set_dataset("mnist");
  live->mutable_loaded_at()->set_seconds(1'800'000'000);
  return models;
}

}  // namespace

FakeImageServer::FakeImageServer(uint32_t channels)
    : channels_(channels), models_(DefaultModels(channels)) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port_);
  builder.RegisterService(static_cast<v1::ImageGeneration::Service*>(this));
  builder.RegisterService(static_cast<v1::ModelService::Service*>(this));
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) std::abort();
}

FakeImageServer::~FakeImageServer() {
  ReleaseReplies();
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  server_->Wait();
}

std::string FakeImageServer::address() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void FakeImageServer::FailNext(Failure failure) {
  absl::MutexLock lock(&mu_);
  failures_.push_back(std::move(failure));
}

void FakeImageServer::set_tamper(
    std::function<void(v1::GenerateResponse*)> tamper) {
  absl::MutexLock lock(&mu_);
  tamper_ = std::move(tamper);
}

void FakeImageServer::BreakStreams(grpc::Status status) {
  absl::MutexLock lock(&mu_);
  stream_break_ = std::move(status);
}

void FakeImageServer::HoldReplies() {
  absl::MutexLock lock(&mu_);
  holds_replies_ = true;
}

void FakeImageServer::ReleaseReplies() {
  absl::MutexLock lock(&mu_);
  holds_replies_ = false;
}

void FakeImageServer::AwaitRequests(size_t number) const {
  const auto asked = [&] {
    mu_.AssertReaderHeld();
    return requests_.size() >= number;
  };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&asked));
}

void FakeImageServer::SetServing(bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

std::vector<v1::GenerateRequest> FakeImageServer::requests() const {
  absl::MutexLock lock(&mu_);
  return requests_;
}

std::string FakeImageServer::last_authorization() const {
  absl::MutexLock lock(&mu_);
  return last_authorization_;
}

std::vector<std::string> FakeImageServer::client_ids() const {
  absl::MutexLock lock(&mu_);
  return client_ids_;
}

std::string FakeImageServer::Pixels(uint32_t channels, uint64_t seed,
                                    uint32_t index) {
  std::string pixels;
  for (uint32_t i = 0; i < channels * kSide * kSide; ++i) {
    pixels.push_back(static_cast<char>(seed * 31 + index * 7 + i));
  }
  return pixels;
}

grpc::Status FakeImageServer::Generate(grpc::ServerContext* context,
                                       const v1::GenerateRequest* request,
                                       v1::GenerateResponse* response) {
  std::optional<Failure> failure;
  std::function<void(v1::GenerateResponse*)> tamper;
  {
    absl::MutexLock lock(&mu_);
    requests_.push_back(*request);
    client_ids_.push_back(MetadataOf(*context, "ddgan-client-id"));
    last_authorization_ = MetadataOf(*context, "authorization");
    const auto may_answer = [this] {
      mu_.AssertReaderHeld();
      return !holds_replies_;
    };
    mu_.Await(absl::Condition(&may_answer));
    tamper = tamper_;
    if (!failures_.empty()) {
      failure = std::move(failures_.front());
      failures_.pop_front();
    }
  }
  if (failure.has_value()) {
    if (failure->pushback.has_value()) {
      context->AddTrailingMetadata("grpc-retry-pushback-ms",
                                   *failure->pushback);
    }
    return failure->status;
  }
  if (request->count() < 1 || request->count() > 64) {
    return grpc::Status(
        grpc::StatusCode::INVALID_ARGUMENT,
        absl::StrCat("count ", request->count(), "; it must be in [1, 64]"));
  }
  if (!request->model().empty() && request->model() != kModel) {
    return grpc::Status(
        grpc::StatusCode::NOT_FOUND,
        absl::StrCat("there is no model '", request->model(), "'"));
  }
  response->set_model(kModel);
  response->set_version(request->has_version() ? request->version() : kVersion);
  response->set_checkpoint_digest(Digest());
  response->set_seed(request->has_seed() ? request->seed() : kDrawnSeed);
  response->set_num_timesteps(4);
  response->mutable_shape()->set_channels(channels_);
  response->mutable_shape()->set_height(kSide);
  response->mutable_shape()->set_width(kSide);
  response->mutable_timings()->mutable_queue()->set_nanos(2'000'000);
  response->mutable_timings()->mutable_steps()->set_seconds(1);
  for (uint32_t i = 0; i < request->count(); ++i) {
    v1::GeneratedImage* image = response->add_images();
    image->set_index(request->first_index() + i);
    const std::string pixels =
        Pixels(channels_, response->seed(), image->index());
    if (request->format() == v1::OUTPUT_FORMAT_RAW8) {
      image->set_data(pixels);
    } else if (request->format() == v1::OUTPUT_FORMAT_FLOAT32) {
      image->set_data(pixels + pixels + pixels + pixels);
    } else {
      image->set_data(absl::StrCat("PNG of ", pixels));
    }
  }
  if (tamper) tamper(response);
  return grpc::Status::OK;
}

grpc::Status FakeImageServer::GenerateStream(
    grpc::ServerContext* context, const v1::GenerateStreamRequest* request,
    grpc::ServerWriter<v1::GenerateStreamResponse>* writer) {
  v1::GenerateResponse reply;
  if (grpc::Status status = Generate(context, &request->request(), &reply);
      !status.ok()) {
    return status;
  }
  v1::GenerateStreamResponse event;
  v1::StreamAccepted* accepted = event.mutable_accepted();
  accepted->set_model(reply.model());
  accepted->set_version(reply.version());
  accepted->set_checkpoint_digest(reply.checkpoint_digest());
  accepted->set_seed(reply.seed());
  accepted->set_num_timesteps(reply.num_timesteps());
  accepted->set_evaluations(reply.evaluations());
  *accepted->mutable_shape() = reply.shape();
  writer->Write(event);
  {
    absl::MutexLock lock(&mu_);
    if (!stream_break_.ok()) return stream_break_;
  }
  uint32_t previews = 0;
  const uint32_t steps = request->request().has_guide()
                             ? request->request().guide().steps()
                         : reply.evaluations() > 0 ? reply.evaluations()
                                                   : reply.num_timesteps();
  for (uint32_t step = steps - 1; request->previews() && step > 0; --step) {
    for (const v1::GeneratedImage& image : reply.images()) {
      event.mutable_preview()->set_index(image.index());
      event.mutable_preview()->set_step(step);
      event.mutable_preview()->set_data(image.data());
      writer->Write(event);
      ++previews;
    }
  }
  // The last one first, as a stream may bring them in any order.
  for (int i = reply.images_size(); i-- > 0;) {
    *event.mutable_image() = reply.images(i);
    writer->Write(event);
  }
  event.mutable_summary()->set_images(reply.images_size());
  event.mutable_summary()->set_previews_sent(previews);
  event.mutable_summary()->set_previews_dropped(1);
  *event.mutable_summary()->mutable_timings() = reply.timings();
  writer->Write(event);
  return grpc::Status::OK;
}

void FakeImageServer::SetModels(v1::ListModelsResponse models) {
  absl::MutexLock lock(&mu_);
  models_ = std::move(models);
}

void FakeImageServer::SetPinned(v1::ModelVersionState state) {
  absl::MutexLock lock(&mu_);
  pinned_ = state;
}

void FakeImageServer::RefuseControl(grpc::Status status) {
  absl::MutexLock lock(&mu_);
  control_refusal_ = std::move(status);
}

void FakeImageServer::ScriptWatch(std::vector<v1::WatchModelsResponse> events,
                                  std::optional<grpc::Status> end) {
  absl::MutexLock lock(&mu_);
  watch_events_ = std::move(events);
  watch_end_ = std::move(end);
}

std::vector<std::string> FakeImageServer::control_calls() const {
  absl::MutexLock lock(&mu_);
  return control_calls_;
}

grpc::Status FakeImageServer::ListModels(grpc::ServerContext*,
                                         const v1::ListModelsRequest*,
                                         v1::ListModelsResponse* response) {
  absl::MutexLock lock(&mu_);
  *response = models_;
  return grpc::Status::OK;
}

grpc::Status FakeImageServer::GetModel(grpc::ServerContext*,
                                       const v1::GetModelRequest* request,
                                       v1::GetModelResponse* response) {
  absl::MutexLock lock(&mu_);
  for (const v1::Model& model : models_.models()) {
    if (model.name() != request->model()) continue;
    *response->mutable_model() = model;
    return grpc::Status::OK;
  }
  return grpc::Status(
      grpc::StatusCode::NOT_FOUND,
      absl::StrCat("there is no model '", request->model(), "'"));
}

grpc::Status FakeImageServer::PinVersion(grpc::ServerContext*,
                                         const v1::PinVersionRequest* request,
                                         v1::PinVersionResponse* response) {
  const grpc::Status refusal = TakeControlCall(
      absl::StrCat("pin ", request->model(), " ", request->version()));
  if (!refusal.ok()) return refusal;
  absl::MutexLock lock(&mu_);
  response->mutable_version()->set_version(request->version());
  response->mutable_version()->set_state(pinned_);
  return grpc::Status::OK;
}

grpc::Status FakeImageServer::UnpinVersion(
    grpc::ServerContext*, const v1::UnpinVersionRequest* request,
    v1::UnpinVersionResponse* response) {
  const grpc::Status refusal =
      TakeControlCall(absl::StrCat("unpin ", request->model()));
  if (!refusal.ok()) return refusal;
  absl::MutexLock lock(&mu_);
  *response->mutable_model() = models_.models(0);
  return grpc::Status::OK;
}

grpc::Status FakeImageServer::RollBack(grpc::ServerContext*,
                                       const v1::RollBackRequest* request,
                                       v1::RollBackResponse* response) {
  const grpc::Status refusal =
      TakeControlCall(absl::StrCat("roll back ", request->model()));
  if (!refusal.ok()) return refusal;
  absl::MutexLock lock(&mu_);
  response->mutable_version()->set_version(kVersion - 1);
  response->mutable_version()->set_state(pinned_);
  return grpc::Status::OK;
}

grpc::Status FakeImageServer::WatchModels(
    grpc::ServerContext* context, const v1::WatchModelsRequest*,
    grpc::ServerWriter<v1::WatchModelsResponse>* writer) {
  const grpc::Status refusal = TakeControlCall("watch");
  if (!refusal.ok()) return refusal;
  std::vector<v1::WatchModelsResponse> events;
  std::optional<grpc::Status> end;
  {
    absl::MutexLock lock(&mu_);
    events = watch_events_;
    end = watch_end_;
  }
  for (const v1::WatchModelsResponse& event : events) writer->Write(event);
  if (end.has_value()) return *end;
  // A synchronous call hears of its end only by asking.
  while (!context->IsCancelled()) absl::SleepFor(absl::Milliseconds(1));
  return grpc::Status::CANCELLED;
}

grpc::Status FakeImageServer::TakeControlCall(const std::string& call) {
  absl::MutexLock lock(&mu_);
  control_calls_.push_back(call);
  return control_refusal_;
}

}  // namespace ddgan
