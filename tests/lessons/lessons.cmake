# The lessons, held against the sources and the programs (check_lessons.cpp).

add_library(lessons_parts OBJECT lessons/document.cpp lessons/token.cpp lessons/output.cpp
            lessons/course.cpp lessons/check.cpp)
target_link_libraries(lessons_parts PUBLIC qlora_flags test_process)
# g++ with sanitizers takes a state of std::regex for an uninitialized one (bug 105562).
target_compile_options(lessons_parts PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
add_executable(check_lessons lessons/check_lessons.cpp $<TARGET_OBJECTS:test_process>)
target_link_libraries(check_lessons PRIVATE lessons_parts qlora_core)

qlora_suite(lessons LINKS core)
target_link_libraries(test_lessons PRIVATE lessons_parts)
target_sources(test_lessons PRIVATE $<TARGET_OBJECTS:test_process>)

if(NOT QLORA_SANITIZE)  # there are no chapters
  add_test(NAME lessons COMMAND check_lessons ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/bin)
  set_tests_properties(lessons PROPERTIES TIMEOUT 600)
  # `./course lessons`: the chapters and their checker, without the suites.
  add_custom_target(lesson_programs DEPENDS check_lessons)
  add_dependencies(lesson_programs ${chapter_programs})
endif()

if(chapter_claims)  # docs/corrections.md is what the chapters' claims come to
  add_executable(corrections lessons/corrections.cpp)
  target_include_directories(corrections PRIVATE ${CMAKE_SOURCE_DIR}/chapters)
  target_compile_definitions(corrections PRIVATE QLORA_CHAPTERS_DIR="${CMAKE_SOURCE_DIR}/chapters")
  target_link_libraries(corrections PRIVATE qlora_flags fmt::fmt)
  foreach(claims IN LISTS chapter_claims)
    target_sources(corrections PRIVATE $<TARGET_OBJECTS:${claims}>)
  endforeach()
  foreach(folder IN LISTS chapter_links)
    target_link_libraries(corrections PRIVATE qlora_${folder})
  endforeach()
  add_dependencies(lesson_programs corrections)
  add_test(NAME corrections_page COMMAND sh -c "'$<TARGET_FILE:corrections>' | \
    diff '${CMAKE_SOURCE_DIR}/docs/corrections.md' - || \
    { echo 'docs/corrections.md is not what ./course lessons --update writes'; exit 1; }")
endif()
