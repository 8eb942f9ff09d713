#include "engine/base/sha256.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/escaping.h"

namespace ddgan {
namespace {

void Require(int result) {
  if (result == 1) return;
  std::fputs("OpenSSL cannot compute SHA-256\n", stderr);
  std::abort();
}

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  return *Sha256Hex(bytes, NeverStop);
}

absl::StatusOr<std::string> Sha256Hex(std::string_view bytes,
                                      StopCheck stopped) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  Require(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr));
  while (!bytes.empty()) {
    if (auto status = CheckStop(stopped); !status.ok()) return status;
    const std::string_view part = bytes.substr(0, kStopCheckBytes);
    Require(EVP_DigestUpdate(context.get(), part.data(), part.size()));
    bytes.remove_prefix(part.size());
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Require(EVP_DigestFinal_ex(context.get(), digest, &size));
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), size));
}

}  // namespace ddgan
