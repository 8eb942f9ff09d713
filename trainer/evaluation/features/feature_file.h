// Features of pictures in a file: those of a data set, computed once, and those
// of a model as far as they were computed before an interruption. No LibTorch
// in this header.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_FILE_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_FILE_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/api/generation.h"
#include "trainer/evaluation/features/feature_network.h"
#include "trainer/evaluation/metrics/feature_rows.h"

namespace ddgan {

// What the features in a file are of. A file serves only those who ask for
// exactly this.
struct FeatureSource {
  std::string pictures;  // What they were: a data set's name and digest,
                         // or a version's, with sampler, seed, coding.
  ImageShape shape;
  std::string network;         // Name
  std::string network_digest;  // and digest.
  int64_t feature_count = 0;
  int64_t class_count = 0;  // 0: no probabilities are kept.
};

// Rows 0, 1, ... in order, appended as they are computed. Thread-compatible.
// One process at a time has a file open; the file system's lock says so.
class FeatureFile {
 public:
  // Opens or makes the file. Rows that an interrupted write left incomplete are
  // cut off. The folder must exist.
  //   FailedPrecondition  features of something else: the sentence says which
  //                       and of what
  //   Unavailable         another process has it open
  //   DataLoss            damaged: the sentence says to remove it
  static absl::StatusOr<std::unique_ptr<FeatureFile>> Open(
      const std::filesystem::path& path, const FeatureSource& source);

  virtual ~FeatureFile() = default;

  virtual int64_t rows() const = 0;  // So far.

  // Appends whole rows, durable when this returns. The file system's error; the
  // file is then as it was before.
  virtual absl::Status Append(const PictureFeatures& rows) = 0;

  // The first `rows` rows, mapped into memory. They live as long as this and
  // are invalid after the next Append.
  //   OutOfRange  there are fewer
  //   DataLoss    they have not the digest that they were written with
  struct Content {
    FeatureRows features;
    FeatureRows probabilities;
  };
  virtual absl::StatusOr<Content> Read(int64_t rows) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_FILE_H_
