# The exercises. For each task of a chapters/NN_name/exercise/exercise.json there are two programs of
# the same suite, in exercises/ below the build folder:
#
#   NN_name_TASK_reference  every unit of common/ (for a transfer task: the adapter of its oracle)
#   NN_name_TASK_student    every unit but one, and in its place the file that is to be graded
#
# The tests and all units but the one are linked beforehand into one object, NN_name_TASK_rest.o, in
# which the symbols of the unit are undefined: no reference can answer in the student's stead.

set(QLORA_SUBMISSION ${CMAKE_SOURCE_DIR}/chapters CACHE PATH
    "The folder that holds NN_name/exercise/*.cpp, the files that are graded")
set(QLORA_MY_UNITS "" CACHE STRING
    "Units for which the chapters link the file in QLORA_SUBMISSION, e.g. affine;nf4")
# A handed-out folder has no answers: what a task needs of the ones before it is the learner's too.
set(QLORA_HANDED_OUT FALSE)
if(EXISTS ${CMAKE_SOURCE_DIR}/pristine)
  set(QLORA_HANDED_OUT TRUE)
endif()
set(QLORA_EXERCISE_PROGRAMS ${CMAKE_BINARY_DIR}/exercises)
file(MAKE_DIRECTORY ${QLORA_EXERCISE_PROGRAMS})

# qlora_below(target...): sets objects and libraries, all that the folders' targets and those below
# them add, and folders, their names.
function(qlora_below)
  set(waiting ${ARGN})
  set(objects)
  set(libraries)
  set(folders)
  while(waiting)
    list(POP_FRONT waiting target)
    get_target_property(sources ${target} INTERFACE_SOURCES)
    string(REGEX REPLACE "^qlora_" "" folder ${target})
    list(APPEND folders ${folder})
    list(APPEND objects ${sources})
    get_target_property(links ${target} INTERFACE_LINK_LIBRARIES)
    foreach(link IN LISTS links)
      if(link MATCHES "^qlora_(.*)$" AND NOT link STREQUAL qlora_flags)
        if(NOT CMAKE_MATCH_1 IN_LIST folders)
          list(APPEND waiting ${link})
        endif()
      else()
        list(APPEND libraries ${link})
      endif()
    endforeach()
    list(REMOVE_DUPLICATES waiting)
  endwhile()
  list(REMOVE_DUPLICATES libraries)
  foreach(name objects libraries folders)
    set(${name} ${${name}} PARENT_SCOPE)
  endforeach()
endfunction()

# qlora_json_list(json variable member...): a list of strings; empty where it is not there.
function(qlora_json_list json variable)
  set(values)
  string(JSON count ERROR_VARIABLE none LENGTH "${json}" ${ARGN})
  if(NOT none AND count GREATER 0)
    math(EXPR last "${count} - 1")
    foreach(i RANGE ${last})
      string(JSON value GET "${json}" ${ARGN} ${i})
      list(APPEND values ${value})
    endforeach()
  endif()
  set(${variable} ${values} PARENT_SCOPE)
endfunction()

