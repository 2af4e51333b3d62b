#!/usr/bin/env python3
"""One decoder layer of a real size, forward and backward, here and in torch.

A random Llama of the given sizes (the defaults are one layer of Llama 3.2 3B over a small
vocabulary) is quantized by bitsandbytes (NF4, double quantization) and saved as a Hugging Face
folder, with a random PEFT adapter on all seven linears whose B is not zero. Over the same random
ids three programs compute logits, every hidden state, the loss (the mean over supervised positions)
and the gradient of every adapter matrix:

  reference  torch in float32 on the weights that bitsandbytes dequantizes
  torch      transformers, PEFT and bitsandbytes in bfloat16, with adapters as --adapters says
  course     ch08_llama_decoder logits and ch12_qlora_finetuning train in --dtype

A table gives, of every tensor, how far the last two are from the first: the largest error, as a
share of the reference's largest value; the norm of the error, as a share of the reference's norm;
and how much the cosine of the angle falls short of 1. With --dtype float32 there is no second.

Every tensor of the course's must be
  - within the format's bound, 16 (u + sqrt(K) 2^-24): u is half a unit in the last place of --dtype
    (2^-9 in bfloat16, 2^-24 in float32), the relative error of one rounding; K the longest sum,
    made in float32, whose rounding errors add up like sqrt(K) independent ones; 16 roundings in a
    row that all went the same way reach it. Both of the first two columns are held to it. Products
    in TF32, whose u is 2^-11, are beyond it in float32;
  - in bfloat16, no further from the reference than 1.5 times what torch's own bfloat16 is (norms).
The loss is one number, whose error is one draw: it is held to a sixteenth of that bound and to
nothing of torch's, because it is the mean over many positions, whose logits are of the order of 1.

Exit status: 0 all of it holds, 1 some of it does not, 2 bad arguments, 3 a program of the course
ended with an error.
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

import bitsandbytes
import peft
import torch
import transformers
from bitsandbytes.functional import dequantize_4bit
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

LINEARS = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj"


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("programs", type=Path, help="folder of the course's executables")
    p.add_argument("work", type=Path, help="folder for models and results")
    p.add_argument(
        "--device", default="cpu", choices=["cpu", "cuda"], help="of torch and of the course"
    )
    p.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    p.add_argument(
        "--adapters",
        default="autocast",
        choices=["autocast", "float32"],
        help="products of torch's LoRA beside a bfloat16 base, whose matrices are float32: "
        "autocast rounds them for bfloat16 products, as the course's do; or float32 products",
    )
    p.add_argument("--hidden", type=int, default=3072)
    p.add_argument("--heads", type=int, default=24)
    p.add_argument("--kv-heads", type=int, default=8)
    p.add_argument("--head-dim", type=int, default=128)
    p.add_argument("--ff", type=int, default=8192)
    p.add_argument("--layers", type=int, default=1)
    p.add_argument("--vocab", type=int, default=1024)
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--seq", type=int, default=512)
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    if not (a.programs / "ch08_llama_decoder").exists():
        p.error(f"{a.programs} has no ch08_llama_decoder")
    return a


# ------------------------------------------------------------------------------------------ inputs


def make_base(a, folder):
    """Random weights in bfloat16: matrices of deviation 0.02, norms around 1."""
    rope = dict(
        rope_type="llama3",
        rope_theta=500000.0,
        factor=32.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=8192,
    )
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=a.vocab,
            hidden_size=a.hidden,
            intermediate_size=a.ff,
            num_hidden_layers=a.layers,
            num_attention_heads=a.heads,
            num_key_value_heads=a.kv_heads,
            head_dim=a.head_dim,
            max_position_embeddings=131072,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            rope_parameters=rope,
        )
    )
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0.0, 0.02) if p.dim() == 2 else p.normal_(1.0, 0.1)
    model.to(torch.bfloat16).save_pretrained(folder)


def load_nf4(folder, device, **options):
    return LlamaForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, device_map={"": device}, **options
    )


def quantize(base, folder, device):
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    load_nf4(base, device, quantization_config=config).save_pretrained(folder)


def make_adapter(a, base, folder):
    config = peft.LoraConfig(
        r=a.rank, lora_alpha=2 * a.rank, task_type="CAUSAL_LM", target_modules=LINEARS.split()
    )
    model = peft.get_peft_model(LlamaForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0.0, 0.02)
    model.save_pretrained(folder)


def make_ids(a, file):
    """Random ids; of each row the first part has no labels, as a prompt has none."""
    ids = torch.randint(2, a.vocab, (a.batch, a.seq))
    labels = ids.clone()
    for row in range(a.batch):
        labels[row, : a.seq * (row + 1) // (4 * a.batch)] = -100
    file.write_text(json.dumps({"input_ids": ids.tolist(), "labels": labels.tolist()}))
    return ids, labels


# -------------------------------------------------------------------------------- the three passes


def torch_pass(model, adapter, ids, labels, device, autocast=False):
    model = peft.PeftModel.from_pretrained(model, adapter, is_trainable=True).train()
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        out = model(input_ids=ids.to(device), labels=labels.to(device), output_hidden_states=True)
    out.loss.backward()
    found = {"loss": out.loss, "logits": out.logits}
    found |= {f"hidden_states.{i}": h for i, h in enumerate(out.hidden_states)}
    found |= {
        n.replace(".default.", "."): p.grad for n, p in model.named_parameters() if p.requires_grad
    }
    return {name: t.detach().double().cpu() for name, t in found.items()}


def dense_model(base, nf4, device):
    """The model in float32 with the weights that bitsandbytes dequantizes."""
    dense = LlamaForCausalLM.from_pretrained(
        base, dtype=torch.float32, device_map={"": device}, attn_implementation="eager"
    )
    for name, module in load_nf4(nf4, device).named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:
            dense.get_submodule(name).weight.data = dequantize_4bit(
                module.weight.data, state
            ).float()
    return dense


def course_pass(a, nf4, adapter, ids):
    options = ["--model", nf4, "--adapter", adapter, "--ids", ids, "--device", a.device,
               "--dtype", a.dtype]
    forward, backward = a.work / "forward.safetensors", a.work / "gradients.safetensors"
    for command in (
        [a.programs / "ch08_llama_decoder", "logits", "--hidden-states", "--output", forward],
        [a.programs / "ch12_qlora_finetuning", "train", "--dump-gradients", backward],
    ):
        command = [str(word) for word in command + options]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode != 0:
            print(
                f"{' '.join(command)}\nexit status {ended.returncode}: {ended.stderr}",
                file=sys.stderr,
            )
            sys.exit(3)
    found = load_file(forward)
    gradients = load_file(backward)
    found["loss of the training pass"] = gradients.pop("loss")
    return {name: t.double() for name, t in (found | gradients).items()}


# -------------------------------------------------------------------------------------- comparison


def distances(x, reference):
    """Largest error and norm of the error, both relative, and one minus the cosine."""
    if x.numel() != reference.numel() or not x.isfinite().all():
        return math.inf, math.inf, math.inf
    x, reference = x.flatten(), reference.flatten()
    error = x - reference
    norms = x.norm() * reference.norm()
    angle = 0.0 if norms == 0 else max(0.0, 1 - (x @ reference / norms).item())
    return (
        (error.abs().max() / reference.abs().max()).item(),
        (error.norm() / reference.norm()).item(),
        angle,
    )


def written(triples):
    return "".join(f"   {largest:.1e}  {norm:.1e}  {angle:.1e}" for largest, norm, angle in triples)


def compare(course, library, reference, dtype, longest_sum):
    """Prints the table; returns how much does not hold. library is None in float32."""
    u = 2.0**-9 if dtype == "bfloat16" else 2.0**-24
    bound = 16 * (u + math.sqrt(longest_sum) * 2.0**-24)
    print(f"bound {bound:.1e}, of the loss {bound / 16:.1e}")
    print("three columns each: largest error, norm of the error, 1 - cosine")
    title = "course" if library is None else f"{'course':29}torch {dtype}"
    print(f"{'':34}{'largest':>8}   {title}")
    wrong, furthest = 0, []
    for name, mine in course.items():
        is_loss = name.startswith("loss")
        key = "loss" if is_loss else name
        truth = reference[key]
        triples = [
            distances(t, truth) for t in ([mine] if library is None else [mine, library[key]])
        ]
        here = triples[0]
        holds = here[1] <= bound / 16 if is_loss else max(here[0], here[1]) <= bound
        if library is not None and not is_loss:
            holds = holds and here[1] <= 1.5 * triples[1][1]
        shown = name.removeprefix("base_model.model.model.layers.").removesuffix(".weight")
        line = f"{shown:34}{truth.abs().max().item():8.1e}{written(triples)}"
        print(line if holds else line + "   TOO FAR")
        wrong += not holds
        if "lora_" in name:
            furthest = [tuple(map(max, *pair)) for pair in zip(furthest or triples, triples)]
    print(f"{'furthest gradient':42}{written(furthest)}")
    missing = reference.keys() - course.keys()
    if missing:
        print("the course did not give:", ", ".join(sorted(missing)))
    return wrong + len(missing)


def main():
    a = arguments()
    a.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(a.seed)
    torch.backends.cuda.matmul.allow_tf32 = False
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    where = f"CPU, {torch.get_num_threads()} threads"
    if a.device == "cuda":
        where = torch.cuda.get_device_name()
    print(
        f"torch {torch.__version__}, transformers {transformers.__version__}, "
        f"PEFT {peft.__version__}, bitsandbytes {bitsandbytes.__version__}; {where}"
    )
    print(
        f"{a.layers} layer(s): hidden {a.hidden}, {a.heads}/{a.kv_heads} heads x {a.head_dim}, "
        f"ff {a.ff}, vocabulary {a.vocab}; {a.batch} x {a.seq} ids; r = {a.rank}; {a.dtype}"
    )

    base, nf4, adapter, ids_file = (a.work / f for f in ("base", "nf4", "adapter", "ids.json"))
    make_base(a, base)
    quantize(base, nf4, a.device)
    make_adapter(a, base, adapter)
    ids, labels = make_ids(a, ids_file)

    course = course_pass(a, nf4, adapter, ids_file)
    dense = dense_model(base, nf4, a.device)
    reference = torch_pass(dense, adapter, ids, labels, a.device)
    library = None
    if a.dtype == "bfloat16":
        model, autocast = load_nf4(nf4, a.device), a.adapters == "autocast"
        library = torch_pass(model, adapter, ids, labels, a.device, autocast)
        print(f"torch's adapters: {a.adapters}")
    longest_sum = max(a.hidden, a.ff, a.heads * a.head_dim, a.batch * a.seq)
    wrong = compare(course, library, reference, a.dtype, longest_sum)
    losses = {"here": course["loss"], "training pass": course["loss of the training pass"]}
    losses |= {"reference": reference["loss"]} | ({"torch": library["loss"]} if library else {})
    print("loss:", ", ".join(f"{name} {loss.item():.6f}" for name, loss in losses.items()))
    print("all hold" if wrong == 0 else f"{wrong} do not hold")
    return 0 if wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
