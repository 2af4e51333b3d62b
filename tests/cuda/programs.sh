#!/usr/bin/env bash
# programs.sh [BIN]: the programs themselves on a GPU, ch08, ch12 and ch14 of BIN (the folder of this
# script): what fails ends with its exit code and one line that helps, nothing saved before is lost, and
# what succeeds gives the same bytes again. Finds data/ through QLORA_ROOT. One line a case; exit code 1
# if one failed.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${1:-$here}
data=${QLORA_ROOT:-$here}/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0 count=0

# verdict LABEL OK: the case's line; what the last command printed, where it failed.
verdict() {
  count=$((count + 1))
  if (($2)); then
    printf '  ok      %s\n' "$1"
  else
    printf '  FAILED  %s\n' "$1"
    tail -n 5 "$work/stdout" "$work/stderr" 2>/dev/null
    bad=1
  fi
}

# expect LABEL CODE PATTERN command…: it ends with CODE and says PATTERN; where CODE is not 0, in the one
# line that the program has to say on what is wrong.
expect() {
  local label=$1 code=$2 pattern=$3 got=0 says
  shift 3
  timeout --kill-after=5 120 "$@" >"$work/stdout" 2>"$work/stderr" || got=$?
  if ((code)); then
    says=$(grep -E '^ch[0-9]{2}_[a-z0-9_]+: ' "$work/stderr")
    [[ $got == "$code" && $says != *$'\n'* ]] && grep -qE -e "$pattern" <<<"$says"
  else
    [[ $got == 0 ]] && grep -qE -e "$pattern" "$work/stdout" "$work/stderr"
  fi
  verdict "$label" $((!$?))
  [[ $got == "$code" ]] || echo "  exit code $got, expected $code and \"$pattern\""
}

# same LABEL FOLDER OTHER…: all hold the same adapter.
same() {
  local label=$1 first=$2 ok=1 folder
  shift 2
  for folder; do
    cmp "$first/adapter_model.safetensors" "$folder/adapter_model.safetensors" >"$work/stdout" 2>&1 || ok=0
  done
  verdict "$label" "$ok"
}

losses() { grep -E '"(loss|grad_norm|train_loss)":' "$1/trainer_state.json"; }

