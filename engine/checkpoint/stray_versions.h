// What in a model root looks like a version and is not taken for one. No
// LibTorch.
#ifndef DDGAN_ENGINE_CHECKPOINT_STRAY_VERSIONS_H_
#define DDGAN_ENGINE_CHECKPOINT_STRAY_VERSIONS_H_

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace ddgan {

// So many are described; one more sentence says that there are others.
inline constexpr size_t kMaxStrays = 16;

// A sentence on each folder with a manifest that is in no version's place: a
// version's name that is nearly right (v12062, 0012061), a model's name that is
// none, a root that is itself a model's or a version's folder; and on models
// that are links. Sorted; for a person, free of control characters. Names that
// begin with a dot are left alone. No file is read, and what cannot be looked
// at is nothing. Thread-safe.
std::vector<std::string> DescribeStrayVersions(
    const std::filesystem::path& model_root);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_CHECKPOINT_STRAY_VERSIONS_H_
