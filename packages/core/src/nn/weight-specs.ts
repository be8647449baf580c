/** Names and shapes of a decoder's weights. */
import { InputError } from "@medgpt/artifacts";
import { layerLinears, type DecoderOptions, type LinearModule } from "./decoder.js";
import { decays, type ParameterSpec } from "./parameters.js";

export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly isNorm: boolean;
}

/** A classifier's head, as transformers names it in every family. */
export const SCORE = "score.weight";

/** What is trained of a weight. */
export function trainedSpec({ name, shape, isNorm }: WeightSpec, init: ParameterSpec["init"]): ParameterSpec {
  return { name, shape, decay: decays(name, isNorm), init };
}

/** The linear modules of all layers by their full names, in the order of the forward pass. */
export function linearModules(options: DecoderOptions): Map<string, LinearModule> {
  const linears = layerLinears(options);
  const named = Array.from({ length: options.layers }, (_, index) =>
    linears.map((module) => [`${options.names.layers}.${index}.${module.name}`, module] as const),
  );
  return new Map(named.flat());
}

/** Name and shape of every weight below the heads. */
export function backboneSpecs(options: DecoderOptions): WeightSpec[] {
  const { names, norm, hiddenSize, vocabSize, positions, attention } = options;
  const matrix = (name: string, rows: number, cols: number): WeightSpec => ({
    name: `${name}.weight`,
    shape: [rows, cols],
    isNorm: false,
  });
  const vector = (name: string, size: number, isNorm: boolean): WeightSpec => ({ name, shape: [size], isNorm });
  const norms = (owners: readonly (string | undefined)[], size = hiddenSize, prefix = ""): WeightSpec[] =>
    owners
      .filter((owner) => owner !== undefined)
      .flatMap((owner) => (norm.kind === "rms" ? ["weight"] : ["weight", "bias"]).map((part) => `${owner}.${part}`))
      .map((name) => vector(prefix + name, size, true));
  const layers = Array.from({ length: options.layers }, (_, index) => {
    const prefix = `${names.layers}.${index}.`;
    const linears = layerLinears(options).flatMap(({ name, out, in: width, bias }) => [
      options.fanInFanOut ? matrix(prefix + name, width, out) : matrix(prefix + name, out, width),
      ...(bias ? [vector(`${prefix}${name}.bias`, out, false)] : []),
    ]);
    const heads = "packed" in attention ? [] : [attention.qNorm, attention.kNorm];
    const { attentionNorm, mlpNorm } = options;
    return [
      ...norms([attentionNorm.before], hiddenSize, prefix),
      ...linears,
      ...norms(heads, options.headDim, prefix),
      ...norms([attentionNorm.after, mlpNorm.before, mlpNorm.after], hiddenSize, prefix),
    ];
  });
  return [
    matrix(names.embedding, vocabSize, hiddenSize),
    ...(positions.kind === "learned" ? [matrix(positions.name, positions.count, hiddenSize)] : []),
    ...norms([names.embeddingNorm]),
    ...layers.flat(),
    ...norms([names.finalNorm]),
  ];
}

/** Name and shape of the output head. */
export function headSpec({ names, vocabSize, hiddenSize }: DecoderOptions): WeightSpec {
  return { name: `${names.head}.weight`, shape: [vocabSize, hiddenSize], isNorm: false };
}

/** Name and shape of every weight of a causal language model; a tied head is not one. */
export function weightSpecs(options: DecoderOptions): WeightSpec[] {
  return [...backboneSpecs(options), ...(options.tieWordEmbeddings ? [] : [headSpec(options)])];
}

/**
 * Specs of the weights of whole modules that are trained beside an adapter, each once; a tied head becomes a weight of its
 * own.
 * @param labels rows of the score of a classifier; 0 where there is none
 * @throws InputError for a module that the model has not
 */
export function savedSpecs(options: DecoderOptions, modules: readonly string[], labels = 0): WeightSpec[] {
  const last = labels === 0 ? headSpec(options) : { name: SCORE, shape: [labels, options.hiddenSize], isNorm: false };
  const specs = [...backboneSpecs(options), last];
  const saved = modules.flatMap((module) => {
    const found = specs.filter(({ name }) => isOf(name, module));
    if (found.length === 0) throw new InputError(`modules_to_save: the model has no module "${module}"`);
    return found;
  });
  return [...new Set(saved)];
}

/** Whether a weight is one of a module that is named in full or by its end. */
export function isOf(weight: string, module: string): boolean {
  const owner = weight.slice(0, weight.lastIndexOf("."));
  return owner === module || owner.endsWith(`.${module}`);
}
