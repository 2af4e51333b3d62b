# The mutants of the exercises. `cmake --build DIR --target mutants` tries all of them: run_mutants.cpp
# says what is tried and how. Which objects a suite is linked with is known to CMake, and written to
# DIR/mutants/units.json; chapters/NN_name/exercise/exercise.json says what the units are.

add_library(test_process OBJECT support/process.cpp)
target_include_directories(test_process PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(test_process PUBLIC qlora_flags)

add_library(mutants_parts OBJECT mutants/mutant.cpp mutants/unit_build.cpp mutants/trial.cpp)
target_link_libraries(mutants_parts PUBLIC qlora_flags test_process)
add_executable(run_mutants mutants/run_mutants.cpp $<TARGET_OBJECTS:test_process>)
target_link_libraries(run_mutants PRIVATE mutants_parts qlora_core)

# qlora_link_of(target libraries objects): what the linker gets for a target through all that it links:
# libraries, and the objects of OBJECT libraries.
function(qlora_link_of target libraries objects)
  set(found)
  set(found_objects)
  set(visited ${target})
  get_target_property(next ${target} LINK_LIBRARIES)
  while(next)
    list(POP_FRONT next link)
    string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" link "${link}")
    if(link IN_LIST visited)
      continue()
    endif()
    list(APPEND visited ${link})
    if(NOT TARGET ${link})
      if(NOT link MATCHES "^(-|/|\\$)")
        set(link -l${link})
      endif()
      list(APPEND found ${link})
      continue()
    endif()
    get_target_property(type ${link} TYPE)
    if(type MATCHES "^(STATIC|SHARED|UNKNOWN)_LIBRARY$")
      list(APPEND found $<TARGET_LINKER_FILE:${link}>)
    elseif(type STREQUAL "OBJECT_LIBRARY")
      list(APPEND found_objects $<TARGET_OBJECTS:${link}>)
    endif()
    get_target_property(links ${link} INTERFACE_LINK_LIBRARIES)
    if(links)
      list(APPEND next ${links})
    endif()
  endwhile()
  set(${libraries} ${found} PARENT_SCOPE)
  set(${objects} ${found_objects} PARENT_SCOPE)
endfunction()

# qlora_mutant_unit(list name target SOURCE file MUTANTS file OBJECT object KEEP pattern...): adds a
# unit to the list (a global property). The program `target` holds the suite; of its own objects those
# that match a pattern are linked, and all objects of the library that it has.
function(qlora_mutant_unit list name target)
  cmake_parse_arguments(ARG "" "SOURCE;MUTANTS;OBJECT" "KEEP" ${ARGN})
  list(JOIN ARG_KEEP "|" keep)
  qlora_link_of(${target} libraries objects)
  list(APPEND objects "$<FILTER:$<TARGET_OBJECTS:${target}>,INCLUDE,/(${keep})\\.o$>"
       "$<FILTER:$<TARGET_PROPERTY:${target},SOURCES>,INCLUDE,\\.o$>")
  set_property(GLOBAL APPEND_STRING PROPERTY ${list} "{
  \"name\": \"${name}\", \"source\": \"${ARG_SOURCE}\", \"mutants\": \"${ARG_MUTANTS}\",
  \"object\": \"${ARG_OBJECT}\",
  \"objects\": [\"$<JOIN:${objects},\"$<COMMA> \">\"],
  \"libraries\": [\"$<JOIN:${libraries},\"$<COMMA> \">\"]},")
endfunction()

# qlora_mutant_list(list file seconds): writes a list of units for run_mutants.
function(qlora_mutant_list list file seconds)
  get_property(units GLOBAL PROPERTY ${list})
  string(REGEX REPLACE ",$" "" units "${units}")
  file(GENERATE OUTPUT ${file} CONTENT "{
\"compile_commands\": \"${CMAKE_BINARY_DIR}/compile_commands.json\",
\"seconds\": ${seconds},
\"units\": [${units}
]}
")
endfunction()

