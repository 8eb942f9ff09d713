// Whether the server gives the same bytes whenever an image is asked for again.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_REPLY_VERIFIER_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_REPLY_VERIFIER_H_

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "ddgan/v1/image_generation.pb.h"

namespace ddgan {

// The images of one reply, as hashes of their bytes.
struct ReplyHashes {
  int64_t version = 0;
  std::string checkpoint_digest;
  uint64_t seed = 0;
  // By index.
  std::map<uint32_t, uint64_t> images;
};

// Pure. The time that it takes is proportional to the reply's bytes.
ReplyHashes HashReply(const v1::GenerateResponse& reply);

struct VerifyResult {
  // Images that had been received before, and those of them whose bytes were
  // others then.
  uint64_t compared = 0;
  uint64_t mismatches = 0;
  // The first few, such as "version 3, seed 7, index 12".
  std::vector<std::string> examples;
};

// Replies of one model and one format. Thread-compatible. Keeps a hash of every
// different image, some 100 bytes each.
class ReplyVerifier {
 public:
  void Add(const ReplyHashes& reply);

  const VerifyResult& result() const { return result_; }

 private:
  // Version, digest, seed, index. Another digest is another checkpoint, whose
  // images may differ.
  using Key = std::tuple<int64_t, std::string, uint64_t, uint32_t>;

  std::map<Key, uint64_t> hashes_;
  VerifyResult result_;
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_REPLY_VERIFIER_H_
