#include "engine/checkpoint/checkpoint_format.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "engine/base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

using ::nlohmann::ordered_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
namespace fs = std::filesystem;

// --- config.json

std::string ConfigRefusal(const std::string& text) {
  const auto config = ParseCheckpointConfig(text);
  if (config.ok()) return "accepted";
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(config.status().message());
}
std::string RefusalAfter(const std::function<void(ordered_json&)>& change) {
  ordered_json json =
      ordered_json::parse(CheckpointConfigToJson(TinyCheckpointConfig()));
  change(json);
  return ConfigRefusal(json.dump());
}

TEST(CheckpointConfigTest, WhatIsWrittenIsReadBack) {
  CheckpointConfig config = TinyCheckpointConfig("a.b_c-1");
  config.training_step = std::numeric_limits<int64_t>::max();
  config.dataset = "caf\xc3\xa9 \"quoted\"";
  config.created = "2026-11-24T04:00:00.25Z";
  config.model_config.fir_kernel = {1, 2, 3, 4.5};
  config.model_config.use_geometric = true;
  config.model_config.beta_min = 3e-5;
  config.model_config.beta_max = 0.999;
  const auto read = ParseCheckpointConfig(CheckpointConfigToJson(config));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == config);
}

TEST(CheckpointConfigTest, EveryKeyIsRequired) {
  const ordered_json json =
      ordered_json::parse(CheckpointConfigToJson(TinyCheckpointConfig()));
  EXPECT_EQ(json.size(), 33u);
  for (const auto& item : json.items()) {
    EXPECT_EQ(RefusalAfter([&](ordered_json& j) { j.erase(item.key()); }),
              "missing: " + item.key());
  }
}

TEST(CheckpointConfigTest, UnknownKeyIsNamed) {
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["ngf"] = 64; }),
            "unknown key \"ngf\"");
}

TEST(CheckpointConfigTest, DuplicateKeyIsNamed) {
  std::string text = CheckpointConfigToJson(TinyCheckpointConfig());
  text.replace(text.find('{'), 1, "{\"nz\": 8,");
  EXPECT_EQ(ConfigRefusal(text), "key \"nz\" appears twice");
}

TEST(CheckpointConfigTest, WrongTypeIsNamedWithTheValue) {
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["image_size"] = 8.0; }),
            "image_size = 8.0 must be an integer of 32 bits");
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["nz"] = 1LL << 40; }),
            "nz = 1099511627776 must be an integer of 32 bits");
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["nz"] = "4"; }),
            "nz = \"4\" must be an integer of 32 bits");
  EXPECT_EQ(
      RefusalAfter([](ordered_json& j) { j["training_step"] = ~uint64_t{0}; }),
      "training_step = 18446744073709551615 must be an integer of 64 bits");
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["fir"] = 1; }),
            "fir = 1 must be true or false");
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["beta_min"] = "0.1"; }),
            "beta_min = \"0.1\" must be a number");
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["progressive"] = nullptr; }),
            "progressive = null must be a string");
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["ch_mult"] = 1; }),
            "ch_mult = 1 must be a list");
  EXPECT_THAT(RefusalAfter([](ordered_json& j) { j["ch_mult"][0] = "1"; }),
              HasSubstr("each element an integer"));
}

TEST(CheckpointConfigTest, IntegerWhereANumberIsWantedIsANumber) {
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["beta_max"] = 20; }),
            "accepted");
}

TEST(CheckpointConfigTest, AnotherFormatVersionIsNamedFirst) {
  EXPECT_EQ(RefusalAfter([](ordered_json& j) {
              j["format_version"] = 2;
              j["new_key"] = 1;
            }),
            "format_version = 2; this build reads 1");
}

TEST(CheckpointConfigTest, UnsupportedOptionIsNamedWithTheValue) {
  EXPECT_THAT(
      RefusalAfter([](ordered_json& j) { j["resblock_type"] = "ddpm"; }),
      HasSubstr("resblock_type = \"ddpm\""));
}

TEST(CheckpointConfigTest, ProvenanceIsChecked) {
  for (const char* model : {"", "..", ".hidden", "Upper", "a/b", "a b"}) {
    EXPECT_THAT(RefusalAfter([&](ordered_json& j) { j["model"] = model; }),
                StartsWith("model = "))
        << model;
  }
  EXPECT_THAT(RefusalAfter([](ordered_json& j) { j["training_step"] = -1; }),
              HasSubstr("training_step = -1"));
  for (const char* created :
       {"", "2026-11-24", "2026-11-24 04:00:00Z", "2026-11-24T04:00:00",
        "2026-11-24T04:00:00+01:00", "2026-13-24T04:00:00Z",
        " 2026-11-24T04:00:00Z"}) {
    EXPECT_THAT(RefusalAfter([&](ordered_json& j) { j["created"] = created; }),
                StartsWith("created = "))
        << created;
  }
  EXPECT_THAT(RefusalAfter([](ordered_json& j) { j["dataset"] = "a\nb"; }),
              HasSubstr("dataset"));
  EXPECT_THAT(RefusalAfter([](ordered_json& j) {
                j["trainer_version"] = std::string(257, 'x');
              }),
              HasSubstr("trainer_version"));
}

TEST(CheckpointConfigTest, HostileValueIsAbbreviatedInTheMessage) {
  const std::string refusal = RefusalAfter(
      [](ordered_json& j) { j["nz"] = std::string(100000, '\x01'); });
  EXPECT_LT(refusal.size(), 200u);
}

