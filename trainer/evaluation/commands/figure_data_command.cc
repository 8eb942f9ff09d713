#include "trainer/evaluation/commands/figure_data_command.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "trainer/evaluation/commands/denoising_samples.h"
#include "trainer/evaluation/commands/figure_folder.h"
#include "trainer/evaluation/commands/report_json.h"
#include "trainer/evaluation/model_pictures.h"
#include "trainer/evaluation/session/measured_pictures.h"

namespace ddgan {
namespace {

constexpr int64_t kAtOnce = 64;

absl::Status WriteStrip(const FigureDataOptions& options,
                        EvaluationProgress* progress) {
  const absl::StatusOr<Checkpoint> checkpoint =
      ReadVersionFolder(options.pictures.model);
  if (!checkpoint.ok()) return checkpoint.status();
  const ModelConfig& config = checkpoint->config.model_config;
  const ImageShape shape = ShapeOf(config);
  const std::string& kind =
      options.dataset.empty() ? checkpoint->config.dataset : options.dataset;
  const absl::StatusOr<std::vector<uint8_t>> picture =
      RealPicture(kind, options.data, options.choice, shape, options.picture);
  if (!picture.ok()) return picture.status();
  progress->Print("denoising");
  const absl::StatusOr<DenoisingSamples> denoising =
      SampleDenoising(*checkpoint, *picture, options.pictures.seed);
  if (!denoising.ok()) return denoising.status();

  MeasuredVersion version;
  version.identity = checkpoint->identity;
  absl::StatusOr<FigureFolder> folder = FigureFolder::Create(
      options.out, "strip", version, options.pictures.seed);
  if (!folder.ok()) return folder.status();
  const auto levels = static_cast<int64_t>(denoising->levels.size());
  absl::Status status =
      folder->Add("chain", denoising->chain,
                  {levels, shape.height, shape.width, shape.channels});
  status.Update(folder->Add(
      "samples", denoising->samples,
      {levels - 1, kLatents, shape.height, shape.width, shape.channels}));
  folder->json()["levels"] = denoising->levels;
  folder->json()["num_timesteps"] = config.num_timesteps;
  folder->json()["picture"] = options.picture;
  folder->json()["data"] = kind;
  status.Update(folder->Finish(absl::StrCat(
      "Picture ", options.picture, " of ", kind,
      " on its way to noise, x_0 to "
      "x_",
      config.num_timesteps, "; below each, what ", checkpoint->identity.model,
      "/", checkpoint->identity.version, " makes of it with three latents.")));
  return status;
}

absl::Status WriteGrid(const FigureDataOptions& options,
                       EvaluationProgress* progress) {
  absl::StatusOr<MeasuredPictures> pictures =
      OpenMeasuredPictures(options.pictures, options.threads);
  if (!pictures.ok()) return pictures.status();
  PictureSource& source = *pictures->source;
  std::vector<uint8_t> all;
  progress->Begin("pictures", options.samples);
  for (int64_t first = 0; first < options.samples; first += kAtOnce) {
    const absl::StatusOr<std::vector<uint8_t>> next =
        source.Pictures(first, std::min(kAtOnce, options.samples - first));
    if (!next.ok()) return next.status();
    all.insert(all.end(), next->begin(), next->end());
    progress->Update(first);
  }
  progress->End();
  absl::StatusOr<FigureFolder> folder = FigureFolder::Create(
      options.out, "grid", pictures->version, options.pictures.seed);
  if (!folder.ok()) return folder.status();
  const ImageShape& shape = source.shape();
  absl::Status status =
      folder->Add("samples", all,
                  {options.samples, shape.height, shape.width, shape.channels});
  folder->json()["columns"] = options.columns;
  const MeasuredVersion& version = *pictures->version;
  status.Update(folder->Finish(
      absl::StrCat("The first ", options.samples, " pictures of ",
                   version.identity.model, "/", version.identity.version,
                   ", seed ", options.pictures.seed, ", ", version.sampler,
                   ", ", EvaluationsText(version.evaluations), " for each.")));
  return status;
}

}  // namespace

absl::StatusOr<std::string> RunFigureData(const FigureDataOptions& options,
                                          const Environment& environment,
                                          EvaluationProgress* progress) {
  static_cast<void>(environment);
  // Before the work.
  if (absl::Status s = CheckWritable(options.out); !s.ok()) return s;
  const absl::Status status = options.kind == FigureDataOptions::Kind::kStrip
                                  ? WriteStrip(options, progress)
                                  : WriteGrid(options, progress);
  if (!status.ok()) return status;
  return absl::StrCat(options.out, "/figure.json\n");
}

}  // namespace ddgan
