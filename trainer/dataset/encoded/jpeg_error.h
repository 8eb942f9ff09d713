// libjpeg's errors without its exit(): internal to the files that call libjpeg,
// which comes with this header. The functions around libjpeg's are left by
// longjmp, so nothing in them may need a destructor.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_JPEG_ERROR_H_
#define DDGAN_TRAINER_DATASET_ENCODED_JPEG_ERROR_H_

// jpeglib.h needs size_t and FILE.
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <csetjmp>

namespace ddgan {

// Reached from libjpeg's callbacks by its first member.
struct JpegError {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  bool out_of_memory;
  char message[JMSG_LENGTH_MAX];
};

// An error_exit: notes the error in the JpegError and jumps.
[[noreturn]] inline void JumpOnJpegError(j_common_ptr info) {
  auto* error = reinterpret_cast<JpegError*>(info->err);
  error->out_of_memory = info->err->msg_code == JERR_OUT_OF_MEMORY;
  info->err->format_message(info, error->message);
  std::longjmp(error->jump, 1);
}

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_JPEG_ERROR_H_
