// What the page is told: events in the text/event-stream format, each with one
// JSON object. Numbers of 64 bits are strings of digits, since JavaScript's
// numbers end at 2^53; pictures are base64 of PNG files. Pure.
#ifndef DDGAN_CLIENT_PLAYGROUND_PAGE_EVENTS_H_
#define DDGAN_CLIENT_PLAYGROUND_PAGE_EVENTS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/playground/server_state.h"
#include "client/secure_channel.h"
#include "ddgan/v1/image_generation.pb.h"

namespace ddgan::playground {

// Where the images of one call come from: what the server has accepted, and
// what it was asked.
struct ImageSource {
  std::string address;
  ConnectionSecurity security;
  std::string model;
  int64_t version = 0;
  std::string digest;
  uint64_t seed = 0;
  uint32_t steps = 0;  // That each image takes.
  uint32_t width = 0;
  uint32_t height = 0;
  std::string guide_file;  // Empty: no guide.
};

// "strokes-0123456789ab.png", by the digest of its bytes: what the page saves a
// drawing as, and what the command that makes its images again names.
std::string GuideFileName(absl::string_view png);

ImageSource SourceOf(const v1::GenerateRequest& request,
                     const v1::StreamAccepted& accepted,
                     const std::string& address,
                     const ConnectionSecurity& security);

// "accepted": what is the same for all images that follow.
std::string AcceptedEvent(const ImageSource& source);
// "waiting": the call is tried again after `delay`.
std::string WaitingEvent(const absl::Status& failure, absl::Duration delay);
// "preview": an image after `done` of its steps.
std::string PreviewEvent(const ImageSource& source,
                         const v1::StreamPreview& preview);
// "image": one that is done, its file's name, and the command that makes it
// again.
std::string ImageEvent(const ImageSource& source,
                       const v1::GeneratedImage& image);
// The last one is "done" or "failed".
std::string DoneEvent(const v1::StreamSummary& summary);
std::string FailedEvent(const absl::Status& failure);

// "server": all that is known of it.
std::string ServerEvent(const ServerState& state, const std::string& address);

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_PAGE_EVENTS_H_
