#include "server/generate_reactor.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/imaging/png_encoder.h"
#include "server/grpc_status.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

// From the operating system's entropy source: two servers, or one that was
// restarted, must not draw alike. Needs no file descriptor, of which a busy
// server may have none left.
uint64_t DrawSeed() {
  uint64_t seed;
  if (getentropy(&seed, sizeof(seed)) != 0) std::abort();  // Linux before 3.17.
  return seed;
}

void SetDuration(absl::Duration duration, google::protobuf::Duration* out) {
  absl::Duration rest;
  out->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  out->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

}  // namespace

grpc::ServerUnaryReactor* GenerateReactor::Start(
    const Parts& parts, grpc::CallbackServerContext* context,
    const v1::GenerateRequest* request, v1::GenerateResponse* response) {
  std::shared_ptr<GenerateReactor> reactor(
      new GenerateReactor(parts, context, response));
  reactor->held_for_grpc_ = reactor;
  reactor->Submit(*request);
  return reactor.get();
}

GenerateReactor::GenerateReactor(const Parts& parts,
                                 grpc::CallbackServerContext* context,
                                 v1::GenerateResponse* response)
    : parts_(parts),
      context_(context),
      response_(response),
      arrived_(absl::Now()),
      deadline_(ConvertDeadline(context->deadline())) {}

void GenerateReactor::Submit(const v1::GenerateRequest& request) {
  if (absl::Status status = TrySubmit(request); !status.ok()) Fail(status);
  Release();
}

absl::Status GenerateReactor::TrySubmit(const v1::GenerateRequest& request) {
  absl::StatusOr<ConvertedRequest> converted =
      ConvertRequest(request, deadline_, DrawSeed);
  if (!converted.ok()) return converted.status();
  converted_ = *std::move(converted);
  const uint32_t count = converted_.generation.count;

  std::optional<EncodePool::Reservation> reservation =
      parts_.encode_pool->Reserve(static_cast<int>(count));
  if (!reservation.has_value()) {
    parts_.metrics->OnEncoderFull();
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for ", count, " more images to be encoded"));
  }
  {
    absl::MutexLock lock(&mu_);
    reservation_ = std::move(reservation);
    images_.resize(count);
    ++pending_;  // OnFinished, which may come before Submit returns.
  }
  absl::StatusOr<Acceptance> acceptance =
      parts_.engine->Submit(converted_.generation, shared_from_this());
  bool cancelled_meanwhile;
  {
    absl::MutexLock lock(&mu_);
    if (!acceptance.ok()) {
      --pending_;
      return acceptance.status();
    }
    acceptance_ = *acceptance;
    cancelled_meanwhile = cancelled_ || !error_.ok();
  }
  if (cancelled_meanwhile) parts_.engine->Cancel(acceptance->id);
  return CheckReplySize(converted_, acceptance->shape);
}

void GenerateReactor::OnCancel() {
  std::optional<RequestId> id;
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    if (acceptance_.has_value()) id = acceptance_->id;
  }
  if (id.has_value()) parts_.engine->Cancel(*id);
}

void GenerateReactor::OnDone() { held_for_grpc_.reset(); }

void GenerateReactor::OnImage(GeneratedImage image) {
  {
    absl::MutexLock lock(&mu_);
    if (cancelled_ || !error_.ok()) return;  // Nobody will look at it.
    ++pending_;
  }
  parts_.encode_pool->Run(
      [self = shared_from_this(), image = std::move(image)]() mutable {
        self->Encode(std::move(image));
        self->Release();
      });
}

void GenerateReactor::OnFinished(const absl::Status& status,
                                 const GenerationTimings& timings) {
  {
    absl::MutexLock lock(&mu_);
    error_.Update(status);
    timings_ = timings;
  }
  // Not here: finishing the call serialises the reply, which would hold up the
  // lane.
  parts_.encode_pool->Run([self = shared_from_this()] { self->Release(); });
}

