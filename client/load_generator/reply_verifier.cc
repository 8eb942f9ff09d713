#include "client/load_generator/reply_verifier.h"

#include <cstddef>
#include <functional>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr size_t kMaxExamples = 5;

}  // namespace

ReplyHashes HashReply(const v1::GenerateResponse& reply) {
  ReplyHashes hashes;
  hashes.version = reply.version();
  hashes.checkpoint_digest = reply.checkpoint_digest();
  hashes.seed = reply.seed();
  for (const v1::GeneratedImage& image : reply.images()) {
    hashes.images[image.index()] = std::hash<std::string_view>()(image.data());
  }
  return hashes;
}

void ReplyVerifier::Add(const ReplyHashes& reply) {
  for (const auto& [index, hash] : reply.images) {
    const auto [first, is_new] = hashes_.try_emplace(
        {reply.version, reply.checkpoint_digest, reply.seed, index}, hash);
    if (is_new) continue;
    ++result_.compared;
    if (first->second == hash) continue;
    ++result_.mismatches;
    if (result_.examples.size() < kMaxExamples) {
      result_.examples.push_back(absl::StrCat(
          "version ", reply.version, ", seed ", reply.seed, ", index ", index));
    }
  }
}

}  // namespace ddgan
