#include "core/placed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "core/files.h"

namespace qlora {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw BadInput(path, "", std::string("cannot be written: ") + std::strerror(errno));
}

}  // namespace

PlacedFile::PlacedFile(const std::string& path)
    : path_(path), beside_(path + ".unfinished-" + std::to_string(::getpid())) {
  descriptor_ = ::open(beside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(path_);
}

PlacedFile::~PlacedFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(beside_.c_str());
  }
}

void PlacedFile::write(std::size_t offset, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t done = ::pwrite(descriptor_, at, size, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail(path_);
    at += done;
    offset += static_cast<std::size_t>(done);
    size -= static_cast<std::size_t>(done);
  }
}

void PlacedFile::finish() {
  if (::fsync(descriptor_) != 0) fail(path_);
  if (std::rename(beside_.c_str(), path_.c_str()) != 0) fail(path_);
  ::close(descriptor_);
  descriptor_ = -1;
  flush_folder_of(path_);
}

}  // namespace qlora
