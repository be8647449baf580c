import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { InputError, writeFileAtomic } from "@medgpt/artifacts";
import { writeSafetensors } from "../checkpoint/safetensors.js";
import { seededRandom } from "../numeric/seeded-random.js";
import { decoderOptions } from "./decoder-options.js";
import { weightSpecs } from "../nn/weight-specs.js";

/**
 * Writes the folder of a model that has learnt nothing: matrices normal with the config's initializer_range (0.02 where
 * it has none), biases 0, norms 1 (stored as 0 where they are stored less one), as transformers initialises them; f32.
 * @param config contents of config.json; `model_type` decides the family
 * @param tokenizerDir where tokenizer.json and tokenizer_config.json are copied from
 */
export async function initCausalLm(
  dir: string,
  config: Readonly<Record<string, unknown>>,
  tokenizerDir: string,
  seed = 42,
): Promise<void> {
  const modelType = config["model_type"];
  if (typeof modelType !== "string") throw new InputError('initCausalLm: expected "model_type" in the config');
  const options = decoderOptions({ path: join(dir, "config.json"), modelType, values: config });
  const range = config["initializer_range"];
  const deviation = typeof range === "number" ? range : 0.02;
  const random = seededRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  await mkdir(dir, { recursive: true });
  const tensors = weightSpecs(options).map(({ name, shape, isNorm }) => {
    const values = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
    if (shape.length > 1) for (let i = 0; i < values.length; i++) values[i] = deviation * normal();
    else if (isNorm && name.endsWith(".weight")) values.fill(1 - (options.norm.offset ?? 0));
    return { name, dtype: "f32" as const, shape, data: new Uint8Array(values.buffer) };
  });
  await writeSafetensors(join(dir, "model.safetensors"), tensors);
  for (const file of ["tokenizer.json", "tokenizer_config.json"])
    await copyFile(join(tokenizerDir, file), join(dir, file));
  await writeFileAtomic(join(dir, "config.json"), JSON.stringify({ ...config, dtype: "float32" }, undefined, 2) + "\n");
}
