#include "client/playground/playground.h"

#include <httplib.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_image_server.h"

namespace ddgan::playground {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct PageEvent {
  std::string name;
  nlohmann::json data;
};

constexpr char kOrder[] =
    R"({"model": "mnist", "seed": "7", "count": 2, "version": "3"})";

class PlaygroundTest : public ::testing::Test {
 protected:
  void Start(PlaygroundOptions options = {}) {
    if (options.address.empty()) options.address = server_->address();
    options.pause = absl::Milliseconds(1);
    auto page = Playground::Start(options);
    ASSERT_TRUE(page.ok()) << page.status();
    page_ = *std::move(page);
    const std::string url = page_->url();
    // http://127.0.0.1:PORT/TOKEN/
    const std::vector<std::string> parts = absl::StrSplit(url, '/');
    ASSERT_THAT(parts, SizeIs(5));
    origin_ = absl::StrCat("http://", parts[2]);
    path_ = absl::StrCat("/", parts[3]);
  }

  std::unique_ptr<httplib::Client> Client() const {
    auto client = std::make_unique<httplib::Client>(origin_);
    client->set_read_timeout(60);
    return client;
  }

  // Reads events until `take` returns false or the stream ends.
  void Read(const httplib::Request& request,
            const std::function<bool(const PageEvent&)>& take) const {
    std::string rest;
    httplib::Request asked = request;
    asked.content_receiver = [&](const char* bytes, size_t size, uint64_t,
                                 uint64_t) {
      rest.append(bytes, size);
      for (size_t end = rest.find("\n\n"); end != std::string::npos;
           end = rest.find("\n\n")) {
        const std::vector<std::string> lines =
            absl::StrSplit(rest.substr(0, end), '\n');
        rest.erase(0, end + 2);
        EXPECT_EQ(lines.size(), 2u);
        if (!take({lines[0].substr(7),
                   nlohmann::json::parse(lines[1].substr(6))}))
          return false;
      }
      return true;
    };
    Client()->send(asked);
  }

  httplib::Request OrderRequest(const std::string& body) const {
    httplib::Request request;
    request.method = "POST";
    request.path = path_ + "/images";
    request.body = body;
    request.headers = {{"Origin", origin_},
                       {"Content-Type", "application/json"},
                       {"Content-Length", absl::StrCat(body.size())}};
    return request;
  }

  std::vector<PageEvent> Order(const std::string& body) const {
    std::vector<PageEvent> events;
    Read(OrderRequest(body), [&](const PageEvent& event) {
      events.push_back(event);
      return true;
    });
    return events;
  }

  // Watches the server until `wanted` is true of what is said of it.
  nlohmann::json AwaitServer(
      const std::function<bool(const nlohmann::json&)>& wanted) const {
    httplib::Request request;
    request.method = "GET";
    request.path = path_ + "/server";
    nlohmann::json seen;
    Read(request, [&](const PageEvent& event) {
      EXPECT_EQ(event.name, "server");
      seen = event.data;
      return !wanted(seen);
    });
    EXPECT_TRUE(wanted(seen)) << seen;
    return seen;
  }

  static std::function<bool(const nlohmann::json&)> Contact(
      const std::string& contact) {
    return
        [contact](const nlohmann::json& s) { return s["contact"] == contact; };
  }

