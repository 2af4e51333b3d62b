# The canaries: one test that must pass, one that must skip, and others that must fail. Included, this
# adds the executable and a CTest that runs this file again, as a script.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  add_executable(canary ${CMAKE_CURRENT_LIST_DIR}/canary.cpp)
  target_link_libraries(canary PRIVATE test_support qlora_core)
  add_test(NAME harness_canary
           COMMAND ${CMAKE_COMMAND} -D CANARY=$<TARGET_FILE:canary> -P ${CMAKE_CURRENT_LIST_FILE})
  return()
endif()

set(ENV{COURSE_ASSETS})

# expect(TEST code text): the test alone ends with the code and prints the text.
function(expect test code text)
  execute_process(COMMAND ${CANARY} --gtest_filter=Canary.${test} --gtest_color=no
                  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(FIND "${output}" "${text}" at)
  if(NOT result EQUAL code OR at EQUAL -1)
    message(SEND_ERROR "Canary.${test} ended with ${result}, expected ${code} and '${text}':\n"
                       "${output}")
  endif()
endfunction()

expect(Passes 0 "[       OK ] Canary.Passes")
expect(Fails 1 "1 of 1 elements differ; element 0 is 1, expected 2, off by 1, allowed 0.5")
expect(Skips 0 "[  SKIPPED ] Canary.Skips")
expect(RefusesNaN 1 "element 0 is nan, expected 1")
expect(RefusesNaNForNaN 1 "element 0 is nan, expected nan")
expect(Throws 1 "an exception that nothing expects")
expect(NoSuchTest 0 "Running 0 tests")  # a filter that matches nothing: graders must look for this
