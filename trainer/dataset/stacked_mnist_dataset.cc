#include "trainer/dataset/stacked_mnist_dataset.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "trainer/dataset/data_order.h"

namespace ddgan {
namespace {

constexpr int kChannels = 3;
constexpr int kSide = 32;
constexpr int kPermutations = 2;  // Per channel.

}  // namespace

absl::Status StackPictures(const ImageDataset& gray,
                           absl::Span<const uint32_t> indices,
                           absl::Span<uint8_t> pixels) {
  const size_t channels = indices.size();
  std::vector<uint8_t> plane(static_cast<size_t>(gray.shape().height) *
                             static_cast<size_t>(gray.shape().width));
  if (pixels.size() != channels * plane.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a buffer of ", pixels.size(), " bytes for ", channels,
                     " pictures of ", plane.size()));
  }
  for (size_t c = 0; c < channels; ++c) {
    if (absl::Status s = gray.Image(indices[c], absl::MakeSpan(plane));
        !s.ok()) {
      return s;
    }
    for (size_t i = 0; i < plane.size(); ++i)
      pixels[i * channels + c] = plane[i];
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StackedMnistDataset>> StackedMnistDataset::Load(
    const std::filesystem::path& folder, uint64_t seed) {
  absl::StatusOr<std::unique_ptr<MnistDataset>> mnist =
      MnistDataset::Load(folder);
  if (!mnist.ok()) return mnist.status();
  return std::unique_ptr<StackedMnistDataset>(
      new StackedMnistDataset(*std::move(mnist), seed));
}

StackedMnistDataset::StackedMnistDataset(
    std::unique_ptr<const MnistDataset> mnist, uint64_t seed)
    : mnist_(std::move(mnist)), shape_{kChannels, kSide, kSide} {
  std::vector<uint32_t> permutation;
  for (int c = 0; c < kChannels; ++c) {
    for (int k = 0; k < kPermutations; ++k) {
      // Negative epochs: the order of no training epoch has such a number.
      EpochOrder(seed, -1 - (kPermutations * c + k), mnist_->size(),
                 &permutation);
      digits_[c].insert(digits_[c].end(), permutation.begin(),
                        permutation.end());
    }
  }
}

absl::Status StackedMnistDataset::Image(size_t index,
                                        absl::Span<uint8_t> pixels) const {
  if (index >= size()) {
    return absl::OutOfRangeError(
        absl::StrCat("Stacked MNIST: image ", index, " of ", size()));
  }
  const uint32_t digits[kChannels] = {digits_[0][index], digits_[1][index],
                                      digits_[2][index]};
  return StackPictures(*mnist_, digits, pixels);
}

int StackedMnistDataset::Label(size_t index,
                               absl::Span<const uint8_t> digit_labels) const {
  int label = 0;
  for (const std::vector<uint32_t>& digits : digits_) {
    label = 10 * label + digit_labels[digits[index]];
  }
  return label;
}

}  // namespace ddgan