# qlora_task(chapter folder task root): the programs of a task, which is given as JSON; its stub is
# in root/chapter/exercise.
function(qlora_task chapter folder task root)
  string(JSON id GET "${task}" id)
  string(JSON file GET "${task}" file)
  string(JSON object ERROR_VARIABLE transfer GET "${task}" object)
  qlora_json_list("${task}" suite suite)
  qlora_json_list("${task}" links links)
  if(NOT links)
    set(links checkpoint)  # every suite can open golden tensors
  endif()
  if(NOT transfer)
    string(JSON reference GET "${task}" reference)
    string(REGEX REPLACE "^common/([^/]+)/.*$" "\\1" unit_folder ${reference})
    list(APPEND links ${unit_folder})
    set_property(GLOBAL APPEND PROPERTY QLORA_UNITS ${id})
  endif()
  list(REMOVE_DUPLICATES links)
  list(TRANSFORM links PREPEND qlora_)
  list(TRANSFORM suite PREPEND ${CMAKE_SOURCE_DIR}/)
  qlora_below(${links})
  set(name ${chapter}_${id})
  file(CONFIGURE OUTPUT ${QLORA_EXERCISE_PROGRAMS}/${name}_folders.txt CONTENT "${folders}\n" @ONLY)

  add_library(${name}_suite OBJECT EXCLUDE_FROM_ALL ${suite})
  target_include_directories(${name}_suite PRIVATE ${folder})
  target_link_libraries(${name}_suite PRIVATE test_support ${libraries})

  if(transfer)
    string(JSON oracle GET "${task}" oracle)
    set(object ${name}_oracle)
    add_library(${object} OBJECT EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/${oracle})
    target_include_directories(${object} PRIVATE ${folder})
    target_link_libraries(${object} PRIVATE ${libraries})
  else()
    list(REMOVE_ITEM objects "$<TARGET_OBJECTS:${object}>")
  endif()
  set(rest ${QLORA_EXERCISE_PROGRAMS}/${name}_rest.o)
  set(parts $<TARGET_OBJECTS:row_main> $<TARGET_OBJECTS:${name}_suite>
            $<FILTER:$<TARGET_OBJECTS:test_support>,EXCLUDE,/main\\.cpp\\.o$> ${objects})
  add_custom_command(OUTPUT ${rest} COMMAND ${CMAKE_LINKER} -r -o ${rest} ${parts} DEPENDS ${parts}
                     COMMAND_EXPAND_LISTS VERBATIM COMMENT "Tests of ${name}, without the unit")
  add_custom_target(${name}_rest DEPENDS ${rest})

  function(qlora_program kind unit)
    add_executable(${name}_${kind} EXCLUDE_FROM_ALL ${rest} $<TARGET_OBJECTS:${unit}>)
    add_dependencies(${name}_${kind} ${name}_rest)
    set_target_properties(${name}_${kind} PROPERTIES
      LINKER_LANGUAGE CXX RUNTIME_OUTPUT_DIRECTORY ${QLORA_EXERCISE_PROGRAMS})
    target_link_libraries(${name}_${kind} PRIVATE ${libraries} GTest::gtest)
  endfunction()
  qlora_program(reference ${object})
  if(QLORA_TESTS)
    set_target_properties(${name}_reference PROPERTIES EXCLUDE_FROM_ALL FALSE)
  endif()

  set(answer ${root}/${chapter}/exercise/${file})
  if(NOT EXISTS ${answer})
    message(STATUS "${answer} is not there: no ${name}_student")
    return()
  endif()
  # qlora_learners(target launcher...): the learner's file as an object.
  function(qlora_learners target)
    add_library(${target} OBJECT EXCLUDE_FROM_ALL ${answer})
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER "${ARGN}" QLORA_LEARNERS TRUE)
    target_compile_options(${target} PRIVATE -Wno-unused-parameter)  # those of a stub
    target_include_directories(${target} PRIVATE ${folder})
    target_link_libraries(${target} PRIVATE ${libraries})
  endfunction()
  # The grader takes its commands from here, and runs them where a compiler cache cannot write.
  qlora_learners(${name}_unit "")
  qlora_program(student ${name}_unit)

  if(NOT transfer AND (QLORA_HANDED_OUT OR id IN_LIST QLORA_MY_UNITS))
    set(mine ${name}_unit)
    if(QLORA_HANDED_OUT)  # for the tests of the other files
      set(mine ${name}_for_others)
      qlora_learners(${mine} sh ${CMAKE_SOURCE_DIR}/cmake/answer_or_stub.sh ${answer}
                     ${CMAKE_SOURCE_DIR}/pristine/${chapter}/${file})
    endif()
    get_target_property(sources qlora_${unit_folder} INTERFACE_SOURCES)
    list(TRANSFORM sources REPLACE "^\\$<TARGET_OBJECTS:${object}>$" "$<TARGET_OBJECTS:${mine}>")
    set_target_properties(qlora_${unit_folder} PROPERTIES INTERFACE_SOURCES "${sources}")
    file(RELATIVE_PATH place ${CMAKE_SOURCE_DIR} ${root}/${chapter}/exercise)
    set_property(GLOBAL APPEND PROPERTY QLORA_MY_UNITS_FROM "${id} from ${place}")
  endif()
endfunction()

# qlora_exercise(file root): all tasks of an exercise.json. The target exercise_NN_name builds what
# grading needs beforehand.
function(qlora_exercise file root)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} json)
  string(JSON chapter GET "${json}" chapter)
  get_filename_component(folder ${file} DIRECTORY)
  string(JSON count LENGTH "${json}" tasks)
  add_custom_target(exercise_${chapter})
  set_property(GLOBAL APPEND PROPERTY QLORA_EXERCISE_TARGETS exercise_${chapter})
  add_dependencies(exercise_${chapter} grader)
  math(EXPR last "${count} - 1")
  foreach(i RANGE ${last})
    string(JSON task GET "${json}" tasks ${i})
    qlora_task(${chapter} ${folder} "${task}" ${root})
    string(JSON id GET "${task}" id)
    add_dependencies(exercise_${chapter} ${chapter}_${id}_rest)
  endforeach()
endfunction()

add_subdirectory(tests/grader)
file(GLOB exercises CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/chapters/*/exercise/exercise.json)
foreach(exercise IN LISTS exercises)
  qlora_exercise(${exercise} ${QLORA_SUBMISSION})
endforeach()
if(QLORA_TESTS)  # one function, on which the grader itself is tested
  qlora_exercise(${CMAKE_SOURCE_DIR}/tests/grader/fixture/exercise/exercise.json ${CMAKE_SOURCE_DIR}/tests/grader)
endif()
get_property(from GLOBAL PROPERTY QLORA_MY_UNITS_FROM)
list(LENGTH from found)
list(LENGTH QLORA_MY_UNITS wanted)
if(NOT QLORA_HANDED_OUT AND NOT found EQUAL wanted)
  get_property(units GLOBAL PROPERTY QLORA_UNITS)
  message(FATAL_ERROR "QLORA_MY_UNITS is ${QLORA_MY_UNITS}; the units that there are: ${units}")
endif()
if(from)
  list(JOIN from ", " from)
  target_compile_definitions(course_provenance PRIVATE QLORA_UNITS="${from}")
endif()