void GenerateReactor::Encode(GeneratedImage image) {
  size_t position;
  {
    absl::MutexLock lock(&mu_);
    if (cancelled_ || !error_.ok()) return;
    position = image.index - converted_.generation.first_index;
    if (position >= images_.size()) {
      error_ = absl::InternalError(
          absl::StrCat("the engine delivered image ", image.index,
                       ", which the request does not have"));
      return;
    }
  }
  std::string bytes;
  absl::Duration encode_time;
  if (converted_.format == v1::OUTPUT_FORMAT_PNG) {
    const absl::Time start = absl::Now();
    absl::StatusOr<std::string> png = EncodePng(image.pixels, image.shape);
    if (!png.ok()) {
      // The encoder's InvalidArgument is about the engine's image, not about
      // anything that the caller sent.
      Fail(absl::InternalError(absl::StrCat("encoding image ", image.index,
                                            ": ", png.status().message())));
      return;
    }
    encode_time = absl::Now() - start;
    parts_.metrics->OnEncoded(encode_time);
    bytes = *std::move(png);
  } else {
    bytes.assign(image.pixels.begin(), image.pixels.end());
  }
  absl::MutexLock lock(&mu_);
  images_[position] = std::move(bytes);
  encode_time_ += encode_time;
}

void GenerateReactor::Fail(const absl::Status& error) {
  std::optional<RequestId> id;
  {
    absl::MutexLock lock(&mu_);
    error_.Update(error);
    if (acceptance_.has_value()) id = acceptance_->id;
  }
  if (id.has_value()) parts_.engine->Cancel(*id);
}

void GenerateReactor::Release() {
  {
    absl::MutexLock lock(&mu_);
    if (--pending_ > 0) return;
  }
  FinishCall();
}

void GenerateReactor::FinishCall() {
  absl::Status outcome;
  std::string model;
  {
    absl::MutexLock lock(&mu_);
    outcome = OutcomeLocked();
    if (outcome.ok()) FillResponse();
    if (acceptance_.has_value()) model = acceptance_->identity.model;
    reservation_.reset();
  }
  const grpc::Status answer = ToGrpcStatus(outcome, context_);
  if (absl::IsInternal(outcome)) {
    spdlog::error("Generate failed: {}", answer.error_message());
  } else if (!outcome.ok()) {
    spdlog::debug("Generate refused: {} {}",
                  absl::StatusCodeToString(outcome.code()),
                  answer.error_message());
  }
  parts_.metrics->OnGenerateFinished(model, outcome.code(),
                                     absl::Now() - arrived_);
  // After this line OnDone may have given up the last reference.
  Finish(answer);
}

bool GenerateReactor::CallerTimedOut() const {
  // The caller's clock may end the call slightly before ours does: gRPC rounds
  // the time that is left up by as much as 1% when it sends it.
  constexpr absl::Duration kTransit = absl::Milliseconds(10);
  return absl::Now() - arrived_ >= 0.98 * (deadline_ - arrived_) - kTransit;
}

absl::Status GenerateReactor::OutcomeLocked() const {
  // gRPC also cancels a call whose deadline has passed, and the engine cannot
  // tell that from a caller who left.
  if ((absl::IsCancelled(error_) || cancelled_) && CallerTimedOut()) {
    return absl::DeadlineExceededError("the call's deadline passed");
  }
  if (cancelled_) return absl::CancelledError("the caller cancelled");
  if (!error_.ok()) return error_;
  for (size_t i = 0; i < images_.size(); ++i) {
    if (images_[i].empty()) {
      return absl::InternalError(
          absl::StrCat("the engine finished without image ",
                       converted_.generation.first_index + i));
    }
  }
  return absl::OkStatus();
}

void GenerateReactor::FillResponse() {
  FillReplyHeader(*acceptance_, converted_.generation.seed, response_);
  response_->mutable_images()->Reserve(static_cast<int>(images_.size()));
  for (size_t i = 0; i < images_.size(); ++i) {
    v1::GeneratedImage* image = response_->add_images();
    image->set_index(converted_.generation.first_index +
                     static_cast<uint32_t>(i));
    image->set_data(std::move(images_[i]));
  }
  v1::GenerateTimings* timings = response_->mutable_timings();
  SetDuration(timings_.queue, timings->mutable_queue());
  SetDuration(timings_.steps, timings->mutable_steps());
  SetDuration(encode_time_, timings->mutable_encode());
}

}  // namespace ddgan
