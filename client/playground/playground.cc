#include "client/playground/playground.h"

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "client/call_cancellation.h"
#include "client/image_client.h"
#include "client/playground/image_order.h"
#include "client/playground/page_access.h"
#include "client/playground/page_events.h"
#include "client/playground/page_html.h"
#include "client/playground/page_server.h"
#include "client/playground/server_state.h"
#include "client/playground/server_watch.h"

namespace ddgan::playground {
namespace {

// Without it gRPC would come to wait for two minutes before it looks for a lost
// server again.
grpc::ChannelArguments QuickToReconnect() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return arguments;
}

PageAnswer TooMany(absl::string_view what) {
  return {.status = 503, .text = absl::StrCat("too many ", what, "\n")};
}

}  // namespace

class Playground::Service {
 public:
  Service(const PlaygroundOptions& options,
          std::shared_ptr<grpc::Channel> channel)
      : options_(options),
        channel_(std::move(channel)),
        token_(DrawToken()),
        policy_(ContentSecurityPolicy(kPageHtml)),
        callers_(static_cast<size_t>(options.max_calls)) {}

  ~Service() {
    // Everybody is gone, which cancels the calls.
    server_.reset();
    watch_.reset();
    callers_.join();
  }

  absl::Status Start() {
    absl::StatusOr<std::unique_ptr<PageServer>> server = PageServer::Start(
        {.port = options_.port, .token = token_},
        [this](const PageRequest& request) { return Answer(request); });
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    watch_ = std::make_unique<ServerWatch>(
        channel_, options_.pause,
        [this](const ServerState& state) { Announce(state); });
    return absl::OkStatus();
  }

  std::string url() const {
    return absl::StrCat("http://127.0.0.1:", server_->port(), "/", token_, "/");
  }

 private:
  using Writer = std::shared_ptr<EventWriter>;

  // On the page server's thread.
  PageAnswer Answer(const PageRequest& request) {
    if (request.path == "/" && !request.is_post) {
      return {.text = kPageHtml,
              .content_type = "text/html; charset=utf-8",
              .policy = policy_};
    }
    if (request.path == "/server" && !request.is_post) return AnswerWatcher();
    if (request.path == "/images" && request.is_post) {
      return AnswerOrder(request.body);
    }
    return {.status = 404, .text = "no such page\n"};
  }

  PageAnswer AnswerWatcher() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (watchers_.size() >= static_cast<size_t>(options_.max_watchers)) {
      return TooMany("tabs show the playground");
    }
    return {.begin_events = [this](const Writer& events) {
      {
        absl::MutexLock relock(&mu_);
        watchers_.insert(events);
        events->Write(ServerEvent(state_, options_.address));
      }
      events->OnGone([this, weak = std::weak_ptr<EventWriter>(events)] {
        absl::MutexLock relock(&mu_);
        watchers_.erase(weak.lock());
      });
    }};
  }

  PageAnswer AnswerOrder(const std::string& body) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::StatusOr<v1::GenerateStreamRequest> order = ParseImageOrder(body);
    if (!order.ok()) {
      return {.status = 400,
              .text = absl::StrCat(order.status().message(), "\n")};
    }
    absl::MutexLock lock(&mu_);
    if (calls_ >= options_.max_calls) return TooMany("calls at a time");
    ++calls_;
    return {.begin_events = [this,
                             order = *std::move(order)](const Writer& events) {
      auto cancellation = std::make_shared<CallCancellation>();
      events->OnGone([cancellation] { cancellation->Cancel(); });
      boost::asio::post(callers_, [this, order, events, cancellation] {
        Call(order, events.get(), cancellation);
        absl::MutexLock relock(&mu_);
        --calls_;
      });
    }};
  }

  // On a thread of callers_, until the server has ended the call.
  void Call(const v1::GenerateStreamRequest& order, EventWriter* events,
            std::shared_ptr<CallCancellation> cancellation) const {
    ImageClient::Options options;
    options.cancellation = std::move(cancellation);
    options.on_retry = [&](const absl::Status& failure, absl::Duration delay) {
      events->Write(WaitingEvent(failure, delay));
    };
    ImageSource source;
    const auto send = [events](const std::string& event) {
      return events->Write(event) && events->AwaitRoom();
    };
    ImageClient::StreamCallbacks callbacks;
    callbacks.on_accepted = [&](const v1::StreamAccepted& accepted) {
      source = SourceOf(order.request(), accepted, options_.address,
                        options_.security);
      return send(AcceptedEvent(source));
    };
    callbacks.on_preview = [&](const v1::StreamPreview& preview) {
      return send(PreviewEvent(source, preview));
    };
    callbacks.on_image = [&](const v1::GeneratedImage& image) {
      return send(ImageEvent(source, image));
    };
    callbacks.on_summary = [&](const v1::StreamSummary& summary) {
      events->Write(DoneEvent(summary));
    };
    const absl::Status status =
        ImageClient(channel_, options).GenerateStream(order, callbacks);
    if (!status.ok()) events->Write(FailedEvent(status));
    events->End();
  }

  // On the watch's thread.
  void Announce(const ServerState& state) ABSL_LOCKS_EXCLUDED(mu_) {
    const std::string event = ServerEvent(state, options_.address);
    absl::MutexLock lock(&mu_);
    state_ = state;
    for (const Writer& watcher : watchers_) watcher->Write(event);
  }

  const PlaygroundOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string token_;
  const std::string policy_;
  absl::Mutex mu_;
  ServerState state_ ABSL_GUARDED_BY(mu_);
  std::set<Writer> watchers_ ABSL_GUARDED_BY(mu_);
  int calls_ ABSL_GUARDED_BY(mu_) = 0;
  boost::asio::thread_pool callers_;
  std::unique_ptr<PageServer> server_;
  std::unique_ptr<ServerWatch> watch_;
};

absl::StatusOr<std::unique_ptr<Playground>> Playground::Start(
    const PlaygroundOptions& options) {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel =
      OpenChannel(options.address, options.security, QuickToReconnect());
  if (!channel.ok()) return channel.status();
  auto service = std::make_unique<Service>(options, *std::move(channel));
  if (absl::Status status = service->Start(); !status.ok()) return status;
  return std::unique_ptr<Playground>(new Playground(std::move(service)));
}

Playground::Playground(std::unique_ptr<Service> service)
    : service_(std::move(service)) {}

Playground::~Playground() = default;

std::string Playground::url() const { return service_->url(); }

}  // namespace ddgan::playground
