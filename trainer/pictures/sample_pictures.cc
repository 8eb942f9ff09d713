#include "trainer/pictures/sample_pictures.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/imaging/to_rgb8_cpu.h"
#include "trainer/dataset/gaussian_mixture.h"
#include "trainer/evaluation/mode_coverage.h"
#include "trainer/pictures/denoising_strip.h"
#include "trainer/pictures/sample_grid.h"
#include "trainer/pictures/scatter_picture.h"

namespace ddgan {
namespace {

std::string FileName(const char* what, int64_t steps_done) {
  return absl::StrCat(what, "_step_", steps_done, ".png");
}

// The first `count` of [N, C, H, W] as rows of bytes.
std::vector<uint8_t> ToRows(const at::Tensor& images, int64_t count,
                            const ImageShape& shape) {
  const int64_t size = images.numel() / images.size(0);
  const float* planes = images.const_data_ptr<float>();
  std::vector<uint8_t> rows(count * size);
  for (int64_t i = 0; i < count; ++i) {
    ToRgb8Cpu({planes + i * size, static_cast<size_t>(size)}, shape,
              absl::MakeSpan(rows).subspan(i * size, size));
  }
  return rows;
}

}  // namespace

absl::StatusOr<SamplePictures> DrawImages(const DenoisingChain& chain,
                                          const ImageShape& shape,
                                          int64_t steps_done) {
  const int64_t count = chain.x.back().size(0);
  const absl::StatusOr<std::string> grid =
      EncodeSampleGrid(ToRows(chain.x.back(), count, shape), shape);
  if (!grid.ok()) return grid.status();

  std::vector<std::vector<uint8_t>> columns;
  const int64_t shown = std::min<int64_t>(count, kStripImages);
  for (size_t step = 0; step < chain.x.size(); ++step) {
    columns.push_back(ToRows(chain.x[step], shown, shape));
    if (step < chain.x0.size())
      columns.push_back(ToRows(chain.x0[step], shown, shape));
  }
  const absl::StatusOr<std::string> strip =
      EncodeDenoisingStrip(columns, shape);
  if (!strip.ok()) return strip.status();
  return SamplePictures{{{FileName("samples", steps_done), *grid},
                         {FileName("denoising", steps_done), *strip}},
                        ""};
}

absl::StatusOr<SamplePictures> DrawPoints(const DenoisingChain& chain,
                                          int64_t steps_done) {
  const int64_t count = chain.x.back().size(0);
  std::vector<uint32_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0u);
  const absl::StatusOr<std::unique_ptr<GaussianMixture>> mixture =
      GaussianMixture::Create({.seed = 0,
                               .global_batch = static_cast<int>(count),
                               .rows = std::move(rows)});
  if (!mixture.ok()) return mixture.status();
  const absl::StatusOr<absl::Span<const float>> real = (*mixture)->Batch(0);
  if (!real.ok()) return real.status();

  std::vector<ScatterPanel> panels = {{*real, {}}};
  for (const at::Tensor& x : chain.x) {
    panels.push_back(
        {{x.const_data_ptr<float>(), static_cast<size_t>(x.numel())}, {}});
  }
  panels.back().label = steps_done;
  const absl::StatusOr<std::string> picture =
      EncodeScatterPicture(panels, {.panel_size = 384, .limit = 5});
  if (!picture.ok()) return picture.status();

  const absl::StatusOr<GaussianCoverage> coverage =
      CoverageOfGaussians(panels.back().points);
  if (!coverage.ok()) return coverage.status();
  return SamplePictures{
      {{FileName("samples", steps_done), *picture}},
      absl::StrFormat(
          "%d of %d modes covered, %.1f%% of %d points within 3 standard "
          "deviations of one, KL from uniform %s nats",
          coverage->modes_covered, kGaussianModes,
          100 * coverage->high_quality_share, coverage->points,
          coverage->kl ? absl::StrFormat("%.3f", *coverage->kl) : "undefined")};
}

}  // namespace ddgan
