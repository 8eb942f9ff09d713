// The whole server with TLS and tokens, on ports of the system's choice and
// with an engine that draws without a model, seen from outside.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <httplib.h>

#include <filesystem>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/image_client.h"
#include "client/secure_channel.h"
#include "ddgan/v1/image_generation.grpc.pb.h"
#include "ddgan/v1/model.grpc.pb.h"
#include "engine/base/sha256.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "inference/v2.grpc.pb.h"
#include "server/access/access_rules.h"
#include "server/server.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "tests/fakes/fake_engine.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/fakes/test_certificates.h"
#include "tests/server/kserve/infer_requests.h"

namespace ddgan {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::ServiceDescriptor;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr char kReflectionPath[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

// Tokens are named for what they are good for.
constexpr char kTokens[][24] = {"token-generate", "token-read", "token-admin",
                                "token-expired", "token-quota"};

std::string TokenFile() {
  const auto token = [](const char* text, const char* scopes,
                        const char* more = "") {
    return absl::StrCat(R"({"sha256": ")", Sha256Hex(text), R"(", "scopes": [)",
                        scopes, "]", more, "}");
  };
  return absl::StrCat(
      R"({"tenants": [{"name": "studio", "weight": 7, "tokens": [)",
      token("token-generate", R"("generate")"), ",",
      token("token-read", R"("read")"), ",", token("token-admin", R"("admin")"),
      ",",
      token("token-expired", R"("generate", "read", "admin")",
            R"(, "expires": "2020-01-01T00:00:00Z")"),
      R"(]}, {"name": "small", "images_per_minute": 4, "images_in_flight": 4,
              "tokens": [)",
      token("token-quota", R"("generate")"), "]}]}");
}

// Everything that a call brought back.
struct Outcome {
  grpc::Status status;
  std::vector<std::string> messages;
};

enum class Transport { kLoopback, kTls, kMutualTls };

class SecuredServerTest : public ::testing::TestWithParam<Transport> {
 protected:
  SecuredServerTest() {
    logger_before_ = spdlog::default_logger();
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
  }
  ~SecuredServerTest() override {
    server_.reset();
    spdlog::set_default_logger(logger_before_);
    for (const char* token : kTokens) {
      EXPECT_THAT(log_.str(), Not(HasSubstr(token)));
    }
    EXPECT_THAT(log_.str(), Not(HasSubstr("token-nobody")));
  }

  void SetUp() override {
    options_.listen = {"127.0.0.1", 0};
    options_.http = {"127.0.0.1", 0};
    options_.engine.max_queued_images = 64;
    options_.security.token_file = Write("tokens.json", TokenFile());
    client_.token_file = Write("token", "token-generate\n");
    if (GetParam() != Transport::kLoopback) {
      WriteServerCertificate(authority_.Sign());
      options_.security.tls_cert = Path("cert.pem");
      options_.security.tls_key = Path("key.pem");
      client_.tls = true;
      client_.ca_file = Write("ca.pem", authority_.certificate());
      client_.server_name = "localhost";
    }
    if (GetParam() == Transport::kMutualTls) {
      options_.security.tls_client_ca =
          Write("client_ca.pem", client_authority_.certificate());
      const TestCertificate client = client_authority_.Sign();
      client_.cert_file = Write("client_cert.pem", client.certificate());
      client_.key_file = Write("client_key.pem", client.key());
    }
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
        options_, [this](const EngineOptions&, EngineObserver*, Clock*) {
          auto engine = std::make_unique<FakeEngine>();
          engine_ = engine.get();
          return engine;
        });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::string Path(const char* name) const {
    return (folder_.path() / name).string();
  }
  std::string Write(const char* name, const std::string& text) {
    WriteBytes(folder_.path() / "next", text);
    std::filesystem::rename(folder_.path() / "next", folder_.path() / name);
    return Path(name);
  }
  void WriteServerCertificate(const TestCertificate& certificate) {
    Write("cert.pem", certificate.certificate());
    Write("key.pem", certificate.key());
  }

  // On a connection of its own. `token` empty: none is sent.
  std::shared_ptr<grpc::Channel> Open(const std::string& token,
                                      ConnectionSecurity security) {
    security.token_file = token.empty() ? "" : Write("token", token);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = OpenChannel(
        absl::StrCat("127.0.0.1:", server_->grpc_port()), security, arguments);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *std::move(channel);
  }
  std::shared_ptr<grpc::Channel> Open(const std::string& token) {
    return Open(token, client_);
  }

  // One call of any kind, with one message, until it ends or `patience` is
  // over; at most one message is read.
  static Outcome Call(const std::shared_ptr<grpc::Channel>& channel,
                      const std::string& path, const std::string& request,
                      absl::Duration patience = absl::Seconds(20)) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + patience));
    context.set_wait_for_ready(false);
    grpc::CompletionQueue queue;
    const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call =
        stub.PrepareCall(&context, path, &queue);
    const auto wait = [&queue] {
      void* tag;
      bool ok = false;
      EXPECT_TRUE(queue.Next(&tag, &ok));
      return ok;
    };
    Outcome outcome;
    grpc::Slice slice(request);
    const grpc::ByteBuffer sent(&slice, 1);
    call->StartCall(nullptr);
    if (wait()) {
      call->WriteLast(sent, grpc::WriteOptions(), nullptr);
      wait();
      grpc::ByteBuffer received;
      call->Read(&received, nullptr);
      grpc::Slice message;
      if (wait() && received.DumpToSingleSlice(&message).ok()) {
        outcome.messages.emplace_back(message.begin(), message.end());
      }
    }
    call->Finish(&outcome.status, nullptr);
    wait();
    return outcome;
  }

  grpc::Status Generate(const std::string& token, uint32_t count = 1) {
    return Generate(Open(token), count);
  }
  grpc::Status Generate(const std::shared_ptr<grpc::Channel>& channel,
                        uint32_t count = 1) {
    context_ = std::make_unique<grpc::ClientContext>();
    v1::GenerateRequest request;
    request.set_count(count);
    v1::GenerateResponse response;
    return v1::ImageGeneration::NewStub(channel)->Generate(context_.get(),
                                                           request, &response);
  }

  std::string ListServicesRequest() const {
    const Descriptor* type =
        DescriptorPool::generated_pool()->FindMessageTypeByName(
            "grpc.reflection.v1alpha.ServerReflectionRequest");
    const std::unique_ptr<Message> request(
        MessageFactory::generated_factory()->GetPrototype(type)->New());
    request->GetReflection()->SetString(
        request.get(), type->FindFieldByName("list_services"), "*");
    return request->SerializeAsString();
  }

  // Full names of all services that the server has, by its own account.
  std::vector<std::string> Services() {
    const Outcome outcome =
        Call(Open("token-read"), kReflectionPath, ListServicesRequest());
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
    EXPECT_EQ(outcome.messages.size(), 1u);
    const Descriptor* type =
        DescriptorPool::generated_pool()->FindMessageTypeByName(
            "grpc.reflection.v1alpha.ServerReflectionResponse");
    const std::unique_ptr<Message> response(
        MessageFactory::generated_factory()->GetPrototype(type)->New());
    EXPECT_TRUE(response->ParseFromString(outcome.messages.at(0)));
    const Message& list = response->GetReflection()->GetMessage(
        *response, type->FindFieldByName("list_services_response"));
    const auto* services = list.GetDescriptor()->FindFieldByName("service");
    std::vector<std::string> names;
    for (int i = 0; i < list.GetReflection()->FieldSize(list, services); ++i) {
      const Message& service =
          list.GetReflection()->GetRepeatedMessage(list, services, i);
      names.push_back(service.GetReflection()->GetString(
          service, service.GetDescriptor()->FindFieldByName("name")));
    }
    return names;
  }

  std::string MetricsWith(const std::string& wanted) {
    std::string text;
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    do {
      text = httplib::Client("127.0.0.1", server_->http_port())
                 .Get("/metrics")
                 ->body;
    } while (!absl::StrContains(text, wanted) && absl::Now() < give_up);
    return text;
  }

  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> logger_before_;
  const TemporaryFolder folder_;
  const TestCertificate authority_ = TestCertificate::Authority("authority");
  const TestCertificate client_authority_ =
      TestCertificate::Authority("client authority");
  ServerOptions options_;
  ConnectionSecurity client_;
  FakeEngine* engine_ = nullptr;  // The server's.
  std::unique_ptr<Server> server_;
  std::unique_ptr<grpc::ClientContext> context_;
};

