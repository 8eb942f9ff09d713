#include "trainer/evaluation/features/feature_file.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "engine/base/sha256.h"
#include "trainer/evaluation/features/feature_journal.h"
#include "trainer/evaluation/features/growing_file.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

// Some million appends.
constexpr uint64_t kMaxJournalBytes = uint64_t{256} << 20;

std::string_view BytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(float)};
}

// One matrix: its rows in a file of nothing else.
struct Matrix {
  GrowingFile file;
  int64_t columns;

  uint64_t BytesOfRows(int64_t rows) const {
    return sizeof(float) * static_cast<uint64_t>(rows) *
           static_cast<uint64_t>(columns);
  }
};

absl::StatusOr<Matrix> OpenMatrix(const fs::path& path, int64_t columns,
                                  int64_t rows) {
  absl::StatusOr<GrowingFile> file = GrowingFile::Open(path);
  if (!file.ok()) return file.status();
  Matrix matrix{*std::move(file), columns};
  const absl::StatusOr<uint64_t> size = matrix.file.Size();
  if (!size.ok()) return size.status();
  const uint64_t whole = matrix.BytesOfRows(rows);
  if (*size < whole) {
    return absl::DataLossError(absl::StrCat(path.string(), " has ", *size,
                                            " bytes, must have ", whole));
  }
  if (*size > whole) {
    if (absl::Status s = matrix.file.Truncate(whole); !s.ok()) return s;
  }
  return matrix;
}

class MatrixFeatureFile : public FeatureFile {
 public:
  MatrixFeatureFile(fs::path path, GrowingFile journal_file,
                    FeatureJournal journal, Matrix features,
                    std::optional<Matrix> probabilities)
      : path_(std::move(path)),
        journal_file_(std::move(journal_file)),
        journal_(std::move(journal)),
        features_(std::move(features)),
        probabilities_(std::move(probabilities)) {}

  int64_t rows() const override { return journal_.rows; }

  absl::Status Append(const PictureFeatures& rows) override {
    const absl::StatusOr<int64_t> count = CountRows(rows);
    if (!count.ok()) return count.status();
    JournalBlock block;
    block.rows = *count;
    block.features = Sha256Hex(BytesOf(rows.features));
    absl::Status status = features_.file.Write(
        features_.BytesOfRows(journal_.rows), BytesOf(rows.features));
    if (status.ok() && probabilities_.has_value()) {
      block.probabilities = Sha256Hex(BytesOf(rows.probabilities));
      status =
          probabilities_->file.Write(probabilities_->BytesOfRows(journal_.rows),
                                     BytesOf(rows.probabilities));
    }
    // Last: rows count once this line is whole.
    const std::string line = BlockLine(block);
    if (status.ok()) status = journal_file_.Write(journal_.bytes, line);
    if (!status.ok()) {
      // Only to give the space back: what no line counts is not there.
      features_.file.Truncate(features_.BytesOfRows(journal_.rows))
          .IgnoreError();
      if (probabilities_.has_value()) {
        probabilities_->file
            .Truncate(probabilities_->BytesOfRows(journal_.rows))
            .IgnoreError();
      }
      return status;
    }
    journal_.bytes += line.size();
    journal_.rows += block.rows;
    journal_.blocks.push_back(std::move(block));
    return absl::OkStatus();
  }

  void Share() override { journal_file_.Unlock(); }

  absl::StatusOr<Content> Read(int64_t rows) override {
    if (rows < 0 || rows > journal_.rows) {
      return absl::OutOfRangeError(absl::StrCat(
          path_.string(), " has ", journal_.rows, " rows, not ", rows));
    }
    Content content;
    absl::StatusOr<FeatureRows> part = MapRows(&features_, rows);
    if (!part.ok()) return part.status();
    content.features = *part;
    if (probabilities_.has_value()) {
      part = MapRows(&*probabilities_, rows);
      if (!part.ok()) return part.status();
      content.probabilities = *part;
    }
    if (absl::Status s = CheckDigests(content, rows); !s.ok()) return s;
    return content;
  }

