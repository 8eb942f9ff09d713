// Plain structs for a request to the engine and the images that come back.
// No LibTorch, no protobuf.
#ifndef DDGAN_ENGINE_API_GENERATION_H_
#define DDGAN_ENGINE_API_GENERATION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/base/pixel_buffer.h"

namespace ddgan {

// A caller's share of the devices, of those that all want more than there is.
inline constexpr double kMinCallerWeight = 0.001;
inline constexpr double kMaxCallerWeight = 1000;
constexpr bool IsCallerWeight(double weight) {
  return weight >= kMinCallerWeight && weight <= kMaxCallerWeight;
}

// How a finished image's pixels are stored.
enum class PixelFormat {
  kUint8,    // Interleaved rows (H, W, C), 8 bits per channel, by
             // floor((clamp(x, -1, 1) + 1) * 127.5 + 0.5).
  kFloat32,  // Planes (C, H, W), little-endian float32, not clipped.
};

struct ImageShape {
  int channels = 0;  // 1 or 3
  int height = 0;
  int width = 0;

  // Values of one image.
  size_t numel() const { return size_t{1} * channels * height * width; }

  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};

// Which checkpoint: what a reply names so that an image can be asked for again.
struct ModelIdentity {
  std::string model;
  int64_t version = 0;
  std::string digest;  // SHA-256 of manifest.json, lower-case hex.

  friend bool operator==(const ModelIdentity&, const ModelIdentity&) = default;
};

// How urgent a request is. Both classes share the devices; see batch_policy.h.
enum class RequestClass { kInteractive, kBatch };

// An 8-bit picture of any size, interleaved rows (H, W, C).
struct Picture {
  ImageShape shape;
  std::vector<uint8_t> pixels;
};

// What to do with a guide picture that does not have the model's size.
enum class GuideFit { kRefuse, kResize };

// Stroke-based synthesis (Xiao, Kreis, Vahdat, ICLR 2022, section 5.4): the
// picture is diffused to the state before the last `steps` evaluations of the
// model's update rule, with the noise of NoiseStream::kGuide, and denoised from
// there. For the ancestral rule that is x_s, s = `steps`. The picture itself
// comes with Engine::Submit, once there is a place for it.
struct Guide {
  int steps = 0;  // [1, Acceptance::evaluations]
  GuideFit fit = GuideFit::kRefuse;
  // Of the picture, which takes a byte for each of its values: they are booked
  // until it is fitted.
  ImageShape picture;
};

// The noise that an image is drawn from.
struct ImageNoise {
  uint64_t seed = 0;   // Any value.
  uint32_t index = 0;  // Any value.

  friend bool operator==(const ImageNoise&, const ImageNoise&) = default;
};

struct GenerationRequest {
  // Largest `count` of one request.
  static constexpr uint32_t kMaxCount = 64;

  // Empty: the only model there is.
  std::string model;
  // Unset: the live version when the request is accepted.
  std::optional<int64_t> version;
  uint32_t count = 1;        // [1, kMaxCount]
  uint64_t seed = 0;         // Any value.
  uint32_t first_index = 0;  // first_index + count - 1 must fit 32 bits.
  // The noise of each image, `count` of them; `seed` and `first_index` are then
  // not looked at. Empty: the image at position i is that of `seed` and
  // first_index + i.
  std::vector<ImageNoise> noise;
  PixelFormat pixel_format = PixelFormat::kUint8;
  // After this moment nobody waits for the result.
  absl::Time deadline = absl::InfiniteFuture();
  RequestClass request_class = RequestClass::kInteractive;
  // Whose request it is, for fair sharing: any text, at most 256 bytes are
  // looked at. Empty is a caller like any other.
  std::string caller;
  // On whose account its images wait: where others may come, one account does
  // not fill the queue (CheckRoom of engine/requests/admission.h). Empty: on
  // nobody's.
  std::string account;
  // The caller's share from now on (IsCallerWeight). Unset: that of
  // EngineOptions::caller_weights, else 1.
  std::optional<double> caller_weight;
  // Unset: the images start from noise.
  std::optional<Guide> guide;
  // Whether the sink wants OnPreview.
  bool previews = false;
  // By which EngineObserver::OnTracedStep tells of the request's steps. 0: it
  // does not.
  uint64_t trace_tag = 0;

  // Of the image at `position`, which is less than `count`.
  ImageNoise NoiseOf(uint32_t position) const {
    return noise.empty() ? ImageNoise{seed, first_index + position}
                         : noise[position];
  }
};

struct GeneratedImage {
  uint32_t position = 0;  // In the request, from 0 on.
  uint32_t index = 0;     // Of its noise.
  ImageShape shape;
  PixelFormat pixel_format = PixelFormat::kUint8;
  PixelBuffer pixels;
};

struct GenerationTimings {
  absl::Duration queue;  // From acceptance to the first denoising step's start.
  absl::Duration steps;  // From there to the end of the last step.
};

using RequestId = uint64_t;

// What Submit tells at once about an accepted request.
struct Acceptance {
  RequestId id = 0;
  ModelIdentity identity;
  ImageShape shape;
  int num_timesteps = 0;  // T
  // Steps that an image takes, each one evaluation of the network: T for the
  // ancestral update rule, K for ddim:K, 2T - 1 for pc.
  int evaluations = 0;
  // Images accepted before that had not started.
  int images_ahead = 0;
  // From acceptance to the first step's expected start if everything accepted
  // ran in order of arrival, whatever its class and caller; unset while the
  // cost of a step has not been measured.
  std::optional<absl::Duration> expected_start;
};

// Receives one request's results. Methods are called one at a time, from a
// lane's thread, or the supervisor's for what is cancelled, expires or hangs,
// or the thread that drains for what that ends, without any engine lock held:
// they hand work to another thread and return.
class GenerationSink {
 public:
  virtual ~GenerationSink() = default;
  // Once per image, in any order of index. Its pixels come out of the lane's
  // pool: a sink that keeps them for long makes the lane allocate others.
  virtual void OnImage(GeneratedImage image) = 0;
  // If GenerationRequest::previews: after each step but the last of each image,
  // its x0' in the request's pixel format, and how many steps are left. A
  // trajectory that is replayed after a lane was taken out previews again, from
  // its first step on.
  virtual void OnPreview(GeneratedImage /*x0*/, int /*steps_left*/) {}
  // Exactly once, last. OK if every image was delivered; Cancelled after
  // Engine::Cancel; DeadlineExceeded; Unavailable if the engine shut down or
  // every device was out for too long; Internal if a step failed again and
  // again, or if an image is not finite, which names model, version, seed and
  // index; ResourceExhausted if an image alone is too large for the devices.
  virtual void OnFinished(const absl::Status& status,
                          const GenerationTimings& timings) = 0;
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_API_GENERATION_H_
