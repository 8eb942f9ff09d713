#include "server/server_options.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::StatusOr<ServerCommandLine> Parse(std::vector<std::string> arguments) {
  return ParseServerCommandLine(arguments, Environment());
}

TEST(ServerOptionsTest, ServesLoopbackByDefault) {
  const auto command = Parse({"--model_root=models"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->text, "");
  EXPECT_EQ(command->options.engine.model_root, "models");
  EXPECT_EQ(ToString(command->options.listen), "127.0.0.1:50051");
  EXPECT_EQ(ToString(command->options.http), "127.0.0.1:50052");
  EXPECT_EQ(command->options.admin_listen, std::nullopt);
  EXPECT_EQ(command->options.traces.endpoint, std::nullopt);
}

TEST(ServerOptionsTest, TakesUpNewVersionsEvery5SecondsByDefaultAndKeepsTwo) {
  const EngineOptions options = Parse({"--model_root=m"})->options.engine;
  EXPECT_EQ(options.poll_interval, absl::Seconds(5));
  EXPECT_EQ(options.keep_versions, 2);
  EXPECT_EQ(options.max_model_bytes, 0);
  EXPECT_EQ(options.state_dir, "");
  EXPECT_EQ(options.canary_bounds.max_mean_shift, 0.5);
  EXPECT_EQ(options.canary_bounds.max_deviation_ratio, 3);
}

TEST(ServerOptionsTest, TakesEveryFlagInBothSpellings) {
  const auto command = Parse({"--model_root",
                              "models",
                              "--listen=[::]:0",
                              "--otlp_endpoint=collector:4317",
                              "--trace_ratio=0.25",
                              "--otlp_tls_ca=collector.crt",
                              "--http=host:99",
                              "--max_connections=100",
                              "--max_connections_per_peer=10",
                              "--max_streams_per_connection=5",
                              "--max_request_kib=64",
                              "--max_metadata_kib=9",
                              "--max_receive_mib=20",
                              "--max_reply_mib=300",
                              "--max_reply_mib_per_caller=30",
                              "--write_timeout=3s",
                              "--handshake_timeout=4s",
                              "--keepalive_time=5s",
                              "--keepalive_timeout=6s",
                              "--min_ping_interval=7s",
                              "--max_connection_idle=8s",
                              "--max_connection_age=9s",
                              "--max_connection_age_grace=10s",
                              "--devices=cuda:1,cuda:0",
                              "--cpu_threads=8",
                              "--cpu_affinity",
                              "--max_batch_size=256,8",
                              "--max_batch_wait=5ms",
                              "--max_queued_images",
                              "64",
                              "--max_queued_mib=100",
                              "--precision=bfloat16",
                              "--pinned_batch=32",
                              "--caller_weights=gold=3,a=b=0.5",
                              "--warmup=ends",
                              "--poll_interval=250ms",
                              "--keep_versions=5",
                              "--max_model_mib=300",
                              "--state_dir=/var/lib/ddgan",
                              "--canary_max_mean_shift=0.25",
                              "--canary_max_deviation_ratio=inf",
                              "--encode_threads=3",
                              "--image_cache_mib=512",
                              "--drain_timeout=1m",
                              "--drain_delay=5s",
                              "--admin_listen=127.0.0.1:50053",
                              "--log_format=json",
                              "--access_log=errors",
                              "--port_file=/run/ports",
                              "--tls_cert=/tls/cert",
                              "--tls_key=/tls/key",
                              "--tls_client_ca=/tls/ca",
                              "--token_file=/tls/tokens",
                              "--tokens_without_tls=false",
                              "--log_level=debug"});
  ASSERT_TRUE(command.ok()) << command.status();
  const ServerOptions& options = command->options;
  EXPECT_EQ(options.listen, (ListenAddress{"::", 0}));
  EXPECT_EQ(options.http, (ListenAddress{"host", 99}));
  EXPECT_EQ(options.limits.connections.total, 100);
  EXPECT_EQ(options.limits.connections.per_peer, 10);
  EXPECT_EQ(options.limits.max_streams_per_connection, 5);
  EXPECT_EQ(options.limits.max_request_bytes, 64 << 10);
  EXPECT_EQ(options.limits.max_metadata_bytes, 9 << 10);
  EXPECT_EQ(options.limits.max_receive_bytes, 20 << 20);
  EXPECT_EQ(options.limits.replies.total, 300 << 20);
  EXPECT_EQ(options.limits.replies.per_caller, 30 << 20);
  EXPECT_EQ(options.limits.write_timeout, absl::Seconds(3));
  EXPECT_EQ(options.limits.handshake_timeout, absl::Seconds(4));
  EXPECT_EQ(options.limits.keepalive_time, absl::Seconds(5));
  EXPECT_EQ(options.limits.keepalive_timeout, absl::Seconds(6));
  EXPECT_EQ(options.limits.min_ping_interval, absl::Seconds(7));
  EXPECT_EQ(options.limits.max_connection_idle, absl::Seconds(8));
  EXPECT_EQ(options.limits.max_connection_age, absl::Seconds(9));
  EXPECT_EQ(options.limits.max_connection_age_grace, absl::Seconds(10));
  EXPECT_EQ(options.engine.devices, "cuda:1,cuda:0");
  EXPECT_EQ(options.security.tls_cert, "/tls/cert");
  EXPECT_EQ(options.security.tls_key, "/tls/key");
  EXPECT_EQ(options.security.tls_client_ca, "/tls/ca");
  EXPECT_EQ(options.security.token_file, "/tls/tokens");
  EXPECT_FALSE(options.security.tokens_without_tls);
  EXPECT_EQ(options.engine.cpu_threads, 8);
  EXPECT_TRUE(options.engine.cpu_affinity);
  EXPECT_EQ(options.engine.max_batch_sizes, (std::vector<int>{256, 8}));
  EXPECT_EQ(options.engine.max_batch_waits,
            std::vector<absl::Duration>{absl::Milliseconds(5)});
  EXPECT_EQ(options.engine.max_queued_images, 64);
  EXPECT_EQ(options.engine.max_queued_bytes, int64_t{100} << 20);
  EXPECT_EQ(options.engine.precision, Precision::kBfloat16);
  EXPECT_EQ(options.engine.pinned_batch, 32);
  EXPECT_EQ(options.engine.caller_weights,
            (std::map<std::string, double>{{"gold", 3}, {"a=b", 0.5}}));
  EXPECT_FALSE(options.engine.warm_up_every_bucket);
  EXPECT_EQ(options.engine.poll_interval, absl::Milliseconds(250));
  EXPECT_EQ(options.engine.keep_versions, 5);
  EXPECT_EQ(options.engine.max_model_bytes, int64_t{300} << 20);
  EXPECT_EQ(options.engine.state_dir, "/var/lib/ddgan");
  EXPECT_EQ(options.engine.canary_bounds.max_mean_shift, 0.25);
  EXPECT_EQ(options.engine.canary_bounds.max_deviation_ratio,
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(options.encode_threads, 3);
  EXPECT_EQ(options.image_cache_bytes, int64_t{512} << 20);
  EXPECT_EQ(options.drain_timeout, absl::Minutes(1));
  EXPECT_EQ(options.drain_delay, absl::Seconds(5));
  EXPECT_EQ(options.admin_listen, (ListenAddress{"127.0.0.1", 50053}));
  EXPECT_EQ(options.log_format, LogFormat::kJson);
  EXPECT_EQ(options.access_log, AccessLogLevel::kErrors);
  EXPECT_EQ(options.port_file, "/run/ports");
  EXPECT_EQ(options.log_level, "debug");
  EXPECT_EQ(options.traces.endpoint, (ListenAddress{"collector", 4317}));
  EXPECT_EQ(options.traces.ratio, 0.25);
  EXPECT_EQ(options.traces.tls_ca, "collector.crt");
}

struct BadFlag {
  const char* argument;
  const char* value;
  const char* wanted;
};

class BadFlagTest : public ::testing::TestWithParam<BadFlag> {};

TEST_P(BadFlagTest, IsRefusedByNameValueAndRange) {
  const std::string argument = GetParam().argument;
  const auto command = Parse({"--model_root=m", argument});
  ASSERT_TRUE(absl::IsInvalidArgument(command.status())) << command.status();
  EXPECT_THAT(std::string(command.status().message()),
              AllOf(HasSubstr(argument.substr(0, argument.find('='))),
                    HasSubstr(GetParam().value), HasSubstr(GetParam().wanted)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadFlagTest,
    ::testing::Values(
        BadFlag{"--cpu_threads=-1", "-1", "[0, 256]"},
        BadFlag{"--max_batch_size=0", "0", "[1, 256]"},
        BadFlag{"--max_batch_size=257", "257", "[1, 256]"},
        BadFlag{"--max_batch_size=many", "many", "whole number"},
        BadFlag{"--max_batch_wait=2s", "2s", "[0s, 1s]"},
        BadFlag{"--max_batch_wait=5", "5", "500ms"},
        BadFlag{"--max_queued_images=63", "63", "[64, 1000000]"},
        BadFlag{"--max_connections=0", "0", "[1, 1000000]"},
        BadFlag{"--max_connections_per_peer=0", "0", "[1, 1000000]"},
        BadFlag{"--max_streams_per_connection=0", "0", "[1, 100000]"},
        BadFlag{"--max_request_kib=1089", "1089", "[1, 1088]"},
        BadFlag{"--max_metadata_kib=1025", "1025", "[1, 1024]"},
        BadFlag{"--max_receive_mib=15", "15", "[16, 1048576]"},
        BadFlag{"--max_reply_mib=0", "0", "[1, 1048576]"},
        BadFlag{"--max_reply_mib_per_caller=0", "0", "[1, 1048576]"},
        BadFlag{"--write_timeout=99ms", "99ms", "[100ms, 1h]"},
        BadFlag{"--handshake_timeout=11m", "11m", "[100ms, 10m]"},
        BadFlag{"--keepalive_time=0s", "0s", "[100ms, 1h]"},
        BadFlag{"--keepalive_timeout=2h", "2h", "[100ms, 1h]"},
        BadFlag{"--min_ping_interval=-1s", "-1s", "[0s, 1h]"},
        BadFlag{"--max_connection_idle=501h", "501h", "[100ms, 500h]"},
        BadFlag{"--max_connection_age=inf", "inf", "[100ms, 500h]"},
        BadFlag{"--max_connection_age_grace=1", "1", "500ms"},
        BadFlag{"--encode_threads=0", "0", "[1, 256]"},
        BadFlag{"--image_cache_mib=-1", "-1", "[0, 1048576]"},
        BadFlag{"--drain_timeout=-1s", "-1s", "[0s, 1h]"},
        BadFlag{"--drain_delay=-1s", "-1s", "[0s, 10m]"},
        BadFlag{"--drain_delay=11m", "11m", "[0s, 10m]"},
        BadFlag{"--admin_listen=50053", "50053", "host:port"},
        BadFlag{"--admin_listen=127.0.0.1:50051",
                "--listen and --admin_listen are both 127.0.0.1:50051",
                "must be different"},
        BadFlag{"--http=127.0.0.1:50051",
                "--listen and --http are both 127.0.0.1:50051",
                "must be different"},
        BadFlag{"--log_format=xml", "xml", "text, json"},
        BadFlag{"--access_log=some", "some", "none, errors, all"},
        BadFlag{"--listen=50051", "50051", "host:port"},
        BadFlag{"--listen=host:65536", "65536", "[0, 65535]"},
        BadFlag{"--http=::1:80", "::1:80", "brackets"},
        BadFlag{"--log_level=loud", "loud", "debug, info, warn, error"},
        BadFlag{"--devices=", "", "empty"},
        BadFlag{"--max_batch_size=8,0", "0", "[1, 256]"},
        BadFlag{"--max_batch_wait=1ms,x", "x", "500ms"},
        BadFlag{"--caller_weights=a", "a", "CALLER=WEIGHT"},
        BadFlag{"--caller_weights=a=1e-310", "a=1e-310", "[0.001, 1000]"},
        BadFlag{"--precision=int8", "int8", "float32, tf32, bfloat16"},
        BadFlag{"--pinned_batch=0", "0", "[1, 256]"},
        BadFlag{"--warmup=some", "some", "all, ends"},
        BadFlag{"--max_queued_mib=1", "1", "[64, 1048576]"},
        BadFlag{"--poll_interval=9ms", "9ms", "[10ms, 1h]"},
        BadFlag{"--poll_interval=61m", "61m", "[10ms, 1h]"},
        BadFlag{"--keep_versions=0", "0", "[1, 64]"},
        BadFlag{"--keep_versions=65", "65", "[1, 64]"},
        BadFlag{"--max_model_mib=-1", "-1", "[0, 1048576]"},
        BadFlag{"--state_dir=", "", "empty"},
        BadFlag{"--tls_cert=", "", "empty"},
        BadFlag{"--tls_cert=c", "", "go together"},
        BadFlag{"--tls_client_ca=c", "", "needs --tls_cert"},
        BadFlag{"--token_file=", "", "empty"},
        BadFlag{"--tokens_without_tls=maybe", "maybe", "true, false"},
        BadFlag{"--tokens_without_tls=true", "", "needs --token_file"},
        BadFlag{"--canary_max_mean_shift=2.1", "2.1", "[0, 2]"},
        BadFlag{"--canary_max_mean_shift=nan", "nan", "[0, 2]"},
        BadFlag{"--canary_max_deviation_ratio=0.9", "0.9", "[1, inf]"},
        BadFlag{"--port_file", "", "needs a value"},
        BadFlag{"--otlp_endpoint=collector", "collector", "host:port"},
        BadFlag{"--otlp_endpoint=collector:0", ":0", "[1, 65535]"},
        BadFlag{"--trace_ratio=1.1", "1.1", "[0, 1]"},
        BadFlag{"--otlp_tls_ca=c", "", "needs --otlp_endpoint"},
        BadFlag{"--modelroot=x", "", "did you mean --model_root?"},
        BadFlag{"--batching=step", "unknown flag --batching", "--help"},
        BadFlag{"models", "models", "--help"}));

TEST(ServerOptionsTest, RefusesTokensInTheClearOnANetwork) {
  const std::vector<std::string> network = {"--model_root=m", "--token_file=t",
                                            "--listen=0.0.0.0:50051"};
  const auto refused = Parse(network);
  ASSERT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("--token_file"), HasSubstr("0.0.0.0:50051"),
                    HasSubstr("--tokens_without_tls")));
  std::vector<std::string> behind_proxy = network;
  behind_proxy.push_back("--tokens_without_tls=true");
  EXPECT_TRUE(Parse(behind_proxy).ok());
  EXPECT_TRUE(Parse({"--model_root=m", "--token_file=t"}).ok());
}

TEST(ServerOptionsTest, EveryFlagIsAVariableToo) {
  const Environment environment = {{"DDGAN_SERVER_MODEL_ROOT", "models"},
                                   {"DDGAN_SERVER_MAX_MODEL_MIB", "300"}};
  const auto command = ParseServerCommandLine({}, environment);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->options.engine.model_root, "models");
  EXPECT_EQ(command->options.engine.max_model_bytes, int64_t{300} << 20);
}

TEST(ServerOptionsTest, RequiresTheModelRoot) {
  const auto command = Parse({"--listen=127.0.0.1:1"});
  ASSERT_TRUE(absl::IsInvalidArgument(command.status()));
  EXPECT_THAT(std::string(command.status().message()),
              HasSubstr("--model_root is required"));
}

TEST(ServerOptionsTest, HelpAndVersionNeedNothingElse) {
  EXPECT_THAT(Parse({"--help"})->text, HasSubstr("usage: ddgan-server"));
  EXPECT_EQ(Parse({"-h"})->text, Parse({"--help"})->text);
  EXPECT_THAT(Parse({"--version"})->text, StartsWith("ddgan-server "));
}

TEST(ServerOptionsTest, HelpNamesEveryFlagAndFitsATerminal) {
  const std::string help = Parse({"--help"})->text;
  for (const char* flag : {"--model_root",
                           "--listen",
                           "--http",
                           "--devices",
                           "--cpu_threads",
                           "--cpu_affinity",
                           "--max_batch_size",
                           "--max_batch_wait",
                           "--max_queued_images",
                           "--encode_threads",
                           "--drain_timeout",
                           "--port_file",
                           "--log_level",
                           "--poll_interval",
                           "--keep_versions",
                           "--max_model_mib",
                           "--state_dir",
                           "--canary_max_mean_shift",
                           "--canary_max_deviation_ratio",
                           "--max_connections",
                           "--max_connections_per_peer",
                           "--max_streams_per_connection",
                           "--max_request_kib",
                           "--max_metadata_kib",
                           "--max_receive_mib",
                           "--max_reply_mib",
                           "--max_reply_mib_per_caller",
                           "--write_timeout",
                           "--handshake_timeout",
                           "--keepalive_time",
                           "--keepalive_timeout",
                           "--min_ping_interval",
                           "--max_connection_idle",
                           "--max_connection_age",
                           "--max_connection_age_grace",
                           "--admin_listen",
                           "--drain_delay",
                           "--log_format",
                           "--access_log"}) {
    EXPECT_THAT(help, HasSubstr(flag));
  }
  EXPECT_THAT(help, HasSubstr("\nTLS and tokens:\n"));
  EXPECT_THAT(help, HasSubstr("\n  --max_receive_mib=MiB  (in [16, 1048576]; "
                              "default 512)\n"));
  size_t start = 0;
  for (size_t end; (end = help.find('\n', start)) != std::string::npos;
       start = end + 1) {
    EXPECT_LE(end - start, 80u) << help.substr(start, end - start);
  }
}

}  // namespace
}  // namespace ddgan
