// Features of pictures, each computed once: those of the real pictures, and
// those of whatever is measured against them. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_SESSION_FEATURE_SESSION_H_
#define DDGAN_TRAINER_EVALUATION_SESSION_FEATURE_SESSION_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "trainer/evaluation/features/feature_file.h"
#include "trainer/evaluation/features/feature_network.h"
#include "trainer/evaluation/pictures/dataset_pictures.h"
#include "trainer/evaluation/pictures/picture_source.h"
#include "trainer/evaluation/session/evaluate_program.h"
#include "trainer/evaluation/session/evaluation_progress.h"

namespace ddgan {

// Fills in what `options` leaves open, for pictures of a version that was
// trained on `dataset` (empty: not known). InvalidArgument, with a sentence for
// the user, if that is not enough.
absl::StatusOr<MeasureOptions> ResolveMeasure(MeasureOptions options,
                                              const std::string& dataset,
                                              const Environment& environment);

// Thread-compatible.
class FeatureSession {
 public:
  // Opens the real pictures of `shape` and the network; trains the classifier
  // if the features are its and its file is missing. `options` are those of
  // ResolveMeasure; `progress` outlives this.
  //   InvalidArgument  the real pictures are of another shape, or fewer than
  //                    `min_pictures`
  //   what OpenDataset, DatasetDigest, OpenFeatureNetwork and ObtainClassifier
  //   fail with
  static absl::StatusOr<std::unique_ptr<FeatureSession>> Create(
      const MeasureOptions& options, const ImageShape& shape,
      int64_t min_pictures, EvaluationProgress* progress);

  // Features of the first `rows` of `source` in a file of the cache, with those
  // that are not there yet computed. Every batch is kept at once: what kills
  // the process costs one batch.
  //   what the source, FeatureNetwork::Run and FeatureFile fail with
  absl::StatusOr<std::unique_ptr<FeatureFile>> Collect(PictureSource* source,
                                                       PictureCoding through,
                                                       int64_t rows,
                                                       const std::string& name);

  DatasetPictures& data() { return *data_; }
  // Real pictures that count.
  int64_t data_rows() const { return data_rows_; }
  const FeatureNetwork& network() const { return *network_; }
  const std::string& dataset() const { return options_.dataset; }
  const DataChoice& choice() const { return options_.choice; }
  const std::string& classifier() const { return options_.classifier; }
  EvaluationProgress* progress() { return progress_; }

 private:
  FeatureSession(MeasureOptions options, std::unique_ptr<DatasetPictures> data,
                 std::unique_ptr<FeatureNetwork> network, int64_t data_rows,
                 EvaluationProgress* progress);

  const MeasureOptions options_;
  const std::unique_ptr<DatasetPictures> data_;
  const std::unique_ptr<FeatureNetwork> network_;
  const int64_t data_rows_;
  EvaluationProgress* const progress_;
};

// "FID" of Inception's features, else "FD-EfficientNet-Lite0", "FD-digits" or
// "FD-" and the file's name.
std::string FrechetName(const FeatureNetwork& network);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_SESSION_FEATURE_SESSION_H_
