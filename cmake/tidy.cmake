# `cmake --build DIR --target tidy`: clang-tidy-19 over every C++ source of the build. A source is
# looked at again when its object was built again, so that a header's change reaches what uses it.

find_program(QLORA_CLANG_TIDY clang-tidy-19)
mark_as_advanced(QLORA_CLANG_TIDY)
if(NOT QLORA_CLANG_TIDY)
  return()
endif()

# qlora_targets_below(folder variable): the targets of a folder and of the folders below it.
function(qlora_targets_below folder variable)
  get_property(found DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  get_property(subfolders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(subfolder IN LISTS subfolders)
    qlora_targets_below(${subfolder} below)
    list(APPEND found ${below})
  endforeach()
  set(${variable} ${found} PARENT_SCOPE)
endfunction()

set(tidied)
qlora_targets_below(${CMAKE_SOURCE_DIR} targets)
foreach(target IN LISTS targets)
  get_target_property(type ${target} TYPE)
  if(NOT type MATCHES "^(OBJECT_LIBRARY|EXECUTABLE)$")
    continue()
  endif()
  get_target_property(sources ${target} SOURCES)
  get_target_property(folder ${target} SOURCE_DIR)
  foreach(source IN LISTS sources)
    get_filename_component(source ${source} ABSOLUTE BASE_DIR ${folder})
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${source})
    set(stamp ${CMAKE_BINARY_DIR}/tidy/${name}.ok)
    if(NOT name MATCHES "^(common|chapters|tests)/.*\\.cpp$" OR stamp IN_LIST tidied)
      continue()
    endif()
    get_filename_component(file ${source} NAME)
    string(REPLACE "." "\\." pattern ${file})
    get_filename_component(stamp_folder ${stamp} DIRECTORY)
    file(MAKE_DIRECTORY ${stamp_folder})
    # One architecture for all machines: clang and g++ do not know the same ones as "native". What
    # libstdc++ itself uses of what it deprecates is not ours; our own uses stop g++.
    add_custom_command(OUTPUT ${stamp}
      COMMAND ${QLORA_CLANG_TIDY} -p ${CMAKE_BINARY_DIR} --quiet
              --extra-arg=-march=x86-64-v3 --extra-arg=-Wno-unknown-warning-option
              --extra-arg=-Wno-deprecated-declarations ${source}
      COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
      DEPENDS $<FILTER:$<TARGET_OBJECTS:${target}>,INCLUDE,/${pattern}\\.o$>
              ${CMAKE_SOURCE_DIR}/.clang-tidy ${CMAKE_SOURCE_DIR}/chapters/.clang-tidy
              ${CMAKE_SOURCE_DIR}/tests/.clang-tidy
      COMMENT "clang-tidy ${name}" VERBATIM)
    list(APPEND tidied ${stamp})
  endforeach()
endforeach()
add_custom_target(tidy DEPENDS ${tidied})
