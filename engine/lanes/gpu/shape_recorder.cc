#include "engine/lanes/gpu/shape_recorder.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/libtorch_errors.h"
#include "engine/lanes/gpu/step_shapes.h"

namespace ddgan {
namespace {

constexpr uint64_t kTestSeed = 0x70726f6265;

// A NaN equals itself.
bool SameBytes(const at::Tensor& a, const at::Tensor& b) {
  return at::equal(a.view(at::kInt), b.view(at::kInt));
}

}  // namespace

ShapeRecorder::ShapeRecorder(const Model& model, const GpuGenerator& generator,
                             const StepMemory& memory, GpuLane& lane)
    : generator_(generator), memory_(memory), lane_(lane) {
  for (const int rows : lane_.shape_rows) {
    Shape& shape = shapes_.emplace_back();
    shape.rows = rows;
    if (rows != lane_.options.pinned_batch) continue;
    Record(shape, nullptr);
    MakeTestImages(model, shape, &test_x0_, &test_x_);
  }
  Choose();
}

void ShapeRecorder::Prepare(const Model& model, int rows) {
  bool any = false;
  for (size_t i = 0; i < shapes_.size(); ++i) {
    Shape& shape = shapes_[i];
    if (i > 0 && shapes_[i - 1].rows >= rows) break;
    if (shape.tried) continue;
    any = true;
    const absl::Status recorded =
        CatchingLibTorch("recording", [&] { return Try(model, shape); });
    if (recorded.ok()) continue;
    shape.step = nullptr;
    if (lane_.options.on_notice) {
      lane_.options.on_notice(
          absl::StrCat(model.identity().model, "/", model.identity().version,
                       ": batches of ", shape.rows,
                       " run as other shapes: ", recorded.message()));
    }
  }
  if (any) Choose();
}

void ShapeRecorder::StepsFor(int rows,
                             std::vector<RecordedStep*>* steps) const {
  steps->clear();
  while (rows > 0) {
    steps->push_back(steps_[first_step_[rows]]);
    rows -= static_cast<int>(steps->back()->rows());
  }
}

absl::Status ShapeRecorder::Try(const Model& model, Shape& shape) {
  Record(shape, steps_.front());
  at::Tensor x0, x;
  MakeTestImages(model, shape, &x0, &x);
  bool equal = false;
  lane_.ops->Run(
      [&] { equal = SameBytes(x0, test_x0_) && SameBytes(x, test_x_); });
  if (equal) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "they give other bytes than batches of ", lane_.options.pinned_batch));
}

void ShapeRecorder::Record(Shape& shape, const RecordedStep* neighbour) {
  shape.tried = true;
  lane_.ops->Run([&] {
    shape.step = std::make_unique<RecordedStep>(
        generator_, *lane_.convolutions, lane_.options.precision, shape.rows,
        memory_, neighbour, *lane_.ops);
  });
}

void ShapeRecorder::MakeTestImages(const Model& model, Shape& shape,
                                   at::Tensor* x0, at::Tensor* x) {
  // A few million values tell any two orders of summation apart.
  constexpr int64_t kTestValues = int64_t{1} << 22;
  const int64_t numel = memory_.x.numel() / memory_.x.size(0);
  const int64_t images =
      std::clamp<int64_t>(kTestValues / numel, 1, kMostTestImages);
  const int64_t batches = (images + shape.rows - 1) / shape.rows;
  const int64_t steps = static_cast<int64_t>(model.plan().size());
  DeviceRow* rows = static_cast<DeviceRow*>(lane_.host_rows.mutable_data_ptr());
  for (int64_t i = 0; i < batches * shape.rows; ++i) {
    const int64_t image = i % images;
    // Every step where there are enough images, else some evenly spaced.
    const int64_t step =
        images >= steps ? image % steps : image * steps / images;
    rows[i] = DrawnRow(model, kTestSeed, static_cast<uint32_t>(image),
                       static_cast<int>(step));
  }
  const auto enqueue = [&](int64_t first) {
    shape.step->Enqueue(
        lane_.host_rows.narrow(0, first * kRowBytes, shape.rows * kRowBytes));
  };
  lane_.ops->Run([&] {
    const ImageShape s = model.shape();
    *x0 =
        at::empty({images, s.channels, s.height, s.width}, memory_.x.options());
    *x = at::empty_like(*x0);
    for (int64_t first = 0; first < images; first += shape.rows) {
      enqueue(first);
      const int64_t count = std::min<int64_t>(shape.rows, images - first);
      x0->narrow(0, first, count).copy_(memory_.x0.narrow(0, 0, count));
      x->narrow(0, first, count).copy_(memory_.x.narrow(0, 0, count));
    }
  });
  // The first replay of a recording takes longer: timed are later ones.
  constexpr int64_t kTimedSteps = 4;
  const absl::Duration time = lane_.ops->Run([&] {
    for (int64_t i = 0; i < kTimedSteps; ++i) enqueue(0);
  });
  shape.cost = absl::ToDoubleSeconds(time) / kTimedSteps;
}

void ShapeRecorder::Choose() {
  std::vector<StepShape> usable;
  steps_.clear();
  for (const Shape& shape : shapes_) {
    if (shape.step == nullptr) continue;
    usable.push_back({shape.rows, shape.cost});
    steps_.push_back(shape.step.get());
  }
  first_step_ = CheapestFirstShapes(usable, lane_.options.max_batch_size);
}

}  // namespace ddgan
