#include <c10/util/Exception.h>

#include "engine/model/fir_gpu.h"

namespace ddgan {
namespace {

[[noreturn]] void Refuse() {
  TORCH_CHECK(false,
              "images are on a GPU, but this build has no CUDA "
              "(cmake -DDDGAN_ENABLE_CUDA=ON)");
}

}  // namespace

void FirGpu(const FirPass&, const float*, float*) { Refuse(); }
void FirGpu(const FirPass&, const c10::BFloat16*, c10::BFloat16*) { Refuse(); }

}  // namespace ddgan
