#include "trainer/run/state_files.h"

#include <algorithm>
#include <functional>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/base/durable_file.h"
#include "engine/checkpoint/checkpoint_format.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "state_";
constexpr char kSuffix[] = ".safetensors";

}  // namespace

std::string StateFileName(int64_t steps_done) {
  return absl::StrCat(kPrefix, steps_done, kSuffix);
}

absl::StatusOr<std::vector<int64_t>> ListStates(const fs::path& folder) {
  std::vector<int64_t> states;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return states;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    absl::string_view number = name;
    if (!absl::ConsumePrefix(&number, kPrefix) ||
        !absl::ConsumeSuffix(&number, kSuffix))
      continue;
    // The same strict numbers as those of versions.
    if (const auto steps = ParseVersionName(std::string(number)))
      states.push_back(*steps);
  }
  if (error) return PathError(error.value(), "list", folder);
  std::sort(states.begin(), states.end(), std::greater<>());
  return states;
}

absl::Status SetStateAside(const fs::path& folder, int64_t steps_done) {
  const fs::path path = folder / StateFileName(steps_done);
  std::error_code error;
  fs::rename(path, path.string() + ".damaged", error);
  if (error) return PathError(error.value(), "rename", path);
  return absl::OkStatus();
}

absl::Status RemoveOldStates(const fs::path& folder) {
  const absl::StatusOr<std::vector<int64_t>> states = ListStates(folder);
  if (!states.ok()) return states.status();
  std::vector<fs::path> old;
  for (size_t i = kStatesKept; i < states->size(); ++i) {
    old.push_back(folder / StateFileName((*states)[i]));
  }
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    // As WriteFileDurably names what is not whole yet.
    const std::string name = entry->path().filename().string();
    if (absl::StartsWith(name, absl::StrCat(".", kPrefix)) &&
        absl::EndsWith(name, absl::StrCat(kSuffix, ".partial"))) {
      old.push_back(entry->path());
    }
  }
  if (error) return PathError(error.value(), "list", folder);
  for (const fs::path& path : old) {
    fs::remove(path, error);
    if (error) return PathError(error.value(), "remove", path);
  }
  return absl::OkStatus();
}

}  // namespace ddgan
