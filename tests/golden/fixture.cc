#include "tests/golden/fixture.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "engine/checkpoint/safetensors.h"
#include "tests_folder.h"

namespace ddgan::golden {
namespace {

at::ScalarType ScalarType(DType dtype) {
  switch (dtype) {
    case DType::kBFloat16:
      return at::kBFloat16;
    case DType::kFloat16:
      return at::kHalf;
    case DType::kFloat32:
      return at::kFloat;
    case DType::kFloat64:
      return at::kDouble;
    case DType::kInt64:
      return at::kLong;
    case DType::kUint8:
      return at::kByte;
  }
  std::abort();
}

}  // namespace

Fixture::Fixture(const std::string& name) {
  const std::string path =
      std::string(DDGAN_TESTS_DIR) + "/golden/" + name + ".safetensors";
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  const std::string content = bytes.str();
  const absl::StatusOr<SafetensorsView> view = ParseSafetensors(content);
  if (!view.ok()) {
    std::cerr << path << ": " << view.status() << "\n";
    std::abort();
  }
  metadata_ = view->metadata;
  for (const TensorView& tensor : view->tensors) {
    at::Tensor copy = at::empty(tensor.shape, ScalarType(tensor.dtype));
    std::memcpy(copy.mutable_data_ptr(), tensor.data.data(),
                tensor.data.size());
    tensors_[tensor.name] = copy;
  }
}

nlohmann::json Fixture::Metadata(const std::string& key) const {
  return nlohmann::json::parse(metadata_.at(key));
}

Parameters Fixture::Load(const std::string& prefix,
                         const std::vector<ParameterPlan>& plan) const {
  Parameters parameters;
  for (const ParameterPlan& parameter : plan) {
    parameters.push_back(tensors_.at(prefix + parameter.name));
  }
  return parameters;
}

ModelConfig ToModelConfig(const nlohmann::json& json) {
  ModelConfig config;
  json.at("image_size").get_to(config.image_size);
  json.at("num_channels").get_to(config.num_channels);
  json.at("num_channels_dae").get_to(config.num_channels_dae);
  json.at("ch_mult").get_to(config.ch_mult);
  json.at("num_res_blocks").get_to(config.num_res_blocks);
  json.at("attn_resolutions").get_to(config.attn_resolutions);
  json.at("progressive").get_to(config.progressive);
  json.at("progressive_input").get_to(config.progressive_input);
  json.at("progressive_combine").get_to(config.progressive_combine);
  json.at("fir_kernel").get_to(config.fir_kernel);
  json.at("nz").get_to(config.nz);
  json.at("z_emb_dim").get_to(config.z_emb_dim);
  json.at("n_mlp").get_to(config.n_mlp);
  json.at("num_timesteps").get_to(config.num_timesteps);
  json.at("beta_min").get_to(config.beta_min);
  json.at("beta_max").get_to(config.beta_max);
  json.at("use_geometric").get_to(config.use_geometric);
  return config;
}

double MaxAbsDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace ddgan::golden
