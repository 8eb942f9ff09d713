#include "trainer/pictures/scatter_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/api/generation.h"
#include "engine/base/check_range.h"
#include "engine/imaging/png_encoder.h"
#include "trainer/dataset/gaussian_mixture.h"

namespace ddgan {
namespace {

constexpr int kMinPanelSize = 64;
constexpr int kMaxPanelSize = 2048;
constexpr double kMaxLimit = 1000;
constexpr size_t kMaxPanels = 16;
constexpr int kPanelGap = 12;  // Pixels between panels and around them.

using Color = std::array<float, 3>;
constexpr Color kSparse = {107, 174, 214};
constexpr Color kDense = {8, 48, 107};
constexpr Color kRing = {217, 95, 14};
constexpr Color kFrame = {200, 200, 200};
constexpr Color kText = {90, 90, 90};

// Pixels, for a panel of 512.
constexpr double kDotRadius = 1.5;
constexpr double kRingWidth = 1;

// How soon overlapping dots hide the paper, and then turn dark. The second is
// for 2,500 points: more of them would all be dark.
constexpr double kOpacity = 0.9;
constexpr double kDarkness = 0.12;
constexpr double kUsualPoints = 2500;

// 5 x 7 pixels each, one byte a row, the left pixel in bit 4.
constexpr uint8_t kDigits[10][7] = {{0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E},
                                    {0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E},
                                    {0x0E, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1F},
                                    {0x1F, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0E},
                                    {0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02},
                                    {0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E},
                                    {0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E},
                                    {0x1F, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08},
                                    {0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E},
                                    {0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C}};
constexpr int kDigitWidth = 5;
constexpr int kDigitHeight = 7;

// One square panel, pixel (column, row) from the top left.
class Panel {
 public:
  Panel(int size, double limit)
      : size_(size),
        limit_(limit),
        unit_(size / (2 * limit)),
        scale_(size / 512.0),
        pixels_(size_t{1} * size * size, Color{255, 255, 255}) {}

  void DrawPoints(absl::Span<const float> points) {
    std::vector<float> ink(pixels_.size());
    const double radius = std::max(kDotRadius * scale_, 0.7);
    for (size_t i = 0; i + 1 < points.size(); i += 2) {
      // False for what is not a number, too.
      if (!(std::abs(points[i]) <= limit_ && std::abs(points[i + 1]) <= limit_))
        continue;
      ForEachPixelNear(Column(points[i]), Row(points[i + 1]), radius + 1,
                       [&](size_t pixel, double distance) {
                         ink[pixel] += static_cast<float>(
                             std::clamp(radius + 0.5 - distance, 0.0, 1.0));
                       });
    }
    const double darkness =
        kDarkness *
        std::min(1.0,
                 kUsualPoints / (0.5 * static_cast<double>(points.size())));
    for (size_t i = 0; i < ink.size(); ++i) {
      if (ink[i] == 0) continue;
      const double dark = 1 - std::exp(-darkness * ink[i]);
      Color color;
      for (size_t c = 0; c < color.size(); ++c) {
        color[c] =
            static_cast<float>(kSparse[c] + dark * (kDense[c] - kSparse[c]));
      }
      Blend(i, color, 1 - std::exp(-kOpacity * ink[i]));
    }
  }

  void DrawRing(const PlanePoint& center, double radius_in_plane) {
    const double radius = radius_in_plane * unit_;
    const double half = kRingWidth / 2;
    ForEachPixelNear(
        Column(center.x), Row(center.y), radius + 2,
        [&](size_t pixel, double distance) {
          Blend(pixel, kRing,
                std::clamp(half + 0.5 - std::abs(distance - radius), 0.0, 1.0));
        });
  }

  void DrawFrame() {
    for (int i = 0; i < size_; ++i) {
      for (const size_t pixel :
           {At(i, 0), At(i, size_ - 1), At(0, i), At(size_ - 1, i)}) {
        pixels_[pixel] = kFrame;
      }
    }
  }

