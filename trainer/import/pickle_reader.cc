#include "trainer/import/pickle_reader.h"

#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "trainer/import/pickle_tensors.h"
#include "trainer/import/pickle_values.h"

namespace ddgan {
namespace pickle {
namespace {

constexpr size_t kMaxLineBytes = 256;

// The class that the authors' training states ask for besides tensors.
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

// What is left of the pickle's bytes. Malformed where it ends early.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  std::string_view rest() const { return rest_; }

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

  // "<module> <name>", from two lines.
  absl::StatusOr<std::string> TakeGlobalName() {
    const absl::StatusOr<std::string> module = TakeLine();
    if (!module.ok()) return module.status();
    const absl::StatusOr<std::string> name = TakeLine();
    if (!name.ok()) return name.status();
    return absl::StrCat(*module, " ", *name);
  }

 private:
  absl::StatusOr<std::string> TakeLine() {
    const size_t end = rest_.substr(0, kMaxLineBytes + 1).find('\n');
    if (end == std::string_view::npos) return Malformed("a name has no end");
    std::string line(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return line;
  }

  std::string_view rest_;
};

class Machine {
 public:
  explicit Machine(std::string_view pickle) : bytes_(pickle) {}

  absl::StatusOr<PickledStateDict> Run() {
    while (!stopped_) {
      if (auto status = Step(); !status.ok()) return status;
    }
    if (const size_t excess = bytes_.rest().size(); excess > 0)
      return Malformed(absl::StrCat(excess, " bytes behind its end"));
    const absl::StatusOr<Ref> root = stack_.Pop();
    if (!root.ok()) return root.status();
    return calls_.TakeStateDict(stack_[*root]);
  }

