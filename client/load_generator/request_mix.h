// What each call of a load run asks for. Pure: the same options and seed give
// the same calls, whatever the server does.
#ifndef DDGAN_CLIENT_LOAD_GENERATOR_REQUEST_MIX_H_
#define DDGAN_CLIENT_LOAD_GENERATOR_REQUEST_MIX_H_

#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ddgan/v1/image_generation.pb.h"

namespace ddgan {

// One of several values, drawn in proportion to its weight, which is above 0.
template <typename T>
struct Weighted {
  T value;
  double weight = 1.0;

  friend bool operator==(const Weighted&, const Weighted&) = default;
};

// What calls may look like. Each draws one of every list; none is empty.
struct MixOptions {
  // Images per call, 1 to 64.
  std::vector<Weighted<uint32_t>> counts = {{1}};
  std::vector<Weighted<v1::RequestClass>> classes = {
      {v1::REQUEST_CLASS_INTERACTIVE}};
  // From when the call is due; InfiniteDuration: no deadline.
  std::vector<Weighted<absl::Duration>> deadlines = {
      {absl::InfiniteDuration()}};
  // Share of the calls that their caller cancels, 0 to 1.
  double cancel = 0.0;
  // Number of different noise seeds. 0: every call has its own.
  uint32_t seed_pool = 0;
  // Number of callers that the server can tell apart. 0: none says who it is.
  uint32_t client_ids = 0;
};

// Lists as on the command line: VALUE or VALUE:WEIGHT, separated by commas. A
// weight is above 0 and 1 if it is left out; only their proportions count.
// InvalidArgument if a part does not fit; the message says what is wanted.
//
// A range such as 1-16 shares its weight among the counts in it.
absl::StatusOr<std::vector<Weighted<uint32_t>>> ParseCounts(
    const std::string& text);
// interactive or batch.
absl::StatusOr<std::vector<Weighted<v1::RequestClass>>> ParseClasses(
    const std::string& text);
// A time above 0, or none.
absl::StatusOr<std::vector<Weighted<absl::Duration>>> ParseDeadlines(
    const std::string& text);

std::set<uint32_t> DifferentCounts(const MixOptions& options);

// "interactive" or "batch".
std::string ClassName(v1::RequestClass request_class);

struct CallPlan {
  uint32_t count = 1;
  v1::RequestClass request_class = v1::REQUEST_CLASS_INTERACTIVE;
  absl::Duration deadline = absl::InfiniteDuration();
  // When the caller cancels, as a share of what the call takes if it is alone;
  // uniform in [0, 1). Unset: it does not.
  std::optional<double> cancel_after;
  uint64_t seed = 0;
  // Which caller, from 0. Unset: none says who it is.
  std::optional<uint32_t> client_id;
};

// Thread-compatible.
class RequestMix {
 public:
  RequestMix(MixOptions options, uint64_t seed);

  // Draws equally often for every call, so the options for one property of the
  // calls do not change the others.
  CallPlan Next();

 private:
  const MixOptions options_;
  const uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace ddgan

#endif  // DDGAN_CLIENT_LOAD_GENERATOR_REQUEST_MIX_H_
