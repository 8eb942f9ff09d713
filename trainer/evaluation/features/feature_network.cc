#include "trainer/evaluation/features/feature_network.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "trainer/evaluation/features/digit_features.h"
#include "trainer/evaluation/features/efficientnet_lite0.h"
#include "trainer/evaluation/features/torchscript_network.h"

namespace ddgan {
namespace {

absl::Status CheckForm(const std::string& digest) {
  bool right = digest.size() == 64;
  for (const char c : digest) right = right && absl::ascii_isxdigit(c);
  if (right) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the features' digest is '", digest.substr(0, 80),
                   "', must be a SHA-256: 64 hexadecimal digits"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FeatureNetwork>> OpenFeatureNetwork(
    const FeatureNetworkOptions& options) {
  const std::string digest = absl::AsciiStrToLower(options.digest);
  if (!digest.empty()) {
    if (absl::Status s = CheckForm(digest); !s.ok()) return s;
  }
  if (absl::EndsWith(options.name, ".pt")) {
    return OpenTorchScriptNetwork(options.name, digest);
  }
  absl::StatusOr<std::unique_ptr<FeatureNetwork>> network =
      absl::InvalidArgumentError(absl::StrCat(
          "the features are '", options.name,
          "', must be efficientnet-lite0, digits, or a TorchScript file, which "
          "ends in .pt"));
  if (options.name == "efficientnet-lite0") {
    network = OpenEfficientNetLite0(EfficientNetLite0File(OwnEnvironment()));
  } else if (options.name == "digits") {
    network = OpenDigitFeatures(options.digits_file, options.channels);
  }
  if (network.ok() && !digest.empty() && (*network)->digest() != digest) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.name, ": its SHA-256 is ", (*network)->digest(),
                     ", must be ", digest));
  }
  return network;
}

}  // namespace ddgan
