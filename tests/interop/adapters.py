#!/usr/bin/env python3
"""Adapters of every kind, to PEFT and back: LoRA, rsLoRA, DoRA, several at once, combined, merged.

Over the same random ids each line holds the logits of ch08_llama_decoder against those of
transformers with PEFT, all in float32 on the CPU and on the same base:

  read    an adapter that PEFT wrote, with B not zero and random magnitudes, here
  trained two steps of ch12_qlora_finetuning train, and its adapter in PEFT
  both    two adapters at once, here and there: PEFT's, and two that were trained here
  svd, cat, linear
          add_weighted_adapter of PEFT, and ch13_adapters merge without a model, the result in PEFT
  merged  ch13_adapters merge into the base, the folder in transformers, against merge_and_unload

Logits of the order of 20 are sums over 6 layers in float32, in another order in each program: they
may differ by 5e-4. Exit status: 0 all do no more than that, 1 some do, 3 a program ended with an
error.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import peft
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

BOUND = 5e-4
KINDS = {
    "LoRA": {},
    "rsLoRA": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "DoRA, rank-stabilized": {"use_dora": True, "use_rslora": True},
    "patterns": {"rank_pattern": {"v_proj": 3}, "alpha_pattern": {"layers.1.self_attn.q_proj": 5}},
}
TARGETS = ["q_proj", "v_proj", "o_proj", "down_proj"]


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("programs", type=Path, help="folder of the course's executables")
    p.add_argument("base", type=Path, help="a dense model folder, as data/tiny-llama")
    p.add_argument("work", type=Path, help="folder for adapters and results")
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    config = json.loads((a.base / "config.json").read_text())
    ids = torch.randint(3, config["vocab_size"], (2, 48))
    ids_file, data = a.work / "ids.json", a.work / "data.jsonl"
    ids_file.write_text(json.dumps({"input_ids": ids.tolist()}))
    rows = [{"prompt": f"A box of {n} pens. Price is $", "completion": str(3 * n)} for n in range(9)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    failed = []

    def course(program, *options):
        done = subprocess.run([a.programs / program, *map(str, options)], capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            sys.exit(3)

    def course_logits(*adapters, base=a.base):
        out = a.work / "out.safetensors"
        options = [o for adapter in adapters for o in ("--adapter", adapter)]
        course("ch08_llama_decoder", "logits", "--model", base, "--ids", ids_file, "--output", out,
               "--device", "cpu", *options)
        return load_file(out)["logits"]

    def plain(folder=a.base):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def logits(model):
        with torch.no_grad():
            return model.eval()(input_ids=ids).logits

    def compare(what, here, there):
        off = (here - there).abs().max().item()
        print(f"{what:<36} logits of up to {there.abs().max():.1f} differ by {off:.1e}")
        if not off <= BOUND:
            failed.append(what)

    def random_adapter(name, **options):
        folder = a.work / name
        model = peft.get_peft_model(plain(), peft.LoraConfig(
            lora_alpha=12, init_lora_weights=False, task_type="CAUSAL_LM",
            **{"r": 6, "target_modules": TARGETS} | options))
        with torch.no_grad():
            for key, value in model.named_parameters():
                if "magnitude" in key:
                    value *= 0.8 + 0.4 * torch.rand_like(value)
                elif "lora_B" in key:
                    value *= 0.2
        model.save_pretrained(folder)
        return folder, model

    bare = logits(plain())
    compare("base", course_logits(), bare)
    for kind, options in KINDS.items():
        folder, model = random_adapter(kind.replace(", ", "-"), **options)
        there = logits(model)
        assert (there - bare).abs().max() > 0.1, "the adapter does nothing"
        compare(f"{kind}: read", course_logits(folder), there)
        merged = a.work / "merged" / folder.name
        course("ch13_adapters", "merge", "--model", a.base, "--adapter", folder, "--dtype", "float32",
               "--output", merged)
        compare(f"{kind}: merged", logits(plain(merged)), logits(model.merge_and_unload()))
    trained = {}
    for kind in ("LoRA", "rsLoRA", "DoRA", "DoRA, rank-stabilized"):
        out = trained[kind] = a.work / f"trained-{kind.replace(', ', '-')}"
        flags = [f"--{key.replace('_', '-')}" for key in KINDS[kind]]
        course("ch12_qlora_finetuning", "train", "--model", a.base, "--data", data, "--output-dir", out,
               "--quantize", "none", "--max-steps", 2, "--learning-rate", 2e-2, "--r", 6,
               "--per-device-train-batch-size", 4, "--device", "cpu", *flags)
        there = logits(peft.PeftModel.from_pretrained(plain(), out))
        assert (there - bare).abs().max() > 0.1, "nothing was learned"
        compare(f"{kind}: trained", course_logits(out), there)

    first, _ = random_adapter("first")
    second, _ = random_adapter("second", target_modules=["q_proj", "up_proj"])
    model = peft.PeftModel.from_pretrained(plain(), first, adapter_name="first")
    model.load_adapter(second, "second")
    model.base_model.set_adapter(["first", "second"])
    compare("LoRA: both", course_logits(first, second), logits(model))
    tuned = peft.PeftModel.from_pretrained(plain(), trained["LoRA"], adapter_name="first")
    tuned.load_adapter(trained["rsLoRA"], "second")
    tuned.base_model.set_adapter(["first", "second"])
    compare("trained: both", course_logits(trained["LoRA"], trained["rsLoRA"]), logits(tuned))
    for how in ("linear", "cat", "svd"):
        model.add_weighted_adapter(["first", "second"], [0.7, -0.4], how, combination_type=how)
        model.set_adapter(how)
        course("ch13_adapters", "merge", "--adapter", first, "--adapter", second, "--weights",
               "0.7,-0.4", "--combination-type", how, "--output", a.work / how)
        ours = peft.PeftModel.from_pretrained(plain(), a.work / how)
        compare(f"LoRA: {how}", logits(ours), logits(model))
        compare(f"LoRA: {how}, here", course_logits(a.work / how), logits(model))
    if failed:
        print("beyond the bound:", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
