# Writes a source file that holds the configurations, so that the program finds
# them from anywhere.
# Run: cmake -DFOLDER=trainer/configs -DOUTPUT=builtin_configs.cc -P embed_configs.cmake
file(GLOB files ${FOLDER}/*.json)
list(SORT files)
set(entries "")
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND entries "    {\"${name}\", R\"config(${text})config\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made from trainer/configs/ by trainer/options/embed_configs.cmake.
#include \"trainer/options/builtin_configs.h\"

namespace ddgan {
namespace {

constexpr BuiltinConfig kConfigs[] = {
${entries}};

}  // namespace

absl::Span<const BuiltinConfig> BuiltinConfigs() { return kConfigs; }

}  // namespace ddgan
")