INSTANTIATE_TEST_SUITE_P(Loopback, SecuredServerTest,
                         ::testing::Values(Transport::kLoopback));
INSTANTIATE_TEST_SUITE_P(Tls, SecuredServerTest,
                         ::testing::Values(Transport::kTls));
INSTANTIATE_TEST_SUITE_P(MutualTls, SecuredServerTest,
                         ::testing::Values(Transport::kMutualTls));

// Generated from the descriptors of whatever services the running server has: a
// new RPC without a rule fails here.
TEST_P(SecuredServerTest, EveryRpcTimesEveryTokenEndsAsItsRuleSays) {
  const std::vector<std::string> services = Services();
  EXPECT_THAT(services, UnorderedElementsAre(
                            "ddgan.v1.ImageGeneration", "ddgan.v1.ModelService",
                            "inference.GRPCInferenceService",
                            "grpc.reflection.v1.ServerReflection",
                            "grpc.reflection.v1alpha.ServerReflection",
                            "grpc.health.v1.Health"));
  // What an admitted call with an empty message comes to. A watch has no end.
  using grpc::StatusCode;
  const std::map<std::string, StatusCode> admitted = {
      {"Generate", StatusCode::INVALID_ARGUMENT},
      {"GenerateStream", StatusCode::INVALID_ARGUMENT},
      {"ListModels", StatusCode::OK},
      {"GetModel", StatusCode::INVALID_ARGUMENT},
      {"PinVersion", StatusCode::INVALID_ARGUMENT},
      {"UnpinVersion", StatusCode::INVALID_ARGUMENT},
      {"RollBack", StatusCode::INVALID_ARGUMENT},
      {"WatchModels", StatusCode::DEADLINE_EXCEEDED},
      {"ServerLive", StatusCode::OK},
      {"ServerReady", StatusCode::OK},
      {"ModelReady", StatusCode::INVALID_ARGUMENT},
      {"ServerMetadata", StatusCode::OK},
      {"ModelMetadata", StatusCode::INVALID_ARGUMENT},
      {"ModelConfig", StatusCode::INVALID_ARGUMENT},
      {"ModelInfer", StatusCode::INVALID_ARGUMENT},
      {"ModelStatistics", StatusCode::OK},
      {"RepositoryIndex", StatusCode::OK},
      {"Check", StatusCode::OK},
      {"Watch", StatusCode::DEADLINE_EXCEEDED},
      {"ServerReflectionInfo", StatusCode::OK},
  };
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels;
  for (const char* token : {"", "token-nobody", "token-generate", "token-read",
                            "token-admin", "token-expired"}) {
    channels[token] = Open(token);
  }
  size_t rpcs = 0;
  for (const std::string& name : services) {
    const ServiceDescriptor* const service =
        DescriptorPool::generated_pool()->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string method = service->method(i)->name();
      const std::string path = absl::StrCat("/", name, "/", method);
      const AccessRule* const rule = RuleFor(path);
      ASSERT_NE(rule, nullptr) << path << " has no rule";
      ASSERT_TRUE(admitted.count(method)) << path;
      ++rpcs;
      for (const auto& [token, channel] : channels) {
        StatusCode expected = admitted.at(method);
        if (rule->scope.has_value()) {
          if (absl::StrContains(token, NameOf(*rule->scope))) {
            expected = admitted.at(method);
          } else if (token == "token-generate" || token == "token-read" ||
                     token == "token-admin") {
            expected = StatusCode::PERMISSION_DENIED;
          } else {
            expected = StatusCode::UNAUTHENTICATED;
          }
        }
        const bool endless = expected == StatusCode::DEADLINE_EXCEEDED;
        const Outcome outcome =
            Call(channel, path, "",
                 endless ? absl::Milliseconds(200) : absl::Seconds(20));
        EXPECT_EQ(outcome.status.error_code(), expected)
            << path << " with '" << token
            << "': " << outcome.status.error_message();
        EXPECT_THAT(outcome.status.error_message(), Not(HasSubstr("token-")));
        if (!rule->scope.has_value() || expected == admitted.at(method)) {
          continue;
        }
        EXPECT_TRUE(outcome.messages.empty()) << path << " " << token;
      }
    }
  }
  EXPECT_EQ(rpcs, AccessRules().size());
}

