#include <ATen/ops/conv2d.h>

#include "engine/model/convolutions.h"

namespace ddgan {
namespace {

class LibTorchConvolutions : public Convolutions {
 public:
  at::Tensor Run(const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                 int64_t padding) override {
    return at::conv2d(x, weight, {}, stride, padding);
  }
};

}  // namespace

std::unique_ptr<Convolutions> NewLibTorchConvolutions() {
  return std::make_unique<LibTorchConvolutions>();
}

}  // namespace ddgan
