// Which scope each RPC needs: the one table. An RPC that is not in it is
// UNIMPLEMENTED to everybody, and a test compares it with the services'
// descriptors.
#ifndef DDGAN_SERVER_ACCESS_ACCESS_RULES_H_
#define DDGAN_SERVER_ACCESS_ACCESS_RULES_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ddgan {

// What a token may be good for. No scope includes another.
enum class Scope {
  kGenerate,  // make images
  kRead,      // see the models and the interface
  kAdmin,     // say which version serves
};
inline constexpr int kNumScopes = 3;

// As token files write it: "generate", "read", "admin".
const char* NameOf(Scope scope);
// Nothing if no scope has that name.
std::optional<Scope> ScopeNamed(absl::string_view name);

struct AccessRule {
  absl::string_view path;  // As HTTP/2 has it: "/package.Service/Method".
  // Unset: no token is needed.
  std::optional<Scope> scope;
};

absl::Span<const AccessRule> AccessRules();

// Null if there is none: for callers, there is no such RPC. Thread-safe.
const AccessRule* RuleFor(absl::string_view path);

}  // namespace ddgan

#endif  // DDGAN_SERVER_ACCESS_ACCESS_RULES_H_
