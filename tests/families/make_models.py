#!/usr/bin/env python3
"""Tiny random models of the families that the engine supports, and what transformers makes of them.

  python3 make_models.py [FAMILY ...]     (torch 2.11.0, transformers 5.17.0, peft 0.21.0)

Each folder FAMILY/ gets
  config.json, model.safetensors    random weights in bfloat16, as save_pretrained writes them
  config_v4.json                    the same in the words of the published folder (transformers 4)
  adapter/                          a random LoRA adapter of rank 2 on all linears, as PEFT saves it
  golden.safetensors                over two rows, the second padded on the right:
      input_ids, attention_mask, labels     I64
      logits, loss                          of the model, in float32 on the bfloat16 weights
      adapter.loss, grad.NAME               with the adapter on it, and the gradient of the loss
      greedy                                a prompt of four ids and its greedy continuation

For each family two lines say how far float32 is from float64 (norms too, which transformers always
computes in float32) in logits, loss and gradients (of the largest of each tensor), which is what the
tests' bounds come from; and by how much a greedy choice is above the second largest logit.
"""

import copy
import json
import sys
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import save_file
from transformers import GemmaConfig, GemmaForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.models.gemma import modeling_gemma
from transformers.models.llama import modeling_llama

HERE = Path(__file__).parent
VOCABULARY = 64
LINEARS = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split()


def v4(**members):
    """A config.json as transformers 4 writes it."""
    return {"attention_bias": False, "initializer_range": 0.02, "use_cache": True,
            "vocab_size": VOCABULARY, "torch_dtype": "bfloat16", **members}


def llama(rope, **members):
    sizes = {"bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "num_hidden_layers": 2,
             "vocab_size": VOCABULARY, **members}
    scaling = {k: v for k, v in rope.items() if k != "rope_theta"}
    older = v4(architectures=["LlamaForCausalLM"], model_type="llama", pretraining_tp=1,
               rope_theta=rope["rope_theta"], rope_scaling=scaling or None, **sizes)
    newer = {"rope_type": scaling.get("rope_type", scaling.get("type", "default")), **rope}
    newer.pop("type", None)
    return LlamaForCausalLM, LlamaConfig(rope_parameters=newer, **sizes), older


def gemma():
    sizes = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0, "head_dim": 256,
             "hidden_size": 8, "intermediate_size": 32, "max_position_embeddings": 64,
             "num_attention_heads": 2, "num_hidden_layers": 2, "num_key_value_heads": 1,
             "rms_norm_eps": 1e-6}
    older = v4(architectures=["GemmaForCausalLM"], model_type="gemma", hidden_act="gelu",
               hidden_activation=None, rope_scaling=None, rope_theta=10000.0, **sizes)
    config = GemmaConfig(vocab_size=VOCABULARY, hidden_act="gelu_pytorch_tanh",
                         rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, **sizes)
    return GemmaForCausalLM, config, older


# Shapes of the published folders, made small: what is equal in them stays equal.
FAMILIES = {
    # every head has its own keys and values; head and embedding are two
    "llama2": lambda: llama({"rope_theta": 10000.0}, hidden_size=32, num_attention_heads=4,
                            num_key_value_heads=4, intermediate_size=88, rms_norm_eps=1e-5,
                            max_position_embeddings=64, tie_word_embeddings=False),
    "llama3": lambda: llama({"rope_theta": 500000.0, "rope_type": "llama3", "factor": 32.0,
                             "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                             "original_max_position_embeddings": 16}, hidden_size=32,
                            num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                            intermediate_size=64, rms_norm_eps=1e-5, max_position_embeddings=512,
                            tie_word_embeddings=True),
    "tinyllama": lambda: llama({"rope_theta": 10000.0}, hidden_size=32, num_attention_heads=8,
                               num_key_value_heads=1, intermediate_size=88, rms_norm_eps=1e-5,
                               max_position_embeddings=64, tie_word_embeddings=False),
    # nine heads on three
    "smollm2": lambda: llama({"rope_theta": 100000.0}, hidden_size=36, num_attention_heads=9,
                             num_key_value_heads=3, intermediate_size=96, rms_norm_eps=1e-5,
                             max_position_embeddings=64, tie_word_embeddings=True),
    "deepseek_coder": lambda: llama({"rope_theta": 100000.0, "type": "linear", "factor": 4.0},
                                    hidden_size=32, num_attention_heads=4, num_key_value_heads=4,
                                    intermediate_size=88, rms_norm_eps=1e-6,
                                    max_position_embeddings=64, tie_word_embeddings=False),
    "gemma": gemma,
}


def randomize(model, seed):
    """Weights of order one: a norm that multiplies by 1 on average, logits of a few units."""
    generator = torch.Generator().manual_seed(seed)
    offset = 1.0 if isinstance(model, GemmaForCausalLM) else 0.0
    for name, weight in model.named_parameters():
        values = torch.randn(weight.shape, generator=generator)
        if "norm" in name:
            values = 1.0 - offset + 0.2 * values
        elif "embed_tokens" in name:
            values = values / (2.0 if offset == 0.0 else weight.shape[1] ** 0.5)  # Gemma scales it
        else:
            values = values / weight.shape[1] ** 0.5
        weight.data = values.to(torch.bfloat16)


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (2, 11), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :3] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def in_float64(model):
    """The same model in float64, its norms too, which transformers computes in float32."""
    def norm(offset):
        def forward(self, x):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps(self)) * (offset + self.weight)
        return forward

    def eps(module):
        return module.eps if hasattr(module, "eps") else module.variance_epsilon

    modeling_llama.LlamaRMSNorm.forward = norm(0.0)
    modeling_gemma.GemmaRMSNorm.forward = norm(1.0)
    return copy.deepcopy(model).double()


