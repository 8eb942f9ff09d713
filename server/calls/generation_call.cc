#include "server/calls/generation_call.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "engine/base/entropy.h"
#include "engine/imaging/png_encoder.h"
#include "server/access/caller.h"
#include "server/calls/call_trace.h"
#include "server/calls/grpc_status.h"
#include "server/calls/guide_conversion.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

// Whether a call that is cancelled `age` after it came in was so by its
// deadline, which was `limit` after it came in. The caller's clock may end the
// call slightly before ours does: gRPC rounds the time that is left up by as
// much as 1% when it sends it.
bool IsPastDeadline(absl::Duration age, absl::Duration limit) {
  constexpr absl::Duration kTransit = absl::Milliseconds(10);
  return age >= 0.98 * limit - kTransit;
}

}  // namespace

GenerationCall::GenerationCall(const Parts& parts, RpcMethod method,
                               bool previews,
                               grpc::CallbackServerContext* context)
    : parts_(parts),
      method_(method),
      previews_(previews),
      context_(context),
      in_flight_(parts.calls),
      arrived_(absl::Now()),
      deadline_(ConvertDeadline(context->deadline())),
      trace_(TraceCall(context)),
      writes_(*parts.writes, context) {}

void GenerationCall::Start(const v1::GenerateRequest& request) {
  held_for_grpc_ = shared_from_this();
  asked_model_ = request.model().substr(0, kMaxModelNameSize);
  if (absl::Status status = Prepare(request); !status.ok()) {
    EndSubmission(status);
  } else if (request.has_guide()) {
    parts_.encode_pool->Run(
        [self = shared_from_this(), &guide = request.guide()] {
          self->EndSubmission(self->DecodeAndSubmit(guide));
        });
  } else {
    EndSubmission(Submit(std::nullopt));
  }
}

void GenerationCall::LetGo() {
  writes_.LetGo();
  {
    absl::MutexLock lock(&mu_);
    reply_bytes_.ShrinkTo(0);
  }
  held_for_grpc_.reset();
}

void GenerationCall::ShrinkReply(int64_t bytes) {
  absl::MutexLock lock(&mu_);
  reply_bytes_.ShrinkTo(bytes);
}

void GenerationCall::ForgetImage() {
  absl::MutexLock lock(&mu_);
  reply_bytes_.ShrinkTo(reply_bytes_.bytes() - reply_size_.per_image);
}

absl::Status GenerationCall::Prepare(const v1::GenerateRequest& request) {
  absl::StatusOr<ConvertedRequest> converted =
      ConvertRequest(request, deadline_, DrawEntropy);
  if (!converted.ok()) return converted.status();
  converted_ = *std::move(converted);
  converted_.generation.previews = previews_;
  std::string account;
  if (absl::Status status = Identify(&account); !status.ok()) return status;
  if (absl::Status status =
          ReserveReply(account, static_cast<int64_t>(request.ByteSizeLong()));
      !status.ok()) {
    return status;
  }

  const uint32_t count = converted_.generation.count;
  std::optional<EncodePool::Reservation> reservation =
      parts_.encode_pool->Reserve(static_cast<int>(count));
  if (!reservation.has_value()) {
    parts_.metrics->OnEncoderFull();
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for ", count, " more images to be encoded"));
  }
  absl::MutexLock lock(&mu_);
  reservation_ = std::move(reservation);
  encoded_.resize(count);
  return absl::OkStatus();
}

