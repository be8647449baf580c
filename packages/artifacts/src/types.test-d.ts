/** Checked by tsc alone: each @ts-expect-error below fails the type check once the line under it compiles. */
import type {
  AdapterArtifact,
  AnyArtifact,
  CausalLmArtifact,
  DatasetArtifact,
  Manifest,
  RewardModelArtifact,
} from "./artifact.js";
import { artifactRef } from "./artifact.js";
import { openArtifact, openDataset } from "./read-artifact.js";
import type { RewardScorer } from "./reward-scorer.js";
import { writeArtifact } from "./write-artifact.js";

declare const preference: DatasetArtifact<"preference">;
declare const chat: DatasetArtifact<"chat">;
declare const textOrChat: DatasetArtifact<"text" | "chat">;
declare const adapter: AdapterArtifact;
declare const model: CausalLmArtifact;
declare const rewardModel: RewardModelArtifact;
declare const any: AnyArtifact;

declare function takesChat(data: DatasetArtifact<"chat">): void;
declare function takesDataset(data: DatasetArtifact): void;
declare function takesModel(model: CausalLmArtifact): void;

export async function typeTests(): Promise<void> {
  takesChat(chat);
  takesDataset(preference);
  takesModel(model);
  // @ts-expect-error preference pairs are no conversations
  takesChat(preference);
  // @ts-expect-error it may be text
  takesChat(textOrChat);
  // @ts-expect-error a dataset opened without a format may have any
  takesChat(await openArtifact("data", "dataset"));
  takesChat(await openDataset("data", "chat"));
  // @ts-expect-error opened as text or chat
  takesChat(await openDataset("data", ["text", "chat"]));
  // @ts-expect-error an adapter is not a whole model
  takesModel(adapter);
  // @ts-expect-error a reward model does not generate
  takesModel(rewardModel);

  if (any.kind === "adapter") {
    const rank: number = any.manifest.details.rank;
    void rank;
  } else {
    // @ts-expect-error only adapters have a rank
    void any.manifest.details.rank;
  }

  const opened = await openArtifact("out", ["causal-lm", "adapter"]);
  if (opened.kind === "causal-lm") takesModel(opened);
  else void opened.manifest.details.base.digest;
  // @ts-expect-error it may still be an adapter
  takesModel(opened);

  // @ts-expect-error a reference to an adapter does not stand for a base
  const wrongBase: Manifest<"adapter">["details"]["base"] = artifactRef(adapter);
  void wrongBase;

  const createdBy = { package: "p", version: "1", config: {} };
  await writeArtifact(
    "out",
    // @ts-expect-error a tokenizer's details are not an adapter's
    { kind: "adapter", details: { vocabSize: 1, addedTokens: 0 }, createdBy, inputs: [] },
    async () => {},
  );

  // @ts-expect-error scores come one for each request, not one for all
  const scorer: RewardScorer = { specificationVersion: "v1", name: "n", score: async () => 1 };
  void scorer;
}
