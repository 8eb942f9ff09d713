#include "trainer/dataset/cifar10_dataset.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/dataset/cifar10_file.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

class Cifar10DatasetTest : public ::testing::Test {
 protected:
  void ExpectError(absl::StatusCode code, const std::string& reason) {
    const absl::Status status = Cifar10Dataset::Load(folder_.path()).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(folder_.path().string()), HasSubstr(reason)));
  }

  const TemporaryFolder folder_;
};

TEST_F(Cifar10DatasetTest, JoinsTheBatchesAndInterleavesPlanes) {
  WriteCifar10Train(folder_.path(), 3);
  const auto dataset = Cifar10Dataset::Load(folder_.path()).value();
  ASSERT_EQ(dataset->size(), 15u);
  ASSERT_EQ(dataset->shape(), (ImageShape{3, 32, 32}));
  std::vector<uint8_t> pixels(3 * 32 * 32);
  for (int image = 0; image < 15; ++image) {
    ASSERT_TRUE(dataset->Image(image, absl::MakeSpan(pixels)).ok());
    for (int i = 0; i < 32 * 32; ++i) {
      for (int c = 0; c < 3; ++c) {
        ASSERT_EQ(pixels[i * 3 + c], Cifar10Pixel(image, c, i));
      }
    }
  }
}

TEST_F(Cifar10DatasetTest, LooksIntoThePublishedFolder) {
  const fs::path inner = folder_.path() / "cifar-10-batches-bin";
  fs::create_directories(inner);
  WriteCifar10Train(inner, 1);
  WriteBytes(inner / "test_batch.bin", Cifar10Records(0, 7));
  EXPECT_EQ(Cifar10Dataset::Load(folder_.path()).value()->size(), 5u);
  EXPECT_EQ(Cifar10Dataset::Load(folder_.path(), Cifar10Dataset::Split::kTest)
                .value()
                ->size(),
            7u);
}

TEST_F(Cifar10DatasetTest, NamesTheFileThatIsMissing) {
  using absl::StatusCode;
  ExpectError(StatusCode::kNotFound,
              "holds no data_batch_1.bin; wanted CIFAR-10's binary version, "
              "data_batch_1.bin to data_batch_5.bin, here or in "
              "cifar-10-batches-bin");
  WriteCifar10Train(folder_.path(), 1);
  fs::remove(folder_.path() / "data_batch_4.bin");
  ExpectError(StatusCode::kNotFound, "holds no data_batch_4.bin");
}

TEST_F(Cifar10DatasetTest, RefusesFilesOfAnotherForm) {
  using absl::StatusCode;
  WriteCifar10Train(folder_.path(), 1);
  const fs::path file = folder_.path() / "data_batch_2.bin";
  for (const std::string& bytes :
       {std::string(), std::string(3072, '\0'), std::string(3074, '\0')}) {
    WriteBytes(file, bytes);
    ExpectError(StatusCode::kInvalidArgument, "records of 3073 bytes");
  }
  fs::resize_file(file, uint64_t{3073} * 1'000'001);  // A hole.
  ExpectError(StatusCode::kInvalidArgument, "1 to 1000000 of them");
  std::string records = Cifar10Records(0, 2);
  records[3073] = 10;
  WriteBytes(file, records);
  ExpectError(StatusCode::kInvalidArgument, "record 1 has the label 10");
}

TEST_F(Cifar10DatasetTest, RefusesAnIndexOrBufferThatDoesNotFit) {
  WriteCifar10Train(folder_.path(), 1);
  const auto dataset = Cifar10Dataset::Load(folder_.path()).value();
  std::vector<uint8_t> pixels(3 * 32 * 32, 7);
  EXPECT_EQ(dataset->Image(5, absl::MakeSpan(pixels)).code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(dataset->Image(0, absl::MakeSpan(pixels).subspan(1)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(pixels, Each(7));
}

}  // namespace
}  // namespace ddgan