absl::Status GenerationCall::ReserveReply(const std::string& account,
                                          int64_t request_bytes) {
  const GenerationRequest& generation = converted_.generation;
  const absl::StatusOr<ImageShape> shape =
      parts_.engine->ShapeOf(generation.model, generation.version);
  if (!shape.ok()) return shape.status();
  const absl::StatusOr<ReplySize> size = SizeReply(*shape, request_bytes);
  if (!size.ok()) return size.status();
  ByteLedger& ledger = *parts_.ledger;
  if (absl::Status status = CheckFits(
          converted_, *shape, *size,
          std::min(ledger.limits().total, ledger.limits().per_caller));
      !status.ok()) {
    return status;
  }
  shape_ = *shape;
  reply_size_ = *size;
  const int64_t bytes = size->Of(generation.count);
  auto reserved = ledger.Reserve(account, bytes);
  if (const auto* const refusal = std::get_if<ByteLedger::Refusal>(&reserved);
      refusal != nullptr) {
    parts_.metrics->OnReplyBytesFull(*refusal);
    return absl::ResourceExhaustedError(absl::StrCat(
        "no room for a reply of up to ", bytes, " bytes: ",
        *refusal == ByteLedger::Refusal::kCaller ? "this caller has"
                                                 : "callers have",
        " too much that is unfinished or not read yet"));
  }
  absl::MutexLock lock(&mu_);
  reply_bytes_ = std::get<ByteLedger::Reservation>(std::move(reserved));
  return absl::OkStatus();
}

absl::Status GenerationCall::Identify(std::string* account) {
  GenerationRequest& generation = converted_.generation;
  std::shared_ptr<const Tenant> tenant;
  if (parts_.access != nullptr) {
    AccessDecision access =
        AccessOf(parts_.access,
                 absl::StrCat("/", v1::ImageGeneration::service_full_name(),
                              "/", NameOf(method_)),
                 *context_);
    if (access.denial.has_value()) {
      parts_.access_metrics->OnAccessDenied(*access.denial);
      return access.status;
    }
    tenant = std::move(access.tenant);
    generation.caller_weight = tenant->weight;
  }
  const CallerEvidence evidence = EvidenceOf(*context_, tenant.get());
  *account = CallerAccount(evidence);
  absl::StatusOr<std::string> caller = CallerName(evidence);
  if (!caller.ok()) return caller.status();
  generation.caller = *std::move(caller);
  if (tenant == nullptr) return absl::OkStatus();

  TenantQuotas::Refused refused;
  std::optional<TenantQuotas::Lease> lease = parts_.access->quotas().Admit(
      *tenant, generation.count, arrived_, &refused);
  if (!lease.has_value()) {
    parts_.access_metrics->OnQuotaRefusal(refused.reason);
    return refused.status;
  }
  absl::MutexLock lock(&mu_);
  lease_.emplace(*std::move(lease));
  return absl::OkStatus();
}

absl::Status GenerationCall::DecodeAndSubmit(const v1::Guide& guide) {
  // The call may have waited behind other pictures, and decoding takes a while.
  if (abandoned()) return absl::CancelledError("cancelled before its guide");
  absl::StatusOr<Guide> converted = ConvertGuide(guide);
  if (!converted.ok()) return converted.status();
  if (abandoned()) return absl::CancelledError("cancelled after its guide");
  return Submit(*std::move(converted));
}

absl::Status GenerationCall::Submit(std::optional<Guide> guide) {
  GenerationRequest generation = converted_.generation;
  generation.guide = std::move(guide);
  {
    absl::MutexLock lock(&mu_);
    ++pending_;  // OnFinished, which may come before Submit returns.
  }
  const absl::StatusOr<Acceptance> acceptance =
      parts_.engine->Submit(generation, shared_from_this());
  if (acceptance.ok()) {
    provenance_.emplace(acceptance->identity, generation.seed,
                        generation.guide.has_value()
                            ? generation.guide->steps
                            : acceptance->num_timesteps);
  }
  bool abandoned_meanwhile;
  std::vector<EncodePool::Task> early_work;
  {
    absl::MutexLock lock(&mu_);
    if (!acceptance.ok()) {
      --pending_;
      return acceptance.status();
    }
    acceptance_ = *acceptance;
    abandoned_meanwhile = abandoned_;
    early_work.swap(early_work_);
  }
  if (abandoned_meanwhile) parts_.engine->Cancel(acceptance->id);
  // Another version went live in between, and its images may be larger.
  if (acceptance->shape != shape_) {
    Fail(absl::UnavailableError("the model has just changed; try again"));
  } else {
    HandleAcceptance(*acceptance);
  }
  for (EncodePool::Task& work : early_work) {
    parts_.encode_pool->Run(std::move(work));
  }
  return absl::OkStatus();
}

