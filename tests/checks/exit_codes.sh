#!/usr/bin/env bash
# exit_codes.sh ROOT BIN: bad input ends with its exit code, one line that says what is wrong and
# where, and nothing half-written. BIN holds the chapter executables.
set -euo pipefail
root=$1 bin=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0 count=0
model=$root/tests/golden/llama/a_fp32
tiny=$root/data/tiny-llama

# expect CODE PATTERN command…: the command ends with CODE and says PATTERN in one line.
expect() {
  local code=$1 pattern=$2 got=0 lines
  shift 2
  "$@" >"$work/stdout" 2>"$work/stderr" || got=$?
  lines=$(wc -l <"$work/stderr")
  count=$((count + 1))
  if [[ $got != "$code" ]] || ((lines != 1)) || ! grep -qE "$pattern" "$work/stderr"; then
    echo "${*##*/}: exit code $got, expected $code and one line like \"$pattern\":"
    head -n 5 "$work/stderr"
    bad=1
  fi
  [[ ! -e $work/out ]] || { echo "${*##*/}: left something behind"; rm -rf "$work/out"; bad=1; }
}

copy() { rm -rf "$work/$1" && cp -r "$2" "$work/$1"; }
logits() { expect "$1" "$2" "$bin/ch08_llama_decoder" logits --model "$3" --ids "$4" --output "$work/out"; }
train() { tune "$tiny" --data "$work/data.jsonl" "$@"; }
tune() { "$bin/ch12_qlora_finetuning" train --model "$1" --max-steps 1 --output-dir "$work/out" "${@:2}"; }

echo '{"input_ids": [[1, 2, 3]], "labels": [[1, 2, 3]]}' >"$work/ids.json"
echo '{"prompt": "one", "completion": " two"}' >"$work/data.jsonl"

# folders and weights
logits 3 'nowhere' "$work/nowhere" "$work/ids.json"
copy cut "$model" && truncate -s 5000 "$work/cut/model.safetensors"
logits 3 'cut/model.safetensors' "$work/cut" "$work/ids.json"
copy huge "$model" && printf '\xff\xff\xff\xff\xff\xff\xff\x7f' | dd of="$work/huge/model.safetensors" conv=notrunc status=none
logits 3 'huge/model.safetensors' "$work/huge" "$work/ids.json"
copy wide "$model" && sed -i 's/"hidden_size": 64/"hidden_size": 96/' "$work/wide/config.json"
logits 3 'has shape .* config.json asks for' "$work/wide" "$work/ids.json"
copy deep "$model" && sed -i 's/"num_hidden_layers": 3/"num_hidden_layers": 4/' "$work/deep/config.json"
logits 3 'layers.3' "$work/deep" "$work/ids.json"
copy qwen2 "$model" && sed -i 's/"model_type": "llama"/"model_type": "qwen2"/' "$work/qwen2/config.json"
logits 3 'model_type.*qwen2' "$work/qwen2" "$work/ids.json"
copy yarn "$model" && sed -i 's/"rope_type": "llama3"/"rope_type": "yarn"/' "$work/yarn/config.json"
logits 3 'rope_type.*yarn' "$work/yarn" "$work/ids.json"
copy broken "$model" && sed -i '3s/$/,,/' "$work/broken/config.json"
logits 3 'config.json: line 3' "$work/broken" "$work/ids.json"

# ids, data, adapters
echo '{"input_ids": [[1, 2, 384]]}' >"$work/high.json"
logits 3 'high.json' "$model" "$work/high.json"
echo '{"input_ids": [[1, 2], [3]]}' >"$work/ragged.json"
logits 3 'ragged.json' "$model" "$work/ragged.json"
echo '{"input_ids": [[1, 2]], "labels": [[1, -100]]}' >"$work/none.json"
logits 3 'none.json: labels: none counts' "$model" "$work/none.json"
printf '{"prompt": "a", "completion": "b"}\n{"prompt": "a"\n' >"$work/broken.jsonl"
expect 3 'broken.jsonl: line 2' tune "$tiny" --data "$work/broken.jsonl"
expect 3 'self_attn|mlp' "$bin/ch08_llama_decoder" logits --model "$root/tests/golden/llama/b_fp32" \
  --adapter "$root/tests/golden/variants/rslora" --ids "$work/ids.json" --output "$work/out"
