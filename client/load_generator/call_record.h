// Every call of a load run as a line of JSON, for programs that ask what a
// report does not answer.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_CALL_RECORD_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_CALL_RECORD_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/load_generator/load_tally.h"
#include "ddgan/v1/image_generation.pb.h"

namespace ddgan {

struct CallRecord {
  FinishedCall call;
  absl::Time run_start;
  uint32_t first_index = 0;
  // Of the reply; empty without one.
  std::string model;
  std::string sha256;  // HashImages.
};

// SHA-256 of the images' bytes one after the other, as they are in the reply:
// 64 lower-case hexadecimal digits. Pure.
std::string HashImages(const v1::GenerateResponse& reply);

// One object on one line. `due` and `ended` are seconds since the run began,
// `due_unix` and `ended_unix` since 1970; null is what a call does not have:
// `code` if it was not sent, `model`, `version` and `sha256` if it is not OK.
// `seed` is a string, since JSON's numbers do not hold 64 bits everywhere.
// Pure.
std::string CallRecordLine(const CallRecord& record);

// A file of such lines. Another thread writes them, so that a slow disk delays
// no call. Thread-safe.
class CallRecorder {
 public:
  // Replaces the file if there is one. An error names it and what the file
  // system said.
  static absl::StatusOr<std::unique_ptr<CallRecorder>> Open(
      const std::string& path);

  // As Close, but nobody learns of an error.
  ~CallRecorder();

  CallRecorder(const CallRecorder&) = delete;
  CallRecorder& operator=(const CallRecorder&) = delete;

  void Add(CallRecord record) ABSL_LOCKS_EXCLUDED(mu_);

  // Blocks until every record is in the file. An error means that some are not.
  // Once only, and no Add after it.
  absl::Status Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  CallRecorder(std::string path, std::FILE* file);

  void Write() ABSL_LOCKS_EXCLUDED(mu_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return closing_ || !waiting_.empty();
  }

  // Constant after construction; `file_` is the writing thread's.
  const std::string path_;
  std::FILE* file_;

  absl::Mutex mu_;
  std::vector<CallRecord> waiting_ ABSL_GUARDED_BY(mu_);
  bool closing_ ABSL_GUARDED_BY(mu_) = false;

  int error_ = 0;  // errno of the first failure; read once `thread_` has ended.
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_CALL_RECORD_H_
