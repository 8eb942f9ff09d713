#include "client/playground/page_events.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/repeat_command.h"
#include "client/version_state.h"
#include "engine/base/sha256.h"

namespace ddgan::playground {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kGuideDigits = 12;

// A JSON text holds no line's end, so that one data line takes it. What is no
// UTF-8 in a server's message becomes U+FFFD.
std::string Event(absl::string_view name, const Json& data) {
  return absl::StrCat("event: ", name, "\ndata: ",
                      data.dump(-1, ' ', false, Json::error_handler_t::replace),
                      "\n\n");
}

std::string Digits(uint64_t number) { return absl::StrCat(number); }

// "mnist-12060-seed7-0.png": without what a file system may not like.
std::string FileName(const ImageSource& source, uint32_t index) {
  std::string name = absl::StrCat(source.model, "-", source.version, "-seed",
                                  source.seed, "-", index, ".png");
  for (char& c : name) {
    if (!absl::ascii_isalnum(c) && c != '-' && c != '_' && c != '.') c = '_';
  }
  return name;
}

int64_t Milliseconds(const google::protobuf::Duration& duration) {
  return duration.seconds() * 1000 + duration.nanos() / 1'000'000;
}

const char* NameOf(ServerState::Contact contact) {
  switch (contact) {
    case ServerState::Contact::kConnecting:
      return "connecting";
    case ServerState::Contact::kFound:
      return "found";
    case ServerState::Contact::kLost:
      return "lost";
    case ServerState::Contact::kRefused:
      return "refused";
  }
  return "";
}

Json VersionJson(const v1::ModelVersion& version) {
  return {{"version", absl::StrCat(version.version())},
          {"state", VersionStateName(version.state())},
          {"reason", version.reason()},
          {"digest", version.checkpoint_digest()},
          {"channels", version.shape().channels()},
          {"height", version.shape().height()},
          {"width", version.shape().width()},
          // An earlier server does not say; its models take T.
          {"steps", version.evaluations() > 0 ? version.evaluations()
                                              : version.num_timesteps()},
          {"dataset", version.dataset()}};
}

}  // namespace

std::string GuideFileName(absl::string_view png) {
  return absl::StrCat("strokes-",
                      Sha256Hex(std::string_view(png.data(), png.size()))
                          .substr(0, kGuideDigits),
                      ".png");
}

ImageSource SourceOf(const v1::GenerateRequest& request,
                     const v1::StreamAccepted& accepted,
                     const std::string& address,
                     const ConnectionSecurity& security) {
  ImageSource source;
  source.address = address;
  source.security = security;
  source.model = accepted.model();
  source.version = accepted.version();
  source.digest = accepted.checkpoint_digest();
  source.seed = accepted.seed();
  source.steps = accepted.evaluations() > 0 ? accepted.evaluations()
                                            : accepted.num_timesteps();
  source.width = accepted.shape().width();
  source.height = accepted.shape().height();
  if (request.has_guide()) {
    source.steps = request.guide().steps();
    source.guide_file = GuideFileName(request.guide().png());
  }
  return source;
}

std::string AcceptedEvent(const ImageSource& source) {
  return Event("accepted", {{"model", source.model},
                            {"version", absl::StrCat(source.version)},
                            {"digest", source.digest},
                            {"seed", Digits(source.seed)},
                            {"steps", source.steps},
                            {"width", source.width},
                            {"height", source.height},
                            {"guide_file", source.guide_file}});
}

std::string WaitingEvent(const absl::Status& failure, absl::Duration delay) {
  return Event("waiting", {{"code", absl::StatusCodeToString(failure.code())},
                           {"message", std::string(failure.message())},
                           {"delay_ms", absl::ToInt64Milliseconds(delay)}});
}

std::string PreviewEvent(const ImageSource& source,
                         const v1::StreamPreview& preview) {
  return Event("preview",
               {{"index", preview.index()},
                {"done", source.steps - std::min(preview.step(), source.steps)},
                {"png", absl::Base64Escape(preview.data())}});
}

std::string ImageEvent(const ImageSource& source,
                       const v1::GeneratedImage& image) {
  const std::string file = FileName(source, image.index());
  const std::string command = CommandToRepeat(
      {.address = source.address,
       .security = source.security,
       .model = source.model,
       .version = source.version,
       .seed = source.seed,
       .count = 1,
       .first_index = image.index(),
       .guide_file = source.guide_file,
       .guide_steps = source.guide_file.empty() ? 0 : source.steps,
       .resize_guide = !source.guide_file.empty(),
       .grid = false,
       .format = "png",
       .out = file});
  return Event("image", {{"index", image.index()},
                         {"file", file},
                         {"command", command},
                         {"png", absl::Base64Escape(image.data())}});
}

std::string DoneEvent(const v1::StreamSummary& summary) {
  const v1::GenerateTimings& timings = summary.timings();
  return Event("done", {{"images", summary.images()},
                        {"previews_dropped", summary.previews_dropped()},
                        {"queue_ms", Milliseconds(timings.queue())},
                        {"steps_ms", Milliseconds(timings.steps())}});
}

std::string FailedEvent(const absl::Status& failure) {
  return Event("failed", {{"code", absl::StatusCodeToString(failure.code())},
                          {"message", std::string(failure.message())}});
}

std::string ServerEvent(const ServerState& state, const std::string& address) {
  Json models = Json::array();
  for (const auto& [name, model] : state.models) {
    Json versions = Json::array();
    for (const v1::ModelVersion& version : model.versions()) {
      versions.push_back(VersionJson(version));
    }
    models.push_back(
        {{"name", name},
         {"live",
          model.has_live_version() ? absl::StrCat(model.live_version()) : ""},
         {"versions", std::move(versions)}});
  }
  return Event("server", {{"address", address},
                          {"contact", NameOf(state.contact)},
                          {"failure", state.failure},
                          {"models", std::move(models)}});
}

}  // namespace ddgan::playground
