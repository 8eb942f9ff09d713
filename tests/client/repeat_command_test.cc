#include "client/repeat_command.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

RepeatedImages Images() {
  RepeatedImages images;
  images.address = "localhost:1";
  images.model = "mnist";
  images.version = 3;
  images.seed = 18446744073709551615u;
  images.format = "png";
  return images;
}

TEST(RepeatCommandTest, SaysWhichImages) {
  EXPECT_EQ(CommandToRepeat(Images()),
            "ddgan generate --server=localhost:1 --model=mnist --version=3 "
            "--seed=18446744073709551615 --count=1 --format=png");
}

TEST(RepeatCommandTest, SaysMoreWhereThereIsMore) {
  RepeatedImages images = Images();
  images.count = 4;
  images.first_index = 12;
  images.guide_file = "strokes.png";
  images.guide_steps = 2;
  images.resize_guide = true;
  images.grid = true;
  images.out = "grid.png";
  EXPECT_THAT(CommandToRepeat(images),
              EndsWith(" --count=4 --first_index=12 --guide=strokes.png "
                       "--guide_steps=2 --guide_fit=resize --grid "
                       "--out=grid.png"));
}

TEST(RepeatCommandTest, GoesToTheSameServerInTheSameWay) {
  RepeatedImages images = Images();
  images.security = {.tls = true,
                     .ca_file = "ca",
                     .cert_file = "cert",
                     .key_file = "key",
                     .server_name = "name",
                     .token_file = "token",
                     .token_without_tls = true};
  EXPECT_THAT(CommandToRepeat(images),
              HasSubstr(" --tls --tls_ca=ca --tls_cert=cert --tls_key=key "
                        "--tls_server_name=name --token_file=token "
                        "--token_without_tls "));
}

TEST(RepeatCommandTest, AShellTakesEachNameAsOneWord) {
  RepeatedImages images = Images();
  images.out = "it's $(here);";
  EXPECT_THAT(CommandToRepeat(images),
              EndsWith(R"( --out='it'\''s $(here);')"));
}

}  // namespace
}  // namespace ddgan
