#include "client/playground/server_state.h"

#include <google/protobuf/util/message_differencer.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan::playground {

void TakeModels(const v1::ListModelsResponse& models, ServerState* state) {
  state->contact = ServerState::Contact::kFound;
  state->failure.clear();
  state->models.clear();
  for (const v1::Model& model : models.models()) {
    state->models[model.name()] = model;
  }
}

bool TakeChange(const v1::WatchModelsResponse& change, ServerState* state) {
  if (!change.has_model()) {
    return state->models.erase(change.removed_model()) > 0;
  }
  v1::Model& known = state->models[change.model().name()];
  if (google::protobuf::util::MessageDifferencer::Equals(known,
                                                         change.model())) {
    return false;
  }
  known = change.model();
  return true;
}

bool TakeFailure(const absl::Status& failure, ServerState* state) {
  // Whoever says one of these has been reached.
  const bool refused = absl::IsPermissionDenied(failure) ||
                       absl::IsUnauthenticated(failure) ||
                       absl::IsUnimplemented(failure);
  const auto contact =
      refused ? ServerState::Contact::kRefused : ServerState::Contact::kLost;
  std::string text = absl::StrCat(absl::StatusCodeToString(failure.code()),
                                  ": ", failure.message());
  if (state->contact == contact && state->failure == text) return false;
  state->contact = contact;
  state->failure = std::move(text);
  return true;
}

}  // namespace ddgan::playground
