// Whether what a server answers is what was asked for. A reply from elsewhere
// (a proxy, a server of another version) must not make a caller, which indexes
// by what it asked for, read past the end.
#ifndef DDGAN_CLIENT_REPLY_CHECK_H_
#define DDGAN_CLIENT_REPLY_CHECK_H_

#include <vector>

#include "absl/status/status.h"
#include "client/image_client.h"
#include "ddgan/v1/image_generation.pb.h"

namespace ddgan {

// Ok if the reply holds the images that the request asks for: as many, with the
// right indices and, without a header to say so, the right number of bytes.
// Else DataLoss.
absl::Status CheckReply(const v1::GenerateRequest& request,
                        const v1::GenerateResponse& response);

// The events of one stream, each checked against the request and those before
// it, and then given to the caller. Thread-compatible.
class StreamReader {
 public:
  // Both must outlive it.
  StreamReader(const v1::GenerateRequest& request,
               const ImageClient::StreamCallbacks& callbacks)
      : request_(request), callbacks_(callbacks) {}

  // Cancelled if a callback ends the stream, DataLoss if `event` does not fit.
  absl::Status Take(const v1::GenerateStreamResponse& event);

  bool accepted() const { return accepted_; }

  // After a stream that the server ended with OK.
  absl::Status CheckComplete() const;

 private:
  // `Picture` is StreamPreview or GeneratedImage.
  template <typename Picture>
  absl::Status CheckPicture(const Picture& picture) const;

  const v1::GenerateRequest& request_;
  const ImageClient::StreamCallbacks& callbacks_;
  bool accepted_ = false;
  bool summary_ = false;
  v1::ImageShape shape_;
  std::vector<bool> missing_;  // By position in the request.
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_REPLY_CHECK_H_
