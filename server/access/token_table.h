// Who may call: the token file, read and looked up. It holds SHA-256 hashes
// only; no token is ever on the disk, in a log or in an error.
#ifndef DDGAN_SERVER_ACCESS_TOKEN_TABLE_H_
#define DDGAN_SERVER_ACCESS_TOKEN_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/access/access_rules.h"

namespace ddgan {

// What a tenant may ask for; unset is no limit. Both in [1, 1000000000].
struct QuotaLimits {
  std::optional<int64_t> images_per_minute = std::nullopt;
  // Images of calls that have not ended.
  std::optional<int64_t> images_in_flight = std::nullopt;

  friend bool operator==(const QuotaLimits&, const QuotaLimits&) = default;
};

// Who calls, by whichever of its tokens.
struct Tenant {
  std::string name;
  // Share of the devices; unset: that of --caller_weights, else 1. [0.001,
  // 1000]
  std::optional<double> weight;
  QuotaLimits quota;
};

struct Token {
  std::string sha256;                    // 64 lower-case hexadecimal digits.
  std::shared_ptr<const Tenant> tenant;  // Not null.
  std::array<bool, kNumScopes> scopes = {};
  absl::Time expires = absl::InfiniteFuture();

  bool Has(Scope scope) const { return scopes[static_cast<size_t>(scope)]; }
};

// Immutable.
class TokenTable {
 public:
  static constexpr size_t kMaxFileBytes = size_t{1} << 20;
  static constexpr size_t kMaxTokens = 10'000;
  // Longest token that is looked up, in bytes.
  static constexpr size_t kMaxTokenSize = 512;

  // `text` is a token file as server/OPERATING.md describes it. InvalidArgument
  // says where it is wrong and what is allowed there, but never what is there:
  // that may be a token that somebody put in the place of its hash.
  static absl::StatusOr<TokenTable> Parse(absl::string_view text);

  // Null if nobody has it. Found by its SHA-256: how long that takes may depend
  // on the hash, but says nothing of a token, since nobody can choose the hash
  // of a guess.
  const Token* Find(absl::string_view token) const;

 private:
  std::unordered_map<std::string, Token> tokens_;  // By Token::sha256.
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_TOKEN_TABLE_H_
