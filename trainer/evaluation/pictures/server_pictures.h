// The images of a running server as a source of pictures. No LibTorch, and no
// gRPC in this header.
#ifndef DDGAN_TRAINER_EVALUATION_PICTURES_SERVER_PICTURES_H_
#define DDGAN_TRAINER_EVALUATION_PICTURES_SERVER_PICTURES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "trainer/evaluation/pictures/picture_source.h"

namespace ddgan {

struct ServerModel {
  std::string address;  // As CheckServerAddress; not encrypted, no token.
  std::string model;
  std::optional<int64_t> version;  // Unset: the live one when it is opened.
  uint64_t seed = 0;
};

// Images 0, 1, ... of one seed and one version, as calls of the batch class,
// which leave callers who wait the first place.
class ServerPictures : public PictureSource {
 public:
  // Which version it is, and of which digest.
  virtual const ModelIdentity& identity() const = 0;
};

// Asks for one image, to learn version and shape, and by its bits what the
// server computes on; a version that comes later changes nothing. Waits for as
// long as a call takes: a server that is busy lets the batch class wait.
// InvalidArgument as CheckServerAddress; the server's errors. Pictures() fails
// so, too, and with Aborted if the version's files are other ones meanwhile.
absl::StatusOr<std::unique_ptr<ServerPictures>> OpenServerPictures(
    const ServerModel& model);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_PICTURES_SERVER_PICTURES_H_
