#include "server/calls/call_lifetime.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/monotonic_clock.h"
#include "engine/imaging/png_encoder.h"

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

void CallLifetime::Begin(Admission admission) {
  request_ = std::move(admission.request);
  reply_size_ = admission.reply_size;
  provenance_ = std::move(admission.provenance);
  absl::MutexLock lock(&mu_);
  holdings_ = std::move(admission.holdings);
  encoded_.resize(request_.generation.count);
}

absl::Status CallLifetime::Submit(std::unique_ptr<Reservation> place,
                                  std::shared_ptr<const Picture> guide) {
  {
    absl::MutexLock lock(&mu_);
    ++pending_;  // OnFinished, which may come before Submit returns.
  }
  const absl::StatusOr<Acceptance> acceptance = parts_.engine->Submit(
      std::move(place), std::move(guide), shared_from_this());
  bool abandoned_meanwhile;
  {
    absl::MutexLock lock(&mu_);
    if (!acceptance.ok()) {
      --pending_;
      return acceptance.status();
    }
    acceptance_ = *acceptance;
    abandoned_meanwhile = abandoned_;
  }
  // Whoever abandoned it had no id to cancel.
  if (abandoned_meanwhile) parts_.engine->Cancel(acceptance->id);
  HandleAcceptance(*acceptance);
  return absl::OkStatus();
}

void CallLifetime::EndSubmission(const absl::Status& status) {
  if (!status.ok()) Fail(status);
  Release();
}

void CallLifetime::Cancel() {
  std::optional<RequestId> id;
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    abandoned_ = true;
    if (acceptance_.has_value()) id = acceptance_->id;
  }
  if (id.has_value()) parts_.engine->Cancel(*id);
}

void CallLifetime::Fail(const absl::Status& error) {
  std::optional<RequestId> id;
  {
    absl::MutexLock lock(&mu_);
    error_.Update(error);
    abandoned_ = true;
    if (acceptance_.has_value()) id = acceptance_->id;
  }
  if (id.has_value()) parts_.engine->Cancel(*id);
}

void CallLifetime::OnImage(GeneratedImage image) {
  if (abandoned()) return;
  RunOnEncoder([this, image = std::move(image)] { EncodeImage(image); });
}

void CallLifetime::OnPreview(GeneratedImage x0, int steps_left) {
  if (abandoned()) return;
  HandlePreview(std::move(x0), steps_left);
}

void CallLifetime::OnFinished(const absl::Status& status,
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

void CallLifetime::RunOnEncoder(EncodePool::Task work) {
  {
    absl::MutexLock lock(&mu_);
    if (pending_ == 0) return;
    ++pending_;
  }
  parts_.encode_pool->Run(
      [self = shared_from_this(), work = std::move(work)]() mutable {
        std::move(work)();
        self->Release();
      });
}

absl::StatusOr<std::string> CallLifetime::Encode(
    const GeneratedImage& image, std::optional<int> preview_step) {
  if (request_.format != v1::OUTPUT_FORMAT_PNG) {
    return std::string(reinterpret_cast<const char*>(image.pixels.data()),
                       image.pixels.size());
  }
  const absl::Time start = RealMonotonicClock()->Now();
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
  parts_.metrics->OnEncoded(RealMonotonicClock()->Now() - start);
  return png;
}

void CallLifetime::EncodeImage(const GeneratedImage& image) {
  if (abandoned()) return;
  const uint32_t position = image.index - request_.generation.first_index;
  if (position >= request_.generation.count) {
    Fail(absl::InternalError(
        absl::StrCat("the engine delivered image ", image.index,
                     ", which the request does not have")));
    return;
  }
  const absl::Time start = RealMonotonicClock()->Now();
  absl::StatusOr<std::string> data = Encode(image, std::nullopt);
  if (!data.ok()) {
    Fail(data.status());
    return;
  }
  {
    absl::MutexLock lock(&mu_);
    encoded_[position] = true;
    if (request_.format == v1::OUTPUT_FORMAT_PNG) {
      encode_time_ += RealMonotonicClock()->Now() - start;
    }
  }
  HandleImage(image.index, *std::move(data));
}

void CallLifetime::Release() {
  {
    absl::MutexLock lock(&mu_);
    if (--pending_ > 0) return;
  }
  HandleEnd();
}

void CallLifetime::ShrinkReply(int64_t bytes) {
  absl::MutexLock lock(&mu_);
  holdings_.reply_bytes.ShrinkTo(bytes);
}

void CallLifetime::ForgetImage() {
  absl::MutexLock lock(&mu_);
  holdings_.reply_bytes.ShrinkTo(holdings_.reply_bytes.bytes() -
                                 reply_size_.per_image);
}

bool CallLifetime::abandoned() const {
  absl::MutexLock lock(&mu_);
  return abandoned_;
}

absl::Status CallLifetime::Outcome(bool unread) const {
  absl::MutexLock lock(&mu_);
  return OutcomeLocked(unread);
}

absl::Status CallLifetime::OutcomeLocked(bool unread) const {
  // gRPC also cancels a call whose deadline has passed, and the engine cannot
  // tell that from a caller who left.
  if ((absl::IsCancelled(error_) || cancelled_) &&
      IsPastDeadline(RealMonotonicClock()->Now() - arrived_,
                     deadline_ - arrived_)) {
    return absl::DeadlineExceededError("the call's deadline passed");
  }
  if (unread) {
    return absl::DeadlineExceededError("the caller did not read in time");
  }
  if (cancelled_) return absl::CancelledError("the caller cancelled");
  if (!error_.ok()) return error_;
  for (size_t i = 0; i < encoded_.size(); ++i) {
    if (!encoded_[i]) {
      return absl::InternalError(
          absl::StrCat("the engine finished without image ",
                       request_.generation.first_index + i));
    }
  }
  return absl::OkStatus();
}

CallLifetime::Ending CallLifetime::Settle(bool unread) {
  absl::MutexLock lock(&mu_);
  holdings_.encoder_room.reset();
  std::optional<TenantQuotas::Lease>& quota = holdings_.quota;
  if (quota.has_value() && !acceptance_.has_value()) quota->Refund();
  quota.reset();
  return {.outcome = OutcomeLocked(unread),
          .acceptance = acceptance_,
          .timings = timings_,
          .encode_time = encode_time_};
}

void CallLifetime::FillTimings(v1::GenerateTimings* timings) const {
  absl::MutexLock lock(&mu_);
  ConvertTimings(timings_.value_or(GenerationTimings()), encode_time_, timings);
}

}  // namespace ddgan
