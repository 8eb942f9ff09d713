// The model's CUDA kernels in a build without CUDA.
#include <c10/util/Exception.h>

#include "engine/model/convolutions.h"
#include "engine/model/fir_gpu.h"
#include "engine/model/fused_gpu.h"

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

int64_t GroupNormWorkspace(const GroupNormPass&) { Refuse(); }
void GroupNormGpu(const GroupNormPass&, const float*, const float*,
                  const float*, float*, float*) {
  Refuse();
}
void GroupNormGpu(const GroupNormPass&, const c10::BFloat16*,
                  const c10::BFloat16*, const c10::BFloat16*, float*,
                  c10::BFloat16*) {
  Refuse();
}

void AddBiasGpu(const AddBiasPass&, float*, const float*, const float*) {
  Refuse();
}
void AddBiasGpu(const AddBiasPass&, c10::BFloat16*, const c10::BFloat16*,
                const float*) {
  Refuse();
}

std::unique_ptr<Convolutions> NewCudnnConvolutions(Precision) { Refuse(); }

}  // namespace ddgan
