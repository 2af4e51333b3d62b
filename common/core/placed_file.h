// A file that is written in any order, and appears all at once or not at all.
#pragma once

#include <cstddef>
#include <string>

namespace qlora {

/// write_atomically (core/files.h) for a writer that knows where its bytes go but not in which
/// order they come: the file grows under another name until finish() renames it.
class PlacedFile {
 public:
  /// @throws BadInput if the file cannot be created
  explicit PlacedFile(const std::string& path);
  /// Removes what was written, unless it was finished.
  ~PlacedFile();
  PlacedFile(const PlacedFile&) = delete;
  PlacedFile& operator=(const PlacedFile&) = delete;

  /// @throws BadInput naming the file and the system's reason (a full disk)
  void write(std::size_t offset, const void* data, std::size_t size);
  /// Flushes the file to the disk and puts it into place. @throws BadInput
  void finish();

 private:
  std::string path_;
  std::string beside_;
  int descriptor_ = -1;
};

}  // namespace qlora
