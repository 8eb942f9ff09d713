#include "server/telemetry/image_cache_metrics.h"

namespace ddgan {

ImageCacheMetrics::ImageCacheMetrics(MetricsRegistry* registry)
    : images_(registry->Counters(
          "ddgan_image_cache_images_total",
          "Images that were asked for where images are kept: hit (was kept), "
          "coalesced (on its way for another call) or miss.")),
      hits_(images_.Add({{"result", "hit"}})),
      coalesced_(images_.Add({{"result", "coalesced"}})),
      misses_(images_.Add({{"result", "miss"}})),
      bytes_(registry
                 ->Gauges("ddgan_image_cache_bytes",
                          "Memory that the images that are kept take.")
                 .Add({})),
      evictions_(registry
                     ->Counters("ddgan_image_cache_evictions_total",
                                "Images that made room for newer ones.")
                     .Add({})) {}

void ImageCacheMetrics::OnImageAsked(ImageSource source) {
  switch (source) {
    case ImageSource::kKept:
      hits_.Increment();
      break;
    case ImageSource::kJoined:
      coalesced_.Increment();
      break;
    case ImageSource::kMade:
      misses_.Increment();
      break;
  }
}

void ImageCacheMetrics::OnImageKept(int64_t bytes, int evicted) {
  bytes_.Set(static_cast<double>(bytes));
  evictions_.Increment(evicted);
}

}  // namespace ddgan
