// A version's manifest.json and config.json, and an import's --config.
#include "engine/checkpoint/checkpoint_format.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = ddgan::InputText(data, size);
  if (const auto manifest = ddgan::ParseManifest(text); manifest.ok()) {
    const auto again = ddgan::ParseManifest(ddgan::ManifestToJson(*manifest));
    ddgan::Require(again.ok() && again->config == manifest->config &&
                       again->weights == manifest->weights,
                   "a manifest reads as it was written");
  }
  if (const auto config = ddgan::ParseCheckpointConfig(text); config.ok()) {
    const auto again =
        ddgan::ParseCheckpointConfig(ddgan::CheckpointConfigToJson(*config));
    ddgan::Require(again.ok() && *again == *config,
                   "a config reads as it was written");
  }
  if (const auto config = ddgan::ParseModelConfig(text, ddgan::ModelConfig());
      config.ok()) {
    ddgan::Require(ddgan::ValidateModelConfig(*config).ok(),
                   "a config that is read is valid");
  }
  return 0;
}
