#include "trainer/dataset/encoded/lmdb_images.h"

#include <lmdb.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "trainer/dataset/encoded/file_bytes.h"
#include "trainer/dataset/encoded/image_decoder.h"

namespace ddgan {
namespace {

constexpr uint64_t kMaxKeyMemory = uint64_t{4} << 30;

// Each of the first two pages: a page header of 16 bytes, then magic number,
// version, two words of 8 bytes, and the page size (MDB_meta in lmdb 0.9's
// mdb.c). LMDB takes that of the newer page, unchecked, and divides by it.
constexpr uint32_t kMagic = 0xBEEFC0DE;
constexpr uint32_t kVersion = 1;
constexpr size_t kMagicAt = 16;
constexpr size_t kVersionAt = 20;
constexpr size_t kPageSizeAt = 40;
constexpr size_t kHeaderBytes = 44;
constexpr uint32_t kMinPageSize = 512;
constexpr uint32_t kMaxPageSize = 65536;

uint32_t NativeWord(const std::string& bytes, size_t at) {
  uint32_t word;
  std::memcpy(&word, bytes.data() + at, sizeof(word));
  return word;
}

absl::Status LmdbError(int code, const std::string& path) {
  const std::string message = absl::StrCat(path, ": ", mdb_strerror(code));
  if (code > 0) return absl::ErrnoToStatus(code, message);
  return absl::DataLossError(message);
}

// The page size that the meta page at `begin` announces.
absl::StatusOr<uint32_t> CheckMetaPage(const FileBytes& file, uint64_t begin,
                                       const std::string& path) {
  std::string header;
  if (absl::Status s = file.Read(begin, kHeaderBytes, &header); !s.ok())
    return absl::Status(s.code(), absl::StrCat(path, ": ", s.message()));
  const uint32_t magic = NativeWord(header, kMagicAt);
  const uint32_t version = NativeWord(header, kVersionAt);
  if (magic != kMagic || version != kVersion) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": magic number 0x", absl::Hex(magic, absl::kZeroPad8),
        ", version ", version, "; an LMDB database has 0x",
        absl::Hex(kMagic, absl::kZeroPad8), ", version ", kVersion));
  }
  return NativeWord(header, kPageSizeAt);
}

absl::Status CheckHeader(const std::string& path) {
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(path, ": ", status.message()));
  };
  const absl::StatusOr<FileBytes> file = FileBytes::Open(path);
  if (!file.ok()) return named(file.status());
  if (file->size() < kHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", file->size(), " bytes are no LMDB database"));
  }
  const absl::StatusOr<uint32_t> page_size = CheckMetaPage(*file, 0, path);
  if (!page_size.ok()) return page_size.status();
  if (!std::has_single_bit(*page_size) || *page_size < kMinPageSize ||
      *page_size > kMaxPageSize) {
    return absl::DataLossError(absl::StrCat(
        path, ": LMDB pages of ", *page_size, " bytes, allowed are ",
        kMinPageSize, " to ", kMaxPageSize));
  }
  if (file->size() < *page_size + kHeaderBytes) {
    return absl::DataLossError(absl::StrCat(
        path, ": ", file->size(), " bytes, cut short of its second page"));
  }
  const absl::StatusOr<uint32_t> second =
      CheckMetaPage(*file, *page_size, path);
  if (!second.ok()) return second.status();
  if (*second != *page_size) {
    return absl::DataLossError(absl::StrCat(
        path, ": LMDB pages of ", *page_size, " bytes by the first page, of ",
        *second, " by the second"));
  }
  return absl::OkStatus();
}

struct EnvironmentCloser {
  void operator()(MDB_env* environment) const { mdb_env_close(environment); }
};
using Environment = std::unique_ptr<MDB_env, EnvironmentCloser>;

struct TransactionEnder {
  void operator()(MDB_txn* transaction) const { mdb_txn_abort(transaction); }
};
using Transaction = std::unique_ptr<MDB_txn, TransactionEnder>;

struct CursorCloser {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};

absl::StatusOr<Transaction> Begin(MDB_env* environment,
                                  const std::string& path) {
  MDB_txn* transaction = nullptr;
  const int code =
      mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction);
  if (code != MDB_SUCCESS) return LmdbError(code, path);
  return Transaction(transaction);
}

// Without MDB_NOTLS a thread could have one transaction at a time.
absl::StatusOr<Environment> OpenEnvironment(const std::string& path) {
  MDB_env* raw = nullptr;
  int code = mdb_env_create(&raw);
  if (code != MDB_SUCCESS) return LmdbError(code, path);
  Environment environment(raw);
  constexpr mdb_mode_t kUnused = 0;  // Nothing is created.
  code = mdb_env_open(
      raw, path.c_str(),
      MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR | MDB_NORDAHEAD,
      kUnused);
  if (code != MDB_SUCCESS) return LmdbError(code, path);
  return environment;
}

