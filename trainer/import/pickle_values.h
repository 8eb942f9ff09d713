// The values that a pickle's instructions work on, their stack, and the words
// in which a pickle is refused.
#ifndef DDGAN_TRAINER_IMPORT_PICKLE_VALUES_H_
#define DDGAN_TRAINER_IMPORT_PICKLE_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ddgan::pickle {

// A published generator needs some ten thousand.
inline constexpr size_t kMaxValues = size_t{1} << 20;

// What marks the authors' content.pth, a training state: a key of its dict.
inline constexpr char kTrainingStateKey[] = "netG_dict";

// An index into the stack's values. Values refer to each other by it, so a
// pickle that makes a list its own element makes no cycle of ownership.
using Ref = uint32_t;

enum class Kind {
  kNone,
  kBool,     // integer
  kInt,      // integer
  kFloat,    // Its value is never needed.
  kString,   // text
  kGlobal,   // text: "<module> <name>", one that is allowed
  kTuple,    // items
  kList,     // items
  kDict,     // items: key, value, key, value
  kStorage,  // integer: index into PickledStateDict::storages
  kTensor,   // integer: index into the tensors that were rebuilt
};

struct Value {
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  std::string text = {};
  std::vector<Ref> items = {};
};

// InvalidArgument with these words, which fit behind a file's name.
absl::Status Refuse(const std::string& what);
absl::Status Malformed(const std::string& what);
// `name` is "<module> <name>".
absl::Status RefuseGlobal(const std::string& name);
absl::Status RefuseTrainingState();

// Readable in a message, whatever a stranger wrote.
std::string Printable(std::string_view text);

// Thread-compatible.
class Stack {
 public:
  const Value& operator[](Ref ref) const { return values_[ref]; }

  void Push(Ref ref) { stack_.push_back(ref); }
  // Refuses more than kMaxValues values in all.
  absl::Status PushNew(Value value);

  // Nothing below the last mark can be reached.
  void Mark() { marks_.push_back(stack_.size()); }

  // Malformed if there is too little above the last mark, or no mark.
  absl::StatusOr<Ref> Pop();
  absl::StatusOr<std::vector<Ref>> PopMany(size_t count);
  absl::StatusOr<std::vector<Ref>> PopToMark();

  // The container on top, which stays there. Malformed if it is of another
  // kind.
  absl::StatusOr<Value*> Top(Kind kind);

 private:
  // Of the part of stack_ that can be reached.
  size_t Bottom() const { return marks_.empty() ? 0 : marks_.back(); }

  std::vector<Value> values_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;  // Sizes of stack_ when a mark was set.
};

}  // namespace ddgan::pickle

#endif  // DDGAN_TRAINER_IMPORT_PICKLE_VALUES_H_
