#include "trainer/dataset/mnist_dataset.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "trainer/dataset/gzip_reader.h"

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
constexpr size_t kHeaderBytes = 16;

// The largest set in this format (EMNIST) has 814,255 images. A header may
// claim 4 billion.
constexpr uint32_t kMaxImages = 1'000'000;

// Memory grows by what the file really holds, not by what its header claims.
constexpr size_t kReadBytes = size_t{4} << 20;

uint32_t BigEndian32(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
         uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

// The number of images that `header` announces.
absl::StatusOr<uint32_t> ParseHeader(absl::Span<const uint8_t> header,
                                     const std::string& path) {
  if (header.size() < kHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", header.size(),
                     " bytes; an IDX file of images starts with a header of ",
                     kHeaderBytes));
  }
  const uint32_t magic = BigEndian32(&header[0]);
  if (magic != kImagesMagic) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": magic number 0x", absl::Hex(magic, absl::kZeroPad8),
        magic == kLabelsMagic ? " (a file of labels)" : "",
        "; an IDX file of 8-bit images has 0x",
        absl::Hex(kImagesMagic, absl::kZeroPad8)));
  }
  const uint32_t count = BigEndian32(&header[4]);
  const uint32_t rows = BigEndian32(&header[8]);
  const uint32_t columns = BigEndian32(&header[12]);
  if (rows != kDigitSide || columns != kDigitSide) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": images of ", rows, "x", columns,
                     "; those of MNIST are ", kDigitSide, "x", kDigitSide));
  }
  if (count < 1 || count > kMaxImages) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", count, " images; wanted 1 to ", kMaxImages));
  }
  return count;
}

absl::StatusOr<std::filesystem::path> FindImageFile(
    const std::filesystem::path& folder, MnistDataset::Split split) {
  const std::string name = split == MnistDataset::Split::kTrain
                               ? "train-images-idx3-ubyte"
                               : "t10k-images-idx3-ubyte";
  for (const std::string& candidate : {name, name + ".gz"}) {
    std::error_code ignored;  // What cannot be looked at is not there.
    if (std::filesystem::exists(folder / candidate, ignored)) {
      return folder / candidate;
    }
  }
  return absl::NotFoundError(absl::StrCat(folder.string(), ": holds neither ",
                                          name, " nor ", name, ".gz"));
}

absl::StatusOr<std::vector<uint8_t>> ReadDigits(
    const std::filesystem::path& path) {
  absl::StatusOr<std::unique_ptr<GzipReader>> reader = GzipReader::Open(path);
  if (!reader.ok()) return reader.status();
  uint8_t header[kHeaderBytes];
  absl::StatusOr<size_t> read = (*reader)->Read(absl::MakeSpan(header));
  if (!read.ok()) return read.status();
  const absl::StatusOr<uint32_t> count =
      ParseHeader(absl::MakeSpan(header, *read), path.string());
  if (!count.ok()) return count.status();

  const size_t wanted = *count * kDigitBytes;
  std::vector<uint8_t> digits;
  while (digits.size() < wanted) {
    const size_t before = digits.size();
    digits.resize(std::min(wanted, before + kReadBytes));
    read = (*reader)->Read(absl::MakeSpan(digits).subspan(before));
    if (!read.ok()) return read.status();
    if (before + *read < digits.size()) {
      return absl::DataLossError(absl::StrCat(
          path.string(), ": holds ", (before + *read) / kDigitBytes,
          " whole images; its header announces ", *count));
    }
  }
  uint8_t excess;
  read = (*reader)->Read(absl::MakeSpan(&excess, 1));
  if (!read.ok()) return read.status();
  if (*read != 0) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": more bytes follow the ", *count,
                     " images that its header announces"));
  }
  return digits;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MnistDataset>> MnistDataset::Load(
    const std::filesystem::path& folder, Split split) {
  const absl::StatusOr<std::filesystem::path> path =
      FindImageFile(folder, split);
  if (!path.ok()) return path.status();
  absl::StatusOr<std::vector<uint8_t>> digits = ReadDigits(*path);
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

}  // namespace ddgan