// A page beyond the end of the file would end the process when it is read.
absl::Status CheckLength(MDB_env* environment, const std::string& path) {
  MDB_envinfo info;
  MDB_stat stat;
  int code = mdb_env_info(environment, &info);
  if (code == MDB_SUCCESS) code = mdb_env_stat(environment, &stat);
  if (code != MDB_SUCCESS) return LmdbError(code, path);
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) return absl::ErrnoToStatus(error.value(), path);
  if (info.me_last_pgno >= size / stat.ms_psize) {
    return absl::DataLossError(absl::StrCat(
        path, ": ", size, " bytes, cut short of its ", info.me_last_pgno,
        " pages of ", stat.ms_psize, " bytes after the first"));
  }
  return absl::OkStatus();
}

class LmdbImages : public EncodedImages {
 public:
  LmdbImages(std::string path, Environment environment, MDB_dbi database,
             std::vector<std::string> keys)
      : path_(std::move(path)),
        environment_(std::move(environment)),
        database_(database),
        keys_(std::move(keys)) {}

  size_t size() const override { return keys_.size(); }

  std::string Name(size_t index) const override {
    return absl::StrCat(path_, ": key ", absl::CHexEscape(keys_[index]));
  }

  absl::StatusOr<std::string_view> Read(size_t index,
                                        std::string* scratch) const override {
    const absl::StatusOr<Transaction> transaction =
        Begin(environment_.get(), path_);
    if (!transaction.ok()) return transaction.status();
    const std::string& name = keys_[index];
    MDB_val key = {name.size(), const_cast<char*>(name.data())};
    MDB_val value;
    const int code = mdb_get(transaction->get(), database_, &key, &value);
    if (code == MDB_NOTFOUND) return absl::DataLossError("the value is gone");
    if (code != MDB_SUCCESS) return LmdbError(code, path_);
    if (value.mv_size > kMaxEncodedBytes) {
      return absl::DataLossError(absl::StrCat(
          value.mv_size, " bytes, allowed are at most ", kMaxEncodedBytes));
    }
    scratch->assign(static_cast<const char*>(value.mv_data), value.mv_size);
    return *scratch;
  }

 private:
  const std::string path_;
  const Environment environment_;
  const MDB_dbi database_;
  const std::vector<std::string> keys_;
};

// All keys, in order.
absl::StatusOr<std::vector<std::string>> ReadKeys(MDB_txn* transaction,
                                                  MDB_dbi database,
                                                  const std::string& path) {
  MDB_stat stat;
  int code = mdb_stat(transaction, database, &stat);
  if (code != MDB_SUCCESS) return LmdbError(code, path);
  MDB_cursor* raw = nullptr;
  code = mdb_cursor_open(transaction, database, &raw);
  if (code != MDB_SUCCESS) return LmdbError(code, path);
  const std::unique_ptr<MDB_cursor, CursorCloser> cursor(raw);
  std::vector<std::string> keys;
  uint64_t memory = 0;
  MDB_val key;
  while ((code = mdb_cursor_get(raw, &key, nullptr, MDB_NEXT)) == MDB_SUCCESS) {
    memory += sizeof(std::string) + key.mv_size;
    if (memory > kMaxKeyMemory) {
      return absl::ResourceExhaustedError(absl::StrCat(
          path, ": its keys need more than ", kMaxKeyMemory, " bytes"));
    }
    // Pages that lead in a circle would never end.
    if (keys.size() == stat.ms_entries) {
      return absl::DataLossError(absl::StrCat(
          path, ": more keys than the ", stat.ms_entries, " it announces"));
    }
    keys.emplace_back(static_cast<const char*>(key.mv_data), key.mv_size);
  }
  if (code != MDB_NOTFOUND) return LmdbError(code, path);
  return keys;
}

}  // namespace

absl::StatusOr<std::unique_ptr<EncodedImages>> OpenLmdb(
    const std::filesystem::path& path) {
  std::error_code ignored;  // What cannot be looked at is not there.
  const std::filesystem::path file =
      std::filesystem::is_directory(path, ignored) ? path / "data.mdb" : path;
  const std::string name = file.string();
  if (!std::filesystem::exists(file, ignored)) {
    return absl::NotFoundError(
        absl::StrCat(name,
                     ": nothing is there; wanted an LMDB database, a "
                     "folder that holds data.mdb or such a file"));
  }
  if (absl::Status s = CheckHeader(name); !s.ok()) return s;
  absl::StatusOr<Environment> environment = OpenEnvironment(name);
  if (!environment.ok()) return environment.status();
  if (absl::Status s = CheckLength(environment->get(), name); !s.ok()) return s;

  absl::StatusOr<Transaction> transaction = Begin(environment->get(), name);
  if (!transaction.ok()) return transaction.status();
  MDB_dbi database;
  int code = mdb_dbi_open(transaction->get(), nullptr, 0, &database);
  if (code != MDB_SUCCESS) return LmdbError(code, name);
  absl::StatusOr<std::vector<std::string>> keys =
      ReadKeys(transaction->get(), database, name);
  if (!keys.ok()) return keys.status();
  if (keys->empty()) {
    return absl::NotFoundError(absl::StrCat(name, ": the database is empty"));
  }
  // Which leaves the handle open for later transactions.
  code = mdb_txn_commit(transaction->release());
  if (code != MDB_SUCCESS) return LmdbError(code, name);
  return std::make_unique<LmdbImages>(name, *std::move(environment), database,
                                      *std::move(keys));
}

}  // namespace ddgan