# The tasks of a chapter. The suite of a unit is part of its folder's suite. A transfer task is
# no unit of a folder: the program mutants_CHAPTER_TASK is its suite around the oracle.
function(qlora_mutants_of_chapter chapter)
  set(exercise ${CMAKE_SOURCE_DIR}/chapters/${chapter}/exercise)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${exercise}/exercise.json)
  file(READ ${exercise}/exercise.json json)
  string(JSON count LENGTH "${json}" tasks)
  math(EXPR last "${count} - 1")
  foreach(i RANGE ${last})
    string(JSON id GET "${json}" tasks ${i} id)
    string(JSON suite_count LENGTH "${json}" tasks ${i} suite)
    math(EXPR last_suite "${suite_count} - 1")
    set(suites)
    foreach(s RANGE ${last_suite})
      string(JSON suite GET "${json}" tasks ${i} suite ${s})
      list(APPEND suites ${CMAKE_SOURCE_DIR}/${suite})
    endforeach()
    string(JSON oracle ERROR_VARIABLE is_no_transfer GET "${json}" tasks ${i} oracle)
    if(is_no_transfer)
      string(JSON source GET "${json}" tasks ${i} reference)
      string(JSON library GET "${json}" tasks ${i} object)
      list(GET suites 0 suite)
      file(RELATIVE_PATH folder ${CMAKE_CURRENT_SOURCE_DIR} ${suite})
      string(REGEX REPLACE "/.*" "" folder ${folder})
      set(target test_${folder})
      set(object $<TARGET_OBJECTS:${library}>)
      set(keep)
    else()
      set(source ${oracle})
      set(target mutants_${chapter}_${id})
      add_executable(${target} EXCLUDE_FROM_ALL ${suites} ${CMAKE_SOURCE_DIR}/${source})
      target_include_directories(${target} PRIVATE ${exercise})
      target_link_libraries(${target} PRIVATE test_support qlora_checkpoint)
      get_filename_component(keep ${source} NAME)
      set(object "$<FILTER:$<TARGET_OBJECTS:${target}>,INCLUDE,/${keep}\\.o$>")
    endif()
    foreach(suite IN LISTS suites)
      get_filename_component(suite ${suite} NAME)
      list(APPEND keep ${suite})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY QLORA_MUTATED ${target})
    qlora_mutant_unit(QLORA_MUTANTS ${chapter}/${id} ${target} OBJECT ${object} KEEP ${keep}
      SOURCE ${CMAKE_SOURCE_DIR}/${source}
      MUTANTS ${CMAKE_CURRENT_SOURCE_DIR}/mutants/${chapter}/${id}.json)
  endforeach()
endfunction()

file(GLOB exercises CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/chapters
     ${CMAKE_SOURCE_DIR}/chapters/[0-9][0-9]_*/exercise/exercise.json)
foreach(exercise IN LISTS exercises)
  string(REGEX REPLACE "/.*" "" chapter ${exercise})
  qlora_mutants_of_chapter(${chapter})
endforeach()
file(GLOB lists CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/mutants/[0-9][0-9]_*/*.json)
get_property(known GLOBAL PROPERTY QLORA_MUTANTS)
foreach(list IN LISTS lists)
  if(NOT known MATCHES "\"${list}\"")
    message(SEND_ERROR "${list}: no exercise has a task of this name")
  endif()
endforeach()
qlora_mutant_list(QLORA_MUTANTS ${CMAKE_BINARY_DIR}/mutants/units.json 10)
get_property(mutated GLOBAL PROPERTY QLORA_MUTATED)
add_custom_target(mutants COMMAND run_mutants ${CMAKE_BINARY_DIR}/mutants/units.json
                  DEPENDS run_mutants ${mutated} USES_TERMINAL VERBATIM
                  COMMENT "Every mutant of the exercises against its suite")

# The runner itself, on a small unit: what it must report stands in mutants/example/.
add_executable(mutants_example mutants/example/clamp.cpp mutants/example/clamp_test.cpp)
target_link_libraries(mutants_example PRIVATE test_support qlora_core)
foreach(list killed wrong few)
  qlora_mutant_unit(QLORA_MUTANTS_EXAMPLE ${list} mutants_example
    SOURCE ${CMAKE_CURRENT_SOURCE_DIR}/mutants/example/clamp.cpp
    MUTANTS ${CMAKE_CURRENT_SOURCE_DIR}/mutants/example/${list}.json
    OBJECT "$<FILTER:$<TARGET_OBJECTS:mutants_example>,INCLUDE,/clamp\\.cpp\\.o$>"
    KEEP clamp.cpp clamp_test.cpp)
endforeach()
qlora_mutant_list(QLORA_MUTANTS_EXAMPLE ${CMAKE_BINARY_DIR}/mutants/example/units.json 2)
add_test(NAME mutant_runner COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/mutants/example/check.sh
         $<TARGET_FILE:run_mutants> ${CMAKE_BINARY_DIR}/mutants/example/units.json)
