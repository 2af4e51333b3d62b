#include "core/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "core/error.h"
#include "core/placed_file.h"
#include "support/golden.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const BadInput& e) {
    return e.what();
  }
  return "(accepted)";
}

TEST(MakeFolder, MakesItsParentsAndRefusesAFileInTheWay) {
  const fs::path folder = fs::path(testing::scratch()) / "a" / "b";
  make_folder(folder);
  make_folder(folder);  // one that is there stays
  EXPECT_TRUE(fs::is_directory(folder));
  write_atomically(folder / "file", "text");
  EXPECT_NE(refusal([&] { make_folder(folder / "file"); }).find("b/file"), std::string::npos);
  EXPECT_NE(refusal([&] { make_folder(folder / "file" / "c"); }).find("file/c"), std::string::npos);
}

TEST(MappedFile, GivesTheBytes) {
  const std::string path = testing::scratch() / "a";
  const std::string text("a\0b\n", 4);
  write_atomically(path, text);
  const auto file = MappedFile::open(path);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file->data()), file->size()), text);
  EXPECT_EQ(file->path(), path);
  EXPECT_EQ(read_file(path), text);
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  const std::string path = testing::scratch() / "empty";
  write_atomically(path, "");
  EXPECT_EQ(MappedFile::open(path)->size(), 0u);
  EXPECT_EQ(read_file(path), "");
}

TEST(MappedFile, OutlivesTheNameOfTheFile) {
  const std::string path = testing::scratch() / "a";
  write_atomically(path, "old");
  const auto file = MappedFile::open(path);
  write_atomically(path, "new!");  // renamed into place: the mapping still shows the old bytes
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file->data()), file->size()), "old");
  EXPECT_EQ(read_file(path), "new!");
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(refusal([] { MappedFile::open("no/such"); }),
            "no/such: cannot be opened: No such file or directory");
  const std::string folder = testing::scratch();
  EXPECT_EQ(refusal([&] { MappedFile::open(folder); }), folder + ": is not a regular file");
  EXPECT_EQ(refusal([] { MappedFile::open("/dev/zero"); }), "/dev/zero: is not a regular file");
}

