// What every feature network here has in common: pictures in, rows out, and
// each picture on its own.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_PICTURE_NETWORK_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_PICTURE_NETWORK_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trainer/evaluation/features/feature_network.h"

namespace ddgan {

// Runs the network once for each picture, never for several at once: how
// LibTorch sums may depend on the size of a batch, and on a CPU a larger one is
// not faster. So a picture's rows have the same bits in every batch.
class PictureNetwork : public FeatureNetwork {
 public:
  struct Description {
    std::string name;
    std::string digest;
    bool is_inception = false;
    // Gray pictures come to Look with three equal channels.
    bool wants_colour = false;
    int64_t feature_count = 0;
    int64_t class_count = 0;
  };

  const std::string& name() const override { return description_.name; }
  const std::string& digest() const override { return description_.digest; }
  bool is_inception() const override { return description_.is_inception; }
  int64_t feature_count() const override { return description_.feature_count; }
  int64_t class_count() const override { return description_.class_count; }

  absl::StatusOr<PictureFeatures> Run(absl::Span<const uint8_t> pixels,
                                      const ImageShape& shape) const final;

 protected:
  explicit PictureNetwork(Description description)
      : description_(std::move(description)) {}

 private:
  // InvalidArgument if the network does not take such pictures. They are square
  // and of 1 or 3 channels.
  virtual absl::Status CheckShape(const ImageShape& /*shape*/) const {
    return absl::OkStatus();
  }

  // The rows of `picture`, uint8 [1, C, S, S], contiguous. Called without
  // gradients; may throw what LibTorch throws. Thread-safe.
  virtual absl::StatusOr<PictureFeatures> Look(
      const at::Tensor& picture) const = 0;

  absl::Status CheckRows(const PictureFeatures& rows, int64_t picture) const;

  const Description description_;
};

// The values of a tensor of any shape and type, row-major.
std::vector<float> ValuesOf(const at::Tensor& tensor);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_PICTURE_NETWORK_H_