 private:
  absl::StatusOr<int64_t> CountRows(const PictureFeatures& rows) const {
    const size_t columns = static_cast<size_t>(features_.columns);
    const size_t count = rows.features.size() / columns;
    const size_t probabilities =
        probabilities_.has_value()
            ? count * static_cast<size_t>(probabilities_->columns)
            : 0;
    if (count < 1 || rows.features.size() != count * columns ||
        rows.probabilities.size() != probabilities) {
      return absl::InvalidArgumentError(absl::StrCat(
          path_.string(), ": ", rows.features.size(), " features and ",
          rows.probabilities.size(), " probabilities are no whole rows"));
    }
    if (static_cast<int64_t>(count) >
        FeatureJournal::kMaxRows - journal_.rows) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_.string(), " takes at most ",
                       FeatureJournal::kMaxRows, " rows"));
    }
    return static_cast<int64_t>(count);
  }

  // All rows are mapped, since digests are of whole blocks.
  absl::StatusOr<FeatureRows> MapRows(Matrix* matrix, int64_t rows) {
    FeatureRows view;
    view.rows = rows;
    view.features = matrix->columns;
    if (journal_.rows == 0) return view;
    const absl::StatusOr<std::string_view> bytes =
        matrix->file.Map(matrix->BytesOfRows(journal_.rows));
    if (!bytes.ok()) return bytes.status();
    view.values = reinterpret_cast<const float*>(bytes->data());
    return view;
  }

  // Of the blocks that hold the first `rows` rows, those not looked at before.
  absl::Status CheckDigests(const Content& content, int64_t rows) {
    while (checked_rows_ < rows) {
      const JournalBlock& block = journal_.blocks[checked_blocks_];
      const auto digest = [&](const FeatureRows& matrix) {
        return Sha256Hex(std::string_view(
            reinterpret_cast<const char*>(matrix.values +
                                          checked_rows_ * matrix.features),
            sizeof(float) * block.rows * matrix.features));
      };
      if (digest(content.features) != block.features ||
          (probabilities_.has_value() &&
           digest(content.probabilities) != block.probabilities)) {
        return absl::DataLossError(absl::StrCat(
            path_.string(), ": rows ", checked_rows_, " to ",
            checked_rows_ + block.rows - 1,
            " have another digest than when they were written; remove the file "
            "to compute them anew"));
      }
      checked_rows_ += block.rows;
      ++checked_blocks_;
    }
    return absl::OkStatus();
  }

  const fs::path path_;
  GrowingFile journal_file_;
  FeatureJournal journal_;
  Matrix features_;
  std::optional<Matrix> probabilities_;
  // Whose digests are right.
  size_t checked_blocks_ = 0;
  int64_t checked_rows_ = 0;
};

absl::Status Named(const fs::path& path, const absl::Status& status) {
  return absl::Status(
      status.code(), absl::StrCat(path.string(), ": ", status.message(),
                                  absl::IsDataLoss(status)
                                      ? "; remove the file to compute them anew"
                                      : ""));
}

}  // namespace

std::string FeatureFileName(const FeatureSource& source) {
  return absl::StrCat(Sha256Hex(HeaderLine(source)).substr(0, 32), ".features");
}

absl::StatusOr<std::unique_ptr<FeatureFile>> FeatureFile::Open(
    const fs::path& path, const FeatureSource& source) {
  if (absl::Status s = CheckSource(source); !s.ok()) return Named(path, s);
  absl::StatusOr<GrowingFile> file = GrowingFile::Open(path);
  if (!file.ok()) return file.status();
  if (absl::Status s = file->Lock(); !s.ok()) return s;
  const absl::StatusOr<std::string> text = file->ReadAll(kMaxJournalBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<FeatureJournal> journal = ParseFeatureJournal(*text, source);
  if (!journal.ok()) return Named(path, journal.status());
  const bool is_new = journal->bytes == 0;
  if (journal->bytes < text->size()) {
    if (absl::Status s = file->Truncate(journal->bytes); !s.ok()) return s;
  }
  absl::StatusOr<Matrix> features = OpenMatrix(
      path.string() + ".matrix", source.feature_count, journal->rows);
  if (!features.ok()) return Named(path, features.status());
  std::optional<Matrix> probabilities;
  if (source.class_count > 0) {
    absl::StatusOr<Matrix> opened = OpenMatrix(
        path.string() + ".probabilities", source.class_count, journal->rows);
    if (!opened.ok()) return Named(path, opened.status());
    probabilities.emplace(*std::move(opened));
  }
  if (is_new) {
    const std::string header = HeaderLine(source);
    if (absl::Status s = file->Write(0, header); !s.ok()) return s;
    if (absl::Status s = SyncFolder(fs::path(".") / path.parent_path());
        !s.ok()) {
      return s;
    }
    journal->bytes = header.size();
  }
  return std::make_unique<MatrixFeatureFile>(
      path, *std::move(file), *std::move(journal), *std::move(features),
      std::move(probabilities));
}

}  // namespace ddgan
