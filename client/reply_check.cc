#include "client/reply_check.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

absl::Status CheckShape(const v1::ImageShape& shape) {
  const uint32_t channels = shape.channels();
  if ((channels == 1 || channels == 3) && shape.height() > 0 &&
      shape.width() > 0) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("the reply says images of ",
                                          shape.width(), "x", shape.height(),
                                          " with ", channels, " channels"));
}

// `shape` has passed CheckShape. PNG files are not looked into.
absl::Status CheckData(v1::OutputFormat format, const v1::ImageShape& shape,
                       uint32_t index, const std::string& data) {
  uint64_t element_bytes = 0;
  if (format == v1::OUTPUT_FORMAT_RAW8) element_bytes = 1;
  if (format == v1::OUTPUT_FORMAT_FLOAT32) element_bytes = 4;
  if (element_bytes == 0) return absl::OkStatus();
  // Two 32-bit sides fit 64 bits; the rest is divided, not multiplied.
  const uint64_t pixels = uint64_t{shape.height()} * shape.width();
  const uint64_t unit = shape.channels() * element_bytes;
  if (data.size() % unit == 0 && data.size() / unit == pixels) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("image ", index, " has ", data.size(),
                   " bytes, which is not ", shape.width(), "x", shape.height(),
                   " with ", shape.channels(), " channels"));
}

template <typename Event>
absl::Status Call(const std::function<bool(const Event&)>& callback,
                  const Event& event) {
  if (!callback || callback(event)) return absl::OkStatus();
  return absl::CancelledError("the stream was ended by its receiver");
}

absl::Status Unexpected(const v1::GenerateStreamResponse& event) {
  return absl::DataLossError(absl::StrCat("the stream brings event ",
                                          static_cast<int>(event.event_case()),
                                          " out of order"));
}

}  // namespace

absl::Status CheckReply(const v1::GenerateRequest& request,
                        const v1::GenerateResponse& response) {
  if (response.images_size() != static_cast<int64_t>(request.count())) {
    return absl::DataLossError(
        absl::StrCat("the reply holds ", response.images_size(),
                     " images; asked for ", request.count()));
  }
  if (absl::Status s = CheckShape(response.shape()); !s.ok()) return s;
  for (int i = 0; i < response.images_size(); ++i) {
    const v1::GeneratedImage& image = response.images(i);
    if (image.index() != request.first_index() + static_cast<uint32_t>(i)) {
      return absl::DataLossError(absl::StrCat(
          "the reply's image ", i, " has index ", image.index(), "; wanted ",
          request.first_index() + static_cast<uint32_t>(i)));
    }
    if (absl::Status s = CheckData(request.format(), response.shape(),
                                   image.index(), image.data());
        !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

template <typename Picture>
absl::Status StreamReader::CheckPicture(const Picture& picture) const {
  const uint32_t position = picture.index() - request_.first_index();
  if (position >= missing_.size() || !missing_[position]) {
    return absl::DataLossError(
        absl::StrCat("the stream brings image ", picture.index(),
                     ", which was not asked for or has come before"));
  }
  return CheckData(request_.format(), shape_, picture.index(), picture.data());
}

absl::Status StreamReader::Take(const v1::GenerateStreamResponse& event) {
  if (event.has_accepted() == accepted_ || summary_) return Unexpected(event);
  switch (event.event_case()) {
    case v1::GenerateStreamResponse::kAccepted:
      accepted_ = true;
      missing_.assign(request_.count(), true);
      shape_ = event.accepted().shape();
      if (absl::Status s = CheckShape(shape_); !s.ok()) return s;
      return Call(callbacks_.on_accepted, event.accepted());
    case v1::GenerateStreamResponse::kPreview:
      if (absl::Status s = CheckPicture(event.preview()); !s.ok()) return s;
      return Call(callbacks_.on_preview, event.preview());
    case v1::GenerateStreamResponse::kImage:
      if (absl::Status s = CheckPicture(event.image()); !s.ok()) return s;
      missing_[event.image().index() - request_.first_index()] = false;
      return Call(callbacks_.on_image, event.image());
    case v1::GenerateStreamResponse::kSummary:
      summary_ = true;
      if (callbacks_.on_summary) callbacks_.on_summary(event.summary());
      return absl::OkStatus();
    case v1::GenerateStreamResponse::EVENT_NOT_SET:
      break;
  }
  return Unexpected(event);
}

absl::Status StreamReader::CheckComplete() const {
  const auto missing = std::count(missing_.begin(), missing_.end(), true);
  if (summary_ && missing == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "the stream ended without ", missing, " of the ", request_.count(),
      " images", summary_ ? "" : " and without a summary"));
}

}  // namespace ddgan
