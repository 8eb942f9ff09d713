#include "engine/base/control_group.h"

#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace ddgan {
namespace {

constexpr char kRoot[] = "/sys/fs/cgroup";

}  // namespace

std::string ControlFileText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

std::vector<std::string> ControlGroupFolders(
    absl::string_view proc_self_cgroup) {
  std::vector<std::string> folders;
  for (absl::string_view line : absl::StrSplit(proc_self_cgroup, '\n')) {
    if (!absl::ConsumePrefix(&line, "0::/")) continue;
    // One outside of what the process sees begins with "..".
    while (!line.empty() && line.substr(0, 2) != "..") {
      folders.push_back(absl::StrCat(kRoot, "/", line));
      const size_t slash = line.rfind('/');
      line = line.substr(0, slash == line.npos ? 0 : slash);
    }
  }
  folders.push_back(kRoot);
  return folders;
}

std::vector<std::string> ReadControlGroups(absl::string_view file) {
  std::vector<std::string> texts;
  for (const std::string& folder :
       ControlGroupFolders(ControlFileText("/proc/self/cgroup"))) {
    std::string text = ControlFileText(absl::StrCat(folder, "/", file));
    if (!text.empty()) texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace ddgan
