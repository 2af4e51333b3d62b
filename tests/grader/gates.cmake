# The grader's own suite, and the gates on every exercise of the tree.
set(folder ${CMAKE_CURRENT_LIST_DIR})
get_property(targets GLOBAL PROPERTY QLORA_EXERCISE_TARGETS)
foreach(suite grader gates planted handout)
  add_executable(test_${suite} ${folder}/${suite}_test.cpp)
  target_link_libraries(test_${suite} PRIVATE test_support grader_parts qlora_course)
  add_dependencies(test_${suite} ${targets})
  # Which exercises there are is known when the tests are run, not when they were built.
  gtest_discover_tests(test_${suite} PROPERTIES TIMEOUT 600 DISCOVERY_MODE PRE_TEST
                       SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endforeach()

target_sources(test_planted PRIVATE $<TARGET_OBJECTS:mutants_parts> $<TARGET_OBJECTS:test_process>)
target_include_directories(test_planted PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})

# A handed-out folder is built from nothing, which takes a minute or two: in CI only.
if(QLORA_WARNINGS_ARE_ERRORS AND NOT QLORA_SANITIZE)
  add_test(NAME handout_builds COMMAND bash ${folder}/handout_builds.sh $<TARGET_FILE:grader> ${CMAKE_SOURCE_DIR})
  set_tests_properties(handout_builds PROPERTIES TIMEOUT 1200)
endif()
