#include "server/calls/generate_stream_reactor.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/base/monotonic_clock.h"
#include "server/calls/request_conversion.h"

namespace ddgan {

grpc::ServerWriteReactor<v1::GenerateStreamResponse>*
GenerateStreamReactor::Start(const Parts& parts,
                             grpc::CallbackServerContext* context,
                             const v1::GenerateStreamRequest* request) {
  const std::shared_ptr<GenerateStreamReactor> reactor(
      new GenerateStreamReactor(parts, context, request->previews()));
  // Unset, it is the empty request, whose count is refused.
  reactor->GenerationCall::Start(
      std::move(*TakeMessage(request).mutable_request()));
  return reactor.get();
}

GenerateStreamReactor::GenerateStreamReactor(
    const Parts& parts, grpc::CallbackServerContext* context, bool previews)
    : GenerationCall(parts,
                     {.method = RpcMethod::kGenerateStream,
                      .streams = true,
                      .previews = previews},
                     context),
      previews_(previews) {}

absl::StatusOr<ReplySize> GenerateStreamReactor::SizeReply(
    const ConvertedRequest& request, const ImageShape& shape,
    int64_t request_bytes) const {
  return LargestStream(shape, request.formats.front(), request_bytes,
                       previews_);
}

void GenerateStreamReactor::HandleAcceptance(const Acceptance& acceptance) {
  {
    absl::MutexLock lock(&mu_);
    queue_.Accept(ConvertAcceptance(acceptance, converted().generation.seed));
  }
  Advance();
}

void GenerateStreamReactor::HandleImage(uint32_t position,
                                        std::vector<std::string> data) {
  v1::GeneratedImage image;
  image.set_index(converted().generation.NoiseOf(position).index);
  image.set_data(std::move(data.front()));
  {
    absl::MutexLock lock(&mu_);
    queue_.AddImage(std::move(image));
  }
  Advance();
}

void GenerateStreamReactor::HandlePreview(GeneratedImage x0, int t) {
  bool encode;
  {
    absl::MutexLock lock(&mu_);
    queue_.AddPreview({.x0 = std::move(x0), .step = t});
    encode = queue_.ScheduleEncoding();
  }
  if (encode) RunOnEncoder([this] { EncodePreview(); });
}

void GenerateStreamReactor::EncodePreview() {
  std::optional<StreamQueue::Preview> preview;
  {
    absl::MutexLock lock(&mu_);
    preview = queue_.TakeToEncode();
  }
  if (!preview.has_value()) return;
  absl::StatusOr<std::vector<std::string>> data =
      Encode(preview->x0, preview->step);
  if (!data.ok()) {
    Fail(data.status());
    return;
  }
  v1::StreamPreview encoded;
  encoded.set_index(preview->x0.index);
  encoded.set_step(static_cast<uint32_t>(preview->step));
  encoded.set_data(std::move(data->front()));
  {
    absl::MutexLock lock(&mu_);
    queue_.AddEncodedPreview(std::move(encoded));
  }
  Advance();
}

void GenerateStreamReactor::HandleEnd() {
  std::optional<v1::StreamSummary> summary;
  if (Outcome().ok()) FillTimings(summary.emplace().mutable_timings());
  {
    absl::MutexLock lock(&mu_);
    queue_.End(std::move(summary));
  }
  Advance();
}

void GenerateStreamReactor::OnWriteDone(bool ok) {
  EndWrite();
  if (ok && writing_.has_image()) ForgetImage();
  // Otherwise the connection is gone, and gRPC cancels the call as well.
  if (!ok) OnCancel();
  bool first_preview = false;
  {
    absl::MutexLock lock(&mu_);
    queue_.WriteDone();
    if (ok && writing_.has_preview()) {
      first_preview = !std::exchange(preview_written_, true);
    }
  }
  if (first_preview)
    metrics().OnFirstPreview(RealMonotonicClock()->Now() - arrived());
  Advance();
}

void GenerateStreamReactor::OnCancel() {
  Cancel();
  {
    absl::MutexLock lock(&mu_);
    queue_.Abandon();
  }
  Advance();
}

void GenerateStreamReactor::OnDone() {
  // Images that were never written need not wait for the last reference. The
  // lock also orders a call that ended just before, OnCancel or OnWriteDone,
  // before the destructor where a tool can see it: what gRPC orders by is
  // hidden in its own library.
  {
    absl::MutexLock lock(&mu_);
    queue_.Abandon();
  }
  LetGo();
}

void GenerateStreamReactor::Advance() {
  bool write = false;
  bool encode = false;
  bool finish = false;
  int previews_dropped = 0;
  int64_t bytes_written = 0;
  {
    absl::MutexLock lock(&mu_);
    if (std::optional<v1::GenerateStreamResponse> next = queue_.Next();
        next.has_value()) {
      writing_ = *std::move(next);
      bytes_written_ += static_cast<int64_t>(writing_.ByteSizeLong());
      write = true;
    }
    encode = queue_.ScheduleEncoding();
    finish = queue_.Drained() && !std::exchange(finished_, true);
    previews_dropped = queue_.previews_dropped();
    bytes_written = bytes_written_;
  }
  if (encode) RunOnEncoder([this] { EncodePreview(); });
  if (write) {
    BeginWrite();
    StartWrite(&writing_);
  }
  if (!finish) return;
  metrics().OnPreviewsDropped(previews_dropped);
  BeginWrite();
  // After this line OnDone may have given up the last reference.
  Finish(Conclude(bytes_written));
}

}  // namespace ddgan
