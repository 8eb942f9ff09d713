// Images in an LMDB database. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_LMDB_IMAGES_H_
#define DDGAN_TRAINER_DATASET_ENCODED_LMDB_IMAGES_H_

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "trainer/dataset/encoded/encoded_images.h"

namespace ddgan {

// The values of the unnamed database at `path`, which is a folder that holds
// data.mdb or such a file itself, ordered by key as bytes (so "10" is before
// "2"). Keys are read once; values when they are asked for, from the page
// cache, by any number of threads.
//
// Opened for reading and without LMDB's lock file, so a read-only disk will do;
// nobody may write to it meanwhile. Of a damaged database LMDB itself notices
// little: magic number, version, page size and length are checked here, pages
// within the file are believed. Take databases from people whom you trust.
//   NotFound           neither is there, or the database is empty
//   InvalidArgument    no LMDB file of version 1 with this machine's layout
//   DataLoss           cut short, or otherwise found damaged by LMDB
//   ResourceExhausted  its keys need more than 4 GiB of memory
//   another            it cannot be read, as the system says
absl::StatusOr<std::unique_ptr<EncodedImages>> OpenLmdb(
    const std::filesystem::path& path);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_LMDB_IMAGES_H_
