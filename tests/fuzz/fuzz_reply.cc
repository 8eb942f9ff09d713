// What a server answers, as a client takes it: a reply, or the events of a
// stream, and the picture that is made of their images.
#include <set>
#include <sstream>

#include "absl/status/status.h"
#include "client/command_line/image_writer.h"
#include "client/reply_check.h"
#include "ddgan/v1/image_generation.pb.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {
namespace {

v1::GenerateRequest Request(InputReader* input) {
  constexpr v1::OutputFormat kFormats[] = {
      v1::OUTPUT_FORMAT_PNG, v1::OUTPUT_FORMAT_RAW8, v1::OUTPUT_FORMAT_FLOAT32};
  v1::GenerateRequest request;
  request.set_count(input->Between(1, 8));
  request.set_format(kFormats[input->Between(0, 2)]);
  if (input->OneIn(2)) request.set_first_index(-request.count());
  return request;
}

// The images of one call on their way to one picture, as `ddgan generate
// --grid` does it.
class Images {
 public:
  explicit Images(const v1::GenerateRequest& request) : request_(request) {
    GenerateCommand command;
    command.request = request;
    command.count = request.count();
    command.grid = true;
    command.out = "-";
    auto writer = CreateImageWriter(command, out_);
    Require(writer.ok(), "a grid can go to standard output");
    writer_ = *std::move(writer);
  }

  void Add(const v1::GeneratedImage& image, const v1::ImageShape& shape) {
    const uint32_t position = image.index() - request_.first_index();
    Require(position < request_.count() && indices_.insert(position).second,
            "an image that was asked for, once");
    const uint64_t pixels = uint64_t{shape.height()} * shape.width();
    if (request_.format() == v1::OUTPUT_FORMAT_FLOAT32) {
      Require(image.data().size() == pixels * shape.channels() * 4,
              "as many floats as the shape has");
    }
    if (request_.format() != v1::OUTPUT_FORMAT_RAW8) return;
    Require(image.data().size() == pixels * shape.channels(),
            "as many bytes as the shape has");
    constexpr size_t kLargest = 1 << 16;
    if (image.data().size() > kLargest) return;
    drawn_ += writer_->Add(image, shape).ok();
  }

  void Finish() {
    Require(indices_.size() == request_.count(), "every image has come");
    if (drawn_ != request_.count()) return;
    Require(writer_->Finish().ok() && !out_.str().empty(),
            "images of one shape make a grid");
  }

 private:
  const v1::GenerateRequest request_;
  std::ostringstream out_;
  std::unique_ptr<ImageWriter> writer_;
  std::set<uint32_t> indices_;
  uint32_t drawn_ = 0;
};

void CheckUnary(const v1::GenerateRequest& request, std::string_view bytes) {
  v1::GenerateResponse reply;
  static_cast<void>(reply.ParseFromString(std::string(bytes)));
  if (absl::Status s = CheckReply(request, reply); !s.ok()) {
    Require(absl::IsDataLoss(s), "a reply that does not fit is DataLoss");
    return;
  }
  Images images(request);
  for (const v1::GeneratedImage& image : reply.images()) {
    images.Add(image, reply.shape());
  }
  images.Finish();
}

void CheckStream(const v1::GenerateRequest& request, InputReader* input) {
  Images images(request);
  v1::ImageShape shape;
  bool summary = false;
  ImageClient::StreamCallbacks callbacks;
  callbacks.on_accepted = [&](const v1::StreamAccepted& accepted) {
    shape = accepted.shape();
    return true;
  };
  callbacks.on_preview = [&](const v1::StreamPreview& preview) {
    Require(preview.index() - request.first_index() < request.count(),
            "a preview of an image that was asked for");
    return true;
  };
  callbacks.on_image = [&](const v1::GeneratedImage& image) {
    Require(!summary, "nothing comes after the summary");
    images.Add(image, shape);
    return true;
  };
  callbacks.on_summary = [&](const v1::StreamSummary&) {
    Require(!summary, "one summary");
    summary = true;
  };
  StreamReader reader(request, callbacks);
  while (!input->empty()) {
    v1::GenerateStreamResponse event;
    const size_t size = input->Bits(2);
    static_cast<void>(event.ParseFromString(std::string(input->Bytes(size))));
    if (absl::Status s = reader.Take(event); !s.ok()) {
      Require(absl::IsDataLoss(s), "an event that does not fit is DataLoss");
      return;
    }
  }
  if (!reader.CheckComplete().ok()) return;
  Require(summary, "a stream that is complete has a summary");
  images.Finish();
}

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ddgan::InputReader input(data, size);
  const bool streamed = input.OneIn(2);
  const ddgan::v1::GenerateRequest request = ddgan::Request(&input);
  if (streamed) {
    ddgan::CheckStream(request, &input);
  } else {
    ddgan::CheckUnary(request, input.Rest());
  }
  return 0;
}
