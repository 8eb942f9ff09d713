// What is known of the server, as the page shows it. Pure.
#ifndef DDGAN_CLIENT_PLAYGROUND_SERVER_STATE_H_
#define DDGAN_CLIENT_PLAYGROUND_SERVER_STATE_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "ddgan/v1/model.pb.h"

namespace ddgan::playground {

struct ServerState {
  enum class Contact {
    kConnecting,  // Nothing has come yet.
    kFound,
    kLost,     // Not reachable; asked again and again.
    kRefused,  // It answers, and does not tell this caller.
  };

  Contact contact = Contact::kConnecting;
  // Why it is kLost or kRefused, as the connection or the server says it.
  std::string failure;
  // By name. What was known stays while the server is lost.
  std::map<std::string, v1::Model> models;
};

// After the server has told all its models.
void TakeModels(const v1::ListModelsResponse& models, ServerState* state);

// After what the server says of one of them, which it repeats at the start of
// each watch. Whether it is news.
bool TakeChange(const v1::WatchModelsResponse& change, ServerState* state);

// After a call has failed. Whether it is news.
bool TakeFailure(const absl::Status& failure, ServerState* state);

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_SERVER_STATE_H_
