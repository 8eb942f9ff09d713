// Reads the golden fixtures of this folder: numbers saved from the reference
// implementation (README.md). A test that cannot read its fixture fails.
#ifndef DDGAN_TESTS_GOLDEN_FIXTURE_H_
#define DDGAN_TESTS_GOLDEN_FIXTURE_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "engine/model/generator.h"
#include "engine/model/generator_plan.h"
#include "engine/model/model_config.h"
#include "nlohmann/json.hpp"

namespace ddgan::golden {

class Fixture {
 public:
  // `name` as in "gen_small". Ends the test process if it cannot be read.
  explicit Fixture(const std::string& name);

  bool Has(const std::string& name) const { return tensors_.contains(name); }
  // Throws std::out_of_range if it is not there.
  const at::Tensor& operator[](const std::string& name) const {
    return tensors_.at(name);
  }
  // A JSON value of the file's metadata.
  nlohmann::json Metadata(const std::string& key) const;
  const std::map<std::string, at::Tensor>& tensors() const { return tensors_; }

  // Tensors "<prefix><name>" for each name of the plan.
  Parameters Load(const std::string& prefix,
                  const std::vector<ParameterPlan>& plan) const;

 private:
  std::map<std::string, at::Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// The architecture keys of a fixture's "config" or "args"; other keys are those
// of training.
ModelConfig ToModelConfig(const nlohmann::json& json);

// Largest absolute difference, in double.
double MaxAbsDifference(const at::Tensor& a, const at::Tensor& b);

}  // namespace ddgan::golden

#endif  // DDGAN_TESTS_GOLDEN_FIXTURE_H_
