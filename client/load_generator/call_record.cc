#include "client/load_generator/call_record.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ddgan {
namespace {

using Json = nlohmann::ordered_json;

const char* FateName(CallFate fate) {
  switch (fate) {
    case CallFate::kOk:
      return "ok";
    case CallFate::kRefused:
      return "refused";
    case CallFate::kFailed:
      return "failed";
    case CallFate::kCancelled:
      return "cancelled";
    case CallFate::kUnanswered:
      return "unanswered";
    case CallFate::kUnsent:
      return "unsent";
  }
  return "";
}

// To the microsecond: a double has no digits for more.
double UnixSeconds(absl::Time time) {
  return static_cast<double>(absl::ToUnixMicros(time)) / 1e6;
}

}  // namespace

std::string HashImages(const v1::GenerateResponse& reply) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  bool done = hash != nullptr &&
              EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1;
  for (const v1::GeneratedImage& image : reply.images()) {
    done = done && EVP_DigestUpdate(hash.get(), image.data().data(),
                                    image.data().size()) == 1;
  }
  done = done && EVP_DigestFinal_ex(hash.get(), digest, &size) == 1;
  if (!done) std::abort();  // Only a broken installation lacks SHA-256.
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), size));
}

std::string CallRecordLine(const CallRecord& record) {
  const FinishedCall& call = record.call;
  const bool ok = call.fate == CallFate::kOk;
  Json json;
  json["due"] = absl::ToDoubleSeconds(call.due);
  json["ended"] = absl::ToDoubleSeconds(call.ended);
  json["due_unix"] = UnixSeconds(record.run_start + call.due);
  json["ended_unix"] = UnixSeconds(record.run_start + call.ended);
  json["latency"] = absl::ToDoubleSeconds(call.ended - call.due);
  json["fate"] = FateName(call.fate);
  json["code"] = nullptr;
  if (call.fate != CallFate::kUnsent)
    json["code"] = absl::StatusCodeToString(call.code);
  json["model"] = ok ? Json(record.model) : Json();
  json["version"] = ok ? Json(call.version) : Json();
  // A string: JSON's numbers do not hold 64 bits everywhere.
  json["seed"] = absl::StrCat(call.plan.seed);
  json["first_index"] = record.first_index;
  json["count"] = call.plan.count;
  json["sha256"] = ok ? Json(record.sha256) : Json();
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

absl::StatusOr<std::unique_ptr<CallRecorder>> CallRecorder::Open(
    const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  return std::unique_ptr<CallRecorder>(new CallRecorder(path, file));
}

CallRecorder::CallRecorder(std::string path, std::FILE* file)
    : path_(std::move(path)), file_(file), thread_([this] { Write(); }) {}

CallRecorder::~CallRecorder() {
  if (thread_.joinable()) Close().IgnoreError();
}

void CallRecorder::Add(CallRecord record) {
  absl::MutexLock lock(&mu_);
  waiting_.push_back(std::move(record));
}

absl::Status CallRecorder::Close() {
  {
    absl::MutexLock lock(&mu_);
    closing_ = true;
  }
  thread_.join();
  if (error_ == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(error_, absl::StrCat("cannot write ", path_));
}

void CallRecorder::Write() {
  const auto note_unless = [this](bool written) {
    if (!written && error_ == 0) error_ = errno;
  };
  bool closing = false;
  while (!closing) {
    std::vector<CallRecord> records;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &CallRecorder::HasWork));
      records.swap(waiting_);
      closing = closing_;
    }
    for (const CallRecord& record : records) {
      const std::string line = CallRecordLine(record);
      note_unless(std::fwrite(line.data(), 1, line.size(), file_) ==
                  line.size());
    }
  }
  // Network file systems report some errors only now.
  note_unless(std::fclose(file_) == 0);
}

}  // namespace ddgan
