#include "trainer/import/pickle_values.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace ddgan::pickle {

absl::Status Refuse(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

absl::Status Malformed(const std::string& what) {
  return Refuse(absl::StrCat("its pickle is malformed: ", what));
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

std::string Printable(std::string_view text) {
  std::string printable =
      absl::CHexEscape(absl::string_view(text.data(), text.size()));
  if (printable.size() > 80) printable.replace(80, std::string::npos, "...");
  return printable;
}

absl::Status Stack::PushNew(Value value) {
  if (values_.size() >= kMaxValues)
    return Refuse(
        absl::StrCat("its pickle has more than ", kMaxValues, " values"));
  values_.push_back(std::move(value));
  Push(static_cast<Ref>(values_.size() - 1));
  return absl::OkStatus();
}

absl::StatusOr<Ref> Stack::Pop() {
  if (stack_.size() <= Bottom())
    return Malformed("it takes from an empty stack");
  const Ref ref = stack_.back();
  stack_.pop_back();
  return ref;
}

absl::StatusOr<std::vector<Ref>> Stack::PopMany(size_t count) {
  if (stack_.size() < Bottom() + count)
    return Malformed("it takes from an empty stack");
  std::vector<Ref> refs(stack_.end() - count, stack_.end());
  stack_.resize(stack_.size() - count);
  return refs;
}

absl::StatusOr<std::vector<Ref>> Stack::PopToMark() {
  if (marks_.empty()) return Malformed("a mark is missing");
  std::vector<Ref> refs = *PopMany(stack_.size() - marks_.back());
  marks_.pop_back();
  return refs;
}

absl::StatusOr<Value*> Stack::Top(Kind kind) {
  const absl::StatusOr<Ref> ref = Pop();
  if (!ref.ok()) return ref.status();
  Push(*ref);
  if (values_[*ref].kind != kind)
    return Malformed("it fills something that is no list or dict");
  return &values_[*ref];
}

}  // namespace ddgan::pickle
