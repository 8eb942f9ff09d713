// The file of tokens.
#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "engine/base/sha256.h"
#include "server/access/token_table.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {
namespace {

bool IsTokenCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '+' ||
         c == '/' || c == '-' || c == '_';
}

// An error's own words are all shorter than a token or a hash.
void RequireKeepsSecrets(std::string_view text, std::string_view message) {
  constexpr ptrdiff_t kSecretSize = 20;
  for (auto begin = text.begin(); begin != text.end();) {
    const auto end = std::find_if_not(begin, text.end(), IsTokenCharacter);
    if (end - begin >= kSecretSize) {
      Require(message.find(std::string(begin, end)) == std::string::npos,
              "an error shows no token");
    }
    begin = end == text.end() ? end : end + 1;
  }
}

bool IsQuota(const std::optional<int64_t>& limit) {
  return !limit.has_value() || (*limit >= 1 && *limit <= 1'000'000'000);
}

void CheckToken(const TokenTable& table, const std::string& secret) {
  const Token* const token = table.Find(secret);
  if (token == nullptr) return;
  Require(token->sha256 == Sha256Hex(secret), "found by its hash");
  Require(token->tenant != nullptr, "a token is a tenant's");
  Require(token->Has(Scope::kGenerate) || token->Has(Scope::kRead) ||
              token->Has(Scope::kAdmin),
          "a token is good for something");
  const Tenant& tenant = *token->tenant;
  Require(
      !tenant.name.empty() && tenant.name.size() <= 64 &&
          std::all_of(tenant.name.begin(), tenant.name.end(),
                      [](unsigned char c) { return absl::ascii_isgraph(c); }),
      "a tenant's name is one word");
  Require(!tenant.weight.has_value() ||
              (*tenant.weight > 0 && *tenant.weight <= 1000),
          "a weight is in its range");
  Require(IsQuota(tenant.quota.images_per_minute) &&
              IsQuota(tenant.quota.images_in_flight),
          "a quota is in its range");
}

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = ddgan::InputText(data, size);
  const auto table =
      ddgan::TokenTable::Parse(absl::string_view(text.data(), text.size()));
  if (table.ok()) {
    // Those of the seeds.
    for (const char* secret : {"alpha", "beta"}) {
      ddgan::CheckToken(*table, secret);
    }
    return 0;
  }
  ddgan::Require(absl::IsInvalidArgument(table.status()),
                 "a refused file is InvalidArgument");
  const absl::string_view message = table.status().message();
  ddgan::RequireKeepsSecrets(text, {message.data(), message.size()});
  return 0;
}
