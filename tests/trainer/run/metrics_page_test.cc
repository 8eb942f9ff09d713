#include "trainer/run/metrics_page.h"

#include <httplib.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/promtool.h"
#include "trainer/run/training_metrics.h"

namespace ddgan {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string SomeText() { return "text\n"; }

TEST(MetricsPageTest, PrometheusFetchesARunsMetrics) {
  TrainingMetrics metrics("1", 100);
  const auto page =
      MetricsPage::Start("127.0.0.1:0", [&metrics] { return metrics.Text(); });
  ASSERT_TRUE(page.ok()) << page.status();
  httplib::Client client("127.0.0.1", (*page)->port());
  for (int step = 1; step <= 3; ++step) {
    metrics.OnStep(TrainingMetrics::Step());
    const httplib::Result reply = client.Get("/metrics");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->get_header_value("Content-Type"),
              "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_THAT(reply->body, HasSubstr(absl::StrCat(
                                 "\nddgan_training_steps_total ", step, "\n")));
    EXPECT_THAT(PromtoolComplaints(reply->body), IsEmpty());
  }
}

TEST(MetricsPageTest, HasNothingElse) {
  const auto page = MetricsPage::Start("127.0.0.1:0", SomeText);
  ASSERT_TRUE(page.ok()) << page.status();
  httplib::Client client("127.0.0.1", (*page)->port());
  for (const char* path : {"/", "/metrics/", "/metrics/..", "/livez"}) {
    const httplib::Result reply = client.Get(path);
    ASSERT_TRUE(reply) << path;
    EXPECT_EQ(reply->status, 404) << path;
  }
  const httplib::Result posted =
      client.Post("/metrics", std::string(1 << 20, 'x'), "text/plain");
  ASSERT_TRUE(posted);
  EXPECT_EQ(posted->status, 413);
  EXPECT_EQ(client.Get("/metrics")->body, "text\n");
}

TEST(MetricsPageTest, LetsGoOfThePort) {
  std::string address;
  {
    const auto page = MetricsPage::Start("127.0.0.1:0", SomeText);
    ASSERT_TRUE(page.ok()) << page.status();
    address = absl::StrCat("127.0.0.1:", (*page)->port());
    const absl::Status second = MetricsPage::Start(address, SomeText).status();
    EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(second.message()), HasSubstr(address));
    EXPECT_THAT(std::string(second.message()),
                HasSubstr("in use by another process"));
  }
  const absl::Status next = MetricsPage::Start(address, SomeText).status();
  EXPECT_TRUE(next.ok()) << next;
}

TEST(MetricsPageTest, NamesAnAddressThatIsNone) {
  for (const char* address :
       {"", "9090", ":9090", "localhost", "localhost:", "localhost:x",
        "localhost:65536", "localhost:-1", "::1:9090", "[]:9090"}) {
    EXPECT_EQ(MetricsPage::Start(address, SomeText).status(),
              absl::InvalidArgumentError(absl::StrCat(
                  "--metrics_listen: '", address,
                  "' must be host:port with a port in [0, 65535], an IPv6 host "
                  "in brackets: [::1]:50051")));
  }
}

TEST(MetricsPageTest, SaysWhyThePortCannotBeHad) {
  EXPECT_EQ(MetricsPage::Start("192.0.2.1:9090", SomeText).status(),
            absl::FailedPreconditionError(
                "--metrics_listen=192.0.2.1:9090: '192.0.2.1' is not an "
                "address of this machine"));
}

}  // namespace
}  // namespace ddgan
