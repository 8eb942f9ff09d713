#include "trainer/import/name_prefix.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ddgan {
namespace {

std::string PrefixOf(const std::vector<std::string>& names) {
  std::vector<TensorShape> tensors;
  for (const std::string& name : names) tensors.push_back({name, {}});
  return CommonPrefix(tensors);
}

TEST(NamePrefixTest, FindsWhatAllNamesBeginWith) {
  EXPECT_EQ(PrefixOf({"z_transform.1.weight", "all_modules.0.bias"}), "");
  EXPECT_EQ(PrefixOf({"a.b.z_transform.1.weight", "a.b.all_modules.0.bias"}),
            "a.b.");
  EXPECT_EQ(PrefixOf({"a.all_modules.0.z_transform.bias"}), "a.");
}

TEST(NamePrefixTest, TakesNothingOffOfOtherOrMixedNames) {
  EXPECT_EQ(PrefixOf({}), "");
  EXPECT_EQ(PrefixOf({"a.conv.weight"}), "");
  EXPECT_EQ(PrefixOf({"a.all_modules.0.bias", "all_modules.1.bias"}), "");
  EXPECT_EQ(PrefixOf({"my_all_modules.0.bias"}), "");
}

TEST(NamePrefixTest, DescribesKnownAndUnknownParts) {
  EXPECT_EQ(DescribePrefix("_orig_mod.g\n."),
            "\"_orig_mod.\" of torch.compile, \"g\\n.\" of a module that holds "
            "the generator");
}

}  // namespace
}  // namespace ddgan
