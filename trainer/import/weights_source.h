// The tensors of a file that somebody trained: torch.save's or safetensors.
#ifndef DDGAN_TRAINER_IMPORT_WEIGHTS_SOURCE_H_
#define DDGAN_TRAINER_IMPORT_WEIGHTS_SOURCE_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weights_check.h"

namespace ddgan {

// Thread-compatible.
class WeightsSource {
 public:
  // Told by its first bytes: a zip archive is torch.save's (pth_file.h), a
  // length and a JSON object are safetensors.
  //   NotFound           no such file
  //   InvalidArgument    neither, damaged, or over the bound of its kind, which
  //                      for safetensors is kMaxWeightsBytes
  //   ResourceExhausted  no memory for it
  // Messages begin with the file's path.
  static absl::StatusOr<std::unique_ptr<WeightsSource>> Open(
      const std::filesystem::path& path);

  virtual ~WeightsSource() = default;

  // As the file names them.
  const std::vector<TensorShape>& shapes() const { return shapes_; }

  // A sentence on each thing around the tensors that was left off; for a
  // person, free of control characters.
  const std::vector<std::string>& remarks() const { return remarks_; }

  // The values of each of shapes(), row-major, as float32, little-endian; half
  // and bfloat16 are widened, which loses nothing, and another remark says so.
  // Callers check the shapes first. At most once.
  //   InvalidArgument  a tensor of another type, by name
  //   others           as PthFile::ReadTensors
  virtual absl::StatusOr<std::vector<std::string>> ReadFloats() = 0;

 protected:
  std::vector<TensorShape> shapes_;
  std::vector<std::string> remarks_;
};

// `values` of this type as float32; both little-endian. InvalidArgument unless
// it is float32, float16 or bfloat16.
absl::StatusOr<std::string> WidenToFloat(std::string values, DType dtype);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_WEIGHTS_SOURCE_H_
