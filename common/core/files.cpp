#include "core/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "core/placed_file.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw BadInput(path, "", std::string(what) + ": " + std::strerror(errno));
}

// Closes a descriptor when the scope ends.
struct Descriptor {
  int fd;
  explicit Descriptor(int f) : fd(f) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

}  // namespace

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw BadInput(path, "", "cannot be made a folder: " + error.message());
  if (::access(path.c_str(), W_OK | X_OK) != 0) fail(path, "cannot be written to");
}

void flush_folder_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  const Descriptor d(
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (d.fd >= 0) ::fsync(d.fd);  // a file system that cannot is no reason to fail
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  const Descriptor d(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (d.fd < 0) fail(path, "cannot be opened");
  struct stat info{};
  if (::fstat(d.fd, &info) != 0) fail(path, "cannot be read");
  if (!S_ISREG(info.st_mode)) throw BadInput(path, "", "is not a regular file");
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = static_cast<std::size_t>(info.st_size);
  if (file->size_ > 0) {
    void* memory = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, d.fd, 0);
    if (memory == MAP_FAILED) fail(path, "cannot be mapped");
    file->data_ = static_cast<const std::byte*>(memory);
  }
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

std::string read_file(const std::string& path, std::size_t limit) {
  const auto file = MappedFile::open(path);
  if (file->size() > limit) {
    throw BadInput(path, "", "is larger than " + std::to_string(limit) + " bytes");
  }
  return {reinterpret_cast<const char*>(file->data()), file->size()};
}

void write_atomically(const std::string& path, const std::function<void(const Sink&)>& write) {
  PlacedFile file(path);
  std::size_t offset = 0;
  write([&](const void* data, std::size_t size) {
    file.write(offset, data, size);
    offset += size;
  });
  file.finish();
}

void write_atomically(const std::string& path, std::string_view text) {
  write_atomically(path, [&](const Sink& sink) { sink(text.data(), text.size()); });
}

void write_folder_atomically(const std::string& path,
                             const std::function<void(const std::string&)>& fill) {
  const std::string unfinished = path + ".unfinished";
  const std::string replaced = path + ".replaced";
  try {
    fs::remove_all(unfinished);
    fs::create_directories(unfinished);
    fill(unfinished);
    fs::remove_all(replaced);
    if (fs::exists(path)) fs::rename(path, replaced);
    fs::rename(unfinished, path);
    fs::remove_all(replaced);
  } catch (const fs::filesystem_error& e) {
    std::error_code ignored;
    fs::remove_all(unfinished, ignored);
    throw BadInput(path, "", "cannot be written: " + e.code().message());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(unfinished, ignored);
    throw;
  }
  flush_folder_of(path);
}

}  // namespace qlora
