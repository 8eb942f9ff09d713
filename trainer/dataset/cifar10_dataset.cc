#include "trainer/dataset/cifar10_dataset.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "trainer/dataset/encoded/file_bytes.h"

namespace ddgan {
namespace {

constexpr int kChannels = 3;
constexpr int kSide = 32;
constexpr size_t kPlane = size_t{kSide} * kSide;
constexpr size_t kImageBytes = kChannels * kPlane;
// A label, then the red, the green and the blue plane.
constexpr size_t kRecordBytes = 1 + kImageBytes;
constexpr uint8_t kMaxLabel = 9;
constexpr uint64_t kMaxRecords = 1'000'000;  // Of one file.
constexpr char kInnerFolder[] = "cifar-10-batches-bin";

std::vector<std::string> FileNames(Cifar10Dataset::Split split) {
  if (split == Cifar10Dataset::Split::kTest) return {"test_batch.bin"};
  return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
          "data_batch_4.bin", "data_batch_5.bin"};
}

bool Exists(const std::filesystem::path& path) {
  std::error_code ignored;  // What cannot be looked at is not there.
  return std::filesystem::exists(path, ignored);
}

absl::Status AppendFile(const std::filesystem::path& path,
                        std::vector<uint8_t>* records) {
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(path.string(), ": ", status.message()));
  };
  const absl::StatusOr<FileBytes> file = FileBytes::Open(path);
  if (!file.ok()) return named(file.status());
  if (file->size() == 0 || file->size() % kRecordBytes != 0 ||
      file->size() / kRecordBytes > kMaxRecords) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), ": ", file->size(),
                     " bytes; CIFAR-10's binary version has records of ",
                     kRecordBytes, " bytes, 1 to ", kMaxRecords, " of them"));
  }
  std::string bytes;
  if (absl::Status s = file->Read(0, file->size(), &bytes); !s.ok()) {
    return named(s);
  }
  for (size_t at = 0; at < bytes.size(); at += kRecordBytes) {
    const uint8_t label = static_cast<uint8_t>(bytes[at]);
    if (label > kMaxLabel) {
      return absl::InvalidArgumentError(absl::StrCat(
          path.string(), ": record ", at / kRecordBytes, " has the label ",
          label, "; CIFAR-10's are 0 to ", kMaxLabel));
    }
  }
  records->insert(records->end(), bytes.begin(), bytes.end());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Cifar10Dataset>> Cifar10Dataset::Load(
    const std::filesystem::path& folder, Split split) {
  const std::vector<std::string> names = FileNames(split);
  const auto in = [](const std::filesystem::path& place) {
    return [&place](const std::string& name) { return Exists(place / name); };
  };
  const std::filesystem::path inner = folder / kInnerFolder;
  const bool outside = std::any_of(names.begin(), names.end(), in(folder));
  const std::filesystem::path& place =
      !outside && std::any_of(names.begin(), names.end(), in(inner)) ? inner
                                                                     : folder;
  const auto missing = std::find_if_not(names.begin(), names.end(), in(place));
  if (missing != names.end()) {
    return absl::NotFoundError(
        absl::StrCat(place.string(), ": holds no ", *missing,
                     "; wanted CIFAR-10's binary version, ", names.front(),
                     names.size() > 1 ? absl::StrCat(" to ", names.back()) : "",
                     ", here or in ", kInnerFolder));
  }
  std::vector<uint8_t> records;
  for (const std::string& name : names) {
    if (absl::Status s = AppendFile(place / name, &records); !s.ok()) return s;
  }
  return std::unique_ptr<Cifar10Dataset>(
      new Cifar10Dataset(std::move(records)));
}

Cifar10Dataset::Cifar10Dataset(std::vector<uint8_t> records)
    : shape_{kChannels, kSide, kSide}, records_(std::move(records)) {}

size_t Cifar10Dataset::size() const { return records_.size() / kRecordBytes; }

absl::Status Cifar10Dataset::Image(size_t index,
                                   absl::Span<uint8_t> pixels) const {
  if (index >= size()) {
    return absl::OutOfRangeError(
        absl::StrCat("CIFAR-10: image ", index, " of ", size()));
  }
  if (pixels.size() != kImageBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("CIFAR-10: a buffer of ", pixels.size(),
                     " bytes for an image of ", kImageBytes));
  }
  const uint8_t* planes = records_.data() + index * kRecordBytes + 1;
  for (int c = 0; c < kChannels; ++c) {
    for (size_t i = 0; i < kPlane; ++i) {
      pixels[i * kChannels + c] = planes[c * kPlane + i];
    }
  }
  return absl::OkStatus();
}

}  // namespace ddgan
