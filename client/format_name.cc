#include "client/format_name.h"

namespace ddgan {

std::string FormatName(v1::OutputFormat format) {
  switch (format) {
    case v1::OUTPUT_FORMAT_RAW8:
      return "raw8";
    case v1::OUTPUT_FORMAT_FLOAT32:
      return "float32";
    default:
      return "png";
  }
}

}  // namespace ddgan
