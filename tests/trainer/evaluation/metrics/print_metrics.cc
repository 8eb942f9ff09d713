// Prints the metrics of two files of features as JSON, for
// metrics_packages_test.py and to measure their time:
//
//   print_metrics --real=R.f32 --generated=F.f32 --features=1280 --k=5
//
// A file is nothing but float32, row-major. The inception score is that of the
// rows of --probabilities. Exit code 1, with a sentence, if something is wrong.
#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "trainer/evaluation/metrics/frechet_distance.h"
#include "trainer/evaluation/metrics/inception_score.h"
#include "trainer/evaluation/metrics/kernel_distance.h"
#include "trainer/evaluation/metrics/neighbour_metrics.h"

ABSL_FLAG(std::string, real, "", "file of the real features");
ABSL_FLAG(std::string, generated, "", "file of the generated features");
ABSL_FLAG(int64_t, features, 0, "features of a row");
ABSL_FLAG(std::string, probabilities, "", "file of classes' probabilities");
ABSL_FLAG(int64_t, classes, 0, "classes of a row");
ABSL_FLAG(int, splits, 1, "of the inception score");
ABSL_FLAG(int, k, 3, "nearest neighbour that a ball reaches");
ABSL_FLAG(bool, strict, false, "whether the edge of a ball is outside");
ABSL_FLAG(int, kid_subsets, 100, "subsets of the kernel distance");
ABSL_FLAG(int64_t, kid_subset, 1000, "rows of each");
ABSL_FLAG(uint64_t, seed, 0, "of the subsets");
ABSL_FLAG(std::string, metrics, "frechet,kernel,kernel_of_all,neighbours",
          "which; inception is another");

namespace ddgan {
namespace {

struct RowsOfFile {
  std::vector<float> values;
  int64_t features = 0;

  FeatureRows view() const {
    return {values.data(), static_cast<int64_t>(values.size()) / features,
            features};
  }
};

absl::StatusOr<RowsOfFile> Read(const std::string& path, int64_t features) {
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(path, error);
  if (error || features < 1 || bytes % (features * sizeof(float)) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no file of rows of ", features));
  }
  RowsOfFile rows{.values = std::vector<float>(bytes / sizeof(float)),
                  .features = features};
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(rows.values.data()),
            static_cast<std::streamsize>(bytes));
  if (!file) return absl::DataLossError(absl::StrCat(path, ": cannot be read"));
  return rows;
}

double PeakMemoryMib() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

class Printer {
 public:
  Printer() {
    for (const absl::string_view name :
         absl::StrSplit(absl::GetFlag(FLAGS_metrics), ',')) {
      wanted_.emplace(name);
    }
  }

  absl::Status Print() {
    for (const auto compute :
         {&Printer::OfProbabilities, &Printer::OfFeatures}) {
      if (absl::Status s = (this->*compute)(); !s.ok()) return s;
    }
    if (!wanted_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no such metric: ", *wanted_.begin()));
    }
    std::cout << printed_.dump(2) << "\n";
    return absl::OkStatus();
  }

 private:
  absl::Status OfProbabilities() {
    if (wanted_.erase("inception") == 0) return absl::OkStatus();
    const auto rows =
        Read(absl::GetFlag(FLAGS_probabilities), absl::GetFlag(FLAGS_classes));
    if (!rows.ok()) return rows.status();
    const auto score =
        InceptionScoreOf(rows->view(), absl::GetFlag(FLAGS_splits));
    if (!score.ok()) return score.status();
    printed_["inception"] = {{"mean", score->mean}, {"stddev", score->stddev}};
    return absl::OkStatus();
  }

  absl::Status OfFeatures() {
    if (wanted_.empty()) return absl::OkStatus();
    const int64_t features = absl::GetFlag(FLAGS_features);
    const auto real = Read(absl::GetFlag(FLAGS_real), features);
    if (!real.ok()) return real.status();
    const auto generated = Read(absl::GetFlag(FLAGS_generated), features);
    if (!generated.ok()) return generated.status();
    before_ = PeakMemoryMib();
    const FeatureRows r = real->view(), g = generated->view();
    for (const auto& [name, compute] :
         {std::pair("frechet", &Printer::Frechet),
          std::pair("kernel", &Printer::Kernel),
          std::pair("kernel_of_all", &Printer::KernelOfAll),
          std::pair("neighbours", &Printer::Neighbours)}) {
      if (wanted_.erase(name) == 0) continue;
      const absl::Time start = absl::Now();
      absl::StatusOr<nlohmann::json> figures = (this->*compute)(r, g);
      if (!figures.ok()) return figures.status();
      (*figures)["seconds"] = absl::ToDoubleSeconds(absl::Now() - start);
      (*figures)["mib_beside_features"] = PeakMemoryMib() - before_;
      printed_[name] = *std::move(figures);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<nlohmann::json> Frechet(const FeatureRows& real,
                                         const FeatureRows& generated) {
    const auto r = StatisticsOf(real);
    if (!r.ok()) return r.status();
    const auto g = StatisticsOf(generated);
    if (!g.ok()) return g.status();
    const auto distance = FrechetDistance(*r, *g);
    if (!distance.ok()) return distance.status();
    return nlohmann::json{{"distance", *distance}};
  }

  absl::StatusOr<nlohmann::json> Kernel(const FeatureRows& real,
                                        const FeatureRows& generated) {
    const auto distance =
        KernelDistanceOfSubsets(real, generated,
                                {.subsets = absl::GetFlag(FLAGS_kid_subsets),
                                 .subset = absl::GetFlag(FLAGS_kid_subset),
                                 .seed = absl::GetFlag(FLAGS_seed)});
    if (!distance.ok()) return distance.status();
    return nlohmann::json{{"mean", distance->mean},
                          {"stddev", distance->stddev}};
  }

  absl::StatusOr<nlohmann::json> KernelOfAll(const FeatureRows& real,
                                             const FeatureRows& generated) {
    const auto distance = KernelDistanceOfAll(real, generated);
    if (!distance.ok()) return distance.status();
    return nlohmann::json{{"distance", *distance}};
  }

  absl::StatusOr<nlohmann::json> Neighbours(const FeatureRows& real,
                                            const FeatureRows& generated) {
    const auto metrics = NeighbourMetricsOf(
        real, generated,
        {.k = absl::GetFlag(FLAGS_k), .strict = absl::GetFlag(FLAGS_strict)},
        nullptr);
    if (!metrics.ok()) return metrics.status();
    return nlohmann::json{{"precision", metrics->precision},
                          {"recall", metrics->recall},
                          {"density", metrics->density},
                          {"coverage", metrics->coverage}};
  }

  std::set<std::string> wanted_;
  nlohmann::json printed_;
  double before_ = 0;  // MiB
};

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("prints metrics of features; see its source");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = ddgan::Printer().Print();
  if (!status.ok()) {
    std::cerr << "print_metrics: " << status.message() << "\n";
    return 1;
  }
}
