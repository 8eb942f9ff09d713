#include "trainer/dataset/batch_loader.h"

#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/base/check_range.h"
#include "trainer/dataset/data_order.h"

namespace ddgan {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kMaxPrefetch = 64;
constexpr int64_t kMaxStep = int64_t{1} << 62;

absl::Status Validate(const BatchLoader::Options& options, size_t size) {
  constexpr int64_t kMaxImages = std::numeric_limits<uint32_t>::max();
  const int64_t images = static_cast<int64_t>(size);
  for (const absl::Status& status :
       {CheckRange("images of the set", images, 1, kMaxImages),
        CheckRange<int64_t>("batch_size", options.batch_size, 1, images),
        CheckRange("rows", static_cast<int64_t>(options.rows.size()), 1,
                   options.batch_size),
        CheckRange("threads", options.threads, 1, kMaxThreads),
        CheckRange("prefetch", options.prefetch, 1, kMaxPrefetch)}) {
    if (!status.ok()) return status;
  }
  for (const uint32_t row : options.rows) {
    if (absl::Status s =
            CheckRange<int64_t>("row", row, 0, options.batch_size - 1);
        !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

// Of an image that is replaced.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BatchLoader>> BatchLoader::Create(
    const ImageDataset* dataset, Options options, Clock* clock,
    DamageReport report) {
  if (absl::Status s = Validate(options, dataset->size()); !s.ok()) return s;
  std::unique_ptr<BatchLoader> loader(
      new BatchLoader(dataset, std::move(options), clock, std::move(report)));
  try {
    for (int i = 0; i < loader->options_.threads; ++i) {
      loader->threads_.emplace_back(&BatchLoader::RunThread, loader.get());
    }
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError(
        absl::StrCat("batch loader: thread ", loader->threads_.size() + 1,
                     " of ", loader->options_.threads, ": ", e.what()));
  }
  return loader;
}

BatchLoader::BatchLoader(const ImageDataset* dataset, Options options,
                         Clock* clock, DamageReport report)
    : dataset_(dataset),
      options_(std::move(options)),
      clock_(clock),
      report_(std::move(report)),
      sample_size_(dataset->shape().numel()),
      steps_per_epoch_(static_cast<int64_t>(dataset->size()) /
                       options_.batch_size),
      slots_(options_.prefetch + 1) {
  for (size_t v = 0; v < values_.size(); ++v) {
    values_[v] = (static_cast<float>(v) / 255.0f - 0.5f) / 0.5f;
  }
  threads_.reserve(options_.threads);
  for (Slot& slot : slots_) {
    slot.indices.resize(options_.rows.size());
    slot.samples.resize(options_.rows.size() * sample_size_);
    slot.next_row = options_.rows.size();
  }
}

BatchLoader::~BatchLoader() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    work_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<absl::Span<const float>> BatchLoader::Batch(int64_t step) {
  if (absl::Status s = CheckRange("step", step, 0, kMaxStep); !s.ok()) return s;
  const absl::Time start = clock_->Now();
  MoveTo(step);
  absl::MutexLock lock(&mu_);
  Slot& slot = SlotOf(step);
  while (!slot.Complete()) done_.Wait(&mu_);
  wait_seconds_ += absl::ToDoubleSeconds(clock_->Now() - start);
  if (!slot.status.ok()) {
    slot.step = kNoStep;
    return slot.status;
  }
  return absl::MakeConstSpan(slot.samples);
}

void BatchLoader::MoveTo(int64_t step) {
  const int64_t end = step + static_cast<int64_t>(options_.prefetch);
  {
    absl::MutexLock lock(&mu_);
    first_step_ = step;
    // Of a batch that nobody wants any more no other row is taken.
    for (Slot& slot : slots_) {
      if (slot.step < step || slot.step > end) {
        slot.step = kNoStep;
        slot.next_row = slot.indices.size();
      }
    }
  }
  for (int64_t s = step; s <= end; ++s) {
    Slot* slot;
    {
      absl::MutexLock lock(&mu_);
      slot = &SlotOf(s);
      if (slot->step == s) continue;
      while (slot->loading > 0) done_.Wait(&mu_);
    }
    Begin(s, slot);
  }
}

void BatchLoader::Begin(int64_t step, Slot* slot) {
  const int64_t epoch = step / steps_per_epoch_;
  if (epoch != order_epoch_) {
    EpochOrder(options_.seed, epoch, dataset_->size(), &order_);
    order_epoch_ = epoch;
  }
  const size_t first =
      static_cast<size_t>(step % steps_per_epoch_) * options_.batch_size;
  for (size_t i = 0; i < options_.rows.size(); ++i) {
    slot->indices[i] = order_[first + options_.rows[i]];
  }
  absl::MutexLock lock(&mu_);
  slot->step = step;
  slot->next_row = 0;
  slot->status = absl::OkStatus();
  slot->failed_row = std::numeric_limits<size_t>::max();
  work_.SignalAll();
}

BatchLoader::Slot* BatchLoader::NextSlot() {
  for (int64_t i = 0; i < static_cast<int64_t>(slots_.size()); ++i) {
    Slot& slot = SlotOf(first_step_ + i);
    if (slot.next_row < slot.indices.size()) return &slot;
  }
  return nullptr;
}

void BatchLoader::RunThread() {
  std::vector<uint8_t> pixels(sample_size_);
  absl::MutexLock lock(&mu_);
  while (true) {
    Slot* slot = nullptr;
    while (!stopping_ && (slot = NextSlot()) == nullptr) work_.Wait(&mu_);
    if (stopping_) return;
    const size_t row = slot->next_row++;
    ++slot->loading;
    const uint32_t index = slot->indices[row];
    const absl::Span<float> sample =
        absl::MakeSpan(slot->samples).subspan(row * sample_size_, sample_size_);
    const bool mirrored = options_.flip && MirrorsRow(options_.seed, slot->step,
                                                      options_.rows[row]);

    mu_.Unlock();
    absl::Status status =
        LoadRow(index, mirrored, absl::MakeSpan(pixels), sample);
    mu_.Lock();

    if (!status.ok() && row < slot->failed_row) {
      slot->failed_row = row;
      slot->status = std::move(status);
    }
    if (--slot->loading == 0) done_.SignalAll();
  }
}

absl::Status BatchLoader::LoadRow(uint32_t index, bool mirrored,
                                  absl::Span<uint8_t> pixels,
                                  absl::Span<float> sample) {
  if (absl::Status s = ReadImage(index, pixels); !s.ok()) return s;
  const ImageShape& shape = dataset_->shape();
  const size_t width = static_cast<size_t>(shape.width);
  const size_t channels = static_cast<size_t>(shape.channels);
  const size_t plane = width * static_cast<size_t>(shape.height);
  for (size_t c = 0; c < channels; ++c) {
    float* to = sample.data() + c * plane;
    for (size_t row = 0; row < plane; row += width) {
      const uint8_t* from = pixels.data() + row * channels + c;
      for (size_t x = 0; x < width; ++x) {
        to[row + (mirrored ? width - 1 - x : x)] = values_[from[x * channels]];
      }
    }
  }
  return absl::OkStatus();
}

absl::Status BatchLoader::ReadImage(uint32_t index,
                                    absl::Span<uint8_t> pixels) {
  const size_t size = dataset_->size();
  for (size_t i = 0; i < size; ++i) {
    const uint32_t candidate = static_cast<uint32_t>((index + i) % size);
    if (IsKnownDamaged(candidate)) continue;
    if (Stopping()) return absl::CancelledError("batch loader: stopped");
    const absl::Status status = dataset_->Image(candidate, pixels);
    if (!IsDamage(status)) return status;
    NoteDamaged(candidate, status);
  }
  return absl::DataLossError(absl::StrCat("batch loader: none of the ", size,
                                          " images of the set can be read"));
}

bool BatchLoader::IsKnownDamaged(uint32_t index) {
  absl::MutexLock lock(&damage_mu_);
  return damaged_.contains(index);
}

void BatchLoader::NoteDamaged(uint32_t index, const absl::Status& status) {
  absl::MutexLock lock(&damage_mu_);
  if (damaged_.insert(index).second && report_) report_(index, status);
}

bool BatchLoader::Stopping() {
  absl::MutexLock lock(&mu_);
  return stopping_;
}

int64_t BatchLoader::DamagedSamples() const {
  absl::MutexLock lock(&damage_mu_);
  return static_cast<int64_t>(damaged_.size());
}

}  // namespace ddgan
