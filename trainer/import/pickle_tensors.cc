#include "trainer/import/pickle_tensors.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan::pickle {
namespace {

constexpr size_t kMaxRank = 8;
constexpr size_t kMaxStorageKeyBytes = 64;
constexpr size_t kMaxKeysNamed = 8;

// The names that a pickle may ask for. Each stands for a constant or a call
// implemented below, not for code of that name.
constexpr char kOrderedDict[] = "collections OrderedDict";
constexpr char kRebuildTensor[] = "torch._utils _rebuild_tensor_v2";
constexpr char kFloatStorage[] = "torch FloatStorage";
constexpr char kHalfStorage[] = "torch HalfStorage";
constexpr char kBFloat16Storage[] = "torch BFloat16Storage";
constexpr std::string_view kAllowedGlobals[] = {kOrderedDict, kRebuildTensor,
                                                kFloatStorage, kHalfStorage,
                                                kBFloat16Storage};

// Under which training scripts save a state_dict beside other things.
constexpr char kWrapperKey[] = "state_dict";

bool IsGlobal(const Value& value, const char* name) {
  return value.kind == Kind::kGlobal && value.text == name;
}

std::optional<DType> StorageType(const Value& type) {
  if (IsGlobal(type, kFloatStorage)) return DType::kFloat32;
  if (IsGlobal(type, kHalfStorage)) return DType::kFloat16;
  if (IsGlobal(type, kBFloat16Storage)) return DType::kBFloat16;
  return std::nullopt;
}

// The largest index that a tensor touches in its storage, plus one; 0 if it has
// no element. Nothing if that does not fit int64.
std::optional<int64_t> ReachOf(const PickledTensor& tensor) {
  int64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 0) return 0;
    int64_t step = 0;
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &step) ||
        __builtin_add_overflow(last, step, &last))
      return std::nullopt;
  }
  int64_t reach = 0;
  if (__builtin_add_overflow(last, 1, &reach)) return std::nullopt;
  return reach;
}

}  // namespace

bool IsAllowedGlobal(std::string_view name) {
  return std::find(std::begin(kAllowedGlobals), std::end(kAllowedGlobals),
                   name) != std::end(kAllowedGlobals);
}

absl::Status TensorCalls::PushStorage(const Value& id) {
  if (id.kind != Kind::kTuple || id.items.size() != 5)
    return Malformed("a persistent id is no storage");
  const Value& tag = stack_[id.items[0]];
  const Value& type = stack_[id.items[1]];
  const Value& key = stack_[id.items[2]];
  const Value& device = stack_[id.items[3]];
  const Value& count = stack_[id.items[4]];
  const std::optional<DType> dtype = StorageType(type);
  if (tag.kind != Kind::kString || tag.text != "storage" ||
      !dtype.has_value() || key.kind != Kind::kString ||
      device.kind != Kind::kString || count.kind != Kind::kInt ||
      count.integer < 0)
    return Malformed("a persistent id is no storage");
  const bool is_plain_key =
      !key.text.empty() && key.text.size() <= kMaxStorageKeyBytes &&
      std::all_of(key.text.begin(), key.text.end(), [](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
      });
  if (!is_plain_key) {
    return Malformed(
        absl::StrCat("\"", Printable(key.text), "\" is no storage's name"));
  }
  const auto [found, is_new] =
      storage_index_.try_emplace(key.text, dict_.storages.size());
  if (is_new) {
    dict_.storages.push_back(
        {.key = key.text, .dtype = *dtype, .num_values = count.integer});
  } else if (const PickledStorage& known = dict_.storages[found->second];
             known.dtype != *dtype || known.num_values != count.integer) {
    return Malformed(
        absl::StrCat("storage ", key.text, " is described in two ways"));
  }
  return stack_.PushNew(
      {.kind = Kind::kStorage, .integer = static_cast<int64_t>(found->second)});
}

absl::Status TensorCalls::Call(const Value& callee, const Value& arguments) {
  if (arguments.kind != Kind::kTuple)
    return Malformed("a call's arguments are no tuple");
  if (IsGlobal(callee, kOrderedDict)) {
    if (!arguments.items.empty())
      return Refuse("its pickle makes an OrderedDict from a list");
    return stack_.PushNew({.kind = Kind::kDict});
  }
  if (IsGlobal(callee, kRebuildTensor)) return PushTensor(arguments.items);
  return Refuse(absl::StrCat("its pickle calls ", callee.kind == Kind::kGlobal
                                                      ? callee.text
                                                      : "what is no function"));
}

absl::StatusOr<std::vector<int64_t>> TensorCalls::Sizes(Ref ref) const {
  const Value& tuple = stack_[ref];
  if (tuple.kind != Kind::kTuple || tuple.items.size() > kMaxRank) {
    return Malformed(absl::StrCat(
        "a tensor's sizes or strides are no tuple of at most ", kMaxRank));
  }
  std::vector<int64_t> sizes;
  for (Ref item : tuple.items) {
    if (stack_[item].kind != Kind::kInt || stack_[item].integer < 0)
      return Malformed("a tensor's size or stride is no number");
    sizes.push_back(stack_[item].integer);
  }
  return sizes;
}

