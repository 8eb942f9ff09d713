#include "client/load_generator/load_run.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/image_client.h"
#include "client/reply_check.h"

namespace ddgan {
namespace {

// A signal handler cannot wake the thread that sends.
constexpr absl::Duration kLookForStopEvery = absl::Milliseconds(100);

ArrivalSchedule ScheduleOf(const LoadOptions& options) {
  return options.concurrency > 0
             ? ArrivalSchedule::ClosedLoop(options.concurrency)
             // Not the numbers that the mix draws.
             : ArrivalSchedule::OpenLoop(options.rate, ~options.seed);
}

void CountFate(CallFate fate, CallCounts* counts) {
  ++counts->scheduled;
  switch (fate) {
    case CallFate::kOk:
      ++counts->ok;
      break;
    case CallFate::kRefused:
      ++counts->refused;
      break;
    case CallFate::kFailed:
      ++counts->failed;
      break;
    case CallFate::kCancelled:
      ++counts->cancelled;
      break;
    case CallFate::kUnanswered:
      ++counts->unanswered;
      break;
    case CallFate::kUnsent:
      ++counts->unsent;
      break;
  }
}

}  // namespace

// Filled in by the sending thread, then by gRPC's until OnReply hands it back.
struct LoadRun::Call {
  uint64_t id = 0;
  FinishedCall finished;
  Abort abort = Abort::kNone;  // The sending thread's alone.
  ReplyHashes hashes;
  std::string sha256;
  grpc::ClientContext context;
  v1::GenerateRequest request;
  v1::GenerateResponse response;
};

absl::StatusOr<std::shared_ptr<grpc::Channel>> CreateLoadChannel(
    const std::string& address, const ConnectionSecurity& security) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return OpenChannel(address, security, std::move(arguments));
}

LoadRun::LoadRun(std::shared_ptr<grpc::Channel> channel, LoadOptions options,
                 std::map<uint32_t, absl::Duration> standalone,
                 CallRecorder* recorder)
    : options_(std::move(options)),
      standalone_(std::move(standalone)),
      sending_end_(options_.warmup + options_.duration),
      images_(v1::ImageGeneration::NewStub(std::move(channel))),
      recorder_(recorder),
      start_(std::chrono::steady_clock::now()),
      start_time_(absl::Now()),
      schedule_(ScheduleOf(options_)),
      mix_(options_.mix, options_.seed),
      tally_(options_, standalone_) {}

LoadRun::~LoadRun() = default;

LoadReport LoadRun::Run() {
  while (true) {
    CountEnded();
    const absl::Duration now = Elapsed();
    AbortDue(now);
    SendDue(now);
    const bool over = SendingIsOver(now);
    if (over && outstanding_.empty()) break;
    absl::Duration next = absl::InfiniteDuration();
    if (!over) next = std::min(schedule_.Next(), sending_end_);
    if (!aborts_.empty()) next = std::min(next, aborts_.top().when);
    WaitForReply(std::min(next, now + kLookForStopEvery));
  }
  LoadReport report = tally_.Report(Elapsed());
  if (options_.verify) report.verify = verifier_.result();
  return report;
}

LoadProgress LoadRun::progress() const {
  absl::MutexLock lock(&mu_);
  return progress_;
}

absl::Duration LoadRun::Elapsed() const {
  return absl::FromChrono(std::chrono::steady_clock::now() - start_);
}

bool LoadRun::MaySendMore() const {
  if (stopped_) return false;
  return options_.calls > 0 ? due_after_warmup_ < options_.calls
                            : schedule_.Next() < sending_end_;
}

bool LoadRun::SendingIsOver(absl::Duration now) const {
  if (stopped_) return true;
  return options_.calls > 0 ? due_after_warmup_ == options_.calls
                            : now >= sending_end_;
}

void LoadRun::SendDue(absl::Duration now) {
  while (MaySendMore() && schedule_.Next() <= now) {
    const absl::Duration due = schedule_.Next();
    schedule_.Pop();
    if (due >= options_.warmup) ++due_after_warmup_;
    const CallPlan plan = mix_.Next();
    if (options_.concurrency == 0 &&
        outstanding_.size() >= options_.max_outstanding) {
      FinishedCall unsent;
      unsent.plan = plan;
      unsent.due = unsent.sent = unsent.ended = due;
      unsent.fate = CallFate::kUnsent;
      Count(unsent);
      Record(unsent, {}, "");
    } else {
      Start(plan, due);
    }
  }
}

