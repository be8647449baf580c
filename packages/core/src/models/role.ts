/**
 * A role is a base with some adapters and a head: policy, reference, critic and reward model may be four roles of one base.
 * It owns nothing: the base, the adapters and the arena are freed by who made them.
 */
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { changeConfig, type HfConfig } from "../checkpoint/hf-config.js";
import type { TensorInfo } from "../checkpoint/safetensors.js";
import type { Batch } from "../data/packing/batch.js";
import { Adapter, openAdapter } from "../nn/adapter.js";
import { checkScore } from "../nn/adapter-fit.js";
import {
  batchInputs,
  decoderForward,
  type DecoderCache,
  type DecoderOptions,
  type DecoderWeights,
  type ForwardOptions,
  type PassInputs,
} from "../nn/decoder.js";
import type { EmbeddingNoise } from "../nn/embedding-noise.js";
import { createArena, type ParameterArena } from "../nn/parameters.js";
import { backboneSpecs, headSpec, SCORE } from "../nn/weight-specs.js";
import type { Compute } from "../ops/index.js";
import { scope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { openBase, type Base, type BaseOptions } from "./base.js";
import { LmHead, ScoreHead } from "./head.js";
import type { WholeWeights } from "./whole-weights.js";

/** Options of one run of a role. */
export interface RunOptions extends Omit<ForwardOptions, "compute"> {
  /** Noise on the embeddings, while training with it. */
  readonly noise?: EmbeddingNoise | undefined;
  /** Gets keys and values, for tokens that come later. */
  readonly cache?: DecoderCache | undefined;
}

export interface RoleOptions {
  /** What they give is summed. Of a weight that several have whole, the last one's counts. */
  readonly adapters?: readonly Adapter[] | undefined;
  /** Every weight, trained in place of the base's. */
  readonly trained?: WholeWeights | undefined;
}

export class Role<H extends LmHead | ScoreHead = LmHead | ScoreHead> implements DecoderWeights {
  readonly adapters: readonly Adapter[];
  readonly trained: WholeWeights | undefined;
  readonly config: HfConfig;
  readonly options: DecoderOptions;
  readonly head: H;

  constructor(
    readonly base: Base,
    { adapters = [], trained }: RoleOptions,
    head: (role: Role<H>) => H,
  ) {
    const resized = adapters.findLast(({ hasOtherVocabulary }) => hasOtherVocabulary)?.vocabulary;
    const { vocabSize, tieWordEmbeddings } = base.options;
    const { size, tied } = resized ?? { size: vocabSize, tied: tieWordEmbeddings };
    this.adapters = adapters;
    this.trained = trained;
    this.options = { ...base.options, vocabSize: size, tieWordEmbeddings: tied };
    this.config = changeConfig(base.config, {
      ...(size !== vocabSize && { vocab_size: size }),
      ...(tied !== tieWordEmbeddings && { tie_word_embeddings: tied }),
    });
    // Nothing is mapped later, in the middle of a pass.
    for (const { name } of backboneSpecs(this.options)) this.weight(name);
    for (const module of base.linears) this.loras(module);
    this.head = head(this);
  }

  get backend(): Backend {
    return this.base.backend;
  }

  get compute(): Compute {
    return this.base.compute;
  }

  /** The largest sum of adapter ranks in any one layer. */
  get adapterRanks(): number {
    const { layers, names } = this.options;
    const ranks = Array.from({ length: layers }, () => 0);
    for (const module of this.base.linears) {
      const layer = Number(module.slice(names.layers.length + 1).split(".", 1)[0]);
      for (const { a } of this.loras(module)) ranks[layer]! += a.shape[0]!;
    }
    return Math.max(0, ...ranks);
  }

  weight(name: string): Tensor {
    return this.ownWeight(name) ?? this.base.weight(name);
  }

  loras(module: string): ReturnType<DecoderWeights["loras"]> {
    return this.adapters.map((adapter) => adapter.factors(module)).filter((factors) => factors !== undefined);
  }

  /** A weight that is not the base's. */
  ownWeight(name: string): Tensor | undefined {
    for (const adapter of [...this.adapters].reverse()) {
      const found = adapter.weight(name);
      if (found !== undefined) return found;
    }
    return this.trained?.weight(name);
  }

  /** Where a weight that is not trained lies. */
  source(name: string): TensorInfo {
    return (
      this.adapters.findLast((adapter) => adapter.source(name) !== undefined)?.source(name) ?? this.base.source(name)
    );
  }

  /** Final hidden states (tokens, hidden). */
  forward(batch: Batch, { noise, cache, ...run }: RunOptions = {}): Tensor {
    return scope(() => this.pass(batchInputs(this.options, batch, { backend: this.backend, noise, cache }), run));
  }

  /** The same of inputs that are on the backend already. */
  pass(inputs: PassInputs, run: Omit<ForwardOptions, "compute"> = {}): Tensor {
    return decoderForward(this.options, this, inputs, { compute: this.compute, ...run });
  }
}

export type CausalLm = Role<LmHead>;

/**
 * A role that ends in the output head.
 * @throws InputError where the base has none, or an adapter is a classifier's
 */
export function causalLm(base: Base, options: RoleOptions = {}): CausalLm {
  const classifier = options.adapters?.find(({ taskType }) => taskType !== "CAUSAL_LM");
  if (classifier !== undefined)
    throw new InputError(`the adapter is a classifier's (task_type "${classifier.taskType}"), not a language model's`, {
      place: classifier.dir ?? base.dir,
    });
  return new Role(base, options, (role) => {
    const { logitSoftCap: softCap } = role.options;
    return new LmHead(headWeight(role), { compute: role.compute, softCap });
  });
}

/**
 * A role that ends in a score: that of an adapter, or of the base's folder.
 * @throws InputError where neither has one
 */
export function scorer(base: Base, options: RoleOptions = {}): Role<ScoreHead> {
  return new Role(base, options, (role) => {
    const own = role.ownWeight(SCORE);
    if (own === undefined && base.score === undefined)
      throw new InputError(`neither the adapter nor its base has ${SCORE}, which sequence classification needs`, {
        place: options.adapters?.at(-1)?.dir ?? base.dir,
      });
    if (own === undefined) checkScore(base.score!, base.options.hiddenSize);
    return new ScoreHead(own ?? base.weight(SCORE), { compute: role.compute });
  });
}

/**
 * Opens a folder, and the folder of an adapter, as a causal language model, all of it frozen.
 * @throws InputError for a folder that is damaged or asks for what is not supported, and an adapter that does not fit
 */
export async function loadCausalLm(
  dir: string,
  { adapter, ...options }: BaseOptions & { readonly adapter?: string | undefined },
): Promise<CausalLm> {
  const base = await openBase(dir, options);
  const adapters = adapter === undefined ? [] : [await openAdapter(base, adapter, options.warn)];
  return causalLm(base, { adapters });
}

/**
 * A causal language model of which one adapter, or every weight, is trained over an arena of its own.
 * @throws InputError where that does not fit into memory
 */
export function trainedLm(
  base: Base,
  trained: Adapter | WholeWeights,
): { readonly model: CausalLm; readonly arena: ParameterArena } {
  const arena = createArena(base.backend, trained.specs());
  trained.train(arena);
  const model = causalLm(base, trained instanceof Adapter ? { adapters: [trained] } : { trained });
  return { model, arena };
}

/** Next-token loss of a batch; see `LmHead.nll`. */
export function tokenLoss(model: CausalLm, batch: Batch, run?: RunOptions): ReturnType<LmHead["nll"]> {
  return scope(() => model.head.nll(model.forward(batch, run), batch.labels));
}

/**
 * The output head: one that is the role's own, else the embedding where they are tied. As in PEFT, which trains a copy, a
 * head that is tied to an embedding of modules_to_save keeps the weight that this had.
 */
function headWeight(role: Role): Tensor {
  const { base, adapters, trained, options } = role;
  const [head, embedding] = [`${options.names.head}.weight`, `${options.names.embedding}.weight`];
  const own = role.ownWeight(head);
  if (own !== undefined) return own;
  if (!options.tieWordEmbeddings) {
    base.check([headSpec(base.options)]);
    return base.weight(head);
  }
  const resized = adapters.findLast(({ wholeWeights }) => wholeWeights.vocabulary.has(embedding));
  return resized?.weight(embedding) ?? trained?.weight(embedding) ?? base.weight(embedding);
}