TEST(ReadFile, KeepsToItsLimit) {
  const std::string path = testing::scratch() / "a";
  write_atomically(path, "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  EXPECT_EQ(refusal([&] { read_file(path, 4); }), path + ": is larger than 4 bytes");
}

TEST(PlacedFile, AppearsWholeOrNotAtAll) {
  const fs::path folder = testing::scratch();
  const std::string path = folder / "a";
  {
    PlacedFile file(path);
    file.write(3, "ond", 3);
    file.write(0, "sec", 3);
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_EQ(entries(folder), 0u);  // it was never finished
  PlacedFile file(path);
  file.write(3, "ond", 3);
  file.write(0, "sec", 3);
  file.finish();
  EXPECT_EQ(read_file(path), "second");
  EXPECT_EQ(entries(folder), 1u);
}

TEST(WriteAtomically, ReplacesTheWholeFile) {
  const fs::path folder = testing::scratch();
  const std::string path = folder / "a";
  write_atomically(path, "a long first text");
  write_atomically(path, [](const Sink& sink) {
    sink("sec", 3);
    sink("", 0);
    sink("ond", 3);
  });
  EXPECT_EQ(read_file(path), "second");
  EXPECT_EQ(entries(folder), 1u);
}

TEST(WriteAtomically, AFailureLeavesNothingAndKeepsTheOldFile) {
  const fs::path folder = testing::scratch();
  const std::string path = folder / "a";
  const auto fail = [](const Sink& sink) {
    sink("half", 4);
    throw std::runtime_error("the writer failed");
  };
  EXPECT_THROW(write_atomically(path, fail), std::runtime_error);
  EXPECT_EQ(entries(folder), 0u);
  write_atomically(path, "old");
  EXPECT_THROW(write_atomically(path, fail), std::runtime_error);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(entries(folder), 1u);
}

TEST(WriteAtomically, SaysWhyAFileCannotBeWritten) {
  EXPECT_EQ(refusal([] { write_atomically("no/such/a", "x"); }),
            "no/such/a: cannot be written: No such file or directory");
  const fs::path folder = testing::scratch();
  fs::create_directories(folder / "taken" / "inside");
  EXPECT_NE(refusal([&] { write_atomically(folder / "taken", "x"); }), "(accepted)");
  EXPECT_EQ(entries(folder), 1u);
}

TEST(WriteAtomically, AnUnwritableFolderIsNamed) {
  const fs::path folder = testing::scratch();
  const std::string path = folder / "a";
  fs::permissions(folder, fs::perms::all & ~(fs::perms::owner_write | fs::perms::group_write |
                                             fs::perms::others_write));
  // Root writes everywhere, so it becomes nobody for the moment.
  const uid_t self = ::geteuid();
  if (self == 0 && ::seteuid(65534) != 0) GTEST_SKIP() << "needs a user who may not write";
  const std::string line = refusal([&] { write_atomically(path, "x"); });
  ASSERT_EQ(::seteuid(self), 0);
  fs::permissions(folder, fs::perms::owner_all);
  EXPECT_EQ(line, path + ": cannot be written: Permission denied");
}

// A limit on the size of files stands for a full disk: write() fails half-way in both cases.
TEST(WriteAtomically, AFullDiskLeavesNothingAndKeepsTheOldFile) {
  const fs::path folder = testing::scratch();
  const std::string path = folder / "a";
  write_atomically(path, "old");
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string line = refusal([&] { write_atomically(path, std::string(100'000, 'x')); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, ignored);
  EXPECT_EQ(line, path + ": cannot be written: File too large");
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(entries(folder), 1u);
}

TEST(WriteFolderAtomically, AppearsWhenAllIsInIt) {
  const fs::path folder = testing::scratch();
  const std::string path = folder / "checkpoint-1";
  write_folder_atomically(path, [&](const std::string& unfinished) {
    EXPECT_NE(unfinished, path);
    EXPECT_FALSE(fs::exists(path));
    write_atomically(unfinished + "/a", "1");
  });
  EXPECT_EQ(read_file(path + "/a"), "1");
  EXPECT_EQ(entries(folder), 1u);
}

TEST(WriteFolderAtomically, ReplacesAndOnFailureKeepsTheOldOne) {
  const fs::path folder = testing::scratch();
  const std::string path = folder / "out";
  const auto with = [](const char* name) {
    return [name](const std::string& at) { write_atomically(at + "/" + name, "x"); };
  };
  write_folder_atomically(path, with("first"));
  write_folder_atomically(path, with("second"));
  EXPECT_FALSE(fs::exists(path + "/first"));
  EXPECT_THROW(write_folder_atomically(path,
                                       [](const std::string& at) {
                                         write_atomically(at + "/third", "x");
                                         throw std::runtime_error("the writer failed");
                                       }),
               std::runtime_error);
  EXPECT_TRUE(fs::exists(path + "/second"));
  EXPECT_FALSE(fs::exists(path + "/third"));
  EXPECT_EQ(entries(folder), 1u);
}

TEST(WriteFolderAtomically, WhatAKilledRunLeftDoesNotGetIn) {
  const std::string path = testing::scratch() / "out";
  fs::create_directories(path + ".unfinished");
  std::ofstream(path + ".unfinished/stale") << "x";
  write_folder_atomically(path, [](const std::string& at) { write_atomically(at + "/a", "x"); });
  EXPECT_FALSE(fs::exists(path + "/stale"));
}

TEST(WriteFolderAtomically, SaysWhyAFolderCannotBeWritten) {
  const std::string file = testing::scratch() / "file";
  write_atomically(file, "x");
  const std::string line =
      refusal([&] { write_folder_atomically(file + "/out", [](const std::string&) {}); });
  EXPECT_EQ(line, file + "/out: cannot be written: Not a directory");
}

}  // namespace
}  // namespace qlora
