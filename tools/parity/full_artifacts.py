"""Transformers and PEFT open the artifacts that @medgpt/artifacts writes, with nothing missing and nothing left over."""

from pathlib import Path

from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from checks import check, node, scratch

MAKE = """
import { tinyAdapter, tinyCausalLm, tinyRewardModel } from "./packages/artifacts/dist/testing/index.js";
const dir = process.argv.at(-1);
await tinyAdapter(`${dir}/adapter`, await tinyCausalLm(`${dir}/model`));
await tinyRewardModel(`${dir}/reward`);
"""


def load(kind, path):
    model, report = kind.from_pretrained(path, output_loading_info=True)
    assert not any(report.values()), report
    return model


with scratch() as folder:
    folder = Path(folder)
    node(MAKE, folder)

    @check("Transformers opens a causal-lm artifact and its tokenizer")
    def _():
        model = load(AutoModelForCausalLM, folder / "model")
        tokenizer = AutoTokenizer.from_pretrained(folder / "model")
        ids = tokenizer("what is fever?", return_tensors="pt").input_ids
        assert model(ids).logits.shape == (1, 4, 32), model(ids).logits.shape

    @check("PEFT opens an adapter artifact on its base")
    def _():
        model = PeftModel.from_pretrained(load(AutoModelForCausalLM, folder / "model"), folder / "adapter")
        trained = [name for name, _ in model.named_parameters() if "lora_" in name]
        assert len(trained) == 4, trained
        assert model.get_parameter(trained[1]).abs().sum() > 0, "lora_B was not loaded"

    @check("Transformers opens a reward-model artifact")
    def _():
        assert load(AutoModelForSequenceClassification, folder / "reward").num_labels == 1
