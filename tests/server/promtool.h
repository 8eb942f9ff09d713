// Prometheus' own linter for metrics text.
#ifndef DDGAN_TESTS_SERVER_PROMTOOL_H_
#define DDGAN_TESTS_SERVER_PROMTOOL_H_

#include <stdlib.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {

// Where docker/install_dependencies.sh --tests puts promtool.
inline std::string PromtoolPath() {
  std::string folder;
  if (const char* deps = getenv("DDGAN_DEPS"); deps != nullptr) {
    folder = deps;
  } else if (const char* cache = getenv("XDG_CACHE_HOME"); cache != nullptr) {
    folder = absl::StrCat(cache, "/ddgan");
  } else if (const char* home = getenv("HOME"); home != nullptr) {
    folder = absl::StrCat(home, "/.cache/ddgan");
  }
  return folder + "/prometheus/usr/bin/promtool";
}

// What `promtool check metrics` says about `text`: nothing if all is well. A
// missing promtool is an error too, so that the check cannot be skipped unseen.
inline std::string PromtoolComplaints(const std::string& text) {
  const TemporaryFolder folder;
  const std::string input = (folder.path() / "metrics.txt").string();
  WriteBytes(input, text);
  std::FILE* pipe = popen(
      absl::StrCat("'", PromtoolPath(), "' check metrics <'", input, "' 2>&1")
          .c_str(),
      "r");
  if (pipe == nullptr) return "cannot run a shell";
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    output.push_back(static_cast<char>(c));
  }
  const int status = pclose(pipe);
  if (status != 0 && output.empty()) return absl::StrCat("status ", status);
  return output;
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_SERVER_PROMTOOL_H_
