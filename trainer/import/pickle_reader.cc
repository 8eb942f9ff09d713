#include "trainer/import/pickle_reader.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

// A published generator needs some ten thousand.
constexpr size_t kMaxValues = size_t{1} << 20;
constexpr size_t kMaxRank = 8;
constexpr size_t kMaxLineBytes = 256;
constexpr size_t kMaxStorageKeyBytes = 64;

// The names that a pickle may ask for. Each stands for a constant or a call
// implemented below, not for code of that name.
constexpr char kOrderedDict[] = "collections OrderedDict";
constexpr char kRebuildTensor[] = "torch._utils _rebuild_tensor_v2";
constexpr char kFloatStorage[] = "torch FloatStorage";
constexpr char kHalfStorage[] = "torch HalfStorage";
constexpr const char* kAllowedGlobals[] = {kOrderedDict, kRebuildTensor,
                                           kFloatStorage, kHalfStorage};

// What marks the authors' content.pth.
constexpr char kTrainingStateKey[] = "netG_dict";
constexpr char kTrainingStateGlobal[] = "argparse Namespace";

enum Opcode : unsigned char {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kNone = 'N',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinFloat = 'G',
  kBinUnicode = 'X',
  kEmptyTuple = ')',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kTuple = 't',
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPersId = 'Q',
  kGlobal = 'c',
  kReduce = 'R',
  kBuild = 'b',
  kProto = 0x80,
  // Refused, but by a better name than a number.
  kInst = 'i',
  kObj = 'o',
  kNewObj = 0x81,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
};

// An index into the interpreter's values. Values refer to each other by it, so
// a pickle that makes a list its own element makes no cycle of ownership.
using Ref = uint32_t;

enum class Kind {
  kNone,
  kBool,     // integer
  kInt,      // integer
  kFloat,    // Its value is never needed.
  kString,   // text
  kGlobal,   // text: one of kAllowedGlobals
  kTuple,    // items
  kList,     // items
  kDict,     // items: key, value, key, value
  kStorage,  // integer: index into storages
  kTensor,   // integer: index into tensors
};

struct Value {
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  std::string text;
  std::vector<Ref> items;
};

absl::Status Refuse(const std::string& what) {
  return absl::InvalidArgumentError(what);
}
absl::Status Malformed(const std::string& what) {
  return Refuse(absl::StrCat("its pickle is malformed: ", what));
}

// Readable in a message, whatever a stranger wrote.
std::string Printable(std::string_view text) {
  std::string printable =
      absl::CHexEscape(absl::string_view(text.data(), text.size()));
  if (printable.size() > 80) printable.replace(80, std::string::npos, "...");
  return printable;
}

absl::Status RefuseGlobal(const std::string& name) {
  return Refuse(absl::StrCat(
      "its pickle asks for \"", Printable(name),
      "\", which is not among what a file of tensors needs; nothing was run"));
}

