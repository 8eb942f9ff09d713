#include "server/access/token_table.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/api/generation.h"
#include "engine/base/sha256.h"
#include "engine/base/strict_json.h"
#include "nlohmann/json.hpp"
#include "server/access/caller_name.h"

namespace ddgan {
namespace {

using nlohmann::json;

constexpr size_t kHashDigits = 64;
constexpr int64_t kMaxImages = 1'000'000'000;

absl::Status Wrong(absl::string_view where, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": wanted ", wanted));
}

// Whether `value` is an object of no other keys than these. A key is not shown:
// it, too, may be a token.
absl::Status CheckKeys(const json& value, const std::string& where,
                       std::initializer_list<absl::string_view> keys) {
  const std::string wanted =
      absl::StrCat("an object of ", absl::StrJoin(keys, ", "));
  if (!value.is_object()) return Wrong(where, wanted);
  for (const auto& item : value.items()) {
    if (std::find(keys.begin(), keys.end(), item.key()) == keys.end()) {
      return Wrong(where, absl::StrCat(wanted, ", and no other key"));
    }
  }
  return absl::OkStatus();
}

// An absent key leaves `out` as it is.
template <typename T>
absl::Status Read(const json& object, const char* key, const std::string& where,
                  T* out) {
  const auto value = object.find(key);
  if (value == object.end()) return absl::OkStatus();
  if (const auto wanted = ReadJson(*value, out); wanted.has_value()) {
    return Wrong(absl::StrCat(where, ".", key), *wanted);
  }
  return absl::OkStatus();
}

absl::Status ReadLimit(const json& object, const char* key,
                       const std::string& where, std::optional<int64_t>* out) {
  if (!object.contains(key)) return absl::OkStatus();
  int64_t limit = 0;
  if (absl::Status s = Read(object, key, where, &limit); !s.ok()) return s;
  if (limit < 1 || limit > kMaxImages) {
    return Wrong(absl::StrCat(where, ".", key),
                 absl::StrCat("a whole number in [1, ", kMaxImages, "]"));
  }
  *out = limit;
  return absl::OkStatus();
}

bool IsName(const std::string& text) {
  return !text.empty() && text.size() <= kMaxNameSize &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isgraph(static_cast<unsigned char>(c));
         });
}

bool IsHash(const std::string& text) {
  return text.size() == kHashDigits &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
                  (c >= 'a' && c <= 'f');
         });
}

absl::StatusOr<Token> ReadToken(const json& value, const std::string& where) {
  if (absl::Status s = CheckKeys(value, where, {"sha256", "scopes", "expires"});
      !s.ok()) {
    return s;
  }
  Token token;
  if (absl::Status s = Read(value, "sha256", where, &token.sha256); !s.ok()) {
    return s;
  }
  if (!IsHash(token.sha256)) {
    return Wrong(where + ".sha256",
                 "the token's SHA-256, 64 lower-case hexadecimal digits");
  }

  std::vector<std::string> scopes;
  if (absl::Status s = Read(value, "scopes", where, &scopes); !s.ok()) return s;
  for (const std::string& name : scopes) {
    const std::optional<Scope> scope = ScopeNamed(name);
    if (!scope.has_value()) {
      return Wrong(where + ".scopes", "a list of generate, read, admin");
    }
    token.scopes[static_cast<size_t>(*scope)] = true;
  }
  if (scopes.empty()) {
    return Wrong(where + ".scopes",
                 "a list of at least one of generate, read, admin");
  }

  if (value.contains("expires")) {
    std::string expires;
    if (absl::Status s = Read(value, "expires", where, &expires); !s.ok()) {
      return s;
    }
    std::string ignored;
    if (!absl::ParseTime(absl::RFC3339_full, expires, &token.expires,
                         &ignored)) {
      return Wrong(where + ".expires",
                   "a time of RFC 3339, as 2030-01-31T00:00:00Z");
    }
  }
  return token;
}

