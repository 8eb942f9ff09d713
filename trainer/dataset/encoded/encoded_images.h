// Where encoded images lie: files in a folder, an archive, a database. No
// LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_ENCODED_IMAGES_H_
#define DDGAN_TRAINER_DATASET_ENCODED_ENCODED_IMAGES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ddgan {

// A fixed sequence of byte strings with names. Implementations are thread-safe.
class EncodedImages {
 public:
  virtual ~EncodedImages() = default;

  // At least 1.
  virtual size_t size() const = 0;

  // For a person: what to look at if image `index` is damaged. Free of control
  // characters, whoever chose the name. index < size().
  virtual std::string Name(size_t index) const = 0;

  // The bytes of image `index` < size(), at most kMaxEncodedBytes of
  // image_decoder.h. They lie in `scratch` or in this object, and are valid
  // while both are and `scratch` is left alone.
  //   DataLoss  the image itself is bad: too large, or cut short
  //   another   the storage failed, as the system says; another attempt may
  //             succeed
  virtual absl::StatusOr<std::string_view> Read(size_t index,
                                                std::string* scratch) const = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_ENCODED_IMAGES_H_
