qlora_folder(NAME training LINKS core quantization lora checkpoint text ops llama
  UNITS arguments.cpp schedule.cpp optimizer.cpp step_plan.cpp trainer_state.cpp trainer.cpp
        evaluation_loss.cpp pretraining.cpp step_floor.cpp step_profile.cpp step_share.cpp
        sharding.cpp cluster_plan.cpp)
