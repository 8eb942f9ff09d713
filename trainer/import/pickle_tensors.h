// The three calls that a pickle of tensors can make: a storage, a tensor that
// is a window of it, and an empty dict. Each is implemented here; nothing that
// the pickle names is looked up or run.
#ifndef DDGAN_TRAINER_IMPORT_PICKLE_TENSORS_H_
#define DDGAN_TRAINER_IMPORT_PICKLE_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trainer/import/pickle_reader.h"
#include "trainer/import/pickle_values.h"

namespace ddgan::pickle {

// Whether a pickle may ask for `name`, "<module> <name>".
bool IsAllowedGlobal(std::string_view name);

// Each call pushes its result on `stack`, which outlives this, or refuses with
// InvalidArgument. Thread-compatible.
class TensorCalls {
 public:
  explicit TensorCalls(Stack* stack) : stack_(*stack) {}

  // Of the persistent id ("storage", type, key, device, number of values). The
  // device is where the tensor was when it was saved, and says nothing about
  // the file.
  absl::Status PushStorage(const Value& id);

  // What `callee` makes of the tuple `arguments`.
  absl::Status Call(const Value& callee, const Value& arguments);

  // The dict from strings to tensors: `root`, or the one dict of tensors in it,
  // or that under the key "state_dict". At most once.
  absl::StatusOr<PickledStateDict> TakeStateDict(const Value& root);

 private:
  // (storage, offset, sizes, strides, requires_grad, hooks)
  absl::Status PushTensor(const std::vector<Ref>& arguments);
  absl::StatusOr<std::vector<int64_t>> Sizes(Ref ref) const;
  bool IsTensorDict(const Value& value) const;
  absl::StatusOr<const Value*> Unwrap(const Value& dict);
  void DropUnusedStorages();

  Stack& stack_;
  std::vector<PickledTensor> tensors_;  // Nameless.
  std::unordered_map<std::string, size_t> storage_index_;
  PickledStateDict dict_;
};

}  // namespace ddgan::pickle

#endif  // DDGAN_TRAINER_IMPORT_PICKLE_TENSORS_H_
