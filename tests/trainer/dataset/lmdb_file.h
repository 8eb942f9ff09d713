// Writes LMDB databases, for tests.
#ifndef DDGAN_TESTS_TRAINER_DATASET_LMDB_FILE_H_
#define DDGAN_TESTS_TRAINER_DATASET_LMDB_FILE_H_

#include <lmdb.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace ddgan {

// Creates the folder `path`; ends the test process if it cannot.
inline void WriteLmdb(
    const std::filesystem::path& path,
    const std::vector<std::pair<std::string, std::string>>& entries) {
  const auto check = [](int code) {
    if (code != MDB_SUCCESS) {
      std::fprintf(stderr, "lmdb: %s\n", mdb_strerror(code));
      std::abort();
    }
  };
  std::filesystem::create_directories(path);
  MDB_env* environment;
  check(mdb_env_create(&environment));
  check(mdb_env_set_mapsize(environment, size_t{16} << 20));
  check(mdb_env_open(environment, path.c_str(), 0, 0600));
  MDB_txn* transaction;
  check(mdb_txn_begin(environment, nullptr, 0, &transaction));
  MDB_dbi database;
  check(mdb_dbi_open(transaction, nullptr, 0, &database));
  for (const auto& [key, value] : entries) {
    MDB_val k = {key.size(), const_cast<char*>(key.data())};
    MDB_val v = {value.size(), const_cast<char*>(value.data())};
    check(mdb_put(transaction, database, &k, &v, 0));
  }
  check(mdb_txn_commit(transaction));
  mdb_env_close(environment);
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_DATASET_LMDB_FILE_H_