 private:
  absl::Status Step() {
    const absl::StatusOr<std::string_view> byte = bytes_.Take(1);
    if (!byte.ok()) return byte.status();
    const auto opcode = static_cast<unsigned char>((*byte)[0]);
    switch (opcode) {
      case kProto:
        return CheckProtocol();
      case kMark:
        stack_.Mark();
        return absl::OkStatus();
      case kStop:
        stopped_ = true;
        return absl::OkStatus();
      case kNone:
        return stack_.PushNew({.kind = Kind::kNone});
      case kNewTrue:
      case kNewFalse:
        return stack_.PushNew(
            {.kind = Kind::kBool, .integer = opcode == kNewTrue});
      case kBinInt1:
        return PushUnsigned(1);
      case kBinInt2:
        return PushUnsigned(2);
      case kBinInt:
        return PushInt32();
      case kLong1:
        return PushLong();
      case kBinFloat:
        if (const auto bytes = bytes_.Take(8); !bytes.ok())
          return bytes.status();
        return stack_.PushNew({.kind = Kind::kFloat});
      case kBinUnicode:
        return PushString();
      case kEmptyTuple:
        return PushTuple(stack_.PopMany(0));
      case kTuple1:
        return PushTuple(stack_.PopMany(1));
      case kTuple2:
        return PushTuple(stack_.PopMany(2));
      case kTuple3:
        return PushTuple(stack_.PopMany(3));
      case kTuple:
        return PushTuple(stack_.PopToMark());
      case kEmptyList:
        return stack_.PushNew({.kind = Kind::kList});
      case kEmptyDict:
        return stack_.PushNew({.kind = Kind::kDict});
      case kAppend:
        return Fill(Kind::kList, stack_.PopMany(1));
      case kAppends:
        return Fill(Kind::kList, stack_.PopToMark());
      case kSetItem:
        return Fill(Kind::kDict, stack_.PopMany(2));
      case kSetItems:
        return Fill(Kind::kDict, stack_.PopToMark());
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
    const absl::StatusOr<uint32_t> protocol = bytes_.TakeUnsigned(1);
    if (!protocol.ok()) return protocol.status();
    if (*protocol == 2) return absl::OkStatus();
    return Refuse(absl::StrCat("its pickle is of protocol ", *protocol,
                               "; torch.save writes protocol 2"));
  }

  absl::Status PushInt(int64_t value) {
    return stack_.PushNew({.kind = Kind::kInt, .integer = value});
  }

  absl::Status PushUnsigned(size_t bytes) {
    const absl::StatusOr<uint32_t> value = bytes_.TakeUnsigned(bytes);
    if (!value.ok()) return value.status();
    return PushInt(*value);
  }

  absl::Status PushInt32() {
    const absl::StatusOr<uint32_t> value = bytes_.TakeUnsigned(4);
    if (!value.ok()) return value.status();
    return PushInt(static_cast<int32_t>(*value));
  }

  // Two's complement of any length; sizes and offsets need at most 8 bytes.
  absl::Status PushLong() {
    const absl::StatusOr<uint32_t> count = bytes_.TakeUnsigned(1);
    if (!count.ok()) return count.status();
    const absl::StatusOr<std::string_view> bytes = bytes_.Take(*count);
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
    const absl::StatusOr<uint32_t> size = bytes_.TakeUnsigned(4);
    if (!size.ok()) return size.status();
    const absl::StatusOr<std::string_view> bytes = bytes_.Take(*size);
    if (!bytes.ok()) return bytes.status();
    return stack_.PushNew({.kind = Kind::kString, .text = std::string(*bytes)});
  }

  absl::Status PushTuple(absl::StatusOr<std::vector<Ref>> items) {
    if (!items.ok()) return items.status();
    return stack_.PushNew({.kind = Kind::kTuple, .items = *std::move(items)});
  }

  absl::Status Fill(Kind kind, const absl::StatusOr<std::vector<Ref>>& items) {
    if (!items.ok()) return items.status();
    const absl::StatusOr<Value*> container = stack_.Top(kind);
    if (!container.ok()) return container.status();
    if (kind == Kind::kDict && items->size() % 2 != 0)
      return Malformed("a dict's key has no value");
    std::vector<Ref>& target = (*container)->items;
    target.insert(target.end(), items->begin(), items->end());
    return absl::OkStatus();
  }

  absl::Status Memoize(size_t index_bytes) {
    const absl::StatusOr<uint32_t> index = bytes_.TakeUnsigned(index_bytes);
    if (!index.ok()) return index.status();
    const absl::StatusOr<Ref> top = stack_.Pop();
    if (!top.ok()) return top.status();
    memo_[*index] = *top;
    if (memo_.size() > kMaxValues)
      return Refuse("its pickle's memo is too large");
    stack_.Push(*top);
    return absl::OkStatus();
  }

  absl::Status PushMemo(size_t index_bytes) {
    const absl::StatusOr<uint32_t> index = bytes_.TakeUnsigned(index_bytes);
    if (!index.ok()) return index.status();
    const auto found = memo_.find(*index);
    if (found == memo_.end())
      return Malformed(absl::StrCat("its memo has no entry ", *index));
    stack_.Push(found->second);
    return absl::OkStatus();
  }

  absl::Status PushGlobal() {
    absl::StatusOr<std::string> name = bytes_.TakeGlobalName();
    if (!name.ok()) return name.status();
    if (IsAllowedGlobal(*name))
      return stack_.PushNew({.kind = Kind::kGlobal, .text = *std::move(name)});
    if (*name == kTrainingStateGlobal &&
        bytes_.rest().find(kTrainingStateKey) != std::string_view::npos)
      return RefuseTrainingState();
    return RefuseGlobal(*name);
  }

  absl::Status RefuseOpcode(unsigned char opcode) {
    if (opcode == kInst) {
      const absl::StatusOr<std::string> name = bytes_.TakeGlobalName();
      return name.ok() ? RefuseGlobal(*name) : name.status();
    }
    if (opcode == kStackGlobal) {
      const absl::StatusOr<std::vector<Ref>> names = stack_.PopMany(2);
      if (!names.ok()) return names.status();
      return RefuseGlobal(absl::StrCat(stack_[(*names)[0]].text, " ",
                                       stack_[(*names)[1]].text));
    }
    if (opcode == kObj || opcode == kNewObj || opcode == kNewObjEx)
      return Refuse("its pickle creates an object; only tensors are read");
    return Refuse(absl::StrCat("its pickle uses opcode 0x",
                               absl::Hex(opcode, absl::kZeroPad2),
                               ", which a file of tensors does not need"));
  }

  absl::Status PushStorage() {
    const absl::StatusOr<Ref> id = stack_.Pop();
    if (!id.ok()) return id.status();
    return calls_.PushStorage(stack_[*id]);
  }

  absl::Status Call() {
    const absl::StatusOr<std::vector<Ref>> popped = stack_.PopMany(2);
    if (!popped.ok()) return popped.status();
    return calls_.Call(stack_[(*popped)[0]], stack_[(*popped)[1]]);
  }

  // A state_dict carries the versions of its modules as an attribute, which
  // nobody needs; any other attribute is not a state_dict's.
  absl::Status DropAttributes() {
    const absl::StatusOr<Ref> state = stack_.Pop();
    if (!state.ok()) return state.status();
    const absl::StatusOr<Value*> target = stack_.Top(Kind::kDict);
    if (!target.ok()) return target.status();
    const Value& attributes = stack_[*state];
    if (attributes.kind == Kind::kDict && attributes.items.size() == 2 &&
        stack_[attributes.items[0]].text == "_metadata")
      return absl::OkStatus();
    return Refuse("its pickle sets attributes that a state_dict does not have");
  }

  Bytes bytes_;
  bool stopped_ = false;
  Stack stack_;
  TensorCalls calls_{&stack_};
  std::unordered_map<uint32_t, Ref> memo_;
};

}  // namespace
}  // namespace pickle

absl::StatusOr<PickledStateDict> ReadStateDictPickle(std::string_view bytes) {
  return pickle::Machine(bytes).Run();
}

}  // namespace ddgan
