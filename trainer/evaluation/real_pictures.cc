#include "trainer/evaluation/real_pictures.h"

#include "trainer/dataset/data_order.h"

namespace ddgan {

RealPictures::RealPictures(const ImageDataset& digits, int channels,
                           uint64_t seed)
    : digits_(digits),
      channels_(static_cast<size_t>(channels)),
      seed_(seed),
      order_(channels_) {}

absl::StatusOr<std::vector<uint8_t>> RealPictures::Next(int64_t count) {
  const size_t plane = static_cast<size_t>(digits_.shape().height) *
                       static_cast<size_t>(digits_.shape().width);
  std::vector<uint8_t> pictures(static_cast<size_t>(count) * plane * channels_);
  std::vector<uint8_t> digit(plane);
  uint8_t* picture = pictures.data();
  for (int64_t k = 0; k < count; ++k, ++next_, picture += plane * channels_) {
    const size_t place = next_ % digits_.size();
    for (size_t c = 0; c < channels_; ++c) {
      if (place == 0) {
        order_[c] = EpochOrder(
            seed_, static_cast<int64_t>(next_ / digits_.size() * channels_ + c),
            digits_.size());
      }
      if (absl::Status s =
              digits_.Image(order_[c][place], absl::MakeSpan(digit));
          !s.ok()) {
        return s;
      }
      for (size_t i = 0; i < plane; ++i) picture[i * channels_ + c] = digit[i];
    }
  }
  return pictures;
}

}  // namespace ddgan