  std::unique_ptr<FakeImageServer> server_ =
      std::make_unique<FakeImageServer>();
  std::unique_ptr<Playground> page_;
  std::string origin_;
  std::string path_;
};

TEST_F(PlaygroundTest, ServesOnePageThatNeedsNothingElse) {
  Start();
  const auto reply = Client()->Get(path_ + "/");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->get_header_value("Content-Type"),
            "text/html; charset=utf-8");
  EXPECT_THAT(reply->body, HasSubstr("<title>ddgan playground</title>"));
  EXPECT_THAT(reply->body, HasSubstr("new Page();"));
  const std::string policy = reply->get_header_value("Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_FALSE(absl::StrContains(policy, "unsafe"));
  EXPECT_EQ(Client()->Get(path_ + "/other")->status, 404);
  EXPECT_EQ(Client()->Get("/")->status, 403);
}

TEST_F(PlaygroundTest, StreamsAnOrderFromTheServer) {
  Start();
  const std::vector<PageEvent> events = Order(kOrder);
  std::vector<std::string> names;
  for (const PageEvent& event : events) names.push_back(event.name);
  EXPECT_THAT(
      names, ElementsAre("accepted", "preview", "preview", "preview", "preview",
                         "preview", "preview", "image", "image", "done"));
  EXPECT_EQ(events[0].data["seed"], "7");
  EXPECT_EQ(events[1].data["done"], 1);
  EXPECT_THAT(events[8].data["command"].get<std::string>(),
              HasSubstr("--model=mnist --version=3 --seed=7 --count=1"));
  ASSERT_THAT(server_->requests(), SizeIs(1));
  EXPECT_EQ(server_->requests()[0].version(), 3);
}

TEST_F(PlaygroundTest, SaysWhyAnOrderFails) {
  Start();
  FakeImageServer::Failure failure;
  failure.status = grpc::Status(grpc::StatusCode::NOT_FOUND, "no such model");
  server_->FailNext(failure);
  const std::vector<PageEvent> events = Order(kOrder);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].name, "failed");
  EXPECT_EQ(events[0].data["code"], "NOT_FOUND");
  EXPECT_EQ(events[0].data["message"], "no such model");
}

TEST_F(PlaygroundTest, SaysThatAFullServerIsAskedAgain) {
  Start();
  FakeImageServer::Failure failure;
  failure.status = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full");
  failure.pushback = "1";
  server_->FailNext(failure);
  const std::vector<PageEvent> events = Order(kOrder);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].name, "waiting");
  EXPECT_EQ(events.back().name, "done");
}

TEST_F(PlaygroundTest, RefusesAnOrderThatMakesNoSense) {
  Start();
  const auto reply = Client()->Post(path_ + "/images", {{"Origin", origin_}},
                                    R"({"count": 0})", "application/json");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 400);
  EXPECT_THAT(reply->body, HasSubstr("count: wanted"));
  EXPECT_THAT(server_->requests(), SizeIs(0));
}

TEST_F(PlaygroundTest, ATabThatLeavesGivesItsPlaceToTheNext) {
  Start({.max_calls = 1});
  server_->HoldReplies();
  httplib::Client leaving(origin_);
  std::thread tab([&] {
    httplib::Request order = OrderRequest(kOrder);
    leaving.send(order);
  });
  server_->AwaitRequests(1);
  const auto refused = Client()->Post(path_ + "/images", {{"Origin", origin_}},
                                      kOrder, "application/json");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);

  leaving.stop();
  tab.join();
  server_->ReleaseReplies();
  // The call ends by itself; nobody says when.
  std::vector<PageEvent> events;
  while (events.empty()) events = Order(kOrder);
  EXPECT_EQ(events.back().name, "done");
}

TEST_F(PlaygroundTest, TellsWhatTheServerHas) {
  Start();
  const nlohmann::json server = AwaitServer(Contact("found"));
  EXPECT_EQ(server["address"], server_->address());
  ASSERT_EQ(server["models"].size(), 1u);
  EXPECT_EQ(server["models"][0]["name"], "mnist");
  EXPECT_EQ(server["models"][0]["live"], "3");
}

TEST_F(PlaygroundTest, SaysThatTheServerIsLost) {
  Start();
  AwaitServer(Contact("found"));
  server_.reset();
  const nlohmann::json server = AwaitServer(Contact("lost"));
  // The words depend on what it was in the middle of.
  EXPECT_NE(server["failure"], "");
  // What was known is still told.
  EXPECT_EQ(server["models"].size(), 1u);
}

TEST_F(PlaygroundTest, SaysThatTheServerRefuses) {
  server_->RefuseControl(
      grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "no"));
  Start();
  const nlohmann::json server = AwaitServer(Contact("refused"));
  EXPECT_THAT(server["failure"].get<std::string>(),
              HasSubstr("PERMISSION_DENIED: no"));
}

TEST_F(PlaygroundTest, RefusesMoreTabsThanItCanServe) {
  Start({.max_watchers = 0});
  EXPECT_EQ(Client()->Get(path_ + "/server")->status, 503);
}

TEST_F(PlaygroundTest, SaysWhyItCannotStart) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      Playground::Start({.address = "nonsense"}).status()));
  Start();
  const int port = std::stoi(origin_.substr(origin_.rfind(':') + 1));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Playground::Start({.address = server_->address(), .port = port})
          .status()));
}

}  // namespace
}  // namespace ddgan::playground
