// Features of pictures in a file: those of a data set, computed once, and those
// of a model as far as they were computed before an interruption. No LibTorch
// in this header.
//
// It is up to three files. `path` has lines of JSON (feature_journal.h): what
// the rows are of, then each block of rows that was appended, with its digests.
// `path`.matrix and `path`.probabilities are the rows alone, float32 of this
// machine's byte order, row-major. Remove `path` to have all computed anew.
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

// A file name of 32 hexadecimal digits and ".features", one for each source.
std::string FeatureFileName(const FeatureSource& source);

// Rows 0, 1, ... in order, appended as they are computed. Thread-compatible.
// One process at a time opens and extends a file; the file system's lock says
// so.
class FeatureFile {
 public:
  // Opens or makes the file. Rows that an interrupted write left incomplete are
  // cut off. The folder must exist.
  //   InvalidArgument     `source` or the file has a size out of its range, or
  //                       a name is not of a regular file
  //   FailedPrecondition  features of something else: the sentence says which
  //                       and of what
  //   Unavailable         another has it open, and may append
  //   DataLoss            damaged: the sentence says to remove it
  static absl::StatusOr<std::unique_ptr<FeatureFile>> Open(
      const std::filesystem::path& path, const FeatureSource& source);

  virtual ~FeatureFile() = default;

  virtual int64_t rows() const = 0;  // So far.

  // Appends whole rows, at least one, durable when this returns: up to three
  // syncs, so tens of rows at a time cost little. InvalidArgument if they are
  // not whole; else the file system's error. The file is then as it was before.
  virtual absl::Status Append(const PictureFeatures& rows) = 0;

  // Lets others open it. Append must not be called any more; what is there is
  // never changed, so Read may.
  virtual void Share() = 0;

  // The first `rows` rows, mapped into memory. They live as long as this and
  // are invalid after the next Append. The first time, the digests are
  // computed. Without classes `probabilities` has no row and no column.
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
