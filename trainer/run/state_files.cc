#include "trainer/run/state_files.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/base/durable_file.h"
#include "engine/checkpoint/checkpoint_format.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "state_";
constexpr char kSuffix[] = ".safetensors";

// Steps done of the state of this file name, if it is one. The same strict
// numbers as those of versions.
std::optional<int64_t> StepsOf(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kPrefix) ||
      !absl::ConsumeSuffix(&name, kSuffix)) {
    return std::nullopt;
  }
  return ParseVersionName(std::string(name));
}

// As WriteFileDurably names a state that is not whole yet.
bool IsPartial(absl::string_view name) {
  return absl::ConsumePrefix(&name, ".") &&
         absl::ConsumeSuffix(&name, ".partial") && StepsOf(name).has_value();
}

// Empty if the folder is not there.
absl::StatusOr<std::vector<std::string>> ListNames(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return names;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) return PathError(error.value(), "list", folder);
  return names;
}

// Newest first.
std::vector<int64_t> StatesAmong(const std::vector<std::string>& names) {
  std::vector<int64_t> states;
  for (const std::string& name : names) {
    if (const auto steps = StepsOf(name)) states.push_back(*steps);
  }
  std::sort(states.begin(), states.end(), std::greater<>());
  return states;
}

}  // namespace

std::string StateFileName(int64_t steps_done) {
  return absl::StrCat(kPrefix, steps_done, kSuffix);
}

absl::StatusOr<std::vector<int64_t>> ListStates(const fs::path& folder) {
  const absl::StatusOr<std::vector<std::string>> names = ListNames(folder);
  if (!names.ok()) return names.status();
  return StatesAmong(*names);
}

absl::Status SetStateAside(const fs::path& folder, int64_t steps_done) {
  const fs::path path = folder / StateFileName(steps_done);
  std::error_code error;
  fs::rename(path, path.string() + ".damaged", error);
  if (error) return PathError(error.value(), "rename", path);
  return absl::OkStatus();
}

absl::Status RemoveOldStates(const fs::path& folder) {
  const absl::StatusOr<std::vector<std::string>> names = ListNames(folder);
  if (!names.ok()) return names.status();
  std::vector<std::string> old;
  std::copy_if(names->begin(), names->end(), std::back_inserter(old),
               IsPartial);
  const std::vector<int64_t> states = StatesAmong(*names);
  for (size_t i = kStatesKept; i < states.size(); ++i) {
    old.push_back(StateFileName(states[i]));
  }
  for (const std::string& name : old) {
    std::error_code error;
    fs::remove(folder / name, error);
    if (error) return PathError(error.value(), "remove", folder / name);
  }
  return absl::OkStatus();
}

}  // namespace ddgan
