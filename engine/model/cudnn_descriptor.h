// The objects of cuDNN's graph API (cudnn_graph.h) as owners with typed
// attributes. Everything throws c10::Error if cuDNN refuses. Only for builds
// with CUDA.
#ifndef DDGAN_ENGINE_MODEL_CUDNN_DESCRIPTOR_H_
#define DDGAN_ENGINE_MODEL_CUDNN_DESCRIPTOR_H_

#include <c10/util/Exception.h>
#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ddgan::cudnn {

inline void Check(cudnnStatus_t status, const char* what) {
  TORCH_CHECK(status == CUDNN_STATUS_SUCCESS, "cuDNN, ", what, ": ",
              cudnnGetErrorString(status));
}

// Owns one of cuDNN's descriptors.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    Check(cudnnBackendCreateDescriptor(type, &descriptor_), "descriptor");
  }
  Descriptor(Descriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Descriptor() {
    if (descriptor_ != nullptr) cudnnBackendDestroyDescriptor(descriptor_);
  }

  cudnnBackendDescriptor_t get() const { return descriptor_; }

  void Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
           int64_t count, const void* values) {
    Check(cudnnBackendSetAttribute(descriptor_, name, type, count, values),
          "attribute");
  }
  template <size_t kCount>
  void SetInts(cudnnBackendAttributeName_t name,
               const std::array<int64_t, kCount>& values) {
    Set(name, CUDNN_TYPE_INT64, kCount, values.data());
  }
  void SetInt(cudnnBackendAttributeName_t name, int64_t value) {
    SetInts<1>(name, {value});
  }
  void SetDescriptor(cudnnBackendAttributeName_t name,
                     const Descriptor& value) {
    Set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_);
  }
  void Finalise() { Check(cudnnBackendFinalize(descriptor_), "finalise"); }

  int64_t GetInt(cudnnBackendAttributeName_t name) const {
    int64_t value = 0, count = 0;
    Check(cudnnBackendGetAttribute(descriptor_, name, CUDNN_TYPE_INT64, 1,
                                   &count, &value),
          "attribute");
    return value;
  }
  Descriptor GetDescriptor(cudnnBackendAttributeName_t name,
                           cudnnBackendDescriptorType_t type) const {
    std::vector<Descriptor> values = GetDescriptors(name, type, 1);
    TORCH_CHECK(values.size() == 1, "cuDNN gives no such descriptor");
    return std::move(values[0]);
  }
  // At most `most` of them.
  std::vector<Descriptor> GetDescriptors(cudnnBackendAttributeName_t name,
                                         cudnnBackendDescriptorType_t type,
                                         int64_t most) const {
    std::vector<Descriptor> values;
    std::vector<cudnnBackendDescriptor_t> raw;
    for (int64_t i = 0; i < most; ++i) {
      values.emplace_back(type);
      raw.push_back(values.back().get());
    }
    int64_t count = 0;
    Check(cudnnBackendGetAttribute(descriptor_, name,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count,
                                   raw.data()),
          "attribute");
    values.resize(std::min(count, most));
    return values;
  }
  template <typename Note>
  std::vector<Note> GetNotes(cudnnBackendAttributeName_t name,
                             cudnnBackendAttributeType_t type,
                             int64_t most) const {
    std::vector<Note> notes(most);
    int64_t count = 0;
    Check(cudnnBackendGetAttribute(descriptor_, name, type, most, &count,
                                   notes.data()),
          "notes");
    notes.resize(std::min(count, most));
    return notes;
  }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

}  // namespace ddgan::cudnn

#endif  // DDGAN_ENGINE_MODEL_CUDNN_DESCRIPTOR_H_