# with_fitting BATCH command…: the command trains with the first of the options that the last line said
# would fit, and with the batch that it had, unless that is one of them.
with_fitting() {
  local batch=(--per-device-train-batch-size "$1") options
  shift
  read -ra options < <(sed -nE 's/.*these fit: ([^;]*).*/\1/p' "$work/stderr")
  [[ " ${options[*]-} " != *' --per-device-train-batch-size '* ]] || batch=()
  ((${#options[@]})) || options=(--nothing-was-named)
  expect "with ${options[*]} it trains" 0 'mean loss' "$@" "${batch[@]}" "${options[@]}"
}

head -n 400 "$data/prices/train.jsonl" >"$work/train.jsonl"
head -n 200 "$data/prices/validation.jsonl" >"$work/validation.jsonl"
head -n 40 "$data/prices/test.jsonl" >"$work/test.jsonl"
ch08=$bin/ch08_llama_decoder ch12=$bin/ch12_qlora_finetuning ch14=$bin/ch14_evaluation
small=("$ch12" train --model "$data/tiny-llama" --data "$work/train.jsonl" --max-length 128
  --learning-rate 1e-3 --logging-steps 1)
cuda=("${small[@]}" --device cuda)
large=("$ch12" train --random-model llama-3.2-1b --device cuda --max-steps 1 --output-dir "$work/large")

# ---- no GPU, or an older one -----------------------------------------------------------------
no_gpu='there is no GPU to use: no CUDA-capable device is detected'
expect 'train without a GPU: the reason' 4 "$no_gpu" env CUDA_VISIBLE_DEVICES= \
  "${cuda[@]}" --max-steps 1 --output-dir "$work/none"
expect 'generate without a GPU: the reason' 4 "$no_gpu" env CUDA_VISIBLE_DEVICES= \
  "$ch08" generate --model "$data/tiny-llama" --device cuda --prompt hi
[[ ! -e $work/none ]]
verdict 'nothing was written' $((!$?))
expect '--device auto without a GPU: on the CPU' 0 '\(this process\)' env CUDA_VISIBLE_DEVICES= \
  "${small[@]}" --device auto --max-steps 6 --output-dir "$work/auto_cpu"
expect '--device auto: on the GPU' 0 'peak memory .*\(.*(NVIDIA|Tesla|GeForce|Quadro)' \
  "${small[@]}" --device auto --max-steps 6 --output-dir "$work/auto"
expect '7.5 --bf16: names --fp16' 4 'no bfloat16 arithmetic; --fp16' \
  "${cuda[@]}" --compute-capability 7.5 --bf16 --max-steps 1 --output-dir "$work/none"
expect '7.5 --fp16 trains' 0 'mean loss [0-9.]+ over 10 steps' \
  "${cuda[@]}" --compute-capability 7.5 --fp16 --max-steps 10 --output-dir "$work/old_fp16"
expect '7.5 alone trains' 0 'mean loss [0-9.]+ over 10 steps' \
  "${cuda[@]}" --compute-capability 7.5 --max-steps 10 --output-dir "$work/old"
same '7.5 alone is --fp16' "$work/old_fp16" "$work/old"
expect '8.6 trains' 0 'mean loss [0-9.]+ over 10 steps' \
  "${cuda[@]}" --compute-capability 8.6 --bf16 --max-steps 10 --output-dir "$work/ampere"

# ---- memory ----------------------------------------------------------------------------------
# What a plan refuses, and that the first option which it names trains within the limit.
tight=("$ch12" train --model "$data/tiny-llama" --data "$work/train.jsonl" --device cuda --max-steps 2
  --max-length 512 --output-dir "$work/tight")
expect 'a plan above --max-memory' 4 'needs .* MiB, 64.0 MiB are there; these fit: --' \
  "${tight[@]}" --per-device-train-batch-size 32 --max-memory 64MiB
with_fitting 32 "${tight[@]}" --max-memory 64MiB
expect 'nothing fits' 4 'no batch and no length of this model fits' "${tight[@]}" --max-memory 8MiB
expect 'a plan above --max-memory, 1B' 4 'needs .*, 8.0 GiB are there; these fit: --' \
  "${large[@]}" --per-device-train-batch-size 64 --max-memory 8GiB
with_fitting 64 "${large[@]}" --max-memory 8GiB

# What the GPU has not, without a limit.
expect 'more than the GPU has' 4 \
  "the GPU's memory: [0-9]+ MiB more .* are free; the run needs .*; these fit: --" \
  "${large[@]}" --per-device-train-batch-size 4096
with_fitting 4096 "${large[@]}"

# An evaluation, of which no plan knows, in the middle of a run: the checkpoints before it stay, and the
# run goes on from there.
middle=("${cuda[@]}" --bf16 --per-device-train-batch-size 2 --max-steps 6 --save-steps 1
  --eval-data "$work/validation.jsonl" --eval-steps 3)
expect 'memory for a training step alone' 4 'the run needs [0-9.]+ MiB' \
  "${middle[@]}" --max-memory 1MiB --output-dir "$work/middle"
limit=$(sed -nE 's/.*the run needs ([0-9]+).*/\1/p' "$work/stderr")
limit=$((${limit:-40} + 4))MiB
expect 'an evaluation beyond --max-memory' 4 \
  '--max-memory: .*smaller --per-device-eval-batch-size; .*/checkpoint-2 is kept' \
  "${middle[@]}" --max-memory "$limit" --per-device-eval-batch-size 200 --output-dir "$work/middle"
expect 'its run goes on' 0 'mean loss [0-9.]+ over 6 steps' \
  "${middle[@]}" --output-dir "$work/middle" --resume-from-checkpoint true
expect 'the run without that' 0 'mean loss [0-9.]+ over 6 steps' \
  "${middle[@]}" --output-dir "$work/straight"
same 'both adapters are the same' "$work/straight" "$work/middle"
before=$(cksum "$work/middle"/checkpoint-*/* "$work/middle"/adapter*)
expect 'an adapter, a limit too small' 4 'these fit: --|no batch and no length' \
  "${middle[@]}" --adapter "$work/straight" --max-memory 20MiB --output-dir "$work/middle"
[[ $(cksum "$work/middle"/checkpoint-*/* "$work/middle"/adapter*) == "$before" ]]
verdict 'what was saved before is as it was' $((!$?))

# ---- signals ---------------------------------------------------------------------------------
long=("${cuda[@]}" --bf16 --max-steps 400 --save-steps 10 --save-total-limit 3)
expect '400 steps' 0 'over 400 steps' "${long[@]}" --output-dir "$work/whole"

# stopped SIGNAL: a run that the signal ends once a checkpoint is there, in $work/SIGNAL; its exit code in `code`.
stopped() {
  "${long[@]}" --output-dir "$work/$1" >"$work/stdout" 2>"$work/stderr" &
  local child=$!
  until compgen -G "$work/$1/checkpoint-*/trainer_state.json" >/dev/null || ! kill -0 "$child" 2>/dev/null; do
    sleep 0.01
  done
  kill -s "$1" "$child" 2>/dev/null
  { wait "$child"; } 2>/dev/null
  code=$?
}

# goes_on SIGNAL command…: the resumed run ends as the one that nothing stopped.
goes_on() {
  local name=$1
  shift
  expect "the run goes on after $name" 0 'over 400 steps' "$@"
  same "the adapter after $name" "$work/whole" "$work/$name"
  diff <(losses "$work/whole") <(losses "$work/$name") >"$work/stdout" 2>&1 && [[ -n $(losses "$work/whole") ]]
  verdict "all losses after $name" $((!$?))
}

stopped KILL
[[ $code == 137 && ! -e $work/KILL/adapter_model.safetensors ]]
verdict "a run killed behind a checkpoint (exit code $code)" $((!$?))
goes_on KILL "${long[@]}" --output-dir "$work/KILL" --resume-from-checkpoint true
stopped TERM
resume=$(sed -n 's/^stopped after step [0-9]*; to go on: //p' "$work/stderr")
[[ $code == 143 && -n $resume ]]
verdict "a run ended by SIGTERM says how to go on (exit code $code)" $((!$?))
# shellcheck disable=SC2086
goes_on TERM ${resume:-false}

# ---- the same bytes --------------------------------------------------------------------------
for policy in keep lean checkpoint offload; do
  expect "--activations $policy" 0 'over 20 steps' \
    "${cuda[@]}" --bf16 --max-steps 20 --activations "$policy" --output-dir "$work/$policy"
done
same 'the adapters of all four' "$work"/{keep,lean,checkpoint,offload}
for option in packing group-by-length; do
  for run in 1 2 3; do
    expect "--$option, run $run" 0 'over 20 steps' "${cuda[@]}" --bf16 --max-steps 20 \
      "--$option" --output-dir "$work/$option-$run"
  done
  same "the adapters of the three runs" "$work/$option"-{1,2,3}
done

# ---- the other verbs, with the adapter ---------------------------------------------------------
tuned=(--model "$data/tiny-llama" --adapter "$work/whole")
expect 'generate' 0 'Price is \$[0-9]' "$ch08" generate "${tuned[@]}" --device cuda --max-new-tokens 8 \
  --temperature 0 --prompt $'How much does this cost to the nearest dollar?\n\nTeapot by Pembry.\n\nPrice is $'
expect 'evaluate' 0 '^tuned' "$ch14" evaluate "${tuned[@]}" --device cuda --data "$work/test.jsonl" \
  --report "$work/report"
[[ -s $work/report/report.json && -s $work/report/report.md ]]
verdict 'its report' $((!$?))
echo '{"input_ids": [[1, 50, 60, 70, 80, 90, 100]], "labels": [[1, 50, 60, 70, 80, 90, 100]]}' >"$work/ids.json"
loss_on() {  # LABEL OPTION…: prints nothing but the case's line; the loss in `loss`
  expect "logits $1" 0 '^.*loss [0-9.]+ over 6 labels' "$ch08" logits "${tuned[@]}" "${@:2}" \
    --ids "$work/ids.json" --output "$work/logits.safetensors"
  loss=$(sed -nE 's/^loss ([0-9.]+) over.*/\1/p' "$work/stdout")
}
loss_on 'on the CPU' --device cpu
on_cpu=$loss
for dtype in float32 bfloat16; do
  loss_on "in $dtype" --device cuda --dtype "$dtype"
  # A rounding is off by 2^-9 of its value in bfloat16, by 2^-24 in float32; of the logits' some tens of
  # roundings, and a loss below 32, either bound leaves room.
  awk -v a="$on_cpu" -v b="$loss" -v bound="$([[ $dtype == float32 ]] && echo 0.001 || echo 0.5)" \
    'BEGIN { exit !(a > 0 && b > 0 && (a - b) ^ 2 < bound ^ 2) }'
  verdict "its loss is the CPU's: $loss, $on_cpu" $((!$?))
done

echo "$count cases"
exit "$bad"