def gradients(model):
    return {name.replace(".default", ""): p.grad for name, p in model.named_parameters()
            if p.requires_grad}


def distance(a, b):
    return ((a.double() - b.double()).abs().max() / b.abs().max()).item()


def make(family, seed):
    folder = HERE / family
    folder.mkdir(exist_ok=True)
    kind, config, older = FAMILIES[family]()
    config._attn_implementation = "eager"
    model = kind(config)
    randomize(model, seed)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "config_v4.json").write_text(json.dumps(older, indent=1) + "\n")
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    given = batch(seed)
    norms = modeling_llama.LlamaRMSNorm.forward, modeling_gemma.GemmaRMSNorm.forward
    with torch.no_grad():
        out = model(**given)
        prompt = given["input_ids"][:1, :4]
        steps = [prompt]
        gap = float("inf")
        for _ in range(10):
            last = model(torch.cat(steps, 1)).logits[0, -1]
            top = last.topk(2).values
            gap = min(gap, (top[0] - top[1]).item())
            steps.append(last.argmax().reshape(1, 1))
        exact = in_float64(model)(**given)
    modeling_llama.LlamaRMSNorm.forward, modeling_gemma.GemmaRMSNorm.forward = norms
    seen = given["attention_mask"].bool()
    print(f"{family}: logits of up to {out.logits.abs().max():.3g}, off by "
          f"{(out.logits[seen] - exact.logits[seen]).abs().max():.2g}, loss {out.loss:.4f} by "
          f"{(out.loss - exact.loss).abs():.2g}; a greedy choice by {gap:.3g}", flush=True)

    tuned = peft.get_peft_model(model, peft.LoraConfig(
        r=2, lora_alpha=4, lora_dropout=0.0, target_modules=LINEARS, task_type="CAUSAL_LM"))
    generator = torch.Generator().manual_seed(seed + 1)
    for name, p in tuned.named_parameters():
        if p.requires_grad:
            p.data = torch.randn(p.shape, generator=generator) / p.shape[1] ** 0.5
    tuned.peft_config["default"].base_model_name_or_path = family
    tuned.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    tuned_loss = tuned(**given).loss
    tuned_loss.backward()
    ours = gradients(tuned)
    exact = in_float64(tuned)
    for p in exact.parameters():
        p.grad = None
    exact(**given).loss.backward()
    theirs = gradients(exact)
    modeling_llama.LlamaRMSNorm.forward, modeling_gemma.GemmaRMSNorm.forward = norms
    print(f"{family}: adapter's loss {tuned_loss:.4f}, gradients off by "
          f"{max(distance(ours[n], theirs[n]) for n in ours):.2g} of their largest", flush=True)

    golden = {**given, "logits": out.logits, "loss": out.loss.reshape(1),
              "adapter.loss": tuned_loss.detach().reshape(1), "greedy": torch.cat(steps, 1)[0],
              **{f"grad.{n}": g for n, g in ours.items()}}
    save_file({n: t.contiguous() for n, t in golden.items()}, folder / "golden.safetensors")


if __name__ == "__main__":
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
          f"peft {peft.__version__}", flush=True)
    torch.set_num_threads(1)
    for number, name in enumerate(FAMILIES):
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make(name, 1000 + 10 * number)
