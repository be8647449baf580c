export { describeRewardScorer, type TestFunctions } from "./describe-reward-scorer.js";
export { fakeRewardScorer } from "./fake-reward-scorer.js";
export { safetensorsBytes, tinyTensor, type TinyTensor } from "./safetensors-bytes.js";
export { tinyAdapter, tinyCausalLm, tinyDataset, tinyRewardModel, tinyTokenizer } from "./tiny-artifacts.js";
