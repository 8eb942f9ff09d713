#include "server/calls/generation_call.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "engine/base/entropy.h"
#include "engine/base/monotonic_clock.h"
#include "engine/base/sha256.h"
#include "server/access/caller.h"
#include "server/access/caller_name.h"
#include "server/calls/call_trace.h"
#include "server/calls/grpc_status.h"
#include "server/calls/guide_conversion.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

// Not deadline(), which overflows with times after the year 2262.
absl::Time DeadlineOf(const grpc::CallbackServerContext& context,
                      absl::Duration timeout) {
  const gpr_timespec deadline = context.raw_deadline();
  const absl::Time now = RealMonotonicClock()->Now();
  return std::min(ConvertDeadline(deadline, gpr_now(deadline.clock_type), now),
                  now + timeout);
}

}  // namespace

GenerationCall::GenerationCall(const Parts& parts, const Kind& kind,
                               grpc::CallbackServerContext* context)
    : CallLifetime({.engine = parts.engine,
                    .encode_pool = parts.encode_pool,
                    .metrics = parts.metrics,
                    .cache = parts.cache,
                    .timer = parts.timer},
                   RealMonotonicClock()->Now(),
                   DeadlineOf(*context, kind.timeout)),
      parts_(parts),
      kind_(kind),
      context_(context),
      in_flight_(parts.calls),
      trace_(TraceCall(context, parts.trace_ratio.value_or(0))),
      writes_(*parts.writes, context) {
  if (!parts.trace_ratio.has_value() || !trace_.sampled) return;
  BeTimed(std::make_unique<CallTimer>());
  parts.metrics->OnTraceBegun(trace_);
}

void GenerationCall::Start(v1::GenerateRequest request) {
  absl::StatusOr<ConvertedRequest> converted =
      ConvertRequest(request, deadline(), DrawEntropy);
  v1::Guide guide = std::move(*request.mutable_guide());
  guide.DiscardUnknownFields();
  const auto bytes = static_cast<int64_t>(guide.SpaceUsedLong());
  StartAsked({.model = request.model(),
              .request = std::move(converted),
              .bytes = bytes,
              .guide = std::move(guide)});
}

void GenerationCall::Start(const std::string& model,
                           absl::StatusOr<ConvertedRequest> request,
                           int64_t kept_bytes) {
  if (request.ok()) request->generation.deadline = deadline();
  StartAsked({.model = model,
              .request = std::move(request),
              .bytes = kept_bytes,
              .guide = {}});
}

void GenerationCall::StartAsked(Asked asked) {
  held_for_grpc_ = shared_from_this();
  asked_model_ = asked.model.substr(0, kMaxNameSize);
  v1::Guide guide = std::move(asked.guide);
  if (timer() != nullptr && asked.request.ok()) {
    asked.request->generation.trace_tag = TraceTagOf(trace_);
  }
  Admission admission;
  const absl::Status status = Admit(std::move(asked), &admission);
  if (timer() != nullptr) {
    timer()->Add({.kind = CallPart::Kind::kAdmission,
                  .start = arrived(),
                  .end = RealMonotonicClock()->Now()});
  }
  std::unique_ptr<Reservation> place = std::move(admission.place);
  std::optional<GuideDecoder::Room> guide_room =
      std::move(admission.guide_room);
  Begin(std::move(admission));
  if (!status.ok()) {
    EndSubmission(status);
  } else if (guide_room.has_value()) {
    guide_ = parts_.guide_decoder->Run(
        *std::move(guide_room),
        [this, self = shared_from_this(), guide = std::move(guide),
         place = std::move(place)](const absl::Status& turn) mutable {
          EndSubmission(turn.ok() ? DecodeAndSubmit(guide, std::move(place))
                                  : turn);
        });
  } else {
    EndSubmission(Submit(std::move(place), nullptr));
  }
}

void GenerationCall::Cancel() {
  CallLifetime::Cancel();
  if (guide_.has_value() && parts_.guide_decoder->Withdraw(*guide_)) {
    EndSubmission(absl::CancelledError("cancelled before its guide"));
  }
}

void GenerationCall::BeginWrite() {
  writes_.Begin();
  if (timer() != nullptr) timer()->BeginWrite(RealMonotonicClock()->Now());
}

void GenerationCall::EndWrite() {
  writes_.End();
  if (timer() != nullptr) timer()->EndWrite(RealMonotonicClock()->Now());
}

void GenerationCall::LetGo() {
  writes_.LetGo();
  ShrinkReply(0);
  if (timer() != nullptr) {
    const absl::Time now = RealMonotonicClock()->Now();
    timer()->EndWrite(now);  // That of Finish.
    metrics().OnTraceEnded(timer()->Finish(kind_.method, arrived(), now));
  }
  held_for_grpc_.reset();
}

