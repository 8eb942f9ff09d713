// A network that turns pictures into features. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_NETWORK_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_NETWORK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/api/generation.h"

namespace ddgan {

// What a network says of some pictures, one row each, row-major.
struct PictureFeatures {
  std::vector<float> features;       // [n, feature_count]
  std::vector<float> probabilities;  // [n, class_count], rows of sum 1.
};

// Runs on the CPU, on the threads that LibTorch has. A picture's rows depend on
// no other picture: their bits are the same in every batch. Const methods are
// thread-safe; to call them on several threads, with LibTorch set to one, is
// the fastest way.
class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;

  // As on the command line: "efficientnet-lite0", "digits", or a file's name.
  virtual const std::string& name() const = 0;
  // SHA-256 of the weights' file, in hexadecimal: features of two networks are
  // comparable only if it is the same.
  virtual const std::string& digest() const = 0;
  // Whether a Fréchet distance of these features is the FID: only Inception's.
  virtual bool is_inception() const = 0;
  virtual int64_t feature_count() const = 0;
  // 0: it has no classes, and PictureFeatures::probabilities is empty.
  virtual int64_t class_count() const = 0;

  // `pixels` are n pictures [S, S, C], interleaved rows, 8 bits. Gray ones are
  // made RGB by three equal channels where a network wants colour. n is at
  // least 1; memory grows with it.
  //   InvalidArgument  no whole number of pictures, or a shape that the network
  //                    does not take
  //   Internal         an error of LibTorch, or an output that is not finite
  virtual absl::StatusOr<PictureFeatures> Run(
      absl::Span<const uint8_t> pixels, const ImageShape& shape) const = 0;
};

struct FeatureNetworkOptions {
  // "efficientnet-lite0", "digits", or the path of a TorchScript file by the
  // convention of StyleGAN's metrics, which ends in ".pt".
  std::string name;
  // SHA-256 that a TorchScript file must have, unless it is a known one: such a
  // file is a program.
  std::string digest;
  // Where the classifier's weights are, for "digits".
  std::string digits_file;
  // Of the pictures, for "digits": 3 for Stacked-MNIST, whose pictures are a
  // digit in each channel, else 1.
  int channels = 1;
};

// Loads the network; the file's digest is checked before anything in it is
// looked at.
//   InvalidArgument     an unknown name, a TorchScript file that is not known
//                       and has no digest (the sentence says how to get one), a
//                       digest of another form, or another number of channels
//   NotFound            no such file; for efficientnet-lite0 the sentence says
//                       how it is installed
//   FailedPrecondition  another digest than asked for
//   DataLoss            a damaged file, or a TorchScript network that is not by
//                       the convention
absl::StatusOr<std::unique_ptr<FeatureNetwork>> OpenFeatureNetwork(
    const FeatureNetworkOptions& options);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_NETWORK_H_
