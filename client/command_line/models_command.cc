#include "client/command_line/models_command.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/command_line/failure_report.h"
#include "client/command_line/model_report.h"
#include "client/command_line/pin_outcome.h"
#include "client/command_line/report_json.h"
#include "client/image_client.h"
#include "client/secure_channel.h"

namespace ddgan {
namespace {

// One run of the command.
class ModelsRun {
 public:
  ModelsRun(const ModelsCommand& command,
            std::shared_ptr<grpc::Channel> channel, std::ostream& out,
            std::ostream& err)
      : command_(command),
        out_(out),
        err_(err),
        deadline_(absl::Now() + command.server.timeout),
        client_(std::move(channel), ClientOptions(command)) {}

  int List() {
    const absl::StatusOr<v1::ListModelsResponse> models = client_.ListModels();
    if (!models.ok()) return Fail(models.status());
    out_ << (command_.json ? ModelsJson(*models) : FormatModels(*models));
    return 0;
  }

  int Pin() {
    return AwaitLive(client_.PinVersion(command_.model, command_.version));
  }

  int RollBack() { return AwaitLive(client_.RollBack(command_.model)); }

  int Unpin() {
    const absl::StatusOr<v1::Model> model =
        client_.UnpinVersion(command_.model);
    if (!model.ok()) return Fail(model.status());
    out_ << model->name() << " is not pinned; "
         << (model->has_live_version()
                 ? absl::StrCat(model->live_version(), " is live now")
                 : "no version is live")
         << '\n';
    return 0;
  }

  int Watch() {
    bool begun = false;
    std::map<std::string, v1::Model> known;
    const auto show = [&](const v1::WatchModelsResponse& event) {
      begun = true;
      if (event.has_model()) {
        v1::Model& before = known[event.model().name()];
        for (const std::string& line : DescribeChanges(before, event.model())) {
          PrintChange(line);
        }
        before = event.model();
      } else {
        known.erase(event.removed_model());
        PrintChange(absl::StrCat(event.removed_model(), ": gone"));
      }
      // Nobody reads on: the program says so when it ends.
      return out_.good();
    };
    absl::Status status;
    absl::Time start;
    do {
      start = absl::Now();
      if (begun) TellWhatWent(&known);
      // Begins with all models, of which only what differs is news.
      status = client_.WatchModels(deadline_ - start, show);
    } while (out_.good() && IsWatchedAgain(status, absl::Now() - start));
    if (!out_.good()) return 1;
    // The end that was asked for.
    if (absl::IsDeadlineExceeded(status) && begun) return 0;
    return Fail(status);
  }

 private:
  static ImageClient::Options ClientOptions(const ModelsCommand& command) {
    ImageClient::Options options;
    options.timeout = command.server.timeout;
    return options;
  }

  int Fail(const absl::Status& status) {
    err_ << "ddgan: " << DescribeFailure(status, command_.server.address)
         << '\n';
    return 1;
  }

  // Of a pin that the server has taken: there is nothing to be advised.
  int FailPin(const absl::Status& status) {
    err_ << "ddgan: " << absl::StatusCodeToString(status.code()) << ": "
         << status.message() << '\n';
    return 1;
  }

  // Flushed, for whoever reads it through a pipe.
  void PrintChange(const std::string& line) {
    out_ << absl::FormatTime("%Y-%m-%dT%H:%M:%SZ ", absl::Now(),
                             absl::UTCTimeZone())
         << line << std::endl;
  }

  // Of the models of a watch that ended: nobody told of those that went since.
  void TellWhatWent(std::map<std::string, v1::Model>* known) {
    const absl::StatusOr<v1::ListModelsResponse> models = client_.ListModels();
    if (!models.ok()) return;  // The next watch fails, too, and says why.
    for (const std::string& model : ModelsThatWent(*known, *models)) {
      PrintChange(absl::StrCat(model, ": gone"));
      known->erase(model);
    }
  }

  // Waits until the version that was just pinned serves, or cannot.
  int AwaitLive(const absl::StatusOr<v1::ModelVersion>& pinned) {
    if (!pinned.ok()) return Fail(pinned.status());
    const std::string& model = command_.model;
    const int64_t version = pinned->version();
    std::optional<absl::Status> outcome;
    if (pinned->state() == v1::MODEL_VERSION_STATE_LIVE) {
      outcome = absl::OkStatus();
    }
    std::string progress;
    const auto show = [&](const v1::ModelVersion& now) {
      const std::string line = DescribeVersion(model, now);
      if (line != progress) err_ << line << std::endl;
      progress = line;
    };
    const auto take = [&](const v1::WatchModelsResponse& event) {
      if (event.has_model() && event.model().name() == model) {
        outcome = PinOutcome(event.model(), version);
        for (const v1::ModelVersion& now : event.model().versions()) {
          if (now.version() == version && !outcome.has_value()) show(now);
        }
      } else if (event.removed_model() == model) {
        outcome = absl::NotFoundError(absl::StrCat(model, " is gone"));
      }
      return !outcome.has_value();
    };
    absl::Status watched;
    if (!outcome.has_value()) show(*pinned);
    for (absl::Time start = absl::Now(); !outcome.has_value();
         start = absl::Now()) {
      watched = client_.WatchModels(deadline_ - start, take);
      if (!IsWatchedAgain(watched, absl::Now() - start)) break;
    }
    if (!outcome.has_value() && absl::IsDeadlineExceeded(watched)) {
      outcome = absl::DeadlineExceededError(absl::StrCat(
          model, " ", version, " is not live yet, but stays pinned; ",
          "`ddgan models watch` shows how it goes on"));
    }
    if (!outcome.has_value()) return Fail(watched);
    if (!outcome->ok()) return FailPin(*outcome);
    out_ << model << ' ' << version << " is live and pinned; `ddgan models "
         << "unpin " << model << "` takes newer versions again\n";
    return 0;
  }

  const ModelsCommand& command_;
  std::ostream& out_;
  std::ostream& err_;
  const absl::Time deadline_;
  const ImageClient client_;
};

}  // namespace

bool IsWatchedAgain(const absl::Status& end, absl::Duration lasted) {
  return absl::IsUnavailable(end) && lasted >= absl::Seconds(10);
}

std::vector<std::string> ModelsThatWent(
    const std::map<std::string, v1::Model>& known,
    const v1::ListModelsResponse& now) {
  std::set<std::string> there;
  for (const v1::Model& model : now.models()) there.insert(model.name());
  std::vector<std::string> gone;
  for (const auto& [name, model] : known) {
    if (there.count(name) == 0) gone.push_back(name);
  }
  return gone;
}

int RunModels(const ModelsCommand& command, std::ostream& out,
              std::ostream& err) {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel =
      OpenChannel(command.server.address, command.server.security);
  if (!channel.ok()) {
    err << "ddgan: " << channel.status().message() << '\n';
    return 1;
  }
  ModelsRun run(command, *std::move(channel), out, err);
  switch (command.action) {
    case ModelsCommand::Action::kList:
      return run.List();
    case ModelsCommand::Action::kPin:
      return run.Pin();
    case ModelsCommand::Action::kUnpin:
      return run.Unpin();
    case ModelsCommand::Action::kRollBack:
      return run.RollBack();
    case ModelsCommand::Action::kWatch:
      return run.Watch();
  }
  return 1;
}

}  // namespace ddgan
