#include "server/calls/call_lifetime.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/monotonic_clock.h"
#include "engine/imaging/png_encoder.h"
#include "engine/imaging/to_rgb8_cpu.h"

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
  without_work_ = std::move(admission.without_work);
  absl::MutexLock lock(&mu_);
  holdings_ = std::move(admission.holdings);
  encoded_.resize(request_.generation.count);
}

absl::Status CallLifetime::Submit(std::unique_ptr<Reservation> place,
                                  std::shared_ptr<const Picture> guide,
                                  const std::string& guide_sha256) {
  const GenerationRequest& generation = request_.generation;
  if (parts_.cache != nullptr) {
    std::optional<GuideKey> guide_key;
    if (generation.guide.has_value()) {
      guide_key = {.sha256 = guide_sha256,
                   .steps = generation.guide->steps,
                   .fit = generation.guide->fit};
    }
    keys_.emplace(without_work_.identity, request_.formats, guide_key);
  }
  submitted_ = SubmissionTime();
  const absl::StatusOr<Acceptance> acceptance =
      keys_.has_value() && !generation.previews
          ? SubmitWhatIsNotKept(std::move(place), std::move(guide))
          : SubmitToEngine(std::move(place), std::move(guide),
                           shared_from_this());
  if (!acceptance.ok()) return acceptance.status();
  HandleAcceptance(*acceptance);
  return absl::OkStatus();
}

std::optional<absl::Time> CallLifetime::SubmissionTime() const {
  if (timer_ == nullptr) return std::nullopt;
  return RealMonotonicClock()->Now();
}

absl::StatusOr<Acceptance> CallLifetime::SubmitToEngine(
    std::unique_ptr<Reservation> place, std::shared_ptr<const Picture> guide,
    std::shared_ptr<GenerationSink> sink) {
  {
    absl::MutexLock lock(&mu_);
    ++pending_;  // OnFinished, which may come before Submit returns.
  }
  const absl::StatusOr<Acceptance> acceptance = parts_.engine->Submit(
      std::move(place), std::move(guide), std::move(sink));
  bool abandoned_meanwhile;
  {
    absl::MutexLock lock(&mu_);
    if (!acceptance.ok()) {
      --pending_;
      return acceptance.status();
    }
    if (!acceptance_.has_value()) acceptance_ = *acceptance;
    requests_.push_back(acceptance->id);
    abandoned_meanwhile = abandoned_;
  }
  // Whoever abandoned it had no id to cancel.
  if (abandoned_meanwhile) parts_.engine->Cancel(acceptance->id);
  return acceptance;
}

void CallLifetime::EndSubmission(const absl::Status& status) {
  if (!status.ok()) Fail(status);
  Release();
}

void CallLifetime::Cancel() {
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    abandoned_ = true;
  }
  DropRest();
}

void CallLifetime::Fail(const absl::Status& error) {
  {
    absl::MutexLock lock(&mu_);
    error_.Update(error);
    abandoned_ = true;
  }
  DropRest();
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
  FinishRequest(status, timings, submitted_);
}

