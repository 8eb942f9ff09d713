#include "trainer/import/pth_file.h"

#include <map>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/mutated_bytes.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/trainer/import/pth_writer.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PthFileTest : public ::testing::Test {
 protected:
  // A file of one tensor, whose entries a test may spoil.
  PthFileTest() {
    entries_["a/data.pkl"] = PickleWriter()
                                 .Start()
                                 .Raw("}")
                                 .String("w")
                                 .Tensor("0", 6, 1, {2, 2}, {1, 2})
                                 .Raw("s")
                                 .Stop()
                                 .bytes();
    entries_["a/data/0"] = FloatBytes({0, 1, 2, 3, 4, 5});
    entries_["a/version"] = "3\n";
  }

  void Write(bool compress = false) {
    std::filesystem::remove(path_);
    WriteZip(path_, entries_, compress);
  }

  // Of opening, or else of reading the tensors.
  absl::Status Error() const {
    const auto file = PthFile::Open(path_);
    if (!file.ok()) return file.status();
    return file->ReadTensors().status();
  }
  std::string Refusal() const { return std::string(Error().message()); }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "file.pth";
  std::map<std::string, std::string> entries_;
};

TEST_F(PthFileTest, GathersByOffsetAndStrides) {
  Write();
  const auto file = PthFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->tensors().size(), 1u);
  EXPECT_EQ(file->dtype(file->tensors()[0]), DType::kFloat32);
  // Column-major in the storage, row-major in the result.
  EXPECT_THAT(file->ReadTensors().value(),
              ElementsAre(FloatBytes({1, 3, 2, 4})));
}

TEST_F(PthFileTest, StrideOfASingleElementMayBeAnything) {
  entries_["a/data.pkl"] =
      PickleWriter()
          .Start()
          .Raw("}")
          .String("w")
          .Tensor("0", 6, 5, {1, 1}, {INT64_MAX, INT64_MAX})
          .Raw("s")
          .Stop()
          .bytes();
  Write();
  EXPECT_THAT(PthFile::Open(path_)->ReadTensors().value(),
              ElementsAre(FloatBytes({5})));
}

TEST_F(PthFileTest, WhatIsNoTorchFileIsCalledSo) {
  EXPECT_EQ(Error().code(), absl::StatusCode::kNotFound);
  WriteBytes(path_, "");
  EXPECT_THAT(Refusal(), HasSubstr("not a zip archive"));
  WriteBytes(path_, "hello there");
  EXPECT_THAT(Refusal(), HasSubstr("not a zip archive"));
  WriteBytes(path_, "\x80\x02\x8a\x0al\xfc\x9c");
  EXPECT_THAT(Refusal(), HasSubstr("before 1.6"));
  WriteBytes(path_, "PK\x03\x04 and nothing more");
  EXPECT_THAT(Refusal(), HasSubstr("damaged zip archive"));
  entries_ = {{"readme.txt", "x"}};
  Write();
  EXPECT_THAT(Refusal(), HasSubstr("has no data.pkl"));
}

TEST_F(PthFileTest, ScriptModuleAndSecondPickleAreRefused) {
  entries_["a/constants.pkl"] = "";
  Write();
  EXPECT_THAT(Refusal(), HasSubstr("TorchScript"));
  entries_.erase("a/constants.pkl");
  entries_["b/data.pkl"] = "";
  Write();
  EXPECT_THAT(Refusal(), HasSubstr("two pickles"));
}

TEST_F(PthFileTest, BigEndianFileIsRefused) {
  entries_["a/byteorder"] = "big";
  Write();
  EXPECT_THAT(Refusal(), HasSubstr("big-endian"));
  entries_["a/byteorder"] = "little";
  Write();
  EXPECT_TRUE(Error().ok()) << Error();
}

TEST_F(PthFileTest, StorageMissingOrOfAnotherSizeIsRefused) {
  entries_["a/data/0"].resize(20);
  Write();
  EXPECT_THAT(Refusal(), HasSubstr("has 20 bytes, its pickle says 6 values"));
  entries_["a/data/0"].resize(23);
  Write();
  EXPECT_THAT(Refusal(), HasSubstr("has 23 bytes"));
  entries_.erase("a/data/0");
  Write();
  EXPECT_THAT(Refusal(), HasSubstr("a/data/0 is missing"));
}

TEST_F(PthFileTest, CompressedEntryIsRefusedBeforeItUnfolds) {
  entries_["a/data/0"] = std::string(64 << 20, '\0');
  Write(/*compress=*/true);
  EXPECT_THAT(Refusal(), HasSubstr("is compressed"));
}

TEST_F(PthFileTest, DamagedStorageIsDataLoss) {
  Write();
  std::string bytes = ReadBytes(path_);
  const size_t storage = bytes.find(FloatBytes({0, 1, 2, 3, 4, 5}));
  ASSERT_NE(storage, std::string::npos);
  bytes[storage + 5] = static_cast<char>(bytes[storage + 5] ^ 1);
  WriteBytes(path_, bytes);
  EXPECT_EQ(Error().code(), absl::StatusCode::kDataLoss) << Error();
}

TEST_F(PthFileTest, TruncatedAnywhereIsRefused) {
  Write();
  const std::string bytes = ReadBytes(path_);
  for (size_t size = 0; size < bytes.size(); size += 7) {
    WriteBytes(path_, bytes.substr(0, size));
    EXPECT_FALSE(Error().ok()) << size;
  }
}

TEST_F(PthFileTest, DamagedArchiveIsRefusedOrRead) {
  Write();
  const std::string bytes = ReadBytes(path_);
  std::mt19937 random(5);
  for (int round = 0; round < 1000; ++round) {
    WriteBytes(path_, MutatedBytes(bytes, bytes.size(), &random));
    const auto file = PthFile::Open(path_);
    // A damaged pickle fails its checksum, so what opens has the shape [2, 2].
    if (!file.ok()) continue;
    const auto values = file->ReadTensors();
    if (values.ok()) {
      EXPECT_EQ(values->at(0).size(), 4 * sizeof(float));
    }
  }
}

}  // namespace
}  // namespace ddgan
