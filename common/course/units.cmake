qlora_folder(NAME course LINKS core
  UNITS text.cpp table.cpp option.cpp options.cpp options_help.cpp command_line.cpp run.cpp progress.cpp
        ledger.cpp ledger_print.cpp lesson.cpp provenance.cpp svg_canvas.cpp svg_line.cpp svg_bar.cpp
        svg_levels.cpp experiment.cpp)
# CLI11's templates take longer to optimize than a command line takes to read.
target_compile_options(course_command_line PRIVATE -O0)
include(${CMAKE_CURRENT_LIST_DIR}/provenance.cmake)