copy adapter "$root/tests/golden/variants/rslora" && truncate -s 4000 "$work/adapter/adapter_model.safetensors"
expect 3 'adapter_model.safetensors' "$bin/ch08_llama_decoder" logits --model "$model" \
  --adapter "$work/adapter" --ids "$work/ids.json" --output "$work/out"
copy untold "$tiny" && echo garbage >"$work/untold/tokenizer.model"
expect 3 'untold/tokenizer.model' "$bin/ch08_llama_decoder" generate --model "$work/untold" --prompt hi
copy fast "$tiny" && rm "$work/fast/tokenizer.model"
echo '{"model": {"type": "Unigram"}}' >"$work/fast/tokenizer.json"
expect 3 'tokenizer.json: model: a Unigram model is not supported' \
  "$bin/ch08_llama_decoder" generate --model "$work/fast" --prompt hi
copy ranks "$tiny" && printf 'IQ== 0\nIg==\n' >"$work/ranks/tokenizer.model"
expect 3 'tokenizer.model: line 2: expected a token in base64' \
  "$bin/ch08_llama_decoder" generate --model "$work/ranks" --prompt hi

copy holes "$tiny" && rm "$work/holes/tokenizer.model"
cat >"$work/holes/tokenizer.json" <<'END'
{"model": {"type": "BPE", "vocab": {"a": 0, "b": 2}, "merges": []}, "decoder": {"type": "ByteLevel"},
 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}
END
expect 3 'holes/tokenizer.json: model.vocab.b: found 2, expected an id below' \
  "$bin/ch08_llama_decoder" generate --model "$work/holes" --prompt hi
copy silent "$tiny" && rm "$work/silent/tokenizer.model"
expect 3 'silent/tokenizer.model: there is no tokenizer' \
  "$bin/ch08_llama_decoder" generate --model "$work/silent" --prompt hi

# conversations: a template is looked for where rows need one
echo '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}' >"$work/chat.jsonl"
chat() { expect 3 "$1" tune "$2" --data "$work/chat.jsonl"; }
chat 'chat.jsonl: line 1: .*need a chat template' "$tiny"
copy chatml "$tiny" && echo '<|im_start|>' >"$work/chatml/chat_template.jinja"
chat 'chatml/chat_template.jinja: chat_template: not a template that is supported' "$work/chatml"
copy inst "$tiny" && echo '{"chat_template": "[INST] <<SYS>>"}' >"$work/inst/tokenizer_config.json"
chat 'chat.jsonl: line 1: .*the role "user", expected assistant' "$work/inst"
copy headers "$tiny"
cat >"$work/headers/chat_template.jinja" <<'END'
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
END
chat 'chat.jsonl: line 1: .*the tokenizer has no token <.start_header_id.>' "$work/headers"
echo '{"messages": [{"role": "user", "content": null}]}' >"$work/chat.jsonl"
chat 'chat.jsonl: line 1: "content" is null' "$tiny"
echo '{"messages": [{"role": "tool", "content": "a"}]}' >"$work/chat.jsonl"
chat 'chat.jsonl: line 1: the role "tool"' "$tiny"

# more than the model has
copy short "$tiny" && sed -i 's/"max_position_embeddings": 512/"max_position_embeddings": 4/' "$work/short/config.json"
echo '{"prompt": "one two three four five", "completion": " six"}' >"$work/long.jsonl"
expect 3 'long.jsonl: a row has [0-9]+ tokens, the model 4 positions' tune "$work/short" --data "$work/long.jsonl"
copy small "$model" && cp "$tiny/tokenizer.model" "$work/small"
expect 3 'small: tokenizer: has 2048 tokens, the model 384 embeddings' tune "$work/small" --data "$work/data.jsonl"
for asked in '--prompt hi' --chat; do  # two words the one, one the other
  expect 3 'small: tokenizer: has 2048 tokens' "$bin/ch08_llama_decoder" generate --model "$work/small" $asked
done
expect 2 'no other has a tokenizer' "$bin/ch08_llama_decoder" generate --random-model llama-3.2-1b --prompt hi
echo '{"input_ids": [[1, 2, 3, 4, 5]], "labels": [[1, 2, 3, 4, 5]]}' >"$work/five.json"
logits 3 'five.json: input_ids: 5 positions in a row, the model has 4' "$work/short" "$work/five.json"
expect 3 'five.json: input_ids: 5 positions in a row, the model has 4' tune "$work/short" \
  --ids "$work/five.json" --dump-gradients "$work/out"
