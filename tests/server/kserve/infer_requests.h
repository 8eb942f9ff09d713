// ModelInfer requests for tests, as clients write them.
#ifndef DDGAN_TESTS_SERVER_KSERVE_INFER_REQUESTS_H_
#define DDGAN_TESTS_SERVER_KSERVE_INFER_REQUESTS_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "inference/v2.pb.h"

namespace ddgan {

// Adds an input of shape [values.size()] with raw contents.
template <typename Value>
void AddRawInput(const char* name, const char* datatype,
                 const std::vector<Value>& values,
                 inference::ModelInferRequest* request) {
  auto* const input = request->add_inputs();
  input->set_name(name);
  input->set_datatype(datatype);
  input->add_shape(static_cast<int64_t>(values.size()));
  std::string raw(values.size() * sizeof(Value), '\0');
  std::memcpy(raw.data(), values.data(), raw.size());
  request->add_raw_input_contents(std::move(raw));
}

// For `digits`, one image for each seed.
inline inference::ModelInferRequest InferRequestFor(
    const std::vector<uint64_t>& seeds,
    const std::vector<std::string>& outputs = {}) {
  inference::ModelInferRequest request;
  request.set_model_name("digits");
  AddRawInput("seed", "UINT64", seeds, &request);
  for (const std::string& output : outputs) {
    request.add_outputs()->set_name(output);
  }
  return request;
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_SERVER_KSERVE_INFER_REQUESTS_H_
