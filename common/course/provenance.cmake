# The commit, in a header of its own that is written only when it changes: nothing but
# course/provenance.cpp includes it, so that a commit compiles one small file anew.
#
# Included, it adds the target that runs this file again at each build, as a script.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(folder ${CMAKE_BINARY_DIR}/provenance)
  add_custom_target(provenance_commit
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${CMAKE_SOURCE_DIR} -D HEADER=${folder}/provenance_commit.h
            -P ${CMAKE_CURRENT_LIST_FILE}
    BYPRODUCTS ${folder}/provenance_commit.h
    COMMENT "Commit" VERBATIM)
  add_dependencies(course_provenance provenance_commit)
  target_include_directories(course_provenance PRIVATE ${folder})
  target_compile_definitions(course_provenance PRIVATE
    QLORA_BUILD_TYPE="${CMAKE_BUILD_TYPE}" QLORA_SANITIZERS="${QLORA_SANITIZE}")
  return()
endif()

set(commit unknown)
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE}/.git)  # not that of a folder above an unpacked archive
  execute_process(COMMAND ${GIT} -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                  OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
                  RESULT_VARIABLE failed)
  if(NOT failed)
    set(commit ${described})
  endif()
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define QLORA_COMMIT \"${commit}\"\n")
