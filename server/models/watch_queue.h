// What one WatchModels stream says next: each model as it is now, if that is
// not what its reader was last told. Nothing is kept of what a model was in
// between, so a reader who is slow costs no more than one who is quick.
#ifndef DDGAN_SERVER_MODELS_WATCH_QUEUE_H_
#define DDGAN_SERVER_MODELS_WATCH_QUEUE_H_

#include <map>
#include <optional>
#include <set>
#include <string>

#include "ddgan/v1/model.pb.h"

namespace ddgan {

// Thread-compatible.
class WatchQueue {
 public:
  // What there is now, in the place of what there was.
  void Update(const v1::ListModelsResponse& models);

  // The event to write now; it counts as told. Nothing if the reader knows all.
  std::optional<v1::WatchModelsResponse> Next();

 private:
  std::map<std::string, v1::Model> now_;  // By name.
  // What the reader knows: by name, the model's bytes on the wire.
  std::map<std::string, std::string> told_;
  // Names of models in now_ that are not as told, and of those told that are
  // gone.
  std::set<std::string> to_tell_;
  // The name that was told last. The next comes after it, so that a model that
  // changes all the time does not keep the others waiting.
  std::string last_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_MODELS_WATCH_QUEUE_H_
