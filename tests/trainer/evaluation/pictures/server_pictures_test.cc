#include "trainer/evaluation/pictures/server_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/client/fake_image_server.h"
#include "trainer/evaluation/pictures/pictures_description.h"

namespace ddgan {
namespace {

constexpr uint64_t kSeed = 7;

std::unique_ptr<ServerPictures> Open(const FakeImageServer& server) {
  ServerModel model;
  model.address = server.address();
  model.model = FakeImageServer::kModel;
  model.seed = kSeed;
  return OpenServerPictures(model).value();
}

TEST(ServerPicturesTest, AreThePixelsThatTheServerSends) {
  FakeImageServer server(3);
  const auto pictures = Open(server);
  EXPECT_EQ(pictures->shape(), (ImageShape{3, 4, 4}));
  EXPECT_EQ(pictures->identity().version, FakeImageServer::kVersion);
  const std::string pixels = FakeImageServer::Pixels(3, kSeed, 5) +
                             FakeImageServer::Pixels(3, kSeed, 6);
  EXPECT_EQ(pictures->Pictures(5, 2).value(),
            std::vector<uint8_t>(pixels.begin(), pixels.end()));
}

// One on a GPU makes other bytes of the same version than one on a CPU, and so
// it does in another number format.
TEST(ServerPicturesTest, AServerOfOtherBitsHasAnotherDescription) {
  FakeImageServer server;
  const auto pictures = Open(server);
  EXPECT_EQ(Open(server)->description(), pictures->description());
  EXPECT_NE(ModelPicturesDescription(pictures->identity(), "", kSeed),
            pictures->description());
  server.set_tamper([](v1::GenerateResponse* response) {
    for (v1::GeneratedImage& image : *response->mutable_images()) {
      std::string& data = *image.mutable_data();
      // The last bit of a float32, which no 8-bit pixel shows.
      if (data.size() == 4 * 4 * sizeof(float)) data[0] ^= 1;
    }
  });
  EXPECT_NE(Open(server)->description(), pictures->description());
}

TEST(ServerPicturesTest, AnAddressThatIsNoneIsRefused) {
  ServerModel model;
  model.address = "localhost";
  model.model = FakeImageServer::kModel;
  EXPECT_EQ(OpenServerPictures(model).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ddgan
