// The pickle in a file of torch.save.
#include <set>

#include "absl/status/status.h"
#include "tests/fuzz/fuzz_input.h"
#include "trainer/import/pickle_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto dict = ddgan::ReadStateDictPickle(ddgan::InputText(data, size));
  if (!dict.ok()) {
    ddgan::Require(absl::IsInvalidArgument(dict.status()),
                   "a refused pickle is InvalidArgument");
    return 0;
  }
  std::set<std::string> names;
  for (const ddgan::PickledTensor& tensor : dict->tensors) {
    ddgan::Require(names.insert(tensor.name).second, "names are distinct");
    ddgan::Require(tensor.storage < dict->storages.size(),
                   "a tensor's storage is there");
    ddgan::Require(tensor.shape.size() == tensor.strides.size(),
                   "as many strides as sizes");
    // The last value lies inside the storage.
    bool empty = false;
    __int128 last = tensor.offset;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      empty |= tensor.shape[i] == 0;
      last += static_cast<__int128>(tensor.shape[i] - 1) * tensor.strides[i];
    }
    ddgan::Require(empty || last < dict->storages[tensor.storage].num_values,
                   "a tensor lies in its storage");
  }
  return 0;
}