TEST_P(SecuredServerTest, NobodyMayCallWhatIsNotThere) {
  for (const char* path :
       {"/ddgan.v1.ModelService/DropEverything",
        "/inference.GRPCInferenceService/ModelStreamInfer",
        "/inference.GRPCInferenceService/RepositoryModelLoad"}) {
    EXPECT_EQ(Call(Open(""), path, "").status.error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(Call(Open("token-admin"), path, "").status.error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
  }
}

TEST_P(SecuredServerTest, CountsWhomItTurnsAwayByReason) {
  Generate("");
  Generate("token-nobody");
  Generate("token-nobody");
  Generate("token-expired");
  Generate("token-read");
  Call(Open("token-admin"), "/a.B/C", "");
  EXPECT_THAT(
      MetricsWith("ddgan_access_denied_total{reason=\"no_rule\"} 1"),
      AllOf(HasSubstr("ddgan_access_denied_total{reason=\"no_token\"} 1"),
            HasSubstr("ddgan_access_denied_total{reason=\"bad_token\"} 2"),
            HasSubstr("ddgan_access_denied_total{reason=\"expired\"} 1"),
            HasSubstr("ddgan_access_denied_total{reason=\"scope\"} 1"),
            HasSubstr("ddgan_access_denied_total{reason=\"no_rule\"} 1")));
}

TEST_P(SecuredServerTest, TheTenantIsTheCallerWithItsWeightWhateverItSays) {
  engine_->HoldRequests();
  v1::GenerateRequest request;
  request.set_count(1);
  v1::GenerateResponse response;
  grpc::ClientContext context;
  context.AddMetadata("ddgan-client-id", "somebody else");
  const auto stub = v1::ImageGeneration::NewStub(Open("token-generate"));
  std::thread caller(
      [&] { EXPECT_TRUE(stub->Generate(&context, request, &response).ok()); });
  const RequestId id = engine_->WaitForHeld(1).at(0);
  EXPECT_EQ(engine_->HeldRequest(id).caller, "studio");
  EXPECT_EQ(engine_->HeldRequest(id).caller_weight, 7);
  engine_->DeliverHeld(id, 0);
  engine_->FinishHeld(id, absl::OkStatus());
  caller.join();
}

TEST_P(SecuredServerTest, TokensOnOneConnectionDoNotRubOff) {
  const std::shared_ptr<grpc::Channel> channel = Open("");
  const auto stub = v1::ImageGeneration::NewStub(channel);
  v1::GenerateRequest request;
  request.set_count(1);
  v1::GenerateResponse response;
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext good;
    good.AddMetadata("authorization", "Bearer token-generate");
    EXPECT_TRUE(stub->Generate(&good, request, &response).ok());
    grpc::ClientContext none;
    EXPECT_EQ(stub->Generate(&none, request, &response).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
  }
}

TEST_P(SecuredServerTest, AQuotaThatIsUsedUpSaysWhenToComeBack) {
  const auto channel = Open("token-quota");
  EXPECT_TRUE(Generate(channel, 3).ok());
  const grpc::Status refused = Generate(channel, 4);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(),
              HasSubstr("small has used up its quota of 4 images per minute"));
  const auto& trailers = context_->GetServerTrailingMetadata();
  const auto pushback = trailers.find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, trailers.end());
  const int milliseconds =
      std::stoi(std::string(pushback->second.data(), pushback->second.size()));
  EXPECT_GT(milliseconds, 20'000);
  EXPECT_LE(milliseconds, 45'000);
  EXPECT_EQ(Generate(channel, 5).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(
      MetricsWith("ddgan_rejected_total{reason=\"quota_count\"} 1"),
      AllOf(HasSubstr("ddgan_rejected_total{reason=\"quota_rate\"} 1"),
            HasSubstr("ddgan_rejected_total{reason=\"quota_count\"} 1")));
  // Others have theirs.
  EXPECT_TRUE(Generate("token-generate", 4).ok());
}

TEST_P(SecuredServerTest, EachSeedOfAnInferenceIsTakenFromTheQuota) {
  const auto channel = Open("token-quota");
  const auto stub = inference::GRPCInferenceService::NewStub(channel);
  const auto infer = [&stub](const std::vector<uint64_t>& seeds) {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    return stub->ModelInfer(&context, InferRequestFor(seeds), &response);
  };
  EXPECT_TRUE(infer({7, 7, 8}).ok());
  const grpc::Status refused = infer({9, 10});
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("4 images per minute"));
  // It is the quota of Generate, too.
  EXPECT_EQ(Generate(channel, 2).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(infer({9}).ok());
}

// With images that are kept.
class SecuredCacheTest : public SecuredServerTest {
 protected:
  void SetUp() override {
    options_.image_cache_bytes = 1 << 20;
    SecuredServerTest::SetUp();
  }

  grpc::StatusCode AskForTheSameImage(
      const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    v1::GenerateRequest request;
    request.set_count(1);
    request.set_seed(7);
    v1::GenerateResponse response;
    return v1::ImageGeneration::NewStub(channel)
        ->Generate(&context, request, &response)
        .error_code();
  }
};

INSTANTIATE_TEST_SUITE_P(Loopback, SecuredCacheTest,
                         ::testing::Values(Transport::kLoopback));

TEST_P(SecuredCacheTest, AnImageThatIsKeptIsForWhoMayMakeIt) {
  EXPECT_EQ(AskForTheSameImage(Open("token-generate")), grpc::StatusCode::OK);
  EXPECT_EQ(AskForTheSameImage(Open("token-read")),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(AskForTheSameImage(Open("token-expired")),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(AskForTheSameImage(Open("")), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(AskForTheSameImage(Open("token-generate")), grpc::StatusCode::OK);
  EXPECT_THAT(MetricsWith("ddgan_image_cache_images_total{result=\"hit\"} 1\n"),
              HasSubstr("ddgan_image_cache_images_total{result=\"miss\"} 1\n"));
}

TEST_P(SecuredCacheTest, AnImageThatIsKeptIsTakenFromTheQuota) {
  EXPECT_EQ(AskForTheSameImage(Open("token-generate")), grpc::StatusCode::OK);
  const auto channel = Open("token-quota");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(AskForTheSameImage(channel), grpc::StatusCode::OK);
  }
  EXPECT_EQ(AskForTheSameImage(channel), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const std::string hits = "ddgan_image_cache_images_total{result=\"hit\"} 4\n";
  EXPECT_THAT(MetricsWith(hits), HasSubstr(hits));
}

TEST_P(SecuredServerTest, WhatTheEngineRefusesCostsNoQuota) {
  const auto channel = Open("token-quota");
  engine_->RefuseRequests(absl::ResourceExhaustedError("full"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Generate(channel, 4).error_message(), HasSubstr("full"));
  }
  engine_->RefuseRequests(absl::OkStatus());
  EXPECT_TRUE(Generate(channel, 4).ok());
}

TEST_P(SecuredServerTest, ImagesInFlightAreGivenBackWhenTheCallerLeaves) {
  engine_->HoldRequests();
  const auto stub = v1::ImageGeneration::NewStub(Open("token-quota"));
  v1::GenerateRequest request;
  request.set_count(2);
  v1::GenerateResponse response;
  grpc::ClientContext first;
  std::thread caller([&] { stub->Generate(&first, request, &response); });
  engine_->WaitForHeld(1);
  request.set_count(3);
  v1::GenerateResponse other_response;
  grpc::ClientContext second;
  EXPECT_THAT(
      stub->Generate(&second, request, &other_response).error_message(),
      HasSubstr("2 images in flight, and 3 more would exceed its quota of 4"));
  first.TryCancel();
  caller.join();
  MetricsWith("code=\"CANCELLED\",method=\"Generate\",model=\"digits\"} 1");
  // Two of the minute's four are left.
  request.set_count(2);
  grpc::ClientContext third;
  third.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(1)));
  EXPECT_EQ(stub->Generate(&third, request, &other_response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_P(SecuredServerTest, TakesANewTokenFileWhileItServes) {
  const auto channel = Open("token-generate");
  EXPECT_TRUE(Generate(channel).ok());
  Write("tokens.json", R"({"tenants": []})");
  MetricsWith("ddgan_token_reloads_total{result=\"taken\"} 1");
  EXPECT_EQ(Generate(channel).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  Write("tokens.json", TokenFile());
  MetricsWith("ddgan_token_reloads_total{result=\"taken\"} 2");
  EXPECT_TRUE(Generate(channel).ok());
}

// The listener admits a call by its metadata; its service hears of it once the
// request has arrived.
TEST_P(SecuredServerTest, ATokenWithdrawnWhileTheRequestIsOnItsWayNamesNobody) {
  grpc::GenericStub stub(Open("token-generate"));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return ok;
  };
  const auto call =
      stub.PrepareCall(&context, "/ddgan.v1.ImageGeneration/Generate", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(wait());
  Write("tokens.json", R"({"tenants": []})");
  MetricsWith("ddgan_token_reloads_total{result=\"taken\"} 1");
  v1::GenerateRequest request;
  request.set_count(1);
  grpc::Slice slice(request.SerializeAsString());
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  wait();
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("not known here any more"));
}

TEST_P(SecuredServerTest, HealthAndLivenessNeedNoToken) {
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckResponse response;
  ASSERT_TRUE(grpc::health::v1::Health::NewStub(Open(""))
                  ->Check(&context, {}, &response)
                  .ok());
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  httplib::Client http("127.0.0.1", server_->http_port());
  EXPECT_EQ(http.Get("/livez")->status, 200) << http.Get("/livez")->body;
  EXPECT_EQ(http.Get("/readyz")->status, 200);
}

TEST_P(SecuredServerTest, ServesThePublicClient) {
  const ImageClient client(Open("token-generate"), {});
  v1::GenerateRequest request;
  request.set_count(2);
  request.set_seed(7);
  const auto reply = client.Generate(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->images_size(), 2);
  EXPECT_TRUE(absl::IsPermissionDenied(client.ListModels().status()));
}

// TLS alone ------------------------------------------------------------------

class TlsServerTest : public SecuredServerTest {
 protected:
  grpc::Status GenerateWith(const ConnectionSecurity& security) {
    return Generate(Open("token-generate", security));
  }
};

INSTANTIATE_TEST_SUITE_P(Tls, TlsServerTest,
                         ::testing::Values(Transport::kTls));
INSTANTIATE_TEST_SUITE_P(MutualTls, TlsServerTest,
                         ::testing::Values(Transport::kMutualTls));

class MutualTlsServerTest : public TlsServerTest {};

INSTANTIATE_TEST_SUITE_P(MutualTls, MutualTlsServerTest,
                         ::testing::Values(Transport::kMutualTls));

TEST_P(MutualTlsServerTest, OnlyGoodCertificatesGetThrough) {
  EXPECT_TRUE(GenerateWith(client_).ok());

  ConnectionSecurity plaintext;
  EXPECT_EQ(GenerateWith(plaintext).error_code(),
            grpc::StatusCode::UNAVAILABLE);

  ConnectionSecurity no_certificate = client_;
  no_certificate.cert_file.clear();
  no_certificate.key_file.clear();
  EXPECT_EQ(GenerateWith(no_certificate).error_code(),
            grpc::StatusCode::UNAVAILABLE);

  ConnectionSecurity stranger = client_;
  const TestCertificate signed_elsewhere = authority_.Sign();
  stranger.cert_file = Write("s_cert.pem", signed_elsewhere.certificate());
  stranger.key_file = Write("s_key.pem", signed_elsewhere.key());
  EXPECT_EQ(GenerateWith(stranger).error_code(), grpc::StatusCode::UNAVAILABLE);

  ConnectionSecurity expired = client_;
  TestCertificate::Options past;
  past.begins = absl::Now() - absl::Hours(48);
  past.ends = absl::Now() - absl::Hours(24);
  const TestCertificate old = client_authority_.Sign(past);
  expired.cert_file = Write("e_cert.pem", old.certificate());
  expired.key_file = Write("e_key.pem", old.key());
  EXPECT_EQ(GenerateWith(expired).error_code(), grpc::StatusCode::UNAVAILABLE);

  ConnectionSecurity wrong_authority = client_;
  wrong_authority.ca_file = Write("w_ca.pem", client_authority_.certificate());
  EXPECT_EQ(GenerateWith(wrong_authority).error_code(),
            grpc::StatusCode::UNAVAILABLE);

  ConnectionSecurity wrong_name = client_;
  wrong_name.server_name = "elsewhere";
  EXPECT_EQ(GenerateWith(wrong_name).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_P(TlsServerTest, NewConnectionsGetTheNewPairAndOldOnesGoOn) {
  const auto before = Open("token-generate");
  EXPECT_TRUE(Generate(before).ok());
  const TestCertificate new_authority = TestCertificate::Authority("new");
  WriteServerCertificate(new_authority.Sign());
  MetricsWith("ddgan_tls_reloads_total{result=\"taken\"} 1");
  EXPECT_TRUE(Generate(before).ok());
  EXPECT_FALSE(GenerateWith(client_).ok());
  client_.ca_file = Write("ca.pem", new_authority.certificate());
  EXPECT_TRUE(GenerateWith(client_).ok());
}

TEST_P(TlsServerTest, ABadPairLeavesTheOldOneInForce) {
  Write("key.pem", authority_.Sign().key());
  MetricsWith("ddgan_tls_reloads_total{result=\"refused\"} 1");
  EXPECT_TRUE(GenerateWith(client_).ok());
  EXPECT_THAT(log_.str(), HasSubstr("key: is not the certificate's"));
  EXPECT_THAT(log_.str(), Not(HasSubstr("PRIVATE KEY")));
}

TEST_P(MutualTlsServerTest, NewClientAuthoritiesHoldForNewConnections) {
  const TestCertificate other = TestCertificate::Authority("other");
  Write("client_ca.pem", other.certificate());
  MetricsWith("ddgan_tls_reloads_total{result=\"taken\"} 1");
  EXPECT_FALSE(GenerateWith(client_).ok());
  const TestCertificate client = other.Sign();
  Write("client_cert.pem", client.certificate());
  Write("client_key.pem", client.key());
  EXPECT_TRUE(GenerateWith(client_).ok());
}

}  // namespace
}  // namespace ddgan