void GenerationCall::EndSubmission(const absl::Status& status) {
  if (!status.ok()) Fail(status);
  Release();
}

void GenerationCall::Cancel() {
  std::optional<RequestId> id;
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    abandoned_ = true;
    if (acceptance_.has_value()) id = acceptance_->id;
  }
  if (id.has_value()) parts_.engine->Cancel(*id);
}

void GenerationCall::OnImage(GeneratedImage image) {
  if (abandoned()) return;
  RunOnEncoder([this, image = std::move(image)] { EncodeImage(image); });
}

void GenerationCall::OnPreview(GeneratedImage x0, int t) {
  if (abandoned()) return;
  HandlePreview(std::move(x0), t);
}

void GenerationCall::OnFinished(const absl::Status& status,
                                const GenerationTimings& timings) {
  {
    absl::MutexLock lock(&mu_);
    error_.Update(status);
    if (absl::IsDeadlineExceeded(status)) abandoned_ = true;
    timings_ = timings;
  }
  // Not here: ending the call serialises a reply, which would hold up the lane.
  parts_.encode_pool->Run([self = shared_from_this()] { self->Release(); });
}

void GenerationCall::RunOnEncoder(EncodePool::Task work) {
  EncodePool::Task task = [self = shared_from_this(),
                           work = std::move(work)]() mutable {
    std::move(work)();
    self->Release();
  };
  {
    absl::MutexLock lock(&mu_);
    if (pending_ == 0) return;
    ++pending_;
    if (!acceptance_.has_value()) {
      early_work_.push_back(std::move(task));
      return;
    }
  }
  parts_.encode_pool->Run(std::move(task));
}

absl::StatusOr<std::string> GenerationCall::Encode(
    const GeneratedImage& image, std::optional<int> preview_step) {
  if (converted_.format != v1::OUTPUT_FORMAT_PNG) {
    return std::string(reinterpret_cast<const char*>(image.pixels.data()),
                       image.pixels.size());
  }
  const absl::Time start = absl::Now();
  PngOptions options;
  options.text = preview_step.has_value()
                     ? provenance_->OfPreview(image.index, *preview_step)
                     : provenance_->OfImage(image.index);
  absl::StatusOr<std::string> png =
      EncodePng(image.pixels, image.shape, options);
  if (!png.ok()) {
    // The encoder's InvalidArgument is about the engine's image, not about
    // anything that the caller sent.
    return absl::InternalError(absl::StrCat("encoding image ", image.index,
                                            ": ", png.status().message()));
  }
  parts_.metrics->OnEncoded(absl::Now() - start);
  return png;
}

void GenerationCall::EncodeImage(const GeneratedImage& image) {
  if (abandoned()) return;
  const uint32_t position = image.index - converted_.generation.first_index;
  if (position >= converted_.generation.count) {
    Fail(absl::InternalError(
        absl::StrCat("the engine delivered image ", image.index,
                     ", which the request does not have")));
    return;
  }
  const absl::Time start = absl::Now();
  absl::StatusOr<std::string> data = Encode(image, std::nullopt);
  if (!data.ok()) {
    Fail(data.status());
    return;
  }
  {
    absl::MutexLock lock(&mu_);
    encoded_[position] = true;
    if (converted_.format == v1::OUTPUT_FORMAT_PNG) {
      encode_time_ += absl::Now() - start;
    }
  }
  HandleImage(image.index, *std::move(data));
}

