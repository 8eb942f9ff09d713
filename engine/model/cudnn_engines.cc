#include "engine/model/cudnn_engines.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>

namespace ddgan::cudnn {
namespace {

enum Tensor : int64_t { kX = 1, kWeight = 2, kY = 3 };

Descriptor TensorDescriptor(Tensor id, c10::ScalarType dtype,
                            const std::array<int64_t, 4>& nchw) {
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const auto [n, c, h, w] = nchw;
  const cudnnDataType_t type =
      dtype == at::kBFloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  tensor.Set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  tensor.SetInts<4>(CUDNN_ATTR_TENSOR_DIMENSIONS, nchw);
  tensor.SetInts<4>(CUDNN_ATTR_TENSOR_STRIDES, {h * w * c, 1, w * c, c});
  tensor.SetInt(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  tensor.SetInt(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16);
  tensor.Finalise();
  return tensor;
}

template <typename Note>
bool Has(const std::vector<Note>& notes, Note note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

// Whether an engine computes what the number format promises, the same each
// time.
bool Fits(const Descriptor& engine, Precision precision) {
  const auto numerics = engine.GetNotes<cudnnBackendNumericalNote_t>(
      CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
      CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  for (const cudnnBackendNumericalNote_t refused :
       {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC,
        CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION,
        CUDNN_NUMERICAL_NOTE_FFT, CUDNN_NUMERICAL_NOTE_WINOGRAD}) {
    if (Has(numerics, refused)) return false;
  }
  if (precision == Precision::kFloat32 &&
      (Has(numerics, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) ||
       Has(numerics, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS))) {
    return false;
  }
  const auto behaviour = engine.GetNotes<cudnnBackendBehaviorNote_t>(
      CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
      CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
  return !Has(behaviour, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
}

Engine Describe(const Descriptor& config, const Descriptor& engine) {
  Engine described;
  described.index = engine.GetInt(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  for (const Descriptor& choice : config.GetDescriptors(
           CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
           CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
    const auto types = choice.GetNotes<cudnnBackendKnobType_t>(
        CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1);
    TORCH_CHECK(types.size() == 1, "cuDNN gives a knob without a type");
    described.knobs.emplace_back(
        types[0], choice.GetInt(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  return described;
}

}  // namespace

Graph::Graph(cudnnHandle_t handle, const Shape& shape, int64_t batch)
    : x_(TensorDescriptor(kX, shape.dtype,
                          {batch, shape.channels, shape.height, shape.width})),
      weight_(TensorDescriptor(
          kWeight, shape.dtype,
          {shape.out_channels, shape.channels, shape.kernel, shape.kernel})),
      y_(TensorDescriptor(
          kY, shape.dtype,
          {batch, shape.out_channels, shape.OutSize(shape.height),
           shape.OutSize(shape.width)})),
      convolution_(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
      operation_(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR),
      graph_(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  convolution_.SetInt(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2);
  convolution_.Set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1,
                   &sums);
  convolution_.Set(CUDNN_ATTR_CONVOLUTION_CONV_MODE,
                   CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  const std::array<int64_t, 2> paddings = {shape.padding, shape.padding};
  convolution_.SetInts<2>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, paddings);
  convolution_.SetInts<2>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, paddings);
  convolution_.SetInts<2>(CUDNN_ATTR_CONVOLUTION_DILATIONS, {1, 1});
  convolution_.SetInts<2>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
                          {shape.stride, shape.stride});
  convolution_.Finalise();

  operation_.SetDescriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x_);
  operation_.SetDescriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, weight_);
  operation_.SetDescriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y_);
  operation_.SetDescriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                           convolution_);
  const float alpha = 1, beta = 0;
  operation_.Set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                 CUDNN_TYPE_FLOAT, 1, &alpha);
  operation_.Set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                 CUDNN_TYPE_FLOAT, 1, &beta);
  operation_.Finalise();

  graph_.SetDescriptor(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation_);
  graph_.Set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  graph_.Finalise();
}

std::vector<Engine> ProposeEngines(const Graph& graph, Precision precision) {
  std::vector<Engine> engines;
  for (const cudnnBackendHeurMode_t mode :
       {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.SetDescriptor(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                             graph.get());
    heuristics.Set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    heuristics.Finalise();
    constexpr int64_t kMostEngines = 100;
    for (const Descriptor& config : heuristics.GetDescriptors(
             CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
             kMostEngines)) {
      const Descriptor engine = config.GetDescriptor(
          CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
      if (Fits(engine, precision)) engines.push_back(Describe(config, engine));
    }
  }
  return engines;
}

std::optional<Plan> MakePlan(cudnnHandle_t handle, const Graph& graph,
                             const Engine& engine) {
  Descriptor backend_engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  backend_engine.SetDescriptor(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph.get());
  backend_engine.SetInt(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, engine.index);
  if (cudnnBackendFinalize(backend_engine.get()) != CUDNN_STATUS_SUCCESS) {
    return std::nullopt;
  }
  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw_knobs;
  for (const auto& [type, value] : engine.knobs) {
    Descriptor& knob = knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    knob.Set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
    knob.SetInt(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    knob.Finalise();
    raw_knobs.push_back(knob.get());
  }
  Descriptor config(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  config.SetDescriptor(CUDNN_ATTR_ENGINECFG_ENGINE, backend_engine);
  if (!raw_knobs.empty()) {
    config.Set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
               static_cast<int64_t>(raw_knobs.size()), raw_knobs.data());
  }
  if (cudnnBackendFinalize(config.get()) != CUDNN_STATUS_SUCCESS) {
    return std::nullopt;
  }
  Plan plan{Descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)};
  plan.plan.Set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                &handle);
  plan.plan.SetDescriptor(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (cudnnBackendFinalize(plan.plan.get()) != CUDNN_STATUS_SUCCESS) {
    return std::nullopt;
  }
  plan.workspace = plan.plan.GetInt(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  return plan;
}

void Execute(cudnnHandle_t handle, const Plan& plan, const at::Tensor& x,
             const at::Tensor& weight, const at::Tensor& y) {
  const at::Tensor workspace = at::empty(
      {plan.workspace},
      x.options().dtype(at::kByte).memory_format(at::MemoryFormat::Contiguous));
  const std::array<void*, 3> pointers = {
      const_cast<void*>(x.const_data_ptr()),
      const_cast<void*>(weight.const_data_ptr()), y.mutable_data_ptr()};
  void* const workspace_pointer = workspace.mutable_data_ptr();
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.SetInts<3>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, {kX, kWeight, kY});
  pack.Set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3,
           pointers.data());
  pack.Set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
           &workspace_pointer);
  pack.Finalise();
  Check(cudnnBackendExecute(handle, plan.plan.get(), pack.get()), "execute");
}

}  // namespace ddgan::cudnn
