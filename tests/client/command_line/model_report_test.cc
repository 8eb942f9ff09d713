#include "client/command_line/model_report.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::ModelVersion* AddVersion(v1::Model* model, int64_t number,
                             v1::ModelVersionState state,
                             const std::string& reason = "") {
  v1::ModelVersion* version = model->add_versions();
  version->set_version(number);
  version->set_state(state);
  version->set_reason(reason);
  if (state == v1::MODEL_VERSION_STATE_LIVE ||
      state == v1::MODEL_VERSION_STATE_LOADED) {
    version->set_checkpoint_digest(std::string(64, 'd'));
    version->mutable_shape()->set_channels(1);
    version->mutable_shape()->set_height(28);
    version->mutable_shape()->set_width(32);
    version->set_num_timesteps(4);
    version->set_training_step(12345);
    version->set_dataset("mnist");
    version->mutable_loaded_at()->set_seconds(1'800'000'000);
  }
  return version;
}

v1::Model Mnist() {
  v1::Model model;
  model.set_name("mnist");
  return model;
}

TEST(FormatModelsTest, ShowsEveryStateThePinAndTheReasons) {
  v1::ListModelsResponse list;
  v1::Model* mnist = list.add_models();
  mnist->set_name("mnist");
  mnist->set_live_version(4);
  mnist->set_pinned_version(4);
  AddVersion(mnist, 10, v1::MODEL_VERSION_STATE_LOADING);
  AddVersion(mnist, 6, v1::MODEL_VERSION_STATE_WAITING, "needs 3 MiB");
  AddVersion(mnist, 5, v1::MODEL_VERSION_STATE_REFUSED, "size 7, wanted 9");
  AddVersion(mnist, 4, v1::MODEL_VERSION_STATE_LIVE);
  AddVersion(mnist, 3, v1::MODEL_VERSION_STATE_LOADED);
  AddVersion(mnist, 1, v1::MODEL_VERSION_STATE_ON_DISK);
  EXPECT_EQ(FormatModels(list),
            "MODEL  VERSION  STATE         SIZE     T  TRAINED  DATASET  "
            "LOADED                DIGEST\n"
            "mnist  10       loading\n"
            "mnist  6        waiting\n"
            "mnist  5        refused\n"
            "mnist  4        live, pinned  32x28x1  4  12345    mnist    "
            "2027-01-15T08:00:00Z  dddddddddddd\n"
            "mnist  3        loaded        32x28x1  4  12345    mnist    "
            "2027-01-15T08:00:00Z  dddddddddddd\n"
            "mnist  1        on disk\n"
            "\n"
            "mnist 6: needs 3 MiB\n"
            "mnist 5: size 7, wanted 9\n");
}

TEST(FormatModelsTest, ShowsWhatIsNotThere) {
  v1::ListModelsResponse list;
  EXPECT_EQ(FormatModels(list), "The server has no model.\n");
  v1::Model* model = list.add_models();
  model->set_name("cats");
  model->set_pinned_version(7);
  EXPECT_EQ(FormatModels(list),
            "MODEL  VERSION  STATE  SIZE  T  TRAINED  DATASET  LOADED  DIGEST\n"
            "cats   none\n"
            "\n"
            "cats: pinned to 7, which is not there\n");
}

TEST(FormatModelsTest, EndsWithWhatLooksLikeAVersion) {
  v1::ListModelsResponse list;
  list.add_strays("\"v7\" in \"cats\" is not taken for a version");
  EXPECT_EQ(FormatModels(list),
            "The server has no model.\n"
            "\"v7\" in \"cats\" is not taken for a version\n");
  list.add_models()->set_name("cats");
  EXPECT_EQ(FormatModels(list),
            "MODEL  VERSION  STATE  SIZE  T  TRAINED  DATASET  LOADED  DIGEST\n"
            "cats   none\n"
            "\n"
            "\"v7\" in \"cats\" is not taken for a version\n");
}

TEST(DescribeChangesTest, TellsAllOfANewModel) {
  v1::Model now = Mnist();
  now.set_pinned_version(3);
  AddVersion(&now, 4, v1::MODEL_VERSION_STATE_REFUSED, "size 7, wanted 9");
  AddVersion(&now, 3, v1::MODEL_VERSION_STATE_LIVE);
  EXPECT_THAT(
      DescribeChanges(v1::Model(), now),
      ElementsAre("mnist 4: refused: size 7, wanted 9",
                  "mnist 3: live, digest dddddddddddd", "mnist: pinned to 3"));
}

TEST(DescribeChangesTest, TellsWhatIsOtherwiseThanBeforeAndNothingElse) {
  v1::Model before = Mnist();
  AddVersion(&before, 4, v1::MODEL_VERSION_STATE_LOADING);
  AddVersion(&before, 3, v1::MODEL_VERSION_STATE_LIVE);
  AddVersion(&before, 2, v1::MODEL_VERSION_STATE_LOADED);
  AddVersion(&before, 1, v1::MODEL_VERSION_STATE_ON_DISK);
  v1::Model now = Mnist();
  AddVersion(&now, 4, v1::MODEL_VERSION_STATE_LIVE);
  AddVersion(&now, 3, v1::MODEL_VERSION_STATE_LOADED);
  AddVersion(&now, 2, v1::MODEL_VERSION_STATE_LOADED, "its files are gone");
  EXPECT_THAT(
      DescribeChanges(before, now),
      ElementsAre("mnist 4: live, digest dddddddddddd",
                  "mnist 3: loaded, digest dddddddddddd",
                  "mnist 2: loaded, digest dddddddddddd: its files are gone",
                  "mnist 1: gone"));
  EXPECT_THAT(DescribeChanges(now, now), IsEmpty());
}

TEST(DescribeChangesTest, TellsThatAVersionsFilesWereReplaced) {
  v1::Model before = Mnist();
  AddVersion(&before, 3, v1::MODEL_VERSION_STATE_LIVE);
  v1::Model now = before;
  now.mutable_versions(0)->set_checkpoint_digest(std::string(64, 'e'));
  EXPECT_THAT(DescribeChanges(before, now),
              ElementsAre("mnist 3: live, digest eeeeeeeeeeee"));
}

TEST(DescribeChangesTest, FollowsThePin) {
  v1::Model free = Mnist();
  v1::Model at3 = Mnist();
  at3.set_pinned_version(3);
  v1::Model at4 = Mnist();
  at4.set_pinned_version(4);
  EXPECT_THAT(DescribeChanges(free, at3), ElementsAre("mnist: pinned to 3"));
  EXPECT_THAT(DescribeChanges(at3, at4), ElementsAre("mnist: pinned to 4"));
  EXPECT_THAT(DescribeChanges(at4, free), ElementsAre("mnist: not pinned"));
  EXPECT_THAT(DescribeChanges(at4, at4), IsEmpty());
}

}  // namespace
}  // namespace ddgan
