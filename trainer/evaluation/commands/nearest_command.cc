#include "trainer/evaluation/commands/nearest_command.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/durable_file.h"
#include "trainer/evaluation/commands/figure_folder.h"
#include "trainer/evaluation/metrics/feature_rows.h"
#include "trainer/evaluation/session/feature_session.h"
#include "trainer/evaluation/session/parallel_features.h"
#include "trainer/pictures/sample_grid.h"

namespace ddgan {
namespace {

// Looked at, at most; of fewer than the second, 99 % are all or nothing.
constexpr int64_t kTestPictures = 1000;
constexpr int64_t kMinTestPictures = 100;
constexpr int64_t kDefaultSamples = 1000;

std::vector<float> ToUnit(absl::Span<const uint8_t> pixels) {
  std::vector<float> values(pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) {
    values[i] = static_cast<float>(pixels[i]) / 255.0f;
  }
  return values;
}

FeatureRows Rows(const std::vector<float>& values, int64_t rows) {
  return {values.data(), rows, static_cast<int64_t>(values.size()) / rows};
}

// As sources give at most some pictures at a time.
absl::StatusOr<std::vector<uint8_t>> FirstPictures(PictureSource* source,
                                                   int64_t count) {
  std::vector<uint8_t> pictures;
  pictures.reserve(static_cast<size_t>(count) * PictureBytes(source->shape()));
  constexpr int64_t kAtOnce = 64;
  for (int64_t first = 0; first < count; first += kAtOnce) {
    const absl::StatusOr<std::vector<uint8_t>> next =
        source->Pictures(first, std::min(kAtOnce, count - first));
    if (!next.ok()) return next.status();
    pictures.insert(pictures.end(), next->begin(), next->end());
  }
  return pictures;
}

std::vector<double> FirstDistances(const std::vector<Neighbour>& neighbours,
                                   int k) {
  std::vector<double> distances;
  for (size_t i = 0; i < neighbours.size(); i += static_cast<size_t>(k)) {
    distances.push_back(neighbours[i].distance);
  }
  return distances;
}

// Nearest real pictures of some pictures in both spaces.
struct Nearest {
  std::vector<uint8_t> pictures;
  std::vector<Neighbour> in_features;
  std::vector<Neighbour> in_pixels;
};

absl::StatusOr<Nearest> FindNearest(PictureSource* source, int64_t count, int k,
                                    const std::string& name,
                                    const FeatureRows& real, int threads,
                                    FeatureSession* session) {
  Nearest nearest;
  const absl::StatusOr<std::unique_ptr<FeatureFile>> file =
      session->Collect(source, PictureCoding::kPng, count, name);
  if (!file.ok()) return file.status();
  const auto content = (*file)->Read(count);
  if (!content.ok()) return content.status();
  absl::StatusOr<std::vector<uint8_t>> pictures = FirstPictures(source, count);
  if (!pictures.ok()) return pictures.status();
  nearest.pictures = *std::move(pictures);
  UseLibTorchThreads(ThreadCount(threads));
  absl::StatusOr<std::vector<Neighbour>> found =
      NearestRows(content->features, real, k);
  if (!found.ok()) return found.status();
  nearest.in_features = *std::move(found);
  found = NearestPictures(nearest.pictures, &session->data(),
                          session->data_rows(), k, session->progress());
  if (!found.ok()) return found.status();
  nearest.in_pixels = *std::move(found);
  return nearest;
}

// To the `k` nearest so far of each query those of a block that begins at row
// `first`. Blocks come by ascending row, so equal distances keep that order.
absl::Status AddNearest(const FeatureRows& queries, const FeatureRows& block,
                        int64_t first, int k,
                        absl::Span<std::vector<Neighbour>> best) {
  const int within = static_cast<int>(std::min<int64_t>(k, block.rows));
  const absl::StatusOr<std::vector<Neighbour>> found =
      NearestRows(queries, block, within);
  if (!found.ok()) return found.status();
  for (size_t i = 0; i < best.size(); ++i) {
    for (int j = 0; j < within; ++j) {
      Neighbour neighbour =
          (*found)[i * static_cast<size_t>(within) + static_cast<size_t>(j)];
      neighbour.row += first;
      best[i].push_back(neighbour);
    }
    std::stable_sort(best[i].begin(), best[i].end(),
                     [](const Neighbour& a, const Neighbour& b) {
                       return a.distance < b.distance;
                     });
    if (best[i].size() > static_cast<size_t>(k)) {
      best[i].resize(static_cast<size_t>(k));
    }
  }
  return absl::OkStatus();
}

// The neighbours' pictures, [shown, kShownNeighbours, S, S, C], their distances
// and places in the data set.
struct ShownNeighbours {
  std::vector<uint8_t> pictures;
  std::vector<float> distances;
  nlohmann::ordered_json rows;
};

absl::StatusOr<ShownNeighbours> Show(const std::vector<Neighbour>& neighbours,
                                     int shown, DatasetPictures* data) {
  ShownNeighbours result;
  result.rows = nlohmann::ordered_json::array();
  for (int i = 0; i < shown; ++i) {
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (int j = 0; j < kShownNeighbours; ++j) {
      const Neighbour& neighbour =
          neighbours[static_cast<size_t>(i * kShownNeighbours + j)];
      const absl::StatusOr<std::vector<uint8_t>> picture =
          data->Pictures(neighbour.row, 1);
      if (!picture.ok()) return picture.status();
      result.pictures.insert(result.pictures.end(), picture->begin(),
                             picture->end());
      result.distances.push_back(static_cast<float>(neighbour.distance));
      row.push_back(data->DatasetIndex(neighbour.row));
    }
    result.rows.push_back(row);
  }
  return result;
}

absl::StatusOr<std::string> Grid(absl::Span<const uint8_t> generated,
                                 absl::Span<const uint8_t> neighbours,
                                 int shown, const ImageShape& shape) {
  const size_t bytes = PictureBytes(shape);
  std::vector<uint8_t> all;
  for (size_t i = 0; i < static_cast<size_t>(shown); ++i) {
    const auto own = generated.subspan(i * bytes, bytes);
    const auto near = neighbours.subspan(i * kShownNeighbours * bytes,
                                         kShownNeighbours * bytes);
    all.insert(all.end(), own.begin(), own.end());
    all.insert(all.end(), near.begin(), near.end());
  }
  SampleGridOptions options;
  options.columns = 1 + kShownNeighbours;
  return EncodeSampleGrid(all, shape, options);
}

absl::Status WriteFigure(const NearestOptions& options,
                         const NearestReport& report, const Nearest& nearest,
                         DatasetPictures* data) {
  const int shown = static_cast<int>(
      std::min<int64_t>(options.shown, report.in_features.measured.pictures));
  const ImageShape& shape = data->shape();
  const absl::Span<const uint8_t> generated =
      absl::MakeConstSpan(nearest.pictures)
          .subspan(0, static_cast<size_t>(shown) * PictureBytes(shape));
  absl::StatusOr<FigureFolder> folder =
      FigureFolder::Create(options.out, "nearest", report.version, report.seed);
  if (!folder.ok()) return folder.status();
  const std::vector<int64_t> one = {shown, shape.height, shape.width,
                                    shape.channels};
  const std::vector<int64_t> five = {shown, kShownNeighbours, shape.height,
                                     shape.width, shape.channels};
  absl::Status status = folder->Add("generated", generated, one);
  folder->json()["features"] = {{"name", report.features},
                                {"digest", report.features_digest}};
  folder->json()["data"] = report.dataset;
  for (const auto& [space, neighbours] :
       {std::pair("feature", &nearest.in_features),
        std::pair("pixel", &nearest.in_pixels)}) {
    const absl::StatusOr<ShownNeighbours> shown_neighbours =
        Show(*neighbours, shown, data);
    if (!shown_neighbours.ok()) return shown_neighbours.status();
    status.Update(folder->Add(absl::StrCat(space, "_neighbours"),
                              shown_neighbours->pictures, five));
    status.Update(folder->Add(absl::StrCat(space, "_distances"),
                              shown_neighbours->distances,
                              {shown, kShownNeighbours}));
    folder->json()[absl::StrCat(space, "_rows")] = shown_neighbours->rows;
    const absl::StatusOr<std::string> png =
        Grid(generated, shown_neighbours->pictures, shown, shape);
    if (!png.ok()) return png.status();
    status.Update(folder->AddFile(
        space == std::string("feature") ? "nearest.png" : "nearest_pixels.png",
        *png));
  }
  status.Update(folder->Finish(absl::StrCat(
      "In each row a generated picture and its ", kShownNeighbours,
      " nearest real ones by the features of ", report.features, ".")));
  return status;
}

}  // namespace

absl::StatusOr<std::vector<Neighbour>> NearestPictures(
    absl::Span<const uint8_t> queries, DatasetPictures* among, int64_t rows,
    int k, EvaluationProgress* progress) {
  const size_t bytes = PictureBytes(among->shape());
  const auto count = static_cast<int64_t>(queries.size() / bytes);
  const int64_t block_rows = BlockRows(static_cast<int64_t>(bytes));
  std::vector<std::vector<Neighbour>> best(static_cast<size_t>(count));
  progress->Begin("nearest by pixels", rows);
  for (int64_t first = 0; first < rows; first += block_rows) {
    const int64_t size = std::min(block_rows, rows - first);
    const absl::StatusOr<std::vector<uint8_t>> block =
        among->Pictures(first, size);
    if (!block.ok()) return block.status();
    const std::vector<float> values = ToUnit(*block);
    for (int64_t query = 0; query < count; query += block_rows) {
      const int64_t some = std::min(block_rows, count - query);
      const std::vector<float> query_values =
          ToUnit(queries.subspan(static_cast<size_t>(query) * bytes,
                                 static_cast<size_t>(some) * bytes));
      const absl::Status status =
          AddNearest(Rows(query_values, some), Rows(values, size), first, k,
                     absl::MakeSpan(best).subspan(static_cast<size_t>(query),
                                                  static_cast<size_t>(some)));
      if (!status.ok()) return status;
    }
    progress->Update(first + size);
  }
  progress->End();
  std::vector<Neighbour> all;
  for (const std::vector<Neighbour>& neighbours : best) {
    all.insert(all.end(), neighbours.begin(), neighbours.end());
  }
  return all;
}

absl::StatusOr<std::string> RunNearest(const NearestOptions& options,
                                       const Environment& environment,
                                       EvaluationProgress* progress) {
  // Before an hour of work.
  if (absl::Status s = CheckWritable(options.out); !s.ok()) return s;
  absl::StatusOr<MeasuredPictures> pictures =
      OpenMeasuredPictures(options.pictures, options.measure.threads);
  if (!pictures.ok()) return pictures.status();
  PictureSource* const source = pictures->source.get();
  const int64_t samples = options.samples > 0
                              ? options.samples
                              : std::min(kDefaultSamples, source->size());
  if (samples > source->size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--samples is ", samples, ", there are ", source->size(), " pictures"));
  }
  const absl::StatusOr<MeasureOptions> measure = ResolveMeasure(
      options.measure,
      pictures->version.has_value() ? pictures->version->dataset : "",
      environment);
  if (!measure.ok()) return measure.status();
  const absl::StatusOr<std::unique_ptr<FeatureSession>> session =
      FeatureSession::Create(*measure, source->shape(), kShownNeighbours,
                             progress);
  if (!session.ok()) return session.status();
  DatasetPictures* const data = &(*session)->data();
  // Before the work.
  std::unique_ptr<DatasetPictures> test;
  const std::string& kind = measure->dataset;
  DataChoice test_choice = measure->choice;
  test_choice.dataset_limit = 0;  // It is of the training pictures.
  if (!options.test_data.empty() || kind == "mnist" || kind == "cifar10") {
    absl::StatusOr<std::unique_ptr<DatasetPictures>> opened =
        options.test_data.empty()
            ? OpenTestPictures(kind, measure->data)
            : OpenRealPictures(kind, options.test_data, test_choice,
                               source->shape());
    if (!opened.ok()) return opened.status();
    test = *std::move(opened);
    if (test->size() < kMinTestPictures) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--test_data is of ", test->size(), " pictures, must be of at least ",
          kMinTestPictures, ": the nearest 1 % of them is compared with"));
    }
  }

  const int64_t rows = (*session)->data_rows();
  const absl::StatusOr<std::unique_ptr<FeatureFile>> file =
      (*session)->Collect(data, PictureCoding::kPng, rows, kind);
  if (!file.ok()) return file.status();
  const auto real = (*file)->Read(rows);
  if (!real.ok()) return real.status();
  const absl::StatusOr<Nearest> nearest =
      FindNearest(source, samples, kShownNeighbours, "the pictures",
                  real->features, measure->threads, session->get());
  if (!nearest.ok()) return nearest.status();
  std::vector<double> test_features, test_pixels;
  if (test != nullptr) {
    const absl::StatusOr<Nearest> of_test = FindNearest(
        test.get(), std::min(kTestPictures, test->size()), 1, "test pictures",
        real->features, measure->threads, session->get());
    if (!of_test.ok()) return of_test.status();
    test_features = FirstDistances(of_test->in_features, 1);
    test_pixels = FirstDistances(of_test->in_pixels, 1);
  }

  NearestReport report;
  report.version = pictures->version;
  report.pictures = options.pictures.server.empty() ? options.pictures.images
                                                    : options.pictures.server;
  report.seed = options.pictures.seed;
  report.dataset = kind;
  report.data_choice = DataChoiceText(measure->choice);
  report.data_samples = rows;
  report.features = (*session)->network().name();
  report.features_digest = (*session)->network().digest();
  report.in_features = CompareDistances(
      FirstDistances(nearest->in_features, kShownNeighbours), test_features);
  report.in_pixels = CompareDistances(
      FirstDistances(nearest->in_pixels, kShownNeighbours), test_pixels);
  report.out = options.out;
  if (absl::Status s = WriteFigure(options, report, *nearest, data); !s.ok()) {
    return s;
  }
  return options.json ? NearestJson(report) : NearestTable(report);
}

}  // namespace ddgan
