// Feature networks as TorchScript, by the convention of StyleGAN's metrics:
// forward takes uint8 [N, 3, H, W] and gives class probabilities [N, c], or
// features [N, d] for `return_features=True`. No LibTorch in this header.
#ifndef DDGAN_TRAINER_EVALUATION_FEATURES_TORCHSCRIPT_NETWORK_H_
#define DDGAN_TRAINER_EVALUATION_FEATURES_TORCHSCRIPT_NETWORK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/evaluation/features/feature_network.h"

namespace ddgan {

// The file is a program: it runs only if its digest is `digest`, or, where that
// is empty, that of inception-2015-12-05.pt or vgg16.pt. It is run once, on a
// gray picture of 64x64, to see how many values it gives. If it fails without
// return_features, or what it then gives is no distribution (each at least 0,
// sum 1 within 1e-3), it has no classes. A network with an option
// `no_output_bias`, as inception-2015-12-05.pt, has it set for probabilities:
// so the original's inception score does. Fails as OpenFeatureNetwork does.
absl::StatusOr<std::unique_ptr<FeatureNetwork>> OpenTorchScriptNetwork(
    const std::string& path, const std::string& digest);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_FEATURES_TORCHSCRIPT_NETWORK_H_
