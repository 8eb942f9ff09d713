// A guide's picture as the generator sees images. No LibTorch.
#ifndef DDGAN_ENGINE_IMAGING_GUIDE_PICTURE_H_
#define DDGAN_ENGINE_IMAGING_GUIDE_PICTURE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "engine/api/generation.h"

namespace ddgan {

// Planes (C, H, W) of float32 in [-1, 1] for a model of `shape`: v / 127.5 - 1
// for the value v, [0, 255], of each element, which is made in this order:
//   channels  A gray picture is repeated for RGB. RGB becomes gray by the luma
//             of Rec. 601, 0.299 R + 0.587 G + 0.114 B, not rounded.
//   size      With kResize by TriangleResize, of triangle_resize.h.
//
// Every operation rounds to float32, so equal input gives equal bits. Pure;
// thread-safe.
// InvalidArgument if `picture` is not 1 or 3 channels with as many pixels as
// its shape says, at least one; or with kRefuse if the sizes differ, naming
// both.
absl::StatusOr<std::vector<float>> FitGuide(const Picture& picture,
                                            const ImageShape& shape,
                                            GuideFit fit);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_IMAGING_GUIDE_PICTURE_H_
