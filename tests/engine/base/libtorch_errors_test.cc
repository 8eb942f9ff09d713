#include "engine/base/libtorch_errors.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

namespace ddgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

TEST(LibTorchErrorsTest, WhatWorkReturnsStays) {
  EXPECT_TRUE(CatchingLibTorch("a step", [] { return absl::OkStatus(); }).ok());
  EXPECT_EQ(CatchingLibTorch("a step", [] { return absl::NotFoundError("x"); }),
            absl::NotFoundError("x"));
}

TEST(LibTorchErrorsTest, AnErrorHasNoStack) {
  const absl::Status status = CatchingLibTorch("a step", [] {
    TORCH_CHECK(false, "shapes differ");
    return absl::OkStatus();
  });
  EXPECT_EQ(status, absl::InternalError("a step: shapes differ"));
}

TEST(LibTorchErrorsTest, MemoryThatTheHostLacksIsResourceExhausted) {
  // More than the address space has.
  const absl::Status status = CatchingLibTorch("a step", [] {
    at::empty({int64_t{1} << 50}, at::kFloat);
    return absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(Message(status),
              AllOf(StartsWith("a step: "), HasSubstr("DefaultCPUAllocator"),
                    Not(HasSubstr("\n"))));
  EXPECT_EQ(CatchingLibTorch("a step",
                             []() -> absl::Status { throw std::bad_alloc(); }),
            absl::ResourceExhaustedError("a step: out of memory"));
}

TEST(LibTorchErrorsTest, MemoryThatADeviceLacksIsResourceExhausted) {
  const absl::Status status = CatchingLibTorch("a step", [] {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory");
    return absl::OkStatus();
  });
  EXPECT_EQ(status, absl::ResourceExhaustedError("a step: CUDA out of memory"));
}

TEST(LibTorchErrorsTest, AnyOtherExceptionIsInternal) {
  EXPECT_EQ(CatchingLibTorch("a step",
                             []() -> absl::Status {
                               throw std::runtime_error("a kernel failed");
                             }),
            absl::InternalError("a step: a kernel failed"));
}

}  // namespace
}  // namespace ddgan
