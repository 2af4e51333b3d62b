# The grader's own suite, and the gates on every exercise of the tree.
file(GLOB grader_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*_test.cpp)
add_executable(test_grader ${grader_tests})
target_link_libraries(test_grader PRIVATE test_support grader_parts qlora_course)
add_dependencies(test_grader exercise_fixture fixture_twice_reference)
gtest_discover_tests(test_grader PROPERTIES TIMEOUT 300 DISCOVERY_TIMEOUT 60
                     SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
