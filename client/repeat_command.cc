#include "client/repeat_command.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace ddgan {
namespace {

// For a POSIX shell.
std::string Quote(const std::string& word) {
  constexpr char kSafe[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
      "_-./%+,:@";
  if (!word.empty() && word.find_first_not_of(kSafe) == std::string::npos) {
    return word;
  }
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

// Each with a blank before it.
std::string SecurityFlagsOf(const ConnectionSecurity& security) {
  std::string flags = security.tls ? " --tls" : "";
  const std::pair<const char*, const std::string&> fields[] = {
      {" --tls_ca=", security.ca_file},
      {" --tls_cert=", security.cert_file},
      {" --tls_key=", security.key_file},
      {" --tls_server_name=", security.server_name},
      {" --token_file=", security.token_file},
  };
  for (const auto& [flag, value] : fields) {
    if (!value.empty()) absl::StrAppend(&flags, flag, Quote(value));
  }
  if (security.token_without_tls) {
    absl::StrAppend(&flags, " --token_without_tls");
  }
  return flags;
}

}  // namespace

std::string CommandToRepeat(const RepeatedImages& images) {
  std::string line = absl::StrCat(
      "ddgan generate --server=", Quote(images.address),
      SecurityFlagsOf(images.security), " --model=", Quote(images.model),
      " --version=", images.version, " --seed=", images.seed,
      " --count=", images.count);
  if (images.first_index != 0) {
    absl::StrAppend(&line, " --first_index=", images.first_index);
  }
  if (!images.guide_file.empty()) {
    absl::StrAppend(&line, " --guide=", Quote(images.guide_file),
                    " --guide_steps=", images.guide_steps);
    if (images.resize_guide) absl::StrAppend(&line, " --guide_fit=resize");
  }
  if (images.grid) {
    absl::StrAppend(&line, " --grid");
  } else {
    absl::StrAppend(&line, " --format=", images.format);
  }
  if (!images.out.empty()) {
    absl::StrAppend(&line, " --out=", Quote(images.out));
  }
  return line;
}

}  // namespace ddgan
