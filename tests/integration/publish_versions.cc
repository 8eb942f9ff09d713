// Publishes versions of a model by the trainer's own publisher, for tests that
// watch a server take them up. One convolution's weights are scaled a little
// differently in each, so that versions make different images that all look
// like the source's. No LibTorch: a test may start and kill it by the hundred.
//
//   publish_versions --source=deploy/models/mnist/VERSION --root=/tmp/models
//       --first=4961 --count=200 --interval=3s
//
// Prints "VERSION DIGEST" when a version is there. Exit code 1 if one cannot be
// published.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/checkpoint/model_directory.h"
#include "engine/checkpoint/safetensors.h"
#include "trainer/run/checkpoint_publisher.h"
#include "trainer/run/publish_policy.h"

ABSL_FLAG(std::string, source, "",
          "folder of the version to begin from, ROOT/MODEL/VERSION (required)");
ABSL_FLAG(std::string, root, "", "model root to publish into (required)");
ABSL_FLAG(std::string, model, "",
          "name to publish under; default: the source's");
ABSL_FLAG(int64_t, first, 0,
          "number of the first version; 0: the one after the newest there");
ABSL_FLAG(int64_t, count, 1, "how many; 0: until it is killed");
ABSL_FLAG(absl::Duration, interval, absl::ZeroDuration(),
          "time from one version to the next");
ABSL_FLAG(double, scale, 1e-3,
          "version V's last convolution is that of the source times "
          "1 + 256 * scale * fraction(V * golden ratio), which repeats for no "
          "two versions");
ABSL_FLAG(int64_t, keep, 0, "as ddgan-train's --keep_published");
ABSL_FLAG(int64_t, keep_every, 0, "as ddgan-train's --keep_published_every");

namespace ddgan {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<Checkpoint> ReadSource() {
  const fs::path folder = fs::absolute(absl::GetFlag(FLAGS_source));
  return ReadCheckpoint(
      folder.parent_path().parent_path(),
      folder.parent_path().filename().string(),
      ParseVersionName(folder.filename().string()).value_or(0));
}

// Far apart for neighbours, and never the same twice.
double ScaleOf(int64_t version) {
  constexpr double kGoldenRatio = 1.6180339887498949;
  const double turns = static_cast<double>(version) * kGoldenRatio;
  return 1 + 256 * absl::GetFlag(FLAGS_scale) * (turns - std::floor(turns));
}

// The source's weights with its last convolution times `factor`.
absl::StatusOr<std::string> ScaledWeights(const Checkpoint& source,
                                          double factor) {
  std::string weights = source.weights;
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(weights);
  if (!view.ok()) return view.status();
  const TensorView* convolution = nullptr;
  for (const TensorView& tensor : view->tensors) {
    if (tensor.shape.size() == 4 && tensor.dtype == DType::kFloat32)
      convolution = &tensor;
  }
  if (convolution == nullptr)
    return absl::InvalidArgumentError("no float32 convolution in the source");
  char* const data =
      weights.data() + (convolution->data.data() - weights.data());
  for (size_t at = 0; at < convolution->data.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, data + at, sizeof(value));
    value = static_cast<float>(value * factor);
    std::memcpy(data + at, &value, sizeof(value));
  }
  return weights;
}

absl::Status PublishVersions() {
  const absl::StatusOr<Checkpoint> source = ReadSource();
  if (!source.ok()) return source.status();
  const fs::path root = absl::GetFlag(FLAGS_root);
  CheckpointConfig config = source->config;
  if (!absl::GetFlag(FLAGS_model).empty())
    config.model = absl::GetFlag(FLAGS_model);
  int64_t version = absl::GetFlag(FLAGS_first);
  if (version == 0) {
    const absl::StatusOr<std::vector<int64_t>> there =
        ListVersions(root, config.model);
    version = there.ok() && !there->empty() ? there->front() + 1 : 1;
  }
  const int64_t count = absl::GetFlag(FLAGS_count);
  const Retention retention = {absl::GetFlag(FLAGS_keep),
                               absl::GetFlag(FLAGS_keep_every)};
  std::vector<ModelIdentity> published;
  for (int64_t done = 0; count == 0 || done < count; ++done, ++version) {
    if (done > 0) absl::SleepFor(absl::GetFlag(FLAGS_interval));
    config.training_step = version;
    const absl::StatusOr<std::string> weights =
        ScaledWeights(*source, ScaleOf(version));
    if (!weights.ok()) return weights.status();
    const absl::StatusOr<ModelIdentity> identity =
        PublishCheckpoint(root, version, config, *weights);
    if (!identity.ok()) return identity.status();
    std::cout << version << ' ' << identity->digest << std::endl;

    published.push_back(*identity);
    std::vector<int64_t> numbers;
    for (const ModelIdentity& one : published) numbers.push_back(one.version);
    for (const int64_t old : VersionsToRemove(numbers, retention)) {
      const auto removed = std::find_if(
          published.begin(), published.end(),
          [&](const ModelIdentity& one) { return one.version == old; });
      if (absl::Status status = RemoveCheckpoint(root, *removed); !status.ok())
        return status;
      published.erase(removed);
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace ddgan

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "publish_versions --source=ROOT/MODEL/VERSION --root=ROOT [flags]");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = ddgan::PublishVersions();
  if (!status.ok()) {
    std::cerr << "publish_versions: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
