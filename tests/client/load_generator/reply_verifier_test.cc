#include "client/load_generator/reply_verifier.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

ReplyHashes Reply(uint64_t seed, const std::vector<std::string>& images) {
  v1::GenerateResponse reply;
  reply.set_version(3);
  reply.set_checkpoint_digest("d");
  reply.set_seed(seed);
  for (const std::string& bytes : images) {
    v1::GeneratedImage* image = reply.add_images();
    image->set_index(static_cast<uint32_t>(reply.images_size() - 1));
    image->set_data(bytes);
  }
  return HashReply(reply);
}

TEST(ReplyVerifierTest, ComparesImagesBySeedAndIndex) {
  ReplyVerifier verifier;
  verifier.Add(Reply(7, {"a", "b"}));
  verifier.Add(Reply(8, {"c"}));
  EXPECT_EQ(verifier.result().compared, 0u);
  verifier.Add(Reply(7, {"a", "b", "c"}));
  EXPECT_EQ(verifier.result().compared, 2u);
  EXPECT_EQ(verifier.result().mismatches, 0u);
  verifier.Add(Reply(7, {"a", "x"}));
  EXPECT_EQ(verifier.result().compared, 4u);
  EXPECT_EQ(verifier.result().mismatches, 1u);
  EXPECT_THAT(verifier.result().examples,
              ElementsAre("version 3, seed 7, index 1"));
}

TEST(ReplyVerifierTest, DoesNotCompareCheckpoints) {
  ReplyVerifier verifier;
  ReplyHashes reply = Reply(7, {"a"});
  verifier.Add(reply);
  reply = Reply(7, {"b"});
  reply.version = 4;
  verifier.Add(reply);
  reply = Reply(7, {"c"});
  reply.checkpoint_digest = "e";
  verifier.Add(reply);
  EXPECT_EQ(verifier.result().compared, 0u);
}

TEST(ReplyVerifierTest, CountsAllMismatchesAndNamesAFew) {
  ReplyVerifier verifier;
  verifier.Add(Reply(7, std::vector<std::string>(64, "a")));
  verifier.Add(Reply(7, std::vector<std::string>(64, "b")));
  EXPECT_EQ(verifier.result().mismatches, 64u);
  EXPECT_THAT(verifier.result().examples, SizeIs(5));
}

}  // namespace
}  // namespace ddgan