absl::Status GenerationCall::Admit(Asked asked, Admission* admission) {
  absl::StatusOr<Caller> caller = CallerOf(parts_.access, *context_);
  if (!caller.ok()) {
    caller_ = PeerAddress(context_->peer());
    if (absl::IsUnauthenticated(caller.status())) {
      parts_.access_metrics->OnAccessDenied(AccessDenial::kBadToken);
    }
    return caller.status();
  }
  caller_ = caller->name;
  const CallAdmission admissions(
      {.engine = parts_.engine,
       .encode_pool = parts_.encode_pool,
       .guide_decoder = parts_.guide_decoder,
       .ledger = parts_.ledger,
       .quotas = parts_.access == nullptr ? nullptr : &parts_.access->quotas(),
       .metrics = parts_.metrics,
       .access_metrics = parts_.access_metrics});
  return admissions.Admit(
      {.request = std::move(asked.request),
       .request_bytes = asked.bytes,
       .caller = *std::move(caller),
       .previews = kind_.previews},
      [this](const ConvertedRequest& converted, const ImageShape& shape,
             int64_t request_bytes) {
        return SizeReply(converted, shape, request_bytes);
      },
      admission);
}

absl::Status GenerationCall::DecodeAndSubmit(
    const v1::Guide& guide, std::unique_ptr<Reservation> place) {
  // Whoever leaves after it was this guide's turn could not withdraw it.
  if (abandoned()) return absl::CancelledError("cancelled before its guide");
  const absl::Time start = RealMonotonicClock()->Now();
  absl::StatusOr<Picture> picture = DecodeGuide(guide);
  if (timer() != nullptr) {
    timer()->Add({.kind = CallPart::Kind::kGuide,
                  .start = start,
                  .end = RealMonotonicClock()->Now()});
  }
  if (!picture.ok()) return picture.status();
  if (abandoned()) return absl::CancelledError("cancelled after its guide");
  return Submit(std::move(place),
                std::make_shared<const Picture>(*std::move(picture)),
                parts_.cache == nullptr ? "" : Sha256Hex(guide.png()));
}

grpc::Status GenerationCall::Conclude(int64_t reply_bytes) {
  const Ending ending = CallLifetime::Settle(writes_.timed_out());
  const absl::Status& outcome = ending.outcome;
  grpc::Status answer = ToGrpcStatus(outcome, context_);
  const char* const method = NameOf(kind_.method);
  if (absl::IsInternal(outcome)) {
    spdlog::error("{} failed: {}", method, answer.error_message());
  } else if (!outcome.ok()) {
    spdlog::debug("{} refused: {} {}", method,
                  absl::StatusCodeToString(outcome.code()),
                  answer.error_message());
  }
  const absl::Duration total = RealMonotonicClock()->Now() - arrived();
  parts_.metrics->OnCallFinished(kind_.method,
                                 ending.acceptance.has_value()
                                     ? ending.acceptance->identity.model
                                     : std::string(),
                                 outcome.code(), total);
  if (ending.acceptance.has_value()) {
    parts_.statistics->Record(
        ending.acceptance->identity,
        {.ok = outcome.ok(),
         .images = converted().generation.count,
         .total = total,
         .timings = ending.timings.value_or(GenerationTimings()),
         .encode = ending.encode_time},
        absl::Now());
  }
  const bool logged = parts_.access_log->Takes(outcome);
  if (logged || timer() != nullptr) {
    AccessRecord record = RecordOf(ending, total, reply_bytes);
    if (logged) parts_.access_log->Write(record);
    if (timer() != nullptr) timer()->SetRecord(std::move(record));
  }
  return answer;
}

AccessRecord GenerationCall::RecordOf(const Ending& ending,
                                      absl::Duration total,
                                      int64_t reply_bytes) const {
  const GenerationRequest& request = converted().generation;
  AccessRecord record;
  record.trace = trace_;
  record.method = NameOf(kind_.method);
  record.caller = caller_;
  record.model = asked_model_;
  // A request that is valid has images.
  if (request.count > 0) {
    record.count = request.count;
    // Of several there is no room for all.
    if (request.noise.size() < 2) record.seed = request.NoiseOf(0).seed;
  }
  record.status = ending.outcome;
  record.total = total;
  // gRPC sends no message with an error but those that were sent before.
  if (kind_.streams || ending.outcome.ok()) record.reply_bytes = reply_bytes;
  if (ending.acceptance.has_value()) {
    record.model = ending.acceptance->identity.model;
    record.version = ending.acceptance->identity.version;
  }
  if (ending.timings.has_value()) {
    record.queue = ending.timings->queue;
    record.steps = ending.timings->steps;
    record.encode = ending.encode_time;
  }
  return record;
}

}  // namespace ddgan
