# The CUDA back end, common/ops/cuda/*.cu. It is built where it is asked for (QLORA_CUDA) and nvcc
# is 12.8 or newer; everywhere else one line says so, and all the rest builds.
# Sets QLORA_HAS_CUDA, and makes qlora_cuda_compile(): a target of CUDA sources.

set(QLORA_HAS_CUDA FALSE)
if(NOT QLORA_CUDA)
  return()
endif()

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "CUDA back end: not built, there is no nvcc")
  return()
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
  message(STATUS "CUDA back end: not built, nvcc is ${CMAKE_CUDA_COMPILER_VERSION} and must be 12.8")
  return()
endif()
find_package(CUDAToolkit REQUIRED)
set(QLORA_HAS_CUDA TRUE)

# qlora_cuda_compile(target file...): an OBJECT library of CUDA sources.
function(qlora_cuda_compile target)
  add_library(${target} OBJECT ${ARGN})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/common)
  # CMake 3.25 knows no C++20 flag of nvcc 13, so that CUDA_STANDARD 20 would add none.
  set_target_properties(${target} PROPERTIES CUDA_STANDARD_REQUIRED OFF)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 -Xcompiler=-Wall,-Wextra>
    $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${QLORA_WARNINGS_ARE_ERRORS}>>:-Werror=all-warnings>)
endfunction()

# qlora_cuda_host(target): an OBJECT library of the CUDA back end's host code.
function(qlora_cuda_host target)
  add_library(${target} OBJECT)
  target_link_libraries(${target} PRIVATE qlora_flags)
  target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
endfunction()

# Attention by cuDNN: built from its headers alone, the library is looked for when a program runs.
# CUDNN_ROOT and CUDNN_FRONTEND_ROOT, also from the environment, are folders with an include/ in them;
# Python's packages nvidia-cudnn-cu13 and nvidia-cudnn-frontend, installed with --target DIR, are both
# in DIR.
qlora_cuda_host(qlora_cudnn)
if(QLORA_CUDNN)
  find_path(CUDNN_INCLUDE cudnn.h PATH_SUFFIXES include nvidia/cudnn/include
            HINTS ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_INCLUDE_DIRS})
  find_path(CUDNN_FRONTEND_INCLUDE cudnn_frontend.h PATH_SUFFIXES include
            HINTS ${CUDNN_FRONTEND_ROOT} $ENV{CUDNN_FRONTEND_ROOT})
  if(CUDNN_INCLUDE AND CUDNN_FRONTEND_INCLUDE)
    target_sources(qlora_cudnn PRIVATE ${CMAKE_SOURCE_DIR}/common/ops/cuda/attention_cudnn.cpp)
    target_compile_definitions(qlora_cudnn PRIVATE
      NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING=1 CUDNN_FRONTEND_SKIP_JSON_LIB=1)
    target_include_directories(qlora_cudnn SYSTEM BEFORE PRIVATE ${CUDNN_FRONTEND_INCLUDE} ${CUDNN_INCLUDE})
  elseif(CUDNN_INCLUDE)
    message(STATUS "Attention by cuDNN: not built, cudnn_frontend.h was not found (CUDNN_FRONTEND_ROOT)")
  else()
    message(STATUS "Attention by cuDNN: not built, cudnn.h was not found (CUDNN_ROOT)")
  endif()
endif()
get_target_property(sources qlora_cudnn SOURCES)
if(NOT sources)
  target_sources(qlora_cudnn PRIVATE ${CMAKE_SOURCE_DIR}/common/ops/cuda/attention_without_cudnn.cpp)
endif()

# Sums over several GPUs by NCCL: likewise, with NCCL_ROOT.
qlora_cuda_host(qlora_nccl)
if(QLORA_NCCL)
  find_path(NCCL_INCLUDE nccl.h PATH_SUFFIXES include nvidia/nccl/include
            HINTS ${NCCL_ROOT} $ENV{NCCL_ROOT} ${CUDAToolkit_INCLUDE_DIRS})
endif()
if(QLORA_NCCL AND NCCL_INCLUDE)
  target_sources(qlora_nccl PRIVATE ${CMAKE_SOURCE_DIR}/common/ops/cuda/nccl.cpp)
  target_include_directories(qlora_nccl SYSTEM PRIVATE ${NCCL_INCLUDE})
else()
  message(STATUS "Several GPUs: not built, nccl.h was not found (NCCL_ROOT)")
  target_sources(qlora_nccl PRIVATE ${CMAKE_SOURCE_DIR}/common/ops/cuda/nccl_missing.cpp)
endif()

add_custom_target(cuda_sources COMMENT "Every CUDA source is compiled")
file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/common/ops/cuda/*.cu)
if(kernels)
  qlora_cuda_compile(qlora_cuda ${kernels})
  add_dependencies(cuda_sources qlora_cuda)
endif()
if(QLORA_TESTS)
  # Headers of core/ that kernels share with the CPU: they must stay compilable by nvcc.
  qlora_cuda_compile(cuda_shared_headers ${CMAKE_SOURCE_DIR}/tests/cuda-skeleton/shared_headers.cu)
  add_dependencies(cuda_sources cuda_shared_headers)
endif()
