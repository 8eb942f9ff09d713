#include "engine/checkpoint/model_directory.h"

#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

// Versions are written by hand, so that each file can be spoilt.

class ModelRootTest : public ::testing::Test {
 protected:
  fs::path VersionFolder(const std::string& version = "3") const {
    return root_.path() / "tiny" / version;
  }

  void WriteVersion(const std::string& version = "3") {
    fs::create_directories(VersionFolder(version));
    WriteBytes(VersionFolder(version) / "config.json", config_);
    WriteBytes(VersionFolder(version) / "model.safetensors", weights_);
    WriteBytes(VersionFolder(version) / "manifest.json", ManifestText());
  }

  // Of config_ and weights_ as they are.
  std::string ManifestText() const {
    return ManifestToJson({.config = {Sha256Hex(config_), config_.size()},
                           .weights = {Sha256Hex(weights_), weights_.size()}});
  }

  absl::Status ReadError(int64_t version = 3) const {
    return ReadCheckpoint(root_.path(), "tiny", version).status();
  }

  void ExpectReadError(absl::StatusCode code, const std::string& message) {
    const absl::Status status = ReadError();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }

  const TemporaryFolder root_;
  std::string config_ = CheckpointConfigToJson(TinyCheckpointConfig());
  std::string weights_ = TinyWeights(TinyModelConfig());
};

TEST_F(ModelRootTest, ReadsAVersionWithItsIdentity) {
  WriteVersion();
  const auto checkpoint = ReadCheckpoint(root_.path(), "tiny", 3);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->identity,
            (ModelIdentity{"tiny", 3, Sha256Hex(ManifestText())}));
  EXPECT_TRUE(checkpoint->config == TinyCheckpointConfig());
  EXPECT_EQ(checkpoint->weights, weights_);
}

TEST_F(ModelRootTest, ListsVersionsWithManifestNewestFirst) {
  for (const char* version : {"9", "10", "2"}) WriteVersion(version);
  fs::create_directories(VersionFolder("11"));  // No manifest yet.
  for (const char* stranger : {"07", "-1", "latest", ".publishing-abc"})
    WriteVersion(stranger);
  fs::create_directory_symlink("9", VersionFolder("12"));
  fs::create_directories(VersionFolder("13"));
  fs::create_symlink("../9/manifest.json",
                     VersionFolder("13") / "manifest.json");
  WriteBytes(root_.path() / "tiny" / "14", "a file");
  // Links are listed, so that somebody is told why they are not taken.
  EXPECT_THAT(ListVersions(root_.path(), "tiny").value(),
              ElementsAre(13, 12, 10, 9, 2));
  for (const int64_t version : {12, 13}) {
    const absl::Status status =
        ReadCheckpoint(root_.path(), "tiny", version).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("symbolic link"));
  }
}

TEST_F(ModelRootTest, AChangedFileChangesTheFingerprint) {
  WriteVersion("3");
  const auto examine = [&] { return ExamineVersion(root_.path(), "tiny", 3); };
  const VersionFiles before = examine();
  EXPECT_EQ(examine(), before);
  EXPECT_EQ(before.weights_bytes, weights_.size());
  for (const char* name :
       {kConfigFileName, kWeightsFileName, kManifestFileName}) {
    SCOPED_TRACE(name);
    const VersionFiles whole = examine();
    const fs::path file = VersionFolder("3") / name;
    // The same bytes under another inode: a file that was replaced.
    fs::copy_file(file, file.string() + ".new");
    fs::rename(file.string() + ".new", file);
    EXPECT_NE(examine(), whole);
    fs::rename(file, file.string() + ".away");
    EXPECT_THAT(examine().fingerprint, HasSubstr("absent"));
    fs::rename(file.string() + ".away", file);
  }
  // The same files by way of a link.
  const VersionFiles real = examine();
  const fs::path away = root_.path() / "away";
  fs::rename(VersionFolder("3"), away);
  fs::create_directory_symlink(away, VersionFolder("3"));
  EXPECT_NE(examine(), real);
}

