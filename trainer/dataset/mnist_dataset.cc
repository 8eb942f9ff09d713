#include "trainer/dataset/mnist_dataset.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "trainer/dataset/encoded/unpacked_file.h"

namespace ddgan {
namespace {

constexpr int kDigitSide = 28;
constexpr int kPadding = 2;
constexpr int kSide = kDigitSide + 2 * kPadding;
constexpr size_t kDigitBytes = kDigitSide * kDigitSide;

// IDX: two zero bytes, the type (8 = unsigned byte), the number of dimensions;
// then each dimension as a big-endian 32-bit number.
constexpr uint32_t kImagesMagic = 0x00000803;
constexpr uint32_t kLabelsMagic = 0x00000801;
constexpr size_t kImagesHeaderBytes = 16;
constexpr size_t kLabelsHeaderBytes = 8;
constexpr uint8_t kMaxLabel = 9;

// The largest set in this format (EMNIST) has 814,255 images. A header may
// claim 4 billion.
constexpr uint32_t kMaxImages = 1'000'000;

// Memory grows by what the file really holds, not by what its header claims.
constexpr size_t kReadBytes = size_t{4} << 20;

uint32_t BigEndian32(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
         uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

// One kind of IDX file.
struct IdxKind {
  uint32_t magic;
  size_t header_bytes;
  size_t item_bytes;
  const char* items;  // "images", for a person.
  const char* train_file;
  const char* test_file;
};

constexpr IdxKind kImages = {
    kImagesMagic, kImagesHeaderBytes,        kDigitBytes,
    "images",     "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"};
constexpr IdxKind kLabels = {
    kLabelsMagic, kLabelsHeaderBytes,        1,
    "labels",     "train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"};

const char* OtherKind(uint32_t magic) {
  if (magic == kLabelsMagic) return " (a file of labels)";
  return magic == kImagesMagic ? " (a file of images)" : "";
}

// The number of items that `header` announces.
absl::StatusOr<uint32_t> ParseHeader(absl::Span<const uint8_t> header,
                                     const IdxKind& kind,
                                     const std::string& path) {
  if (header.size() < kind.header_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": ", header.size(), " bytes; an IDX file of ", kind.items,
        " starts with a header of ", kind.header_bytes));
  }
  const uint32_t magic = BigEndian32(&header[0]);
  if (magic != kind.magic) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": magic number 0x", absl::Hex(magic, absl::kZeroPad8),
        OtherKind(magic), "; an IDX file of 8-bit ", kind.items, " has 0x",
        absl::Hex(kind.magic, absl::kZeroPad8)));
  }
  if (kind.magic == kImagesMagic) {
    const uint32_t rows = BigEndian32(&header[8]);
    const uint32_t columns = BigEndian32(&header[12]);
    if (rows != kDigitSide || columns != kDigitSide) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": images of ", rows, "x", columns,
                       "; those of MNIST are ", kDigitSide, "x", kDigitSide));
    }
  }
  const uint32_t count = BigEndian32(&header[4]);
  if (count < 1 || count > kMaxImages) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": ", count, " ", kind.items, "; wanted 1 to ", kMaxImages));
  }
  return count;
}

absl::StatusOr<std::filesystem::path> FindFile(
    const std::filesystem::path& folder, const IdxKind& kind,
    MnistDataset::Split split) {
  const std::string name =
      split == MnistDataset::Split::kTrain ? kind.train_file : kind.test_file;
  for (const std::string& candidate : {name, name + ".gz"}) {
    std::error_code ignored;  // What cannot be looked at is not there.
    if (std::filesystem::exists(folder / candidate, ignored)) {
      return folder / candidate;
    }
  }
  return absl::NotFoundError(absl::StrCat(folder.string(), ": holds neither ",
                                          name, " nor ", name, ".gz"));
}

// The items of the split's file of this kind, without its header.
absl::StatusOr<std::vector<uint8_t>> ReadItems(
    const std::filesystem::path& folder, const IdxKind& kind,
    MnistDataset::Split split) {
  const absl::StatusOr<std::filesystem::path> path =
      FindFile(folder, kind, split);
  if (!path.ok()) return path.status();
  absl::StatusOr<std::unique_ptr<UnpackedFile>> reader =
      UnpackedFile::Open(*path);
  if (!reader.ok()) return reader.status();
  uint8_t header[kImagesHeaderBytes];
  absl::StatusOr<size_t> read =
      (*reader)->Read(absl::MakeSpan(header, kind.header_bytes));
  if (!read.ok()) return read.status();
  const absl::StatusOr<uint32_t> count =
      ParseHeader(absl::MakeSpan(header, *read), kind, path->string());
  if (!count.ok()) return count.status();

  const size_t wanted = *count * kind.item_bytes;
  std::vector<uint8_t> items;
  while (items.size() < wanted) {
    const size_t before = items.size();
    items.resize(std::min(wanted, before + kReadBytes));
    read = (*reader)->Read(absl::MakeSpan(items).subspan(before));
    if (!read.ok()) return read.status();
    if (before + *read < items.size()) {
      return absl::DataLossError(absl::StrCat(
          path->string(), ": holds ", (before + *read) / kind.item_bytes,
          " whole ", kind.items, "; its header announces ", *count));
    }
  }
  uint8_t excess;
  read = (*reader)->Read(absl::MakeSpan(&excess, 1));
  if (!read.ok()) return read.status();
  if (*read != 0) {
    return absl::DataLossError(
        absl::StrCat(path->string(), ": more bytes follow the ", *count, " ",
                     kind.items, " that its header announces"));
  }
  return items;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MnistDataset>> MnistDataset::Load(
    const std::filesystem::path& folder, Split split) {
  absl::StatusOr<std::vector<uint8_t>> digits =
      ReadItems(folder, kImages, split);
  if (!digits.ok()) return digits.status();
  return std::unique_ptr<MnistDataset>(new MnistDataset(*std::move(digits)));
}

MnistDataset::MnistDataset(std::vector<uint8_t> digits)
    : shape_{1, kSide, kSide}, digits_(std::move(digits)) {}

size_t MnistDataset::size() const { return digits_.size() / kDigitBytes; }

absl::Status MnistDataset::Image(size_t index,
                                 absl::Span<uint8_t> pixels) const {
  if (index >= size()) {
    return absl::OutOfRangeError(
        absl::StrCat("MNIST: image ", index, " of ", size()));
  }
  if (pixels.size() != kSide * kSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("MNIST: a buffer of ", pixels.size(),
                     " bytes for an image of ", kSide * kSide));
  }
  std::fill(pixels.begin(), pixels.end(), uint8_t{0});
  const uint8_t* row = digits_.data() + index * kDigitBytes;
  uint8_t* out = pixels.data() + kPadding * kSide + kPadding;
  for (int y = 0; y < kDigitSide; ++y) {
    std::copy_n(row, kDigitSide, out);
    row += kDigitSide;
    out += kSide;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint8_t>> LoadMnistLabels(
    const std::filesystem::path& folder, MnistDataset::Split split) {
  absl::StatusOr<std::vector<uint8_t>> labels =
      ReadItems(folder, kLabels, split);
  if (!labels.ok()) return labels.status();
  const auto bad =
      std::find_if(labels->begin(), labels->end(),
                   [](uint8_t label) { return label > kMaxLabel; });
  if (bad != labels->end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder.string(), ": label ", bad - labels->begin(), " is ",
                     *bad, "; labels of digits are 0 to ", kMaxLabel));
  }
  return labels;
}

}  // namespace ddgan