void CallLifetime::FinishRequest(const absl::Status& status,
                                 const GenerationTimings& timings,
                                 std::optional<absl::Time> submitted) {
  {
    absl::MutexLock lock(&mu_);
    error_.Update(status);
    if (absl::IsDeadlineExceeded(status)) abandoned_ = true;
    timings_ = timings;
  }
  if (submitted.has_value()) {
    timer_->Add({.kind = CallPart::Kind::kQueue,
                 .start = *submitted,
                 .end = *submitted + timings.queue});
  }
  // Not here: ending the call serialises a reply, which would hold up the lane.
  parts_.encode_pool->Run([self = shared_from_this(), failed = !status.ok()] {
    if (failed && self->keys_.has_value()) self->DropRest();
    self->Release();
  });
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

absl::StatusOr<std::vector<std::string>> CallLifetime::Encode(
    const GeneratedImage& image, std::optional<int> preview_step) {
  if (timer_ == nullptr) return EncodeForms(image, preview_step);
  const absl::Time start = RealMonotonicClock()->Now();
  absl::StatusOr<std::vector<std::string>> data =
      EncodeForms(image, preview_step);
  timer_->Add({.kind = CallPart::Kind::kEncode,
               .start = start,
               .end = RealMonotonicClock()->Now(),
               .position = image.position,
               .preview_step = preview_step});
  return data;
}

absl::StatusOr<std::vector<std::string>> CallLifetime::EncodeForms(
    const GeneratedImage& image, std::optional<int> preview_step) {
  std::vector<uint8_t> converted;
  absl::Span<const uint8_t> pixels = image.pixels;  // With 8 bits.
  const bool as_bytes = request_.formats.size() > 1 ||
                        request_.formats.front() != v1::OUTPUT_FORMAT_FLOAT32;
  if (image.pixel_format == PixelFormat::kFloat32 && as_bytes) {
    converted.resize(image.shape.numel());
    ToRgb8Cpu({image.pixels.floats(), image.shape.numel()}, image.shape,
              absl::MakeSpan(converted));
    pixels = converted;
  }
  std::vector<std::string> data;
  for (const v1::OutputFormat format : request_.formats) {
    if (format == v1::OUTPUT_FORMAT_PNG) {
      absl::StatusOr<std::string> png =
          EncodeAsPng(pixels, image, preview_step);
      if (!png.ok()) return png.status();
      data.push_back(*std::move(png));
      continue;
    }
    const absl::Span<const uint8_t> bytes =
        format == v1::OUTPUT_FORMAT_FLOAT32 ? image.pixels : pixels;
    data.emplace_back(reinterpret_cast<const char*>(bytes.data()),
                      bytes.size());
  }
  return data;
}

absl::StatusOr<std::string> CallLifetime::EncodeAsPng(
    absl::Span<const uint8_t> pixels, const GeneratedImage& image,
    std::optional<int> preview_step) {
  const absl::Time start = RealMonotonicClock()->Now();
  const ImageNoise noise = request_.generation.NoiseOf(image.position);
  PngOptions options;
  options.text = preview_step.has_value()
                     ? provenance_->OfPreview(noise, *preview_step)
                     : provenance_->OfImage(noise);
  absl::StatusOr<std::string> png = EncodePng(pixels, image.shape, options);
  if (!png.ok()) {
    // The encoder's InvalidArgument is about the engine's image, not about
    // anything that the caller sent.
    return absl::InternalError(absl::StrCat("encoding image ", image.index,
                                            ": ", png.status().message()));
  }
  const absl::Duration taken = RealMonotonicClock()->Now() - start;
  parts_.metrics->OnEncoded(taken);
  if (!preview_step.has_value()) {
    absl::MutexLock lock(&mu_);
    encode_time_ += taken;
  }
  return png;
}

void CallLifetime::EncodeImage(const GeneratedImage& image) {
  if (abandoned()) return;
  if (image.position >= request_.generation.count) {
    Fail(absl::InternalError(absl::StrCat("the engine delivered image ",
                                          image.position, " of ",
                                          request_.generation.count)));
    return;
  }
  absl::StatusOr<std::vector<std::string>> data = Encode(image, std::nullopt);
  if (!data.ok()) {
    Fail(data.status());
    return;
  }
  {
    absl::MutexLock lock(&mu_);
    encoded_[image.position] = true;
    making_.erase(image.position);
  }
  if (keys_.has_value()) {
    parts_.cache->Publish(
        KeyOf(image.position),
        std::make_shared<const std::vector<std::string>>(*data));
  }
  HandleImage(image.position, *std::move(data));
}

void CallLifetime::Release() {
  std::set<uint32_t> not_made;
  std::optional<DeadlineTimer::Key> alarm;
  {
    absl::MutexLock lock(&mu_);
    if (--pending_ > 0) return;
    // A reader who takes its time needs no encoder.
    holdings_.encoder_room.reset();
    not_made.swap(making_);
    alarm.swap(alarm_);
  }
  for (const uint32_t position : not_made) {
    parts_.cache->GiveUp(KeyOf(position), this, position);
  }
  if (alarm.has_value()) parts_.timer->Remove(*alarm);
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
                       request_.generation.NoiseOf(i).index));
    }
  }
  return absl::OkStatus();
}

CallLifetime::Ending CallLifetime::Settle(bool unread) {
  absl::MutexLock lock(&mu_);
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
