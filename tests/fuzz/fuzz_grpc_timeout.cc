// A call's deadline: of a grpc-timeout header, as gRPC makes it, or any.
#include <grpc/support/time.h>

#include <optional>

#include "absl/time/time.h"
#include "server/calls/request_conversion.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan {
namespace {

constexpr __int128 kNanos = 1'000'000'000;
constexpr __int128 kTenYears = __int128{3652} * 24 * 3600 * kNanos;

// At most 8 digits and a unit, as the gRPC protocol has it.
gpr_timespec Timeout(uint64_t value, int unit) {
  const auto amount = static_cast<int64_t>(value % 100'000'000);
  switch (unit) {
    case 0:
      return gpr_time_from_hours(amount, GPR_TIMESPAN);
    case 1:
      return gpr_time_from_minutes(amount, GPR_TIMESPAN);
    case 2:
      return gpr_time_from_seconds(amount, GPR_TIMESPAN);
    case 3:
      return gpr_time_from_millis(amount, GPR_TIMESPAN);
    case 4:
      return gpr_time_from_micros(amount, GPR_TIMESPAN);
    default:
      return gpr_time_from_nanos(amount, GPR_TIMESPAN);
  }
}

gpr_timespec AnyTime(InputReader* input) {
  switch (input->Between(0, 3)) {
    case 0:
      return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    case 1:
      return gpr_inf_past(GPR_CLOCK_MONOTONIC);
    default:
      return {.tv_sec = static_cast<int64_t>(input->Bits(8)),
              .tv_nsec = static_cast<int32_t>(input->Bits(4) % 1'000'000'000),
              .clock_type = GPR_CLOCK_MONOTONIC};
  }
}

__int128 NanosOf(const gpr_timespec& time) {
  return time.tv_sec * kNanos + time.tv_nsec;
}

void Check(InputReader* input) {
  // Of a machine that runs for up to a thousand years.
  const gpr_timespec grpc_now = {
      .tv_sec = static_cast<int64_t>(input->Bits(5) % 31'000'000'000),
      .tv_nsec = static_cast<int32_t>(input->Bits(4) % 1'000'000'000),
      .clock_type = GPR_CLOCK_MONOTONIC};
  const absl::Time now =
      absl::FromUnixNanos(static_cast<int64_t>(input->Bits(7)));
  const bool is_timeout = input->Between(0, 1) == 0;
  const gpr_timespec deadline =
      is_timeout ? gpr_time_add(grpc_now,
                                Timeout(input->Bits(4), input->Between(0, 5)))
                 : AnyTime(input);
  const absl::Time converted = ConvertDeadline(deadline, grpc_now, now);
  const __int128 left = NanosOf(deadline) - NanosOf(grpc_now);
  if (left > kTenYears) {
    Require(converted == absl::InfiniteFuture(), "ten years are no deadline");
  } else if (left >= -kTenYears) {
    Require(converted == now + absl::Nanoseconds(static_cast<int64_t>(left)),
            "as far away as gRPC's");
  } else {
    Require(converted < now, "what has passed has passed");
  }
}

}  // namespace
}  // namespace ddgan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ddgan::InputReader input(data, size);
  ddgan::Check(&input);
  return 0;
}
