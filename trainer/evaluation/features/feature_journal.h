// The text of a feature file: a line of JSON that says what its rows are of,
// then a line for each block of rows that is whole, with its digests. No
// LibTorch. Thread-safe.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_JOURNAL_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_JOURNAL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trainer/evaluation/features/feature_file.h"

namespace ddgan {

// Rows that were appended together.
struct JournalBlock {
  int64_t rows = 0;           // >= 1
  std::string features;       // SHA-256 of their bytes, in hexadecimal.
  std::string probabilities;  // Likewise; empty if there are no classes.
};

struct FeatureJournal {
  // Rows of all blocks together; what more would not fit any file.
  static constexpr int64_t kMaxRows = int64_t{1} << 31;

  std::vector<JournalBlock> blocks;
  int64_t rows = 0;
  // Of the lines that are whole; 0 if not even the first one is. What follows
  // is of an interrupted write.
  size_t bytes = 0;
};

// InvalidArgument that names the field, for a source that no file can be of.
absl::Status CheckSource(const FeatureSource& source);

// Lines, each with its end. `source` has been checked.
std::string HeaderLine(const FeatureSource& source);
std::string BlockLine(const JournalBlock& block);

// `text` is a file's, of any origin; it may end in a line that was not written
// to its end. Messages fit behind the file's name.
//   FailedPrecondition  features of something else than `source`
//   DataLoss            no such text
absl::StatusOr<FeatureJournal> ParseFeatureJournal(std::string_view text,
                                                   const FeatureSource& source);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_FEATURE_JOURNAL_H_
