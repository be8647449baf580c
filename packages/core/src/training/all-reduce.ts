import type { Communicator } from "../run/communicator.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * Averages gradients over all processes. On entry `gradients` (flat f32) is that of the mean loss over this process's
 * `weight` (labels, pairs, …); on return it is that of the mean over the weights of all processes.
 * @returns the share of this process in the weight of all
 */
export async function averageGradients(communicator: Communicator, gradients: Tensor, weight: number): Promise<number> {
  if (communicator.size === 1) return 1;
  const sum = Float64Array.of(weight);
  await communicator.allReduce(sum);
  const share = weight / Math.max(sum[0]!, Number.MIN_VALUE);
  const values = ((await gradients.read()) as Float32Array).map((value) => value * share);
  await communicator.allReduce(values);
  gradients.backend.write(gradients, values);
  return share;
}

/** Gives every process the values that a tensor (f32) has in process 0. */
export async function broadcastTensor(communicator: Communicator, tensor: Tensor): Promise<void> {
  if (communicator.size === 1) return;
  const values = (await tensor.read()) as Float32Array;
  await communicator.broadcast(values);
  tensor.backend.write(tensor, values);
}
