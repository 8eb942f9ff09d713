#include "engine/checkpoint/checkpoint_format.h"

#include <functional>
#include <limits>
#include <string>

#include "engine/base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/tiny_checkpoint.h"

namespace ddgan {
namespace {

using ::nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

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

TEST(CheckpointConfigTest, ObjectiveAndSamplerAreWrittenWhereTheyAreOthers) {
  CheckpointConfig config = TinyCheckpointConfig();
  EXPECT_THAT(CheckpointConfigToJson(config),
              AllOf(Not(HasSubstr("objective")), Not(HasSubstr("sampler"))));
  config.model_config.objective = "denoising";
  config.model_config.sampler = "ddim:2";
  const std::string json = CheckpointConfigToJson(config);
  EXPECT_THAT(json, AllOf(HasSubstr("\"objective\": \"denoising\""),
                          HasSubstr("\"sampler\": \"ddim:2\"")));
  const auto read = ParseCheckpointConfig(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == config);
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["sampler"] = "ddim:0"; }),
            "sampler = \"ddim:0\" is not allowed: must be ancestral, ddim:K "
            "with K in [1, 2], or pc");
  EXPECT_EQ(RefusalAfter([](ordered_json& j) { j["objective"] = 1; }),
            "objective = 1 must be a string");
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

}  // namespace
}  // namespace ddgan