void GenerationCall::Fail(const absl::Status& error) {
  std::optional<RequestId> id;
  {
    absl::MutexLock lock(&mu_);
    error_.Update(error);
    abandoned_ = true;
    if (acceptance_.has_value()) id = acceptance_->id;
  }
  if (id.has_value()) parts_.engine->Cancel(*id);
}

void GenerationCall::Release() {
  {
    absl::MutexLock lock(&mu_);
    if (--pending_ > 0) return;
  }
  HandleEnd();
}

bool GenerationCall::abandoned() const {
  absl::MutexLock lock(&mu_);
  return abandoned_;
}

absl::Status GenerationCall::Outcome() const {
  absl::MutexLock lock(&mu_);
  return OutcomeLocked();
}

absl::Status GenerationCall::OutcomeLocked() const {
  // gRPC also cancels a call whose deadline has passed, and the engine cannot
  // tell that from a caller who left.
  if ((absl::IsCancelled(error_) || cancelled_) &&
      IsPastDeadline(absl::Now() - arrived_, deadline_ - arrived_)) {
    return absl::DeadlineExceededError("the call's deadline passed");
  }
  if (writes_.timed_out()) {
    return absl::DeadlineExceededError("the caller did not read in time");
  }
  if (cancelled_) return absl::CancelledError("the caller cancelled");
  if (!error_.ok()) return error_;
  for (size_t i = 0; i < encoded_.size(); ++i) {
    if (!encoded_[i]) {
      return absl::InternalError(
          absl::StrCat("the engine finished without image ",
                       converted_.generation.first_index + i));
    }
  }
  return absl::OkStatus();
}

grpc::Status GenerationCall::Conclude(int64_t reply_bytes) {
  absl::Status outcome;
  std::string model;
  {
    absl::MutexLock lock(&mu_);
    outcome = OutcomeLocked();
    if (acceptance_.has_value()) model = acceptance_->identity.model;
    reservation_.reset();
    if (lease_.has_value() && !acceptance_.has_value()) lease_->Refund();
    lease_.reset();
  }
  grpc::Status answer = ToGrpcStatus(outcome, context_);
  const char* const method = NameOf(method_);
  if (absl::IsInternal(outcome)) {
    spdlog::error("{} failed: {}", method, answer.error_message());
  } else if (!outcome.ok()) {
    spdlog::debug("{} refused: {} {}", method,
                  absl::StatusCodeToString(outcome.code()),
                  answer.error_message());
  }
  const absl::Duration total = absl::Now() - arrived_;
  parts_.metrics->OnCallFinished(method_, model, outcome.code(), total);
  LogAccess(outcome, total, reply_bytes);
  return answer;
}

void GenerationCall::LogAccess(const absl::Status& outcome,
                               absl::Duration total, int64_t reply_bytes) {
  if (!parts_.access_log->Takes(outcome)) return;
  const GenerationRequest& request = converted_.generation;
  AccessRecord record;
  record.trace = trace_;
  record.method = NameOf(method_);
  record.caller =
      request.caller.empty()
          ? CallerForLog(*context_, parts_.access != nullptr, nullptr)
          : request.caller;
  record.model = asked_model_;
  // A request that is valid has images.
  if (request.count > 0) {
    record.count = request.count;
    record.seed = request.seed;
  }
  record.status = outcome;
  record.total = total;
  record.reply_bytes = reply_bytes;
  {
    absl::MutexLock lock(&mu_);
    if (acceptance_.has_value()) {
      record.model = acceptance_->identity.model;
      record.version = acceptance_->identity.version;
    }
    if (timings_.has_value()) {
      record.queue = timings_->queue;
      record.steps = timings_->steps;
      record.encode = encode_time_;
    }
  }
  parts_.access_log->Write(record);
}

void GenerationCall::FillTimings(v1::GenerateTimings* timings) const {
  absl::MutexLock lock(&mu_);
  ConvertTimings(timings_.value_or(GenerationTimings()), encode_time_, timings);
}

}  // namespace ddgan