TEST(CheckpointConfigTest, WhatIsNoObjectIsRefused) {
  EXPECT_EQ(ConfigRefusal("[]"), "is not a JSON object");
  EXPECT_THAT(ConfigRefusal(""), HasSubstr("not valid JSON"));
}

TEST(CheckpointConfigTest, TruncatedAnywhereIsRefused) {
  const std::string text = CheckpointConfigToJson(TinyCheckpointConfig());
  // The last two bytes are the brace and a newline.
  for (size_t size = 0; size + 1 < text.size(); ++size)
    EXPECT_NE(ConfigRefusal(text.substr(0, size)), "accepted") << size;
}

TEST(ModelConfigJsonTest, MissingKeysKeepTheirDefault) {
  const auto config =
      ParseModelConfig(R"({"ch_mult": [1, 1], "nz": 7})", TinyModelConfig());
  ASSERT_TRUE(config.ok()) << config.status();
  ModelConfig expected = TinyModelConfig();
  expected.nz = 7;
  EXPECT_TRUE(*config == expected);
}

TEST(ModelConfigJsonTest, UnknownUnsupportedAndMistypedKeysAreRefused) {
  const auto refusal = [](const char* text) {
    return std::string(
        ParseModelConfig(text, TinyModelConfig()).status().message());
  };
  EXPECT_EQ(refusal(R"({"model": "x"})"), "unknown key \"model\"");
  EXPECT_THAT(refusal(R"({"fir": false})"), HasSubstr("fir = false"));
  EXPECT_THAT(refusal(R"({"nz": true})"), HasSubstr("nz = true"));
}

// --- manifest.json

std::string ManifestRefusal(const std::function<void(ordered_json&)>& change) {
  ordered_json json = ordered_json::parse(ManifestToJson(
      {.config = {Sha256Hex("a"), 1}, .weights = {Sha256Hex("b"), 2}}));
  change(json);
  const auto manifest = ParseManifest(json.dump());
  return manifest.ok() ? "accepted" : std::string(manifest.status().message());
}

TEST(ManifestTest, WhatIsWrittenIsReadBack) {
  const Manifest manifest = {.config = {Sha256Hex("a"), 1},
                             .weights = {Sha256Hex("b"), kMaxWeightsBytes}};
  const auto read = ParseManifest(ManifestToJson(manifest));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->config, manifest.config);
  EXPECT_EQ(read->weights, manifest.weights);
}

TEST(ManifestTest, MissingUnknownAndMalformedKeysAreNamed) {
  EXPECT_EQ(ManifestRefusal([](ordered_json&) {}), "accepted");
  EXPECT_EQ(ManifestRefusal([](ordered_json& j) { j.erase("files"); }),
            "missing: files");
  EXPECT_EQ(ManifestRefusal([](ordered_json& j) { j["signature"] = 1; }),
            "unknown key \"signature\"");
  EXPECT_EQ(
      ManifestRefusal([](ordered_json& j) { j["files"].erase("config.json"); }),
      "files: missing: config.json");
  EXPECT_EQ(ManifestRefusal([](ordered_json& j) { j["files"]["../x"] = {}; }),
            "unknown key \"../x\"");
  EXPECT_EQ(ManifestRefusal([](ordered_json& j) {
              j["files"]["config.json"].erase("size");
            }),
            "files: config.json: missing: size");
  EXPECT_THAT(ManifestRefusal([](ordered_json& j) {
                j["files"]["config.json"]["size"] = -1;
              }),
              HasSubstr("size = -1"));
  EXPECT_THAT(ManifestRefusal([](ordered_json& j) {
                j["files"]["config.json"]["sha256"] = std::string(64, 'A');
              }),
              HasSubstr("64 lower-case hex digits"));
  EXPECT_THAT(ManifestRefusal([](ordered_json& j) {
                j["files"]["config.json"]["sha256"] = "";
              }),
              HasSubstr("64 lower-case hex digits"));
  EXPECT_THAT(ManifestRefusal([](ordered_json& j) { j["format_version"] = 0; }),
              HasSubstr("format_version = 0"));
}

// --- Names

TEST(VersionNameTest, IsAPositiveDecimalThatFits) {
  EXPECT_EQ(ParseVersionName("1"), 1);
  EXPECT_EQ(ParseVersionName("9223372036854775807"),
            std::numeric_limits<int64_t>::max());
  for (const char* name : {"", "0", "01", "-1", "+1", "1 ", " 1", "1a", "0x1",
                           "9223372036854775808", "1.0", "\xd9\xa1"})
    EXPECT_FALSE(ParseVersionName(name).has_value()) << name;
}

TEST(ModelNameTest, IsPlain) {
  for (const char* name : {"a", "0", "mnist", "celeba-hq_256.v2"})
    EXPECT_TRUE(IsModelName(name)) << name;
  EXPECT_TRUE(IsModelName(std::string(64, 'a')));
  EXPECT_FALSE(IsModelName(std::string(65, 'a')));
  for (const char* name :
       {"", ".", "..", ".a", "-a", "A", "a/b", "a b", "\xc3"})
    EXPECT_FALSE(IsModelName(name)) << name;
}

// --- Folders. Written by hand, so that each file can be spoilt.

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
  WriteBytes(root_.path() / "file", "");
  EXPECT_THAT(ListModelNames(root_.path()).value(),
              ElementsAre("ant", "zebra"));
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

}  // namespace
}  // namespace ddgan