TEST_F(ModelRootTest, ListsModelsThatHaveAVersionFolder) {
  EXPECT_THAT(ListModelNames(root_.path()).value(), IsEmpty());
  for (const char* model :
       {"zebra/1", "ant/2", "empty", "Upper/1", ".hidden/1", "other/latest"})
    fs::create_directories(root_.path() / model);
  fs::create_directory_symlink("zebra", root_.path() / "link");
  // Refused by name, which nobody would hear of were it not listed.
  fs::create_directories(root_.path() / "bee");
  fs::create_directory_symlink("../zebra/1", root_.path() / "bee" / "1");
  WriteBytes(root_.path() / "file", "");
  EXPECT_THAT(ListModelNames(root_.path()).value(),
              ElementsAre("ant", "bee", "zebra"));
}

TEST_F(ModelRootTest, MissingFoldersAreNotFound) {
  EXPECT_EQ(ListModelNames(root_.path() / "none").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(ListVersions(root_.path(), "tiny").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(ListVersions(root_.path(), "../etc").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadError().code(), absl::StatusCode::kNotFound);
  WriteVersion();
  EXPECT_EQ(ReadError(4).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadError(0).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadCheckpoint(root_.path(), "../tiny", 3).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadCheckpoint(root_.path() / "none", "tiny", 3).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(ModelRootTest, EachMissingFileIsNotFoundByName) {
  for (const char* file :
       {"manifest.json", "config.json", "model.safetensors"}) {
    WriteVersion();
    fs::remove(VersionFolder() / file);
    ExpectReadError(absl::StatusCode::kNotFound, std::string("tiny/3/") + file);
  }
}

TEST_F(ModelRootTest, TruncatedFileIsDataLoss) {
  for (const char* file : {"config.json", "model.safetensors"}) {
    WriteVersion();
    fs::resize_file(VersionFolder() / file,
                    fs::file_size(VersionFolder() / file) - 1);
    ExpectReadError(absl::StatusCode::kDataLoss, "the manifest says");
    ExpectReadError(absl::StatusCode::kDataLoss, std::string("tiny/3/") + file);
  }
}

TEST_F(ModelRootTest, EveryFlippedBitIsSeen) {
  for (const char* file : {"config.json", "model.safetensors"}) {
    WriteVersion();
    const std::string good = ReadBytes(VersionFolder() / file);
    for (size_t i = 0; i < good.size(); i += good.size() / 97 + 1) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
      WriteBytes(VersionFolder() / file, bad);
      ASSERT_EQ(ReadError().code(), absl::StatusCode::kDataLoss)
          << file << " byte " << i;
    }
  }
}

TEST_F(ModelRootTest, FlippedBitInTheManifestIsNeverTakenForAnotherVersion) {
  WriteVersion();
  const std::string good = ManifestText();
  const std::string digest = Sha256Hex(good);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    WriteBytes(VersionFolder() / "manifest.json", bad);
    const auto checkpoint = ReadCheckpoint(root_.path(), "tiny", 3);
    // White space may change and still mean the same, under another digest.
    if (checkpoint.ok()) {
      EXPECT_NE(checkpoint->identity.digest, digest);
    }
  }
}

TEST_F(ModelRootTest, SymbolicLinkOutOfTheRootIsRefused) {
  const TemporaryFolder elsewhere;
  WriteVersion();
  fs::rename(VersionFolder(), elsewhere.path() / "3");
  fs::create_directory_symlink(elsewhere.path() / "3", VersionFolder());
  ExpectReadError(absl::StatusCode::kInvalidArgument, "symbolic link");

  fs::remove(VersionFolder());
  WriteVersion();
  for (const char* file :
       {"manifest.json", "config.json", "model.safetensors"}) {
    fs::remove(VersionFolder() / file);
    fs::create_symlink(elsewhere.path() / "3" / file, VersionFolder() / file);
    ExpectReadError(absl::StatusCode::kInvalidArgument, "symbolic link");
    fs::remove(VersionFolder() / file);
    fs::copy_file(elsewhere.path() / "3" / file, VersionFolder() / file);
  }

  fs::rename(root_.path() / "tiny", elsewhere.path() / "tiny");
  fs::create_directory_symlink(elsewhere.path() / "tiny",
                               root_.path() / "tiny");
  ExpectReadError(absl::StatusCode::kInvalidArgument, "symbolic link");
}

TEST_F(ModelRootTest, HugeFilesAreRefusedUnread) {
  WriteVersion();
  fs::resize_file(VersionFolder() / "manifest.json", kMaxJsonBytes + 1);
  ExpectReadError(absl::StatusCode::kInvalidArgument, "at most 1048576");

  // A manifest that agrees with a sparse file of 7 GB: too large for its
  // config.
  WriteVersion();
  const uint64_t size = uint64_t{7} << 30;
  fs::resize_file(VersionFolder() / "model.safetensors", size);
  WriteBytes(VersionFolder() / "manifest.json",
             ManifestToJson({.config = {Sha256Hex(config_), config_.size()},
                             .weights = {std::string(64, '0'), size}}));
  ExpectReadError(absl::StatusCode::kInvalidArgument, "7516192768");
}

TEST_F(ModelRootTest, ConfigMustBeValidAndNameItsFolder) {
  config_ = CheckpointConfigToJson(TinyCheckpointConfig("other"));
  WriteVersion();
  ExpectReadError(absl::StatusCode::kInvalidArgument,
                  "tiny/3/config.json: model = \"other\"");
  config_ = CheckpointConfigToJson(TinyCheckpointConfig());
  config_.replace(config_.find("biggan"), 6, "ddpm");
  WriteVersion();
  ExpectReadError(absl::StatusCode::kInvalidArgument,
                  "tiny/3/config.json: resblock_type = \"ddpm\"");
}

TEST_F(ModelRootTest, WeightsMustBeThoseOfTheConfig) {
  weights_ = "not safetensors";
  WriteVersion();
  ExpectReadError(absl::StatusCode::kInvalidArgument,
                  "tiny/3/model.safetensors: ");

  ModelConfig wider = TinyModelConfig();
  wider.nz = 5;
  weights_ = TinyWeights(wider);
  WriteVersion();
  ExpectReadError(absl::StatusCode::kInvalidArgument,
                  "z_transform.1.weight has shape [4, 5], the config wants "
                  "[4, 4]");

  weights_ =
      TinyWeights(TinyModelConfig(), std::numeric_limits<float>::quiet_NaN());
  WriteVersion();
  ExpectReadError(absl::StatusCode::kInvalidArgument,
                  "all_modules.0.weight holds an infinity or NaN");
}

// Asked often enough that no more than a few MiB lie between one question and
// the next, and obeyed wherever it comes.
TEST_F(ModelRootTest, AReadIsGivenUpWhereverItIsToldToStop) {
  weights_.resize(size_t{12} << 20);
  WriteVersion();
  const auto read = [&](int questions) {
    int asked = 0;
    const auto stopped = [&] { return ++asked > questions; };
    const absl::Status status =
        ReadCheckpoint(root_.path(), "tiny", 3, stopped).status();
    return std::pair(status.code(), asked);
  };
  const auto [whole, all_questions] = read(1000);
  EXPECT_EQ(whole, absl::StatusCode::kInvalidArgument);  // It is no weights.
  // Read and hashed, the weights and the config.
  EXPECT_GE(all_questions, 2 * (3 + 1));
  for (int questions = 0; questions < all_questions; ++questions) {
    EXPECT_EQ(read(questions),
              std::pair(absl::StatusCode::kCancelled, questions + 1));
  }
}

}  // namespace
}  // namespace ddgan