absl::StatusOr<Tenant> ReadTenant(const json& value, const std::string& where) {
  if (absl::Status s = CheckKeys(value, where,
                                 {"name", "weight", "images_per_minute",
                                  "images_in_flight", "tokens"});
      !s.ok()) {
    return s;
  }
  Tenant tenant;
  if (absl::Status s = Read(value, "name", where, &tenant.name); !s.ok()) {
    return s;
  }
  if (!IsName(tenant.name)) {
    return Wrong(where + ".name",
                 absl::StrCat("1 to ", kMaxNameSize,
                              " characters of ASCII without blanks"));
  }
  if (value.contains("weight")) {
    double weight = 0;
    if (absl::Status s = Read(value, "weight", where, &weight); !s.ok()) {
      return s;
    }
    if (!IsCallerWeight(weight)) {
      return Wrong(where + ".weight",
                   absl::StrCat("a number in [", kMinCallerWeight, ", ",
                                kMaxCallerWeight, "]"));
    }
    tenant.weight = weight;
  }
  absl::Status status = ReadLimit(value, "images_per_minute", where,
                                  &tenant.quota.images_per_minute);
  if (status.ok()) {
    status = ReadLimit(value, "images_in_flight", where,
                       &tenant.quota.images_in_flight);
  }
  if (!status.ok()) return status;
  return tenant;
}

}  // namespace

absl::StatusOr<TokenTable> TokenTable::Parse(absl::string_view text) {
  if (text.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        text.size(), " bytes; allowed are at most ", kMaxFileBytes));
  }
  JsonLimits limits;
  limits.max_depth = 6;
  limits.max_values = 20 * kMaxTokens;
  const absl::StatusOr<json> file =
      ParseStrictJson(std::string_view(text.data(), text.size()), limits);
  // The parser's own words quote what is there.
  if (!file.ok()) return Wrong("the file", "one JSON value, no key twice");
  if (absl::Status s = CheckKeys(*file, "the file", {"tenants"}); !s.ok()) {
    return s;
  }
  const auto tenants = file->find("tenants");
  if (tenants == file->end() || !tenants->is_array()) {
    return Wrong("tenants", "a list");
  }

  TokenTable table;
  std::set<std::string> names;
  for (size_t i = 0; i < tenants->size(); ++i) {
    const json& entry = (*tenants)[i];
    const std::string where = absl::StrCat("tenants[", i, "]");
    absl::StatusOr<Tenant> read = ReadTenant(entry, where);
    if (!read.ok()) return read.status();
    const auto tenant = std::make_shared<const Tenant>(*std::move(read));
    if (!names.insert(tenant->name).second) {
      return Wrong(where + ".name", "a name that no other tenant has");
    }
    const auto tokens = entry.find("tokens");
    if (tokens == entry.end() || !tokens->is_array()) {
      return Wrong(where + ".tokens", "a list");
    }
    for (size_t j = 0; j < tokens->size(); ++j) {
      const std::string which = absl::StrCat(where, ".tokens[", j, "]");
      absl::StatusOr<Token> token = ReadToken((*tokens)[j], which);
      if (!token.ok()) return token.status();
      if (table.tokens_.contains(token->sha256)) {
        return Wrong(which + ".sha256", "a hash that no other token has");
      }
      if (table.tokens_.size() == kMaxTokens) {
        return absl::InvalidArgumentError(
            absl::StrCat("more than ", kMaxTokens, " tokens"));
      }
      token->tenant = tenant;
      std::string hash = token->sha256;
      table.tokens_.emplace(std::move(hash), *std::move(token));
    }
  }
  return table;
}

const Token* TokenTable::Find(absl::string_view token) const {
  if (token.empty() || token.size() > kMaxTokenSize) return nullptr;
  const auto found =
      tokens_.find(Sha256Hex(std::string_view(token.data(), token.size())));
  return found == tokens_.end() ? nullptr : &found->second;
}

}  // namespace ddgan
