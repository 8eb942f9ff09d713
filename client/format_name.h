// What an output format is called: by --format, by files and in reports.
#ifndef DDGAN_CLIENT_FORMAT_NAME_H_
#define DDGAN_CLIENT_FORMAT_NAME_H_

#include <string>

#include "ddgan/v1/image_generation.pb.h"

namespace ddgan {

// "png", "raw8" or "float32". Unset is png, as it is for the server.
std::string FormatName(v1::OutputFormat format);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_FORMAT_NAME_H_
