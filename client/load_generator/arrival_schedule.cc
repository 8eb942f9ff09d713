#include "client/load_generator/arrival_schedule.h"

#include <cmath>

#include "client/load_generator/uniform_random.h"

namespace ddgan {
namespace {

absl::Duration PoissonGap(double rate, std::mt19937_64* engine) {
  // 1 - u is never 0, and its logarithm finite.
  return absl::Seconds(-std::log1p(-Uniform(engine)) / rate);
}

}  // namespace

ArrivalSchedule ArrivalSchedule::OpenLoop(double rate, uint64_t seed) {
  ArrivalSchedule schedule(rate, seed);
  schedule.due_.push(PoissonGap(rate, &schedule.engine_));
  return schedule;
}

ArrivalSchedule ArrivalSchedule::ClosedLoop(uint32_t concurrency) {
  ArrivalSchedule schedule(0.0, 0);
  for (uint32_t i = 0; i < concurrency; ++i) {
    schedule.due_.push(absl::ZeroDuration());
  }
  return schedule;
}

absl::Duration ArrivalSchedule::Next() const {
  return due_.empty() ? absl::InfiniteDuration() : due_.top();
}

void ArrivalSchedule::Pop() {
  const absl::Duration sent = due_.top();
  due_.pop();
  if (rate_ > 0.0) due_.push(sent + PoissonGap(rate_, &engine_));
}

void ArrivalSchedule::OnCallEnded(absl::Duration when) {
  if (rate_ <= 0.0) due_.push(when);
}

}  // namespace ddgan
