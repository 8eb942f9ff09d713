#include "trainer/import/name_prefix.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "trainer/import/pickle_values.h"

namespace ddgan {
namespace {

// With what the published generator's names begin.
constexpr const char* kOwnStarts[] = {"all_modules.", "z_transform."};

struct Wrapper {
  const char* part;
  const char* tool;
};
constexpr Wrapper kWrappers[] = {
    {"module", "DistributedDataParallel or DataParallel"},
    {"_orig_mod", "torch.compile"},
    {"_fsdp_wrapped_module", "FullyShardedDataParallel"},
    {"_checkpoint_wrapped_module", "activation checkpointing"},
};

std::string DescribePart(const std::string& part) {
  const auto known =
      std::find_if(std::begin(kWrappers), std::end(kWrappers),
                   [&](const Wrapper& w) { return part == w.part; });
  return absl::StrCat("\"", pickle::Printable(part), ".\" of ",
                      known == std::end(kWrappers)
                          ? "a module that holds the generator"
                          : known->tool);
}

}  // namespace

std::string CommonPrefix(const std::vector<TensorShape>& tensors) {
  if (tensors.empty()) return "";
  size_t size = std::string::npos;
  for (const char* start : kOwnStarts) {
    // Of a whole part of the name.
    const std::string& name = tensors.front().name;
    size_t at = name.find(start);
    while (at != std::string::npos && at > 0 && name[at - 1] != '.') {
      at = name.find(start, at + 1);
    }
    size = std::min(size, at);
  }
  if (size == std::string::npos || size == 0) return "";
  std::string prefix = tensors.front().name.substr(0, size);
  const bool all_have_it = std::all_of(
      tensors.begin(), tensors.end(),
      [&](const TensorShape& t) { return absl::StartsWith(t.name, prefix); });
  return all_have_it ? prefix : "";
}

std::string DescribePrefix(const std::string& prefix) {
  std::vector<std::string> parts =
      absl::StrSplit(prefix, '.', absl::SkipEmpty());
  constexpr size_t kMaxParts = 8;
  parts.resize(std::min(parts.size(), kMaxParts));
  return absl::StrJoin(parts, ", ", [](std::string* out, const std::string& p) {
    absl::StrAppend(out, DescribePart(p));
  });
}

}  // namespace ddgan