echo '{"input_ids": [[1, 2, 3]], "position_ids": [[0, 2, 3]]}' >"$work/skips.json"
logits 3 'skips.json: position_ids\[0\]\[1\]: 2, expected 0 or one more' "$model" "$work/skips.json"

# a place for results that cannot be: said before the work, not behind it
blocked="cannot be made a folder"
expect 3 "ids.json/out: $blocked" "$bin/ch12_qlora_finetuning" --output-dir "$work/ids.json/out"
expect 3 "ids.json/out: $blocked" "$bin/ch12_qlora_finetuning" train --model "$tiny" \
  --data "$work/data.jsonl" --max-steps 1 --output-dir "$work/ids.json/out"
expect 3 "ids.json/out: $blocked" "$bin/ch14_evaluation" evaluate --model "$tiny" \
  --data "$root/data/prices/test.jsonl" --report "$work/ids.json/out"
expect 3 "ids.json/out: $blocked" "$bin/ch01_min_max_quantization" --figures "$work/ids.json/out"

# more items than can be drawn
expect 2 'count: must be 1 to 10000000' "$bin/ch14_evaluation" items --seed 1 --count 100000000 --output "$work/out"

# counting from config.json alone
count() { expect "$1" "$2" "$bin/ch06_counting_lora_parameters" count "${@:3}"; }
mkdir "$work/t5" && echo '{"model_type": "t5"}' >"$work/t5/config.json"
count 3 't5/config.json: model_type.*llama' --model "$work/t5"
count 3 'nowhere/config.json' --model "$work/nowhere"
count 2 'target_modules' --model "$tiny" --target-modules lm_head
count 2 'r: must be' --model "$tiny" --r 0
count 2 'one of --model DIR' --r 8

# planning from config.json alone
plan() { expect "$1" "$2" "$bin/ch09_memory_footprint" plan --device cpu "${@:3}"; }
plan 2 'max-memory must be a size.*16Gib' --model "$tiny" --max-memory 16Gib
plan 2 'activations.*lean' --model "$tiny" --activations some
plan 2 'contradict' --model "$tiny" --activations lean --gradient-checkpointing
plan 2 'offload' --model "$tiny" --activations offload
plan 2 'target_modules' --model "$tiny" --target-modules lm_head
plan 3 'nowhere/config.json' --model "$work/nowhere"
plan 3 'qwen2/config.json: model_type' --model "$work/qwen2"
plan 4 'needs .* MiB, 64.0 MiB are there; these fit: --' --model "$tiny" --max-memory 64MiB

# options and the machine
expect 2 'learning-rat' train --learning-rat 1
expect 2 'lr-scheduler-type' train --lr-scheduler-type sideways
expect 2 'packing' train --packing maybe
expect 2 'activations offload moves .* on the CPU checkpoint does' train --device cpu --activations offload
expect 2 'max-memory must be a size.*16Gib' train --max-memory 16Gib
expect 2 'activations lean contradict' train --activations lean --gradient-checkpointing
expect 2 'packing-strategy.*wrapped.*bfd' train --packing --packing-strategy wrapped
echo '{"learning_rat": 1}' >"$work/config.json"
expect 2 'learning_rat' train --config "$work/config.json"
expect 2 'data FILE is needed' tune "$tiny"
random() { expect 2 "$1" "$bin/ch12_qlora_finetuning" train --random-model llama-3.2-1b --output-dir "$work/out" "${@:2}"; }
random 'random-model needs --max-steps'
random 'one of --model DIR and --random-model' --model "$tiny" --max-steps 1
expect 2 'bf16 and --fp16' train --bf16 --fp16
expect 2 'adapter: .* one, not several' train --adapter "$work/one" --adapter "$work/two"
for number in nonsense 7 7.5.1 -7.5 7.0 99.9; do
  expect 2 'compute-capability: found .*, expected one of 7.5, ' train --compute-capability "$number"
done
expect 2 'num-processes 65: on the CPU at most 64' train --device cpu --num-processes 65
expect 2 'num-processes 128: on the CPU at most 64' "$bin/ch17_full_finetuning_and_many_gpus" pretrain \
  --output-dir "$work/out" --batch-size 128 --num-processes 128
