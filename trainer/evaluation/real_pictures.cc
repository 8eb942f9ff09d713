#include "trainer/evaluation/real_pictures.h"

#include "absl/types/span.h"
#include "trainer/dataset/data_order.h"
#include "trainer/dataset/stacked_mnist_dataset.h"

namespace ddgan {

RealPictures::RealPictures(const ImageDataset& digits, int channels,
                           uint64_t seed)
    : digits_(digits),
      channels_(static_cast<size_t>(channels)),
      seed_(seed),
      order_(channels_) {}

absl::StatusOr<std::vector<uint8_t>> RealPictures::Next(int64_t count) {
  const size_t bytes = static_cast<size_t>(digits_.shape().height) *
                       static_cast<size_t>(digits_.shape().width) * channels_;
  std::vector<uint8_t> pictures(static_cast<size_t>(count) * bytes);
  std::vector<uint32_t> digits(channels_);
  for (int64_t k = 0; k < count; ++k, ++next_) {
    const size_t place = next_ % digits_.size();
    for (size_t c = 0; c < channels_; ++c) {
      if (place == 0) {
        order_[c] = EpochOrder(
            seed_, static_cast<int64_t>(next_ / digits_.size() * channels_ + c),
            digits_.size());
      }
      digits[c] = order_[c][place];
    }
    if (absl::Status s =
            StackPictures(digits_, digits,
                          absl::MakeSpan(pictures).subspan(k * bytes, bytes));
        !s.ok()) {
      return s;
    }
  }
  return pictures;
}

}  // namespace ddgan
