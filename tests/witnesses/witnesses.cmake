# What stands behind the claims of the chapters (check_witnesses.cpp). The CTest that runs it is in
# checks/after_suites.cmake.in: it comes after all suites, which leave their reports in outcomes/.

add_library(witnesses_parts OBJECT witnesses/witnesses.cpp)
target_link_libraries(witnesses_parts PUBLIC qlora_flags test_process)
# g++ with sanitizers takes a state of std::regex for an uninitialized one (bug 105562).
target_compile_options(witnesses_parts PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
add_executable(check_witnesses witnesses/check_witnesses.cpp $<TARGET_OBJECTS:test_process>)
target_link_libraries(check_witnesses PRIVATE witnesses_parts qlora_core)

qlora_suite(witnesses LINKS core)
target_link_libraries(test_witnesses PRIVATE witnesses_parts)
