// The pictures that a command measures, from wherever its flags say. No
// LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_SESSION_MEASURED_PICTURES_H_
#define DDGAN_TRAINER_EVALUATION_SESSION_MEASURED_PICTURES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "trainer/evaluation/pictures/dataset_pictures.h"
#include "trainer/evaluation/pictures/picture_source.h"
#include "trainer/evaluation/session/evaluate_program.h"

namespace ddgan {

// A version that makes pictures, and how.
struct MeasuredVersion {
  ModelIdentity identity;
  std::string sampler;  // Its update rule; empty: not known, a server's own.
  int evaluations = 0;  // Of the generator for one picture; 0: not known.
  std::string dataset;  // What it was trained on; empty: not known.
};

struct MeasuredPictures {
  std::unique_ptr<PictureSource> source;
  std::optional<MeasuredVersion> version;  // Not set: somebody else's pictures.
};

// `options` have passed CheckPictureOptions. For a version here, sets LibTorch
// to one thread. Fails as ReadVersionFolder, ModelPictures, OpenServerPictures
// and OpenPictureFolder do.
absl::StatusOr<MeasuredPictures> OpenMeasuredPictures(
    const PictureOptions& options, int threads);

// The real pictures, of `shape`.
//   InvalidArgument  the set's pictures are of another shape: both are named
//   what OpenDataset and DatasetDigest fail with
absl::StatusOr<std::unique_ptr<DatasetPictures>> OpenRealPictures(
    const std::string& kind, const std::string& path, const DataChoice& choice,
    const ImageShape& shape);
// The test split of mnist or cifar10, in the same folder. InvalidArgument for
// another kind; else fails as OpenRealPictures.
absl::StatusOr<std::unique_ptr<DatasetPictures>> OpenTestPictures(
    const std::string& kind, const std::string& path);
// Picture `index` of those that `choice` takes, in the set's own order.
// InvalidArgument if there is none; else fails as OpenRealPictures.
absl::StatusOr<std::vector<uint8_t>> RealPicture(const std::string& kind,
                                                 const std::string& path,
                                                 const DataChoice& choice,
                                                 const ImageShape& shape,
                                                 int64_t index);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_SESSION_MEASURED_PICTURES_H_
