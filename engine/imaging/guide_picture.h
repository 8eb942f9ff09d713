// A guide's picture as the generator sees images. No LibTorch.
#ifndef DDGAN_ENGINE_IMAGING_GUIDE_PICTURE_H_
#define DDGAN_ENGINE_IMAGING_GUIDE_PICTURE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/api/generation.h"

namespace ddgan {

// InvalidArgument if a guide's picture is not 1 or 3 channels of at least one
// pixel, or if it is not of the size of a model's images, `shape`, with
// kRefuse; names both. Before anything is decoded. Pure.
absl::Status CheckGuideShape(const ImageShape& picture, const ImageShape& shape,
                             GuideFit fit);

// Planes (C, H, W) of float32 in [-1, 1] for a model of `shape`: v / 127.5 - 1
// for the value v, [0, 255], of each element, which is made in this order:
//   channels  A gray picture is repeated for RGB. RGB becomes gray by the luma
//             of Rec. 601, 0.299 R + 0.587 G + 0.114 B, not rounded.
//   size      With kResize by TriangleResize, of triangle_resize.h.
//
// Every operation rounds to float32, so equal input gives equal bits. Pure;
// thread-safe.
// InvalidArgument as CheckGuideShape, or if `picture` has not as many bytes as
// its shape says.
absl::StatusOr<std::vector<float>> FitGuide(const Picture& picture,
                                            const ImageShape& shape,
                                            GuideFit fit);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_IMAGING_GUIDE_PICTURE_H_
