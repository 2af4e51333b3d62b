# CTests on the tree itself. Each is a script of this folder that prints file:line of what is wrong;
# canaries.sh shows that each of them can fail.

# qlora_check(name argument...): the CTest `name` runs the script of that name.
function(qlora_check name)
  add_test(NAME ${name} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/checks/${name}.sh ${ARGN})
endfunction()

qlora_check(canaries)
qlora_check(include_graph ${CMAKE_SOURCE_DIR})
qlora_check(file_lengths ${CMAKE_SOURCE_DIR})
qlora_check(machine_paths ${CMAKE_SOURCE_DIR})
qlora_check(golden_unchanged ${CMAKE_SOURCE_DIR})
if(NOT QLORA_SANITIZE)  # sanitized units take longer, and there are no chapters
  qlora_check(slowest_units ${CMAKE_BINARY_DIR})
  qlora_check(exit_codes ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/bin)
endif()

# golden_used comes after every suite. Their tests are known to ctest only, which reads this file
# after the lists that gtest_discover_tests() wrote.
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/checks/after_suites.cmake.in
               ${CMAKE_CURRENT_BINARY_DIR}/after_suites.cmake @ONLY)
set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES
  ${CMAKE_CURRENT_BINARY_DIR}/after_suites.cmake)
