// What looks like a version and is not taken for one: from the folder to the
// observer and to those who ask.
#include <filesystem>
#include <memory>

#include "engine/versions/model_registry.h"
#include "engine/versions/version_loader.h"
#include "engine/versions/version_source.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/temporary_folder.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(StrayReportTest, ReportsEachOnceUntilItIsGone) {
  const TemporaryFolder root;
  const fs::path stray = root.path() / "digits" / "v7";
  RecordingObserver observer;
  ManualClock clock;
  ModelRegistry registry({}, &observer);
  VersionLoader loader(
      NewDirectoryVersionSource(
          root.path(),
          [](const Checkpoint&, StopCheck) -> absl::StatusOr<LoadedModel> {
            return absl::InternalError("not asked for");
          }),
      [](ServableVersion&, const ServableVersion*) -> VersionVerdict {
        return {};
      },
      &registry, &observer, &clock);

  for (int round = 1; round <= 2; ++round) {
    fs::create_directories(stray);
    WriteBytes(stray / "manifest.json", "");
    for (int look = 0; look < 2; ++look) {
      ASSERT_TRUE(loader.Reconcile().ok());
      EXPECT_THAT(registry.ListStrays(), ElementsAre(HasSubstr("\"v7\"")));
    }
    EXPECT_EQ(observer.events().stray_versions.size(),
              static_cast<size_t>(round));
    fs::remove_all(stray);
    ASSERT_TRUE(loader.Reconcile().ok());
    EXPECT_THAT(registry.ListStrays(), IsEmpty());
  }
}

}  // namespace
}  // namespace ddgan
