qlora_folder(NAME ops LINKS core quantization lora checkpoint text
  UNITS ops.cpp device_memory.cpp host_store.cpp embedding.cpp rms_norm.cpp rope.cpp attention.cpp
        swiglu.cpp geglu.cpp linear.cpp linear_group.cpp dora.cpp straight_through.cpp
        cross_entropy.cpp logits.cpp head.cpp decoding.cpp recording.cpp timeline.cpp
        adamw.cpp adamw_8bit.cpp optimizer.cpp attention_ops.cpp quantization.cpp processes.cpp)

# The CUDA back end, where it is built (cmake/cuda.cmake).
if(QLORA_HAS_CUDA)
  foreach(unit ops_ops ops_attention_ops ops_dora ops_straight_through ops_optimizer ops_head
          ops_decoding ops_recording ops_timeline ops_device_memory ops_host_store
          ops_quantization ops_processes)
    target_compile_definitions(${unit} PRIVATE QLORA_HAS_CUDA=1)
    target_include_directories(${unit} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  endforeach()
  target_sources(qlora_ops INTERFACE $<TARGET_OBJECTS:qlora_cuda> $<TARGET_OBJECTS:qlora_cudnn>
                 $<TARGET_OBJECTS:qlora_nccl>)
  target_link_libraries(qlora_ops INTERFACE CUDA::cudart_static CUDA::cublasLt ${CMAKE_DL_LIBS})
endif()
