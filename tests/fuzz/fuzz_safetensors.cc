// Safetensors files.
#include "engine/checkpoint/safetensors.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto view = ddgan::ParseSafetensors(ddgan::InputText(data, size));
  if (!view.ok()) return 0;
  const auto written =
      ddgan::SerializeSafetensors(view->tensors, view->metadata);
  ddgan::Require(written.ok(), "what was read can be written");
  const auto again = ddgan::ParseSafetensors(*written);
  ddgan::Require(again.ok() && again->metadata == view->metadata &&
                     again->tensors.size() == view->tensors.size(),
                 "what was written reads as before");
  for (const ddgan::TensorView& tensor : view->tensors) {
    const ddgan::TensorView* found = again->Find(tensor.name);
    ddgan::Require(found != nullptr && found->shape == tensor.shape &&
                       found->dtype == tensor.dtype &&
                       found->data == tensor.data,
                   "a tensor is as before");
  }
  return 0;
}