echo '{"device_map": "balanced"}' >"$work/config.json"
expect 2 'config.json: device_map is not supported but as auto' train --config "$work/config.json"
echo '{"rank_pattern": {"q_proj": "much"}}' >"$work/config.json"
expect 3 'config.json: rank_pattern.q_proj: found' train --config "$work/config.json"
expect 2 'rank-pattern: .*expected JSON' train --rank-pattern q_proj=4

# what needs no weights is said before they are read, and no folder is left behind
copy bare "$tiny" && rm "$work/bare/model.safetensors"
expect 3 'broken.jsonl: line 2' tune "$work/bare" --data "$work/broken.jsonl"
expect 3 'out: holds no checkpoint' tune "$work/bare" --data "$work/data.jsonl" --resume-from-checkpoint true
expect 1 'the loss became .*; this run has written no checkpoint' "$bin/ch12_qlora_finetuning" train \
  --model "$tiny" --data "$work/data.jsonl" --output-dir "$work/out" --device cpu --max-steps 9 \
  --learning-rate 1e38 --save-strategy no

# folders that are in a format already, other bases, and outputs that would replace something
nf4=$root/tests/golden/llama_nf4/a adapter=$root/tests/golden/qlora/adapter_nonzero
expect 2 'quantize fp4: .*is in nf4 with double quantization already' tune "$nf4" --data "$work/data.jsonl" --quantize fp4
expect 2 'quantize int8: .*llama_nf4/a is in nf4' tune "$nf4" --data "$work/data.jsonl" --load-in-8bit
plan 2 'quantize int8: .*is in nf4' --model "$nf4" --quantize int8
expect 2 'double-quant says nothing without' "$bin/ch08_llama_decoder" generate --model "$tiny" --double-quant --prompt hi
expect 2 'double-quant says nothing without' "$bin/ch14_evaluation" evaluate --model "$tiny" --double-quant \
  --data "$root/data/prices/test.jsonl" --report "$work/out"
copy shallow "$model" && sed -i 's/"num_hidden_layers": 3/"num_hidden_layers": 2/' "$work/shallow/config.json"
logits 3 'shallow/model.safetensors: model.layers.2.*: expected no such tensor' "$work/shallow" "$work/ids.json"
rm "$work/qwen2/model.safetensors"
logits 3 'qwen2/config.json: model_type' "$work/qwen2" "$work/ids.json"
expect 3 'qwen2/config.json: model_type' "$bin/ch14_evaluation" evaluate --model "$work/qwen2" \
  --data "$root/data/prices/test.jsonl" --report "$work/out"
copy astray "$adapter" && sed -i 's/_proj"/_none"/' "$work/astray/adapter_config.json"
expect 3 'astray/adapter_config.json: target_modules: ' "$bin/ch08_llama_decoder" inspect --model "$model" --adapter "$work/astray"
mkdir "$work/full" && touch "$work/full/config.json" "$work/full/note.txt"
expect 3 'full: is not empty' "$bin/ch13_adapters" merge --model "$model" --adapter "$adapter" --output "$work/full"
expect 3 'full: is not empty' "$bin/ch03_nf4" quantize --model "$model" --output "$work/full"
expect 2 'the option --r is not known' "$bin/ch12_qlora_finetuning" experiment rank --r 7
[[ -e $work/full/note.txt ]] || { echo "a file of somebody else was removed"; bad=1; }

# a GPU that is not there, or no back end for it: what was asked for cannot be, auto computes on the CPU
export CUDA_VISIBLE_DEVICES=
no_gpu='no CUDA back end; --device cpu|there is no GPU to use: '
expect 4 "$no_gpu" train --device cuda
expect 4 "$no_gpu" "$bin/ch08_llama_decoder" generate --model "$tiny" --device cuda --prompt hi
expect 4 "$no_gpu" "$bin/ch08_llama_decoder" logits --model "$model" --device cuda \
  --ids "$work/ids.json" --output "$work/out"
expect 4 "$no_gpu" "$bin/ch14_evaluation" evaluate --model "$tiny" --device cuda \
  --data "$root/data/prices/test.jsonl" --report "$work/out"
echo "$count cases"
exit "$bad"
