#include "course/run.h"

#include <unistd.h>

#include <cstdio>
#include <new>
#include <string>

#include "core/error.h"
#include "core/todo.h"

namespace qlora {
namespace {

int complain(const std::string& program, const std::string& line, ExitCode code) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s: %s\n", program.c_str(), line.c_str());
  return static_cast<int>(code);
}

std::string out_of_memory() {
  const double bytes =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  return "memory ran out; this machine has " + std::to_string(bytes / 0x1p30).substr(0, 5) +
         " GiB: smaller batches, lengths or models need less";
}

}  // namespace

int run_main(const std::string& program, const std::function<int()>& f) {
  try {
    const int code = f();
    if (std::fflush(stdout) != 0) throw BadInput("standard output", "", "cannot be written");
    return code;
  } catch (const Error& e) {
    return complain(program, e.what(), e.code());
  } catch (const std::bad_alloc&) {
    return complain(program, out_of_memory(), ExitCode::machine_lacks);
  } catch (const NotWritten& e) {
    return complain(program, e.what(), ExitCode::check_failed);
  } catch (const std::exception& e) {
    return complain(program, std::string("internal error: ") + e.what(), ExitCode::check_failed);
  }
}

int run(int argc, char** argv, Options& options) {
  return run_main(options.name(), [&] {
    Options& chosen = options.parse({argv + (argc > 0 ? 1 : 0), argv + argc});
    if (!chosen.help_wanted()) return chosen.act();
    std::fputs(chosen.help().c_str(), stdout);
    return 0;
  });
}

}  // namespace qlora
