#include "trainer/import/pickle_reader.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/mutated_bytes.h"
#include "tests/trainer/import/pth_writer.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();

PickleWriter Begin() {
  PickleWriter pickle;
  pickle.Start();
  return pickle;
}

std::string Refusal(const std::string& pickle) {
  const auto dict = ReadStateDictPickle(pickle);
  if (dict.ok()) return "accepted";
  EXPECT_EQ(dict.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(dict.status().message());
}

// A dict of one tensor "w" in a storage of 8 values.
std::string OneTensor(int64_t offset, const std::vector<int64_t>& shape,
                      const std::vector<int64_t>& strides) {
  return Begin()
      .Raw("}")
      .String("w")
      .Tensor("0", 8, offset, shape, strides)
      .Raw("s")
      .Stop()
      .bytes();
}

TEST(PickleReaderTest, ReadsTensorsWithOffsetsAndStridesInOneStorage) {
  const std::string pickle = Begin()
                                 .EmptyOrderedDict()
                                 .Raw("(")
                                 .String("a")
                                 .Tensor("7", 12, 6, {2, 3}, {3, 1})
                                 .String("b")
                                 .Tensor("7", 12, 0, {}, {})
                                 .Raw("u")
                                 .Stop()
                                 .bytes();
  const auto dict = ReadStateDictPickle(pickle);
  ASSERT_TRUE(dict.ok()) << dict.status();
  ASSERT_EQ(dict->storages.size(), 1u);
  EXPECT_EQ(dict->storages[0].key, "7");
  EXPECT_EQ(dict->storages[0].num_values, 12);
  EXPECT_EQ(dict->storages[0].dtype, DType::kFloat32);
  ASSERT_EQ(dict->tensors.size(), 2u);
  EXPECT_EQ(dict->tensors[0].name, "a");
  EXPECT_EQ(dict->tensors[0].offset, 6);
  EXPECT_THAT(dict->tensors[0].shape, ElementsAre(2, 3));
  EXPECT_THAT(dict->tensors[0].strides, ElementsAre(3, 1));
  EXPECT_THAT(dict->tensors[1].shape, IsEmpty());
}

TEST(PickleReaderTest, TakesBFloat16) {
  const auto dict =
      ReadStateDictPickle(PickleWriter()
                              .Start()
                              .Raw("}")
                              .String("w")
                              .Tensor("0", 4, 0, {4}, {1}, "BFloat16Storage")
                              .Raw("s")
                              .Stop()
                              .bytes());
  ASSERT_TRUE(dict.ok()) << dict.status();
  EXPECT_EQ(dict->storages[0].dtype, DType::kBFloat16);
  EXPECT_EQ(dict->wrapper, "");
}

// {"epoch": 7, <key>: {"w": tensor}, "other": {"m": tensor}}
std::string WrappedPickle(const std::string& key, bool with_other) {
  PickleWriter pickle;
  pickle.Start().Raw("}").String("epoch").Int(7).Raw("s");
  if (with_other) {
    pickle.String("other").Raw("}").String("m").Tensor("9", 4, 0, {4}, {1});
    pickle.Raw("ss");
  }
  pickle.String(key).Raw("}").String("w").Tensor("0", 4, 0, {4}, {1});
  return pickle.Raw("ss").Stop().bytes();
}

TEST(PickleReaderTest, TakesAWrappedDictAndNothingBesideIt) {
  for (const char* key : {"state_dict", "ema"}) {
    const auto dict = ReadStateDictPickle(WrappedPickle(key, false));
    ASSERT_TRUE(dict.ok()) << dict.status();
    EXPECT_EQ(dict->wrapper, key);
    ASSERT_EQ(dict->tensors.size(), 1u);
    EXPECT_EQ(dict->tensors[0].name, "w");
  }
  const auto dict = ReadStateDictPickle(WrappedPickle("state_dict", true));
  ASSERT_TRUE(dict.ok()) << dict.status();
  EXPECT_EQ(dict->wrapper, "state_dict");
  ASSERT_EQ(dict->storages.size(), 1u);
  EXPECT_EQ(dict->storages[0].key, "0");
  EXPECT_EQ(dict->tensors[0].storage, 0u);
}

TEST(PickleReaderTest, NamesSeveralDictsOfWhichNoneIsMeant) {
  const auto dict = ReadStateDictPickle(WrappedPickle("generator", true));
  EXPECT_THAT(std::string(dict.status().message()),
              HasSubstr("holds 2 dicts of tensors (other, generator)"));
}

TEST(PickleReaderTest, CudaTagsAndHalfPrecisionAreTaken) {
  const std::string pickle = Begin()
                                 .Raw("}")
                                 .String("w")
                                 .Global("torch._utils", "_rebuild_tensor_v2")
                                 .Raw("(")
                                 .Storage("HalfStorage", "0", 4, "cuda:1")
                                 .Int(0)
                                 .IntTuple({4})
                                 .IntTuple({1})
                                 .Raw("\x88")
                                 .EmptyOrderedDict()
                                 .Raw("tRs")
                                 .Stop()
                                 .bytes();
  const auto dict = ReadStateDictPickle(pickle);
  ASSERT_TRUE(dict.ok()) << dict.status();
  EXPECT_EQ(dict->storages[0].dtype, DType::kFloat16);
}

TEST(PickleReaderTest, CodeIsRefusedByNameWhicheverWayItIsAskedFor) {
  // GLOBAL + REDUCE, as in every textbook.
  EXPECT_THAT(
      Refusal(Begin()
                  .Global("posix", "system")
                  .Raw("(")
                  .String("touch /tmp/owned")
                  .Raw("tR")
                  .Stop()
                  .bytes()),
      AllOf(HasSubstr("\"posix system\""), HasSubstr("nothing was run")));
  // INST.
  EXPECT_THAT(
      Refusal(
          Begin().Raw("(").String("ls").Raw("ios\nsystem\n").Stop().bytes()),
      HasSubstr("\"os system\""));
  // STACK_GLOBAL, of protocol 4, without a word about the protocol.
  EXPECT_THAT(
      Refusal(
          Begin().String("builtins").String("eval").Raw("\x93").Stop().bytes()),
      HasSubstr("\"builtins eval\""));
  // NEWOBJ on an allowed name, and the extension registry.
  EXPECT_THAT(Refusal(Begin()
                          .Global("collections", "OrderedDict")
                          .Raw(")\x81")
                          .Stop()
                          .bytes()),
              HasSubstr("creates an object"));
  EXPECT_THAT(Refusal(Begin().Raw("\x82\x01").Stop().bytes()),
              HasSubstr("opcode 0x82"));
  // A neighbour of an allowed name.
  EXPECT_THAT(Refusal(Begin().Global("torch._utils", "_rebuild").bytes()),
              HasSubstr("\"torch._utils _rebuild\""));
  EXPECT_THAT(Refusal(Begin().Global("torch", "DoubleStorage").bytes()),
              HasSubstr("\"torch DoubleStorage\""));
}

TEST(PickleReaderTest, NameInAMessageIsPrintableAndShort) {
  const std::string refusal =
      Refusal(Begin().Global("a\x1b[31m", std::string(200, '\x07')).bytes());
  EXPECT_EQ(refusal.find('\x1b'), std::string::npos);
  EXPECT_LT(refusal.size(), 250u);
}

TEST(PickleReaderTest, AllowedNamesDoNothingButTheirPart) {
  EXPECT_THAT(
      Refusal(Begin().Global("torch", "FloatStorage").Raw(")R").Stop().bytes()),
      HasSubstr("calls torch FloatStorage"));
  EXPECT_THAT(Refusal(Begin().Int(1).Raw(")R").Stop().bytes()),
              HasSubstr("calls what is no function"));
  EXPECT_THAT(Refusal(Begin()
                          .Global("collections", "OrderedDict")
                          .Raw("]\x85R")
                          .Stop()
                          .bytes()),
              HasSubstr("OrderedDict from a list"));
  // BUILD may set _metadata, and no other attribute.
  EXPECT_THAT(Refusal(Begin()
                          .EmptyOrderedDict()
                          .Raw("}")
                          .String("__class__")
                          .Int(1)
                          .Raw("sb")
                          .Stop()
                          .bytes()),
              HasSubstr("sets attributes"));
}

TEST(PickleReaderTest, TensorMustLieInItsStorage) {
  EXPECT_EQ(Refusal(OneTensor(0, {8}, {1})), "accepted");
  EXPECT_EQ(Refusal(OneTensor(4, {2, 2}, {2, 1})), "accepted");
  EXPECT_EQ(Refusal(OneTensor(0, {0, kMaxInt}, {1, 1})), "accepted");
  const char kPast[] = "reaches past the 8 values";
  EXPECT_THAT(Refusal(OneTensor(1, {8}, {1})), HasSubstr(kPast));
  EXPECT_THAT(Refusal(OneTensor(8, {}, {})), HasSubstr(kPast));
  EXPECT_THAT(Refusal(OneTensor(0, {2, 2}, {7, 1})), HasSubstr(kPast));
  EXPECT_THAT(Refusal(OneTensor(kMaxInt, {2}, {1})), HasSubstr(kPast));
  EXPECT_THAT(Refusal(OneTensor(kMaxInt, {}, {})), HasSubstr(kPast));
  EXPECT_THAT(Refusal(OneTensor(0, {3}, {kMaxInt})), HasSubstr(kPast));
  EXPECT_THAT(Refusal(OneTensor(0, {kMaxInt, kMaxInt}, {1, 1})),
              HasSubstr(kPast));
}

TEST(PickleReaderTest, NegativeNumbersAreNoSizes) {
  EXPECT_THAT(Refusal(OneTensor(-1, {1}, {1})), HasSubstr("malformed"));
  EXPECT_THAT(Refusal(OneTensor(0, {-1}, {1})), HasSubstr("malformed"));
  EXPECT_THAT(Refusal(OneTensor(7, {2}, {-1})), HasSubstr("malformed"));
  EXPECT_THAT(Refusal(OneTensor(0, {1, 2}, {1})), HasSubstr("malformed"));
  EXPECT_THAT(Refusal(OneTensor(0, std::vector<int64_t>(9, 1),
                                std::vector<int64_t>(9, 1))),
              HasSubstr("malformed"));
}

TEST(PickleReaderTest, StorageNameCannotLeaveTheArchivesFolder) {
  for (const char* key : {"", "../0", "a/b", "0\n", ".."}) {
    EXPECT_THAT(Refusal(Begin().Storage("FloatStorage", key, 1).Stop().bytes()),
                HasSubstr("is no storage's name"))
        << key;
  }
}

TEST(PickleReaderTest, StorageHasOneSize) {
  EXPECT_THAT(Refusal(Begin()
                          .Storage("FloatStorage", "0", 1)
                          .Storage("FloatStorage", "0", 2)
                          .Stop()
                          .bytes()),
              HasSubstr("described in two ways"));
  EXPECT_THAT(Refusal(Begin().Storage("FloatStorage", "0", -1).Stop().bytes()),
              HasSubstr("no storage"));
}

TEST(PickleReaderTest, WhatIsNoDictOfTensorsIsRefused) {
  EXPECT_THAT(Refusal(Begin().Raw("]").Stop().bytes()),
              HasSubstr("not a dict of tensors"));
  EXPECT_THAT(Refusal(Begin().Raw("}").Stop().bytes()),
              HasSubstr("holds no tensor"));
  EXPECT_THAT(
      Refusal(Begin().Raw("}").String("epoch").Int(3).Raw("s").Stop().bytes()),
      HasSubstr("\"epoch\", which is no tensor"));
  EXPECT_THAT(Refusal(Begin().Raw("}").Int(3).Int(3).Raw("s").Stop().bytes()),
              HasSubstr("no string"));
  EXPECT_THAT(Refusal(Begin()
                          .Raw("}(")
                          .String("w")
                          .Tensor("0", 1, 0, {1}, {1})
                          .String("w")
                          .Tensor("0", 1, 0, {1}, {1})
                          .Raw("u")
                          .Stop()
                          .bytes()),
              HasSubstr("\"w\" twice"));
}

TEST(PickleReaderTest, TrainingStateIsCalledWhatItIs) {
  EXPECT_THAT(
      Refusal(Begin().Raw("}").String("netG_dict").Raw("}s").Stop().bytes()),
      HasSubstr("is a training state"));
}

TEST(PickleReaderTest, BrokenStackMemoAndMarksAreMalformed) {
  for (const std::string broken : {".",
                                   "0",
                                   "t",
                                   "u",
                                   "e",
                                   "s",
                                   "a",
                                   "b",
                                   "R",
                                   "Q",
                                   "\x85",
                                   "\x87",
                                   "h\x05",
                                   "j\x01\x02\x03\x04",
                                   "q",
                                   "q\x01",
                                   "N(q\x01",
                                   "N(\x85",
                                   "}(Ns",
                                   "]Nu",
                                   "}(Nu",
                                   "N)a",
                                   "NN",
                                   "X\xff\xff\xff\xff",
                                   "J\x01",
                                   "K",
                                   "G1234567",
                                   "\x8a\x09"
                                   "123456789",
                                   "c",
                                   "cposix",
                                   "cposix\nsystem",
                                   "(",
                                   ")Q",
                                   "NQ",
                                   "\x80\x04"})
    EXPECT_NE(Refusal("\x80\x02" + broken), "accepted") << broken;
}

TEST(PickleReaderTest, NothingMayFollowTheEnd) {
  EXPECT_THAT(Refusal(OneTensor(0, {1}, {1}) + "x"),
              HasSubstr("1 bytes behind its end"));
}

TEST(PickleReaderTest, TruncatedAnywhereIsRefused) {
  const std::string pickle = OneTensor(0, {2, 2}, {2, 1});
  for (size_t size = 0; size < pickle.size(); ++size)
    EXPECT_NE(Refusal(pickle.substr(0, size)), "accepted") << size;
}

TEST(PickleReaderTest, CyclesAndRepetitionAreHarmless) {
  // A list that is its own element; a dict that holds itself.
  EXPECT_NE(Refusal(Begin()
                        .Raw("]q")
                        .Raw(std::string(1, '\0'))
                        .Raw("h")
                        .Raw(std::string(1, '\0'))
                        .Raw("a.")
                        .bytes()),
            "accepted");
  // The "billion laughs": tuples of tuples, two more each time.
  std::string doubling = "\x80\x02)";
  for (int i = 0; i < 200; ++i) doubling += "q\x01h\x01\x86";
  EXPECT_NE(Refusal(doubling + "."), "accepted");
}

TEST(PickleReaderTest, NumberOfValuesIsBounded) {
  EXPECT_THAT(Refusal("\x80\x02" + std::string(2 << 20, 'N') + "."),
              HasSubstr("more than 1048576 values"));
}

// Real pickles with random damage, of a fixed seed; the sanitizer build is
// where this pays.
TEST(PickleReaderTest, DamagedPickleIsRefusedOrItsTensorsLieInTheirStorages) {
  const std::string small = Begin()
                                .EmptyOrderedDict()
                                .Raw("(")
                                .String("a")
                                .Tensor("0", 12, 6, {2, 3}, {3, 1})
                                .String("b")
                                .Tensor("1", 4, 0, {4}, {1})
                                .Raw("u}")
                                .String("_metadata")
                                .EmptyOrderedDict()
                                .Raw("sb")
                                .Stop()
                                .bytes();
  ASSERT_EQ(Refusal(small), "accepted");
  std::mt19937 random(4);
  for (int round = 0; round < 20000; ++round) {
    const auto dict =
        ReadStateDictPickle(MutatedBytes(small, small.size(), &random));
    if (!dict.ok()) continue;
    for (const PickledTensor& tensor : dict->tensors) {
      ASSERT_LT(tensor.storage, dict->storages.size());
      int64_t last = tensor.offset;
      bool is_empty = false;
      for (size_t d = 0; d < tensor.shape.size(); ++d) {
        is_empty |= tensor.shape[d] == 0;
        last += (tensor.shape[d] - 1) * tensor.strides[d];
      }
      if (!is_empty) {
        ASSERT_LT(last, dict->storages[tensor.storage].num_values);
      }
    }
  }
}

}  // namespace
}  // namespace ddgan
