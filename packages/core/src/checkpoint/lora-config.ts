/** Which modules an adapter is on, and with which rank and scale, as PEFT has it (huggingface/peft, src/peft/tuners/lora). */
import { InputError } from "@medgpt/artifacts";
import { checkPatterns } from "./check-patterns.js";

/** Which modules an adapter is on. */
export interface LoraTargets {
  /** Names or suffixes of modules, or a regular expression for the whole name; "all" and "all-linear" are every linear module but the head. */
  readonly target_modules: readonly string[] | string;
  /** Modules to leave out, told as target_modules are. */
  readonly exclude_modules?: readonly string[] | string;
  /** Numbers of the layers that suffixes in target_modules mean; without it all. */
  readonly layers_to_transform?: readonly number[];
  /** Names of the list of layers that those are numbers in, such as "layers"; without it the first list of any name. */
  readonly layers_pattern?: readonly string[];
  /** Suffixes of modules that are trained and saved whole, and so have no adapter. */
  readonly modules_to_save?: readonly string[];
}

export interface LoraConfig extends LoraTargets {
  readonly r: number;
  readonly lora_alpha: number;
  readonly lora_dropout: number;
  readonly use_rslora: boolean;
  readonly modules_to_save: readonly string[];
  /** Ranks and alphas of modules whose name, or its end from a dot on, is the regular expression; the first that fits counts. */
  readonly rank_pattern?: Readonly<Record<string, number>>;
  readonly alpha_pattern?: Readonly<Record<string, number>>;
}

/** Rank of a module's adapter. */
export function loraRank(config: LoraConfig, module: string): number {
  return patternValue(config, "rank_pattern", module) ?? config.r;
}

/** alpha / r, or alpha / sqrt(r) for rslora (Kalajdzievski 2023, arXiv:2312.03732), of a module's adapter. */
export function loraScale(config: LoraConfig, module: string): number {
  const alpha = patternValue(config, "alpha_pattern", module) ?? config.lora_alpha;
  const rank = loraRank(config, module);
  return alpha / (config.use_rslora ? Math.sqrt(rank) : rank);
}

function patternValue(config: LoraConfig, key: "rank_pattern" | "alpha_pattern", module: string): number | undefined {
  return Object.entries(config[key] ?? {}).find(([source]) => fits(key, ending(source), module))?.[1];
}

/**
 * Full names of the targeted modules, in the model's order.
 * @param linears full names of the linear modules below the layers
 * @throws InputError when nothing is targeted
 */
export function resolveTargets(
  config: LoraTargets & Pick<Partial<LoraConfig>, "rank_pattern" | "alpha_pattern">,
  linears: readonly string[],
): string[] {
  checkAllPatterns(config, linears);
  const { target_modules: targets, exclude_modules: excluded = [], modules_to_save: saved = [] } = config;
  const isLeftOut = (name: string): boolean =>
    (typeof excluded === "string" ? fits("exclude_modules", excluded, name) : endsWithAny(name, excluded)) ||
    saved.some((whole) => fits("modules_to_save", within(whole), name));
  const isTarget = (name: string): boolean => {
    if (typeof targets === "string")
      return targets === "all" || targets === "all-linear" || fits("target_modules", targets, name);
    return targets.includes(name) || (endsWithAny(name, targets) && isInLayers(config, name));
  };
  const found = linears.filter((name) => isTarget(name) && !isLeftOut(name));
  if (found.length === 0) throw noTarget(typeof targets === "string" ? targets : targets.join(", "), linears);
  return found;
}

/**
 * What PEFT does not look at when it makes an adapter: that every name in a list of targets is one of a module.
 * @throws InputError naming a target that no linear module has
 */
export function checkTargets({ target_modules: targets }: LoraTargets, linears: readonly string[]): void {
  if (typeof targets === "string") return;
  const wrong = targets.find((target) => !linears.some((name) => endsWithAny(name, [target])));
  if (wrong !== undefined) throw noTarget(wrong, linears);
}

/** Whether a module is one of the names or ends with one. */
export function endsWithAny(module: string, names: readonly string[]): boolean {
  return names.some((name) => module === name || module.endsWith(`.${name}`));
}

/** Whether the first number in a module's name, behind the name of a list of layers, is that of a layer to transform. */
function isInLayers(config: LoraTargets, module: string): boolean {
  const { layers_to_transform: layers = [], layers_pattern: lists = [] } = config;
  if (layers.length === 0) return true;
  const patterns =
    lists.length === 0 ? [numbered(".*?\\.[^.]*")] : lists.map((list) => numbered(`(?:.*?\\.)?(?:${list})`));
  const matches = patterns.map((pattern) => wholePattern("layers_pattern", pattern).exec(module));
  const layer = matches.find((match) => match !== null)?.groups?.["layer"];
  return layer !== undefined && layers.includes(Number(layer));
}

/** Tries every pattern of the configuration on every name, so that none can take for ever later. */
function checkAllPatterns(config: Parameters<typeof resolveTargets>[0], linears: readonly string[]): void {
  const { target_modules: targets, exclude_modules: excluded, modules_to_save = [], layers_pattern = [] } = config;
  checkPatterns("target_modules", typeof targets === "string" ? [targets] : [], linears);
  checkPatterns("exclude_modules", typeof excluded === "string" ? [excluded] : [], linears);
  checkPatterns("modules_to_save", modules_to_save.map(within), linears);
  checkPatterns(
    "layers_pattern",
    layers_pattern.map((list) => numbered(`(?:.*?\\.)?(?:${list})`)),
    linears,
  );
  for (const key of ["rank_pattern", "alpha_pattern"] as const)
    checkPatterns(key, Object.keys(config[key] ?? {}).map(ending), linears);
}

/** A name that ends with it, from a dot on. */
const ending = (source: string): string => `(?:.*\\.)?(?:${source})`;
/** The same, or a name below such a one. */
const within = (source: string): string => `${ending(source)}(?:\\..*)?`;
/** The number behind the name of a list of layers. */
const numbered = (list: string): string => `${list}\\.(?<layer>\\d+)\\..*`;

/** Whether the regular expression matches the whole name. */
function fits(key: string, source: string, name: string): boolean {
  return wholePattern(key, source).test(name);
}

function wholePattern(key: string, source: string): RegExp {
  try {
    return new RegExp(`^(?:${source})$`);
  } catch (cause) {
    throw new InputError(`${key}: "${source}" is no regular expression (${(cause as Error).message})`, { cause });
  }
}

function noTarget(target: string, linears: readonly string[]): InputError {
  const available = [...new Set(linears.map((name) => name.split(".").at(-1)))].join(", ");
  return new InputError(
    `target_modules: no linear module is called "${target}"; this model has ${available}, or use "all"`,
  );
}

/** The last part of each module's name, once each and sorted: what MedicalGPT's `--target_modules all` resolves to. */
export function suffixes(linears: readonly string[]): string[] {
  return [...new Set(linears.map((name) => name.slice(name.lastIndexOf(".") + 1)))].sort();
}
