// MNIST's IDX files, gzipped or not.
#include <filesystem>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "trainer/dataset/mnist_dataset.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fs = std::filesystem;
  const fs::path file = ddgan::InputFile(ddgan::InputText(data, size));
  // The same bytes as images and as labels.
  static const fs::path* const folder = [&file] {
    const fs::path made =
        fs::temp_directory_path() / ("fuzz_idx_" + std::to_string(getpid()));
    fs::create_directories(made);
    for (const char* name :
         {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}) {
      fs::create_symlink(file, made / name);
    }
    std::atexit([] { fs::remove_all(*folder); });
    return new fs::path(made);
  }();
  const auto images = ddgan::MnistDataset::Load(*folder);
  if (images.ok()) {
    std::vector<uint8_t> pixels(32 * 32);
    ddgan::Require(
        (*images)->Image((*images)->size() - 1, absl::MakeSpan(pixels)).ok(),
        "the last image is there");
  }
  const auto labels =
      ddgan::LoadMnistLabels(*folder, ddgan::MnistDataset::Split::kTrain);
  ddgan::Require(!images.ok() || !labels.ok(),
                 "no file is one of images and one of labels");
  return 0;
}
