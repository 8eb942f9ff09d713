#include "engine/requests/admission.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/api/retry_hint.h"

namespace ddgan {
namespace {

constexpr absl::Duration kMinRetryAfter = absl::Milliseconds(50);
constexpr absl::Duration kMaxRetryAfter = absl::Seconds(30);
// While nothing has been measured.
constexpr absl::Duration kDefaultRetryAfter = absl::Milliseconds(500);

// When the claim's images may find room in a full queue.
absl::Duration RetryAfterFull(const EngineLoad& load, const Claim& claim) {
  const std::optional<absl::Duration> tick =
      TickTime(*claim.version, load.capacity, load.max_images);
  if (!tick) return kDefaultRetryAfter;
  const absl::Duration needed = *tick * claim.version->evaluations *
                                static_cast<double>(claim.images) /
                                load.capacity.rows;
  return std::clamp(needed, kMinRetryAfter, kMaxRetryAfter);
}

// Names the field as the request has it.
absl::Status TooLarge(const EngineLoad& load, const Claim& claim) {
  const int64_t guide = claim.bytes - claim.images * claim.image_bytes;
  const int64_t fit = std::min<int64_t>(
      load.max_images, (load.max_bytes - guide) / claim.image_bytes);
  const std::string holds =
      absl::StrCat("this server holds at most ", load.max_images,
                   " images and ", load.max_bytes, " bytes");
  if (fit < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("guide: it and one image take ", guide + claim.image_bytes,
                     " bytes; ", holds));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "count: ", claim.images, " is out of range [1, ", fit, "], as images of ",
      claim.image_bytes, " bytes each", guide > 0 ? " and the guide" : "",
      " take ", claim.bytes, " bytes; ", holds));
}

// Whether an account that has images here would have more with the claim than
// stays free for others.
bool IsShareFull(const EngineLoad& load, const Claim& claim) {
  if (load.own.images == 0) return false;
  return load.own.images + claim.images >
             load.max_images - load.images - claim.images ||
         load.own.bytes + claim.bytes >
             load.max_bytes - load.bytes - claim.bytes;
}

}  // namespace

Claim ClaimOf(const GenerationRequest& request,
              std::shared_ptr<const ServableVersion> version, absl::Time now) {
  const ImageShape& shape = version->shape;
  const auto numel = static_cast<int64_t>(shape.numel());
  const int64_t result =
      request.pixel_format == PixelFormat::kFloat32 ? numel * 4 : numel;
  // x_t before and after a step, and the result; a preview is as large.
  const int64_t image =
      2 * numel * 4 + (request.previews ? 2 * result : result);
  const int64_t guide =
      request.guide
          ? numel * 4 + static_cast<int64_t>(request.guide->picture.numel())
          : 0;
  const int steps = request.guide ? request.guide->steps : version->evaluations;
  return {.version = std::move(version),
          .account = request.account,
          .images = static_cast<int>(request.count),
          .first_step = steps - 1,
          .bytes = image * request.count + guide,
          .image_bytes = image,
          .deadline = request.deadline,
          .steps_deadline = StepsDeadline(now, request.deadline)};
}

Claim TakeImages(int images, Claim* claim) {
  const int64_t bytes = images * claim->image_bytes;
  const int64_t guide = claim->bytes - claim->images * claim->image_bytes;
  Claim taken = *claim;
  taken.images = images;
  taken.bytes = bytes + guide;
  claim->images -= images;
  claim->bytes -= bytes;
  return taken;
}

std::optional<Refusal> CheckOpen(const EngineLoad& load, absl::Time deadline,
                                 absl::Time now) {
  if (load.draining) {
    return Refusal{RefusalReason::kDraining,
                   absl::UnavailableError("the engine is shutting down")};
  }
  if (deadline <= now) {
    return Refusal{
        RefusalReason::kDeadline,
        absl::DeadlineExceededError(absl::StrCat(
            "the deadline passed ", absl::FormatDuration(now - deadline),
            " before the request was queued"))};
  }
  if (now >= load.all_down_since + load.outage_limit) {
    return Refusal{RefusalReason::kNoDevice,
                   absl::UnavailableError(absl::StrCat(
                       "every device has been out for ",
                       absl::FormatDuration(now - load.all_down_since)))};
  }
  return std::nullopt;
}