absl::Status RefuseTrainingState() {
  return Refuse(
      "is a training state (content.pth: options, optimisers, discriminator, "
      "and a generator whose weights are not averaged); import the "
      "netG_<epoch>.pth of the same run instead");
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

class PickleMachine {
 public:
  explicit PickleMachine(std::string_view pickle) : rest_(pickle) {}

  absl::StatusOr<PickledStateDict> Run() {
    while (!stopped_) {
      if (auto status = Step(); !status.ok()) return status;
    }
    if (!rest_.empty())
      return Malformed(absl::StrCat(rest_.size(), " bytes behind its end"));
    return TakeStateDict();
  }

 private:
  // --- The bytes.

  absl::StatusOr<std::string_view> Take(size_t count) {
    if (rest_.size() < count) return Malformed("it ends early");
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  // A little-endian number of up to 4 bytes.
  absl::StatusOr<uint32_t> TakeUnsigned(size_t count) {
    const absl::StatusOr<std::string_view> bytes = Take(count);
    if (!bytes.ok()) return bytes.status();
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i)
      value |= uint32_t{static_cast<unsigned char>((*bytes)[i])} << (8 * i);
    return value;
  }

  absl::StatusOr<std::string> TakeLine() {
    const size_t end = rest_.substr(0, kMaxLineBytes + 1).find('\n');
    if (end == std::string_view::npos) return Malformed("a name has no end");
    std::string line(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return line;
  }

  // --- The stack. Nothing below the last mark can be reached.

  absl::Status Push(Ref ref) {
    stack_.push_back(ref);
    return absl::OkStatus();
  }

  absl::Status PushNew(Value value) {
    if (values_.size() >= kMaxValues)
      return Refuse(
          absl::StrCat("its pickle has more than ", kMaxValues, " values"));
    values_.push_back(std::move(value));
    return Push(static_cast<Ref>(values_.size() - 1));
  }

  absl::StatusOr<Ref> Pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()))
      return Malformed("it takes from an empty stack");
    const Ref ref = stack_.back();
    stack_.pop_back();
    return ref;
  }

  absl::StatusOr<std::vector<Ref>> PopMany(size_t count) {
    if (stack_.size() < (marks_.empty() ? 0 : marks_.back()) + count)
      return Malformed("it takes from an empty stack");
    std::vector<Ref> refs(stack_.end() - count, stack_.end());
    stack_.resize(stack_.size() - count);
    return refs;
  }

  absl::StatusOr<std::vector<Ref>> PopToMark() {
    if (marks_.empty()) return Malformed("a mark is missing");
    std::vector<Ref> refs = *PopMany(stack_.size() - marks_.back());
    marks_.pop_back();
    return refs;
  }

  // The container on top, which stays there.
  absl::StatusOr<Value*> Top(Kind kind) {
    const absl::StatusOr<Ref> ref = Pop();
    if (!ref.ok()) return ref.status();
    stack_.push_back(*ref);
    if (values_[*ref].kind != kind)
      return Malformed("it fills something that is no list or dict");
    return &values_[*ref];
  }

  // --- The instructions.

  absl::Status Step() {
    const absl::StatusOr<std::string_view> byte = Take(1);
    if (!byte.ok()) return byte.status();
    const auto opcode = static_cast<unsigned char>((*byte)[0]);
    switch (opcode) {
      case kProto:
        return CheckProtocol();
      case kMark:
        marks_.push_back(stack_.size());
        return absl::OkStatus();
      case kStop:
        stopped_ = true;
        return absl::OkStatus();
      case kNone:
        return PushNew({.kind = Kind::kNone, .text = {}, .items = {}});
      case kNewTrue:
      case kNewFalse:
        return PushNew({.kind = Kind::kBool,
                        .integer = opcode == kNewTrue,
                        .text = {},
                        .items = {}});
      case kBinInt1:
        return PushUnsigned(1);
      case kBinInt2:
        return PushUnsigned(2);
      case kBinInt:
        return PushInt32();
      case kLong1:
        return PushLong();
      case kBinFloat:
        if (const auto bytes = Take(8); !bytes.ok()) return bytes.status();
        return PushNew({.kind = Kind::kFloat, .text = {}, .items = {}});
      case kBinUnicode:
        return PushString();
      case kEmptyTuple:
        return PushTuple(0);
      case kTuple1:
        return PushTuple(1);
      case kTuple2:
        return PushTuple(2);
      case kTuple3:
        return PushTuple(3);
      case kTuple:
        return PushMarkedTuple();
      case kEmptyList:
        return PushNew({.kind = Kind::kList, .text = {}, .items = {}});
      case kEmptyDict:
        return PushNew({.kind = Kind::kDict, .text = {}, .items = {}});
      case kAppend:
        return Fill(Kind::kList, PopMany(1));
      case kAppends:
        return Fill(Kind::kList, PopToMark());
      case kSetItem:
        return Fill(Kind::kDict, PopMany(2));
      case kSetItems:
        return Fill(Kind::kDict, PopToMark());
      case kBinPut:
        return Memoize(1);
      case kLongBinPut:
        return Memoize(4);
      case kBinGet:
        return PushMemo(1);
      case kLongBinGet:
        return PushMemo(4);
      case kGlobal:
        return PushGlobal();
      case kBinPersId:
        return PushStorage();
      case kReduce:
        return Call();
      case kBuild:
        return DropAttributes();
      default:
        return RefuseOpcode(opcode);
    }
  }

  absl::Status CheckProtocol() {
    const absl::StatusOr<uint32_t> protocol = TakeUnsigned(1);
    if (!protocol.ok()) return protocol.status();
    if (*protocol == 2) return absl::OkStatus();
    return Refuse(absl::StrCat("its pickle is of protocol ", *protocol,
                               "; torch.save writes protocol 2"));
  }

  absl::Status PushInt(int64_t value) {
    return PushNew(
        {.kind = Kind::kInt, .integer = value, .text = {}, .items = {}});
  }

  absl::Status PushUnsigned(size_t bytes) {
    const absl::StatusOr<uint32_t> value = TakeUnsigned(bytes);
    if (!value.ok()) return value.status();
    return PushInt(*value);
  }

  absl::Status PushInt32() {
    const absl::StatusOr<uint32_t> value = TakeUnsigned(4);
    if (!value.ok()) return value.status();
    return PushInt(static_cast<int32_t>(*value));
  }

  // Two's complement of any length; sizes and offsets need at most 8 bytes.
  absl::Status PushLong() {
    const absl::StatusOr<uint32_t> count = TakeUnsigned(1);
    if (!count.ok()) return count.status();
    const absl::StatusOr<std::string_view> bytes = Take(*count);
    if (!bytes.ok()) return bytes.status();
    if (bytes->size() > 8)
      return Refuse("its pickle has a number over 64 bits");
    const bool negative =
        !bytes->empty() && (static_cast<unsigned char>(bytes->back()) & 0x80);
    uint64_t value = negative ? ~uint64_t{0} : 0;
    for (size_t i = bytes->size(); i-- > 0;)
      value = value << 8 | static_cast<unsigned char>((*bytes)[i]);
    return PushInt(static_cast<int64_t>(value));
  }

  absl::Status PushString() {
    const absl::StatusOr<uint32_t> size = TakeUnsigned(4);
    if (!size.ok()) return size.status();
    const absl::StatusOr<std::string_view> bytes = Take(*size);
    if (!bytes.ok()) return bytes.status();
    return PushNew(
        {.kind = Kind::kString, .text = std::string(*bytes), .items = {}});
  }

  absl::Status PushTuple(size_t size) {
    absl::StatusOr<std::vector<Ref>> items = PopMany(size);
    if (!items.ok()) return items.status();
    return PushNew(
        {.kind = Kind::kTuple, .text = {}, .items = *std::move(items)});
  }

  absl::Status PushMarkedTuple() {
    absl::StatusOr<std::vector<Ref>> items = PopToMark();
    if (!items.ok()) return items.status();
    return PushNew(
        {.kind = Kind::kTuple, .text = {}, .items = *std::move(items)});
  }

  absl::Status Fill(Kind kind, const absl::StatusOr<std::vector<Ref>>& items) {
    if (!items.ok()) return items.status();
    const absl::StatusOr<Value*> container = Top(kind);
    if (!container.ok()) return container.status();
    if (kind == Kind::kDict && items->size() % 2 != 0)
      return Malformed("a dict's key has no value");
    std::vector<Ref>& target = (*container)->items;
    target.insert(target.end(), items->begin(), items->end());
    return absl::OkStatus();
  }

  absl::Status Memoize(size_t index_bytes) {
    const absl::StatusOr<uint32_t> index = TakeUnsigned(index_bytes);
    if (!index.ok()) return index.status();
    const absl::StatusOr<Ref> top = Pop();
    if (!top.ok()) return top.status();
    memo_[*index] = *top;
    if (memo_.size() > kMaxValues)
      return Refuse("its pickle's memo is too large");
    return Push(*top);
  }

  absl::Status PushMemo(size_t index_bytes) {
    const absl::StatusOr<uint32_t> index = TakeUnsigned(index_bytes);
    if (!index.ok()) return index.status();
    const auto found = memo_.find(*index);
    if (found == memo_.end())
      return Malformed(absl::StrCat("its memo has no entry ", *index));
    return Push(found->second);
  }

  absl::StatusOr<std::string> TakeGlobalName() {
    const absl::StatusOr<std::string> module = TakeLine();
    if (!module.ok()) return module.status();
    const absl::StatusOr<std::string> name = TakeLine();
    if (!name.ok()) return name.status();
    return absl::StrCat(*module, " ", *name);
  }

  absl::Status PushGlobal() {
    absl::StatusOr<std::string> name = TakeGlobalName();
    if (!name.ok()) return name.status();
    for (const char* allowed : kAllowedGlobals) {
      if (*name == allowed) {
        return PushNew(
            {.kind = Kind::kGlobal, .text = *std::move(name), .items = {}});
      }
    }
    if (*name == kTrainingStateGlobal &&
        rest_.find(kTrainingStateKey) != std::string_view::npos)
      return RefuseTrainingState();
    return RefuseGlobal(*name);
  }

  absl::Status RefuseOpcode(unsigned char opcode) {
    if (opcode == kInst) {
      const absl::StatusOr<std::string> name = TakeGlobalName();
      return name.ok() ? RefuseGlobal(*name) : name.status();
    }
    if (opcode == kStackGlobal) {
      const absl::StatusOr<std::vector<Ref>> names = PopMany(2);
      if (!names.ok()) return names.status();
      return RefuseGlobal(absl::StrCat(values_[(*names)[0]].text, " ",
                                       values_[(*names)[1]].text));
    }
    if (opcode == kObj || opcode == kNewObj || opcode == kNewObjEx)
      return Refuse("its pickle creates an object; only tensors are read");
    return Refuse(absl::StrCat("its pickle uses opcode 0x",
                               absl::Hex(opcode, absl::kZeroPad2),
                               ", which a file of tensors does not need"));
  }

  // --- The calls.

  const Value& At(Ref ref) const { return values_[ref]; }
  bool IsGlobal(const Value& value, const char* name) const {
    return value.kind == Kind::kGlobal && value.text == name;
  }

  // ("storage", type, key, device, number of values). The device is where the
  // tensor was when it was saved, and says nothing about the file.
  absl::Status PushStorage() {
    const absl::StatusOr<Ref> id = Pop();
    if (!id.ok()) return id.status();
    const Value& tuple = At(*id);
    if (tuple.kind != Kind::kTuple || tuple.items.size() != 5)
      return Malformed("a persistent id is no storage");
    const Value& tag = At(tuple.items[0]);
    const Value& type = At(tuple.items[1]);
    const Value& key = At(tuple.items[2]);
    const Value& device = At(tuple.items[3]);
    const Value& count = At(tuple.items[4]);
    const bool is_half = IsGlobal(type, kHalfStorage);
    if (tag.kind != Kind::kString || tag.text != "storage" ||
        (!is_half && !IsGlobal(type, kFloatStorage)) ||
        key.kind != Kind::kString || device.kind != Kind::kString ||
        count.kind != Kind::kInt || count.integer < 0)
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
    const DType dtype = is_half ? DType::kFloat16 : DType::kFloat32;
    const auto [found, is_new] =
        storage_index_.try_emplace(key.text, dict_.storages.size());
    if (is_new) {
      dict_.storages.push_back(
          {.key = key.text, .dtype = dtype, .num_values = count.integer});
    } else if (const PickledStorage& known = dict_.storages[found->second];
               known.dtype != dtype || known.num_values != count.integer) {
      return Malformed(
          absl::StrCat("storage ", key.text, " is described in two ways"));
    }
    return PushNew({.kind = Kind::kStorage,
                    .integer = static_cast<int64_t>(found->second),
                    .text = {},
                    .items = {}});
  }

  absl::Status Call() {
    const absl::StatusOr<std::vector<Ref>> popped = PopMany(2);
    if (!popped.ok()) return popped.status();
    const Value& callee = At((*popped)[0]);
    const Value& arguments = At((*popped)[1]);
    if (arguments.kind != Kind::kTuple)
      return Malformed("a call's arguments are no tuple");
    if (IsGlobal(callee, kOrderedDict)) {
      if (!arguments.items.empty())
        return Refuse("its pickle makes an OrderedDict from a list");
      return PushNew({.kind = Kind::kDict, .text = {}, .items = {}});
    }
    if (IsGlobal(callee, kRebuildTensor)) return PushTensor(arguments.items);
    return Refuse(absl::StrCat(
        "its pickle calls ",
        callee.kind == Kind::kGlobal ? callee.text : "what is no function"));
  }

  absl::StatusOr<std::vector<int64_t>> Sizes(Ref ref) const {
    const Value& tuple = At(ref);
    if (tuple.kind != Kind::kTuple || tuple.items.size() > kMaxRank) {
      return Malformed(absl::StrCat(
          "a tensor's sizes or strides are no tuple of at most ", kMaxRank));
    }
    std::vector<int64_t> sizes;
    for (Ref item : tuple.items) {
      if (At(item).kind != Kind::kInt || At(item).integer < 0)
        return Malformed("a tensor's size or stride is no number");
      sizes.push_back(At(item).integer);
    }
    return sizes;
  }

  // (storage, offset, sizes, strides, requires_grad, hooks)
  absl::Status PushTensor(const std::vector<Ref>& arguments) {
    if (arguments.size() != 6)
      return Malformed("a tensor is not made of 6 parts");
    const Value& storage = At(arguments[0]);
    const Value& offset = At(arguments[1]);
    const Value& hooks = At(arguments[5]);
    if (storage.kind != Kind::kStorage || offset.kind != Kind::kInt ||
        offset.integer < 0 || At(arguments[4]).kind != Kind::kBool ||
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
    return PushNew({.kind = Kind::kTensor,
                    .integer = static_cast<int64_t>(tensors_.size() - 1),
                    .text = {},
                    .items = {}});
  }

  // A state_dict carries the versions of its modules as an attribute, which
  // nobody needs; any other attribute is not a state_dict's.
  absl::Status DropAttributes() {
    const absl::StatusOr<Ref> state = Pop();
    if (!state.ok()) return state.status();
    const absl::StatusOr<Value*> target = Top(Kind::kDict);
    if (!target.ok()) return target.status();
    const Value& attributes = At(*state);
    if (attributes.kind == Kind::kDict && attributes.items.size() == 2 &&
        At(attributes.items[0]).text == "_metadata")
      return absl::OkStatus();
    return Refuse("its pickle sets attributes that a state_dict does not have");
  }

  // --- The result.

  absl::StatusOr<PickledStateDict> TakeStateDict() {
    const absl::StatusOr<Ref> root = Pop();
    if (!root.ok()) return root.status();
    const Value& dict = At(*root);
    if (dict.kind != Kind::kDict) return Refuse("is not a dict of tensors");
    std::set<std::string_view> names;
    for (size_t i = 0; i < dict.items.size(); i += 2) {
      const Value& key = At(dict.items[i]);
      const Value& value = At(dict.items[i + 1]);
      if (key.kind != Kind::kString)
        return Refuse("is a dict with a key that is no string");
      if (key.text == kTrainingStateKey) return RefuseTrainingState();
      if (value.kind != Kind::kTensor) {
        return Refuse(absl::StrCat("holds \"", Printable(key.text),
                                   "\", which is no tensor"));
      }
      if (!names.insert(key.text).second) {
        return Refuse(
            absl::StrCat("holds \"", Printable(key.text), "\" twice"));
      }
      PickledTensor tensor = tensors_[static_cast<size_t>(value.integer)];
      tensor.name = key.text;
      dict_.tensors.push_back(std::move(tensor));
    }
    if (dict_.tensors.empty()) return Refuse("holds no tensor");
    return std::move(dict_);
  }

  std::string_view rest_;
  bool stopped_ = false;
  std::vector<Value> values_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;  // Sizes of stack_ when a mark was set.
  std::unordered_map<uint32_t, Ref> memo_;
  std::vector<PickledTensor> tensors_;  // Nameless.
  std::unordered_map<std::string, size_t> storage_index_;
  PickledStateDict dict_;
};

}  // namespace

absl::StatusOr<PickledStateDict> ReadStateDictPickle(std::string_view pickle) {
  return PickleMachine(pickle).Run();
}

}  // namespace ddgan
