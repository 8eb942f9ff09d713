#include "engine/base/standard_output.h"

#include <cstdio>
#include <iostream>

namespace ddgan {

int EndOfOutput(const char* program) {
  std::cout.flush();
  if (std::cout.good() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0)
    return 0;
  std::fprintf(stderr, "%s: standard output did not take all\n", program);
  return 1;
}

}  // namespace ddgan
