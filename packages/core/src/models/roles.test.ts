/** Four roles of one base: it is in memory once, and each role learns as if it were alone. */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { collate, labelCount } from "../data/packing/collate.js";
import { openAdapter } from "../nn/adapter.js";
import { createArena, type ParameterArena } from "../nn/parameters.js";
import { sum } from "../ops/index.js";
import { backward, noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { tensor } from "../tensor/tensor.js";
import { expectClose } from "../testing/all-close.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenDir, hasGoldens, readCase, readTensors, type Matrix } from "../testing/goldens.js";
import { openBase, type Base } from "./base.js";
import type { ScoreHead } from "./head.js";
import { causalLm, scorer, tokenLoss, type CausalLm, type Role } from "./role.js";

interface RewardCase {
  readonly base: string;
  readonly pad_token_id: number;
  readonly loss: number;
}

const backends = await availableBackends();

/** Adapters of the references, by the model that they are on. */
function adaptersOf(section: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const dirs = hasGoldens ? readdirSync(goldenDir(section)).map((name) => goldenDir(section, name)) : [];
  for (const dir of dirs.filter((dir) => existsSync(join(dir, "adapter_config.json")))) {
    const base = resolve(dir, readCase<RewardCase>(dir).base);
    found.set(base, [...(found.get(base) ?? []), dir]);
  }
  return found;
}

const policies = adaptersOf("B_lora");
/** Bases with a policy's adapter and those of two reward models. */
const settings = [...adaptersOf("E_reward")].flatMap(([base, [critic, reward]]) => {
  const policy = policies.get(base)?.[0];
  return policy === undefined || critic === undefined || reward === undefined ? [] : [{ base, policy, critic, reward }];
});

/** The answers of a reward case, chosen before rejected, up to the token that is scored. */
async function answers(dir: string) {
  const { pad_token_id: pad, loss } = readCase<RewardCase>(dir);
  const io = await readTensors(join(dir, "io.safetensors"));
  const rows = ["chosen", "rejected"].flatMap((side) => {
    const ids = io.get(`${side}_ids`) as Matrix;
    const mask = io.get(`${side}_mask`) as Matrix;
    const [count, width] = ids.shape as [number, number];
    return Array.from({ length: count }, (_, row) => {
      const part = Int32Array.from(ids.data.subarray(row * width, (row + 1) * width));
      const end = part.findLastIndex((id) => id !== pad) + 1;
      return { ids: part.slice(0, end).filter((_, i) => mask.data[row * width + i] === 1) };
    });
  });
  return { io, loss, batch: collate(rows), rewards: [io.get("rewards_chosen")!, io.get("rewards_rejected")!] };
}

type Answers = Awaited<ReturnType<typeof answers>>;

/** mean(-log sigmoid(chosen - rejected)) of scores, the chosen before the rejected, and its gradient. */
function pairwiseLoss(scores: ArrayLike<number>): { loss: number; gradient: Float64Array } {
  const pairs = scores.length / 2;
  const gradient = new Float64Array(scores.length);
  let loss = 0;
  for (let i = 0; i < pairs; i++) {
    const margin = scores[i]! - scores[pairs + i]!;
    loss += Math.log1p(Math.exp(-margin)) / pairs;
    gradient[pairs + i] = 1 / (1 + Math.exp(margin)) / pairs;
    gradient[i] = -gradient[pairs + i]!;
  }
  return { loss, gradient };
}

const scoresOf = (role: Role<ScoreHead>, { batch }: Answers) =>
  role.head.scores(
    role.forward(batch),
    batch.segments.subarray(1).map((end) => end - 1),
  );

async function learnPolicy(policy: CausalLm, { batch }: Answers): Promise<void> {
  const loss = scope(() => sum(tokenLoss(policy, batch).nll, 1 / labelCount(batch)));
  backward(loss);
  loss.dispose();
  await policy.backend.sync();
}

/** @returns the loss */
async function learnCritic(critic: Role<ScoreHead>, some: Answers): Promise<number> {
  const scores = scope(() => scoresOf(critic, some));
  const { loss, gradient } = pairwiseLoss(await scores.read());
  scope(() => backward(scores, tensor(critic.backend, Float32Array.from(gradient), scores.shape)));
  scores.dispose();
  await critic.backend.sync();
  return loss;
}

/** A base, and the adapter of a folder trained in an arena of its own. */
async function alone(baseDir: string, dir: string, backend: Backend) {
  const base = await openBase(baseDir, { backend });
  const adapter = await openAdapter(base, dir);
  const arena = createArena(backend, adapter.specs());
  adapter.train(arena);
  return { base, adapter, arena };
}

const gradient = async (arena: ParameterArena, name: string) =>
  (await arena.parameter(name).grad.read()) as Float32Array;

describe.skipIf(!hasGoldens)("policy, reference, critic and reward model", () => {
  it("are found among the references", () => expect(settings.length).toBeGreaterThan(0));

  describe.each(backends)("on $name", ({ create }) => {
    it.each(settings)("are four roles of $base", async ({ base: dir, ...of }) => {
      const backend = await create();
      const live = (): number => backend.memory().liveBytes;
      const some = await answers(of.critic);
      const base = await openBase(dir, { backend });
      mapAll(base);
      const bytes = { base: live(), reference: 0, reward: 0, trained: 0 };

      const reference = causalLm(base, { adapters: [await openAdapter(base, of.policy)] });
      bytes.reference = live() - bytes.base;
      const reward = scorer(base, { adapters: [await openAdapter(base, of.reward)] });
      bytes.reward = live() - bytes.base - bytes.reference;
      const adapters = [await openAdapter(base, of.policy), await openAdapter(base, of.critic)] as const;
      const arena = createArena(backend, [...adapters[0].specs("policy."), ...adapters[1].specs("critic.")]);
      adapters[0].train(arena, "policy.");
      adapters[1].train(arena, "critic.");
      const policy = causalLm(base, { adapters: [adapters[0]] });
      const critic = scorer(base, { adapters: [adapters[1]] });
      bytes.trained = live() - bytes.base - bytes.reference - bytes.reward;
      // Values and gradients of what is trained; of what is not, its adapter, and of the base nothing more.
      expect(bytes.trained).toBe(2 * 4 * arena.values.size);
      expect(bytes.reference).toBeLessThanOrEqual(elementsOf(adapters[0]) * 4);
      expect(bytes.reward).toBeLessThan(arena.values.size * 4);
      console.log(`${dir}: ${JSON.stringify(bytes)} bytes on ${backend.name}`);

      const held = live();
      await learnPolicy(policy, some);
      const loss = await learnCritic(critic, some);
      expect(live()).toBe(held);

      // Against PEFT, and against the same roles alone.
      expect(loss).toBeCloseTo(some.loss, 5);
      const single = await alone(dir, of.policy, backend);
      await learnPolicy(causalLm(single.base, { adapters: [single.adapter] }), some);
      for (const { name } of single.adapter.specs())
        expect(await gradient(arena, `policy.${name}`)).toEqual(await gradient(single.arena, name));
      const scored = await alone(dir, of.critic, backend);
      await learnCritic(scorer(scored.base, { adapters: [scored.adapter] }), some);
      for (const { name } of scored.adapter.specs()) {
        const ours = await gradient(arena, `critic.${name}`);
        expect(ours).toEqual(await gradient(scored.arena, name));
        const key = name.replace(
          /\.weight$/,
          name.includes("lora_") ? ".default.weight" : ".modules_to_save.default.weight",
        );
        const expected = some.io.get(`grad.base_model.model.${key}`) as Matrix;
        expectClose(ours, expected.data, { absolute: 1e-5, relative: 1e-3 });
      }

      // The frozen ones answer as their folders do, before and after the others learnt.
      const theirs = await answers(of.reward);
      const rewards = scope(() => noGrad(() => scoresOf(reward, theirs)));
      expectClose(
        await rewards.read(),
        theirs.rewards.flatMap(({ data }) => [...data]),
        { absolute: 1e-4, relative: 0 },
      );
      const nll = (role: CausalLm) => scope(() => noGrad(() => tokenLoss(role, some.batch).nll)).read();
      expect(await nll(reference)).toEqual(await nll(policy));
      await backend.dispose();
    });
  });
});

/** A base's weights take their place in memory. */
function mapAll(base: Base): void {
  causalLm(base);
}

function elementsOf(adapter: { specs(): readonly { readonly shape: readonly number[] }[] }): number {
  return adapter.specs().reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
}
