// Which forms of its weights a model keeps. No LibTorch.
#ifndef DDGAN_ENGINE_MODEL_MODEL_USE_H_
#define DDGAN_ENGINE_MODEL_MODEL_USE_H_

namespace ddgan {

// What lanes there are to run a model. Each kind of lane needs the weights in
// its own form in host memory, so a server with one kind keeps one form.
enum class ModelUse {
  kCpuLanes,  // Packed for the processor: Model::generator().
  kGpuLanes,  // Plain float32, to be copied to devices: Model::parameters().
  kAllLanes,  // Both.
};

}  // namespace ddgan

#endif  // DDGAN_ENGINE_MODEL_MODEL_USE_H_