void LoadRun::Start(const CallPlan& plan, absl::Duration due) {
  auto owned = std::make_unique<Call>();
  Call* const call = owned.get();
  call->id = next_id_++;
  call->finished.plan = plan;
  call->finished.due = due;
  call->request = options_.request;
  call->request.set_count(plan.count);
  call->request.set_seed(plan.seed);
  call->request.set_request_class(plan.request_class);
  if (plan.client_id.has_value()) {
    call->context.AddMetadata("ddgan-client-id",
                              absl::StrCat("bench-", *plan.client_id));
  }
  PlannedAbort abort = {due + options_.timeout, call->id, Abort::kTimedOut};
  if (plan.cancel_after.has_value()) {
    const absl::Duration cancel =
        due + *plan.cancel_after * standalone_.at(plan.count);
    if (cancel < abort.when) abort = {cancel, call->id, Abort::kCancelled};
  }
  aborts_.push(abort);
  outstanding_.emplace(call->id, std::move(owned));
  {
    absl::MutexLock lock(&mu_);
    progress_.outstanding = outstanding_.size();
  }
  call->finished.sent = Elapsed();
  if (plan.deadline < absl::InfiniteDuration()) {
    call->context.set_deadline(absl::ToChronoTime(
        absl::Now() + (due + plan.deadline - call->finished.sent)));
  }
  images_->async()->Generate(
      &call->context, &call->request, &call->response,
      [this, call](const grpc::Status& status) {
        // gRPC's codes and Abseil's have the same numbers.
        OnReply(call, static_cast<absl::StatusCode>(status.error_code()));
      });
}

void LoadRun::OnReply(Call* call, absl::StatusCode code) {
  call->finished.ended = Elapsed();
  if (code == absl::StatusCode::kOk) {
    code = CheckReply(call->request, call->response).code();
  }
  call->finished.code = code;
  if (code == absl::StatusCode::kOk) {
    call->finished.version = call->response.version();
    if (options_.verify) call->hashes = HashReply(call->response);
    if (recorder_ != nullptr) call->sha256 = HashImages(call->response);
  }
  absl::MutexLock lock(&mu_);
  ended_.push_back(call);
}

void LoadRun::AbortDue(absl::Duration now) {
  while (!aborts_.empty() && aborts_.top().when <= now) {
    const PlannedAbort abort = aborts_.top();
    aborts_.pop();
    const auto call = outstanding_.find(abort.id);
    if (call == outstanding_.end()) continue;
    call->second->abort = abort.why;
    call->second->context.TryCancel();
  }
}

void LoadRun::CountEnded() {
  std::vector<Call*> ended;
  {
    absl::MutexLock lock(&mu_);
    ended.swap(ended_);
  }
  for (Call* const call : ended) {
    FinishedCall& finished = call->finished;
    finished.fate = FateOf(finished.code, call->abort, finished.ended,
                           finished.due + finished.plan.deadline);
    if (options_.verify && finished.fate == CallFate::kOk) {
      verifier_.Add(call->hashes);
    }
    schedule_.OnCallEnded(finished.ended);
    Count(finished);
    Record(finished, call->response, call->sha256);
    outstanding_.erase(call->id);
  }
  absl::MutexLock lock(&mu_);
  progress_.outstanding = outstanding_.size();
}

void LoadRun::Count(const FinishedCall& call) {
  tally_.Add(call);
  absl::MutexLock lock(&mu_);
  CountFate(call.fate, &progress_.calls);
}

void LoadRun::Record(const FinishedCall& call,
                     const v1::GenerateResponse& response,
                     const std::string& sha256) {
  if (recorder_ == nullptr) return;
  recorder_->Add({.call = call,
                  .run_start = start_time_,
                  .first_index = options_.request.first_index(),
                  .model = response.model(),
                  .sha256 = sha256});
}

void LoadRun::WaitForReply(absl::Duration until) {
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(this, &LoadRun::HasEnded),
                       until - Elapsed());
}

}  // namespace ddgan