std::optional<Refusal> CheckRoom(const EngineLoad& load, const Claim& claim) {
  // What an idle engine has no room for must not be told to come back.
  if (claim.images > load.max_images || claim.bytes > load.max_bytes) {
    return Refusal{RefusalReason::kTooLarge, TooLarge(load, claim)};
  }
  std::string lack;
  if (int64_t{claim.images} + load.images > load.max_images) {
    lack = absl::StrCat(claim.images, " images: ", load.images, " of at most ",
                        load.max_images, " are unfinished");
  } else if (claim.bytes + load.bytes > load.max_bytes) {
    lack = absl::StrCat(claim.bytes, " bytes of images: ", load.bytes,
                        " of at most ", load.max_bytes, " are taken");
  } else if (IsShareFull(load, claim)) {
    lack = absl::StrCat(claim.images,
                        " more images of this caller: ", load.own.images,
                        " of its images are unfinished, ",
                        load.max_images - load.images, " of ", load.max_images,
                        " places are free, and as many must stay free for "
                        "others as it has");
  } else {
    return std::nullopt;
  }
  return Refusal{RefusalReason::kQueueFull,
                 WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                                    "the queue has no room for ", lack)),
                                RetryAfterFull(load, claim))};
}

std::optional<Refusal> CheckDeadline(const EngineLoad& load, const Claim& claim,
                                     absl::Duration busy, absl::Time now,
                                     std::vector<DeadlineWork>* by_deadline) {
  const std::optional<absl::Duration> tick =
      TickTime(*claim.version, load.capacity, load.images + claim.images);
  if (!tick) return std::nullopt;
  const int rows = std::min(load.images + claim.images, load.capacity.rows);
  const auto place = std::upper_bound(
      by_deadline->begin(), by_deadline->end(), claim.steps_deadline,
      [](absl::Time deadline, const DeadlineWork& work) {
        return deadline < work.deadline;
      });
  const size_t first = place - by_deadline->begin();
  by_deadline->insert(place, {claim.steps_deadline,
                              *tick * static_cast<double>(claim.steps()) / rows,
                              *tick * (claim.first_step + 1)});
  // An idle engine starts at once.
  const absl::Duration wait =
      load.images == 0 ? absl::ZeroDuration() : std::max(busy, *tick);
  if (DeadlinesCanBeMet(*by_deadline, first, wait, now)) return std::nullopt;
  return Refusal{
      RefusalReason::kUnmeetableDeadline,
      absl::DeadlineExceededError(absl::StrCat(
          "the deadline is in ", absl::FormatDuration(claim.deadline - now),
          ", but with the work ahead ", claim.images, " images take about ",
          absl::FormatDuration(absl::Trunc(
              TimeNeeded(*by_deadline, first, wait), absl::Milliseconds(1)))))};
}

std::optional<absl::Duration> TickTime(const ServableVersion& version,
                                       LaneCapacity capacity, int images) {
  const int rows = std::min(images, capacity.rows);
  return version.costs->StepTime(
      std::max((rows + capacity.lanes - 1) / capacity.lanes, 1));
}

std::optional<absl::Duration> ExpectedStart(const ServableVersion& version,
                                            LaneCapacity capacity, int images) {
  const std::optional<absl::Duration> tick =
      TickTime(version, capacity, images + 1);
  if (!tick) return std::nullopt;
  if (images == 0) return absl::ZeroDuration();
  if (images < capacity.rows) return *tick;
  // Images run to their end in order, `rows` at a time.
  return *tick * version.evaluations * (images / capacity.rows);
}

}  // namespace ddgan