absl::Status TensorCalls::PushTensor(const std::vector<Ref>& arguments) {
  if (arguments.size() != 6)
    return Malformed("a tensor is not made of 6 parts");
  const Value& storage = stack_[arguments[0]];
  const Value& offset = stack_[arguments[1]];
  const Value& hooks = stack_[arguments[5]];
  if (storage.kind != Kind::kStorage || offset.kind != Kind::kInt ||
      offset.integer < 0 || stack_[arguments[4]].kind != Kind::kBool ||
      hooks.kind != Kind::kDict || !hooks.items.empty())
    return Malformed("a tensor's parts are not those of a tensor");
  absl::StatusOr<std::vector<int64_t>> shape = Sizes(arguments[2]);
  if (!shape.ok()) return shape.status();
  absl::StatusOr<std::vector<int64_t>> strides = Sizes(arguments[3]);
  if (!strides.ok()) return strides.status();
  if (shape->size() != strides->size())
    return Malformed("a tensor has more sizes than strides, or fewer");
  PickledTensor tensor{.name = {},
                       .storage = static_cast<size_t>(storage.integer),
                       .offset = offset.integer,
                       .shape = *std::move(shape),
                       .strides = *std::move(strides)};
  const PickledStorage& window = dict_.storages[tensor.storage];
  const std::optional<int64_t> reach = ReachOf(tensor);
  if (!reach.has_value() || *reach > window.num_values) {
    return Malformed(absl::StrCat("a tensor reaches past the ",
                                  window.num_values, " values of storage ",
                                  window.key));
  }
  tensors_.push_back(std::move(tensor));
  return stack_.PushNew({.kind = Kind::kTensor,
                         .integer = static_cast<int64_t>(tensors_.size() - 1)});
}

bool TensorCalls::IsTensorDict(const Value& value) const {
  if (value.kind != Kind::kDict || value.items.empty()) return false;
  for (size_t i = 0; i < value.items.size(); i += 2) {
    if (stack_[value.items[i]].kind != Kind::kString ||
        stack_[value.items[i + 1]].kind != Kind::kTensor) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<const Value*> TensorCalls::Unwrap(const Value& dict) {
  const Value* inner = nullptr;
  int count = 0;
  std::vector<std::string> keys;  // The first of them.
  // The same dict may be meant by thousands of keys.
  std::unordered_map<Ref, bool> looked_at;
  for (size_t i = 0; i < dict.items.size(); i += 2) {
    const Value& key = stack_[dict.items[i]];
    const Value& value = stack_[dict.items[i + 1]];
    if (key.kind != Kind::kString) continue;
    if (key.text == kTrainingStateKey) return RefuseTrainingState();
    const auto [known, is_new] = looked_at.try_emplace(dict.items[i + 1]);
    if (is_new) known->second = IsTensorDict(value);
    if (!known->second) continue;
    ++count;
    if (keys.size() < kMaxKeysNamed) keys.push_back(Printable(key.text));
    if (count == 1 || key.text == kWrapperKey) {
      inner = &value;
      dict_.wrapper = key.text;
    }
  }
  if (count > 1 && dict_.wrapper != kWrapperKey) {
    return Refuse(absl::StrCat(
        "holds ", count, " dicts of tensors (", absl::StrJoin(keys, ", "),
        keys.size() < static_cast<size_t>(count) ? ", ..." : "",
        "); save the generator's alone and import that"));
  }
  if (inner == nullptr) dict_.wrapper.clear();
  return inner == nullptr ? &dict : inner;
}

absl::StatusOr<PickledStateDict> TensorCalls::TakeStateDict(const Value& root) {
  if (root.kind != Kind::kDict) return Refuse("is not a dict of tensors");
  const absl::StatusOr<const Value*> dict = Unwrap(root);
  if (!dict.ok()) return dict.status();
  std::set<std::string_view> names;
  for (size_t i = 0; i < (*dict)->items.size(); i += 2) {
    const Value& key = stack_[(*dict)->items[i]];
    const Value& value = stack_[(*dict)->items[i + 1]];
    if (key.kind != Kind::kString)
      return Refuse("is a dict with a key that is no string");
    if (value.kind != Kind::kTensor) {
      return Refuse(absl::StrCat("holds \"", Printable(key.text),
                                 "\", which is no tensor"));
    }
    if (!names.insert(key.text).second) {
      return Refuse(absl::StrCat("holds \"", Printable(key.text), "\" twice"));
    }
    PickledTensor tensor = tensors_[static_cast<size_t>(value.integer)];
    tensor.name = key.text;
    dict_.tensors.push_back(std::move(tensor));
  }
  if (dict_.tensors.empty()) return Refuse("holds no tensor");
  DropUnusedStorages();
  return std::move(dict_);
}

// A wrapper's other tensors, an optimiser's for one, are not to be read.
void TensorCalls::DropUnusedStorages() {
  std::vector<size_t> index(dict_.storages.size(), 0);
  for (const PickledTensor& tensor : dict_.tensors) index[tensor.storage] = 1;
  std::vector<PickledStorage> used;
  for (size_t i = 0; i < index.size(); ++i) {
    if (index[i] == 0) continue;
    index[i] = used.size();
    used.push_back(std::move(dict_.storages[i]));
  }
  for (PickledTensor& tensor : dict_.tensors) {
    tensor.storage = index[tensor.storage];
  }
  dict_.storages = std::move(used);
}

}  // namespace ddgan::pickle
