import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@medgpt/artifacts";
import { writeSafetensors } from "../checkpoint/safetensors.js";
import { openCheckpoint } from "../checkpoint/shards.js";
import { editJson } from "../json/edit-json.js";
import { copyWeight, restoreTensors, tensorsToWrite } from "../nn/map-weight.js";
import type { ParameterArena, ParameterSpec } from "../nn/parameters.js";
import { trainedSpec, weightSpecs } from "../nn/weight-specs.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Base } from "./base.js";

/** Every weight of a causal language model, trained in f32. */
export class WholeWeights {
  #trained: ReadonlyMap<string, Tensor> = new Map();

  constructor(readonly base: Base) {}

  specs(): ParameterSpec[] {
    const { base } = this;
    return weightSpecs(base.options).map((spec) =>
      trainedSpec(spec, (value) => copyWeight(value, base.source(spec.name))),
    );
  }

  /** Takes the parameters that an arena has for `specs()`. */
  train(arena: ParameterArena): void {
    this.#trained = new Map(weightSpecs(this.base.options).map(({ name }) => [name, arena.parameter(name)]));
  }

  weight(name: string): Tensor | undefined {
    return this.#trained.get(name);
  }

  /**
   * Writes config.json, model.safetensors and, where the base has one, generation_config.json.
   * @returns the names of the files
   */
  async save(dir: string): Promise<string[]> {
    const { base } = this;
    await writeSafetensors(join(dir, "model.safetensors"), tensorsToWrite(this.#trained), { format: "pt" });
    const edits = { ...base.config.changes, torch_dtype: undefined, dtype: "float32" };
    const config = editJson(await readFile(base.config.path, "utf8"), edits);
    await writeFileAtomic(join(dir, "config.json"), config);
    const generation = join(base.dir, "generation_config.json");
    if (!existsSync(generation)) return ["config.json", "model.safetensors"];
    await writeFileAtomic(join(dir, "generation_config.json"), await readFile(generation));
    return ["config.json", "generation_config.json", "model.safetensors"];
  }

  /** Sets the weights to the values in a folder that `save` wrote. */
  async restore(dir: string): Promise<void> {
    restoreTensors(this.#trained, (await openCheckpoint(dir)).tensors, dir);
  }
}
