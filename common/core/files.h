// Whole files in and out; what is written appears all at once or not at all.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace qlora {

/// A file mapped read-only into memory; the mapping lives as long as somebody holds it.
class MappedFile {
 public:
  /// @throws BadInput if the file cannot be opened or is not a regular file
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// The bytes, how many there are, and the path as it was given. An empty file has no bytes.
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  const std::string& path() const { return path_; }

 private:
  MappedFile() = default;
  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// The whole text of a file. @throws BadInput if it cannot be read or is above `limit` bytes
std::string read_file(const std::string& path, std::size_t limit = std::size_t{1} << 30);

/// Appends bytes to the file being written. @throws BadInput on a full disk
using Sink = std::function<void(const void* data, std::size_t size)>;

/// Writes a file beside its place, flushes it to the disk, and renames it into place. If `write`
/// throws or the disk is full, nothing is left and an older file of that name stays as it was.
/// @throws BadInput naming the file and the system's reason
void write_atomically(const std::string& path, const std::function<void(const Sink&)>& write);
void write_atomically(const std::string& path, std::string_view text);

/// Makes the folder that results will go to, with its parents; one that is there stays as it is.
/// Long work calls this first, not when it has results. @throws BadInput if it cannot be made, or
/// cannot be written to
void make_folder(const std::string& path);

/// Flushes the folder that holds `path`, so that a rename in it survives a power cut.
void flush_folder_of(const std::string& path);

/// A folder that is filled under another name ("<path>.unfinished") and renamed when all is in it.
/// An existing folder at `path` is replaced. If `fill` throws, the unfinished folder is removed.
void write_folder_atomically(const std::string& path,
                             const std::function<void(const std::string& unfinished)>& fill);

}  // namespace qlora
