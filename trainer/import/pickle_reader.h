// Reads the pickle in a torch.save file as a list of tensor descriptions. It
// is an interpreter for the few opcodes such a file needs, with three calls it
// can make, all of its own: nothing that a pickle names is looked up or run.
#ifndef DDGAN_TRAINER_IMPORT_PICKLE_READER_H_
#define DDGAN_TRAINER_IMPORT_PICKLE_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/checkpoint/safetensors.h"

namespace ddgan {

// One file beside the pickle: raw values that tensors are windows of.
struct PickledStorage {
  std::string key;  // Letters, digits and "_" only.
  DType dtype = DType::kFloat32;
  int64_t num_values = 0;
};

// Every element lies inside the storage: offset and strides are checked.
struct PickledTensor {
  std::string name;
  size_t storage = 0;  // Index into PickledStateDict::storages.
  int64_t offset = 0;  // In values, as are strides.
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // As many as sizes; not negative.
};

struct PickledStateDict {
  std::vector<PickledStorage> storages;
  std::vector<PickledTensor> tensors;  // In the pickle's order, names distinct.
  // The key of the dict under which these lie; empty if they are the whole.
  std::string wrapper;
};

// `pickle` is protocol 2, as torch.save writes it: a dict from strings to
// float32, float16 or bfloat16 tensors, of any device, of which tensors may
// share storages; or a dict that holds one such dict under some key, or one
// under "state_dict", beside numbers, strings and the like, which are passed
// over. InvalidArgument for everything else, in words that fit behind a
// file's name: a global outside the list by its name, a training state as what
// it is. Memory is bounded by a small multiple of the pickle's size.
// Thread-safe.
absl::StatusOr<PickledStateDict> ReadStateDictPickle(std::string_view pickle);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_PICKLE_READER_H_