  void DrawNumber(int64_t number) {
    const int dot = std::max(1, static_cast<int>(2 * scale_ + 0.5));
    int left = 4 * dot;
    for (const char c : absl::StrCat(number)) {
      for (int y = 0; y < kDigitHeight * dot; ++y) {
        for (int x = 0; x < kDigitWidth * dot; ++x) {
          const bool on =
              kDigits[c - '0'][y / dot] >> (kDigitWidth - 1 - x / dot) & 1;
          if (on && left + x < size_)
            pixels_[At(left + x, 4 * dot + y)] = kText;
        }
      }
      left += (kDigitWidth + 1) * dot;
    }
  }

  // Into a picture with rows of `width` pixels, from `left`, `top`.
  void CopyTo(int width, int left, int top, std::vector<uint8_t>* rgb) const {
    for (int y = 0; y < size_; ++y) {
      uint8_t* to = rgb->data() + 3 * (size_t{1} * (top + y) * width + left);
      for (int x = 0; x < size_; ++x) {
        for (const float value : pixels_[At(x, y)])
          *to++ = static_cast<uint8_t>(value + 0.5f);
      }
    }
  }

 private:
  // Of a pixel's centre, so that the plane's middle is the panel's.
  double Column(double x) const { return (x + limit_) * unit_ - 0.5; }
  double Row(double y) const { return (limit_ - y) * unit_ - 0.5; }

  size_t At(int column, int row) const {
    return size_t{1} * row * size_ + column;
  }

  // visit(pixel, distance) for those in the square of half side `reach`.
  template <typename Visit>
  void ForEachPixelNear(double column, double row, double reach, Visit visit) {
    const double last = size_ - 1;
    // Bounds are clamped as doubles: a ring may be anywhere.
    const int left = static_cast<int>(std::clamp(column - reach, 0.0, last));
    const int right = static_cast<int>(std::clamp(column + reach, -1.0, last));
    const int top = static_cast<int>(std::clamp(row - reach, 0.0, last));
    const int bottom = static_cast<int>(std::clamp(row + reach, -1.0, last));
    for (int y = top; y <= bottom; ++y) {
      for (int x = left; x <= right; ++x)
        visit(At(x, y), std::hypot(x - column, y - row));
    }
  }

  void Blend(size_t pixel, const Color& color, double opacity) {
    for (size_t c = 0; c < color.size(); ++c) {
      float& value = pixels_[pixel][c];
      value += static_cast<float>(opacity) * (color[c] - value);
    }
  }

  const int size_;
  const double limit_;
  const double unit_;   // Pixels per unit of the plane.
  const double scale_;  // Of what is meant for a panel of 512.
  std::vector<Color> pixels_;
};

absl::Status Check(absl::Span<const ScatterPanel> panels,
                   const ScatterOptions& options) {
  if (panels.empty() || panels.size() > kMaxPanels) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are ", panels.size(), " panels, must be 1 to ", kMaxPanels));
  }
  if (absl::Status status = CheckRange("panel_size", options.panel_size,
                                       kMinPanelSize, kMaxPanelSize);
      !status.ok()) {
    return status;
  }
  if (!(options.limit > 0 && options.limit <= kMaxLimit)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "limit is ", options.limit, ", must be in (0, ", kMaxLimit, "]"));
  }
  for (const ScatterPanel& panel : panels) {
    if (panel.points.size() % 2 != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("points has ", panel.points.size(),
                       " numbers, must be an even number"));
    }
    if (panel.label && *panel.label < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("label is ", *panel.label, ", must not be negative"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EncodeScatterPicture(
    absl::Span<const ScatterPanel> panels, const ScatterOptions& options) {
  if (absl::Status status = Check(panels, options); !status.ok()) return status;
  const int stride = options.panel_size + kPanelGap;
  const ImageShape shape = {
      3, stride + kPanelGap,
      static_cast<int>(panels.size()) * stride + kPanelGap};
  std::vector<uint8_t> rgb(size_t{3} * shape.height * shape.width, 255);
  int left = kPanelGap;
  for (const ScatterPanel& content : panels) {
    Panel panel(options.panel_size, options.limit);
    panel.DrawPoints(content.points);
    for (int mode = 0; mode < kGaussianModes; ++mode)
      panel.DrawRing(GaussianMean(mode), 3 * kGaussianStd);
    panel.DrawFrame();
    if (content.label) panel.DrawNumber(*content.label);
    panel.CopyTo(shape.width, left, kPanelGap, &rgb);
    left += stride;
  }
  return EncodePng(rgb, shape);
}

}  // namespace ddgan
