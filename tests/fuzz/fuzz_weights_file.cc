// Files that are imported: the zip of torch.save, or safetensors.
#include "tests/fuzz/fuzz_input.h"
#include "trainer/import/name_prefix.h"
#include "trainer/import/weights_source.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto source = ddgan::WeightsSource::Open(
      ddgan::InputFile(ddgan::InputText(data, size)));
  if (!source.ok()) return 0;
  ddgan::DescribePrefix(ddgan::CommonPrefix((*source)->shapes()));
  // As an import, which compares shapes first: a tensor may repeat values.
  constexpr __int128 kMaxValues = 1 << 20;
  __int128 values = 0;
  for (const ddgan::TensorShape& tensor : (*source)->shapes()) {
    __int128 count = 1;
    for (const int64_t side : tensor.shape) {
      count = count > kMaxValues ? count : count * side;
    }
    values += count;
  }
  if (values > kMaxValues) return 0;
  const auto floats = (*source)->ReadFloats();
  if (!floats.ok()) return 0;
  ddgan::Require(floats->size() == (*source)->shapes().size(),
                 "each tensor has its values");
  size_t bytes = 0;
  for (const std::string& tensor : *floats) bytes += tensor.size();
  ddgan::Require(bytes == static_cast<size_t>(values) * sizeof(float),
                 "as many values as the shapes have");
  return 0;
}
