/** The oracle itself: its forward kernels against PyTorch, its backward kernels against finite differences. */
import { describe, expect, it } from "vitest";
import { expectClose } from "../../testing/all-close.js";
import { ACTIVATIONS, type KernelArgs, type KernelName, type View } from "../kernels.js";
import { jsKernels } from "./js-kernels.js";
import { JsMemory } from "./memory.js";

type Inputs = Record<string, Float64Array | Int32Array>;
type Args<K extends KernelName> = (view: (name: string) => View) => KernelArgs<K>;

/** Runs one kernel in double precision on the named arrays, which it changes. */
function run<K extends KernelName>(kernel: K, arrays: Inputs, args: Args<K>): Inputs {
  const memory = new JsMemory(true);
  const names = Object.keys(arrays);
  const view = (name: string): View => ({
    buffer: names.indexOf(name) + 1,
    offset: 0,
    dtype: arrays[name] instanceof Int32Array ? "i32" : "f32",
  });
  for (const name of names) {
    memory.allocate(view(name).buffer, view(name).dtype, arrays[name]!.length);
    memory.writable(view(name), arrays[name]!.length).set(arrays[name]!);
  }
  jsKernels[kernel](memory, args(view));
  for (const name of names) arrays[name]!.set(memory.copy(view(name), arrays[name]!.length));
  return arrays;
}

const zeros = (count: number): Float64Array => new Float64Array(count);

/** torch.sin(torch.arange(count, dtype=torch.float64) * step) * scale; `wave` in the torch expressions below. */
function wave(count: number, step: number, scale = 1): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => Math.sin(i * step) * scale);
}

/** The constants below have nine digits. */
const TORCH = { absolute: 2e-9, relative: 2e-9 };

describe("equals PyTorch", () => {
  it("in a linear layer", () => {
    // F.linear(wave(2, 3, 0.37), wave(4, 3, 0.7), wave(4, 1.3))
    const { out } = run(
      "matMul",
      { out: zeros(8), x: wave(6, 0.37), w: wave(12, 0.7), bias: wave(4, 1.3) },
      (view) => ({
        out: view("out"),
        ldc: 4,
        m: 2,
        n: 4,
        bias: view("bias"),
        accumulate: 0,
        compute: 0,
        terms: [{ a: view("x"), lda: 3, aTrans: false, b: view("w"), ldb: 3, bTrans: true, k: 3, scale: 1 }],
      }),
    );
    const torch = [
      0.897435898, 0.84816618, -0.265424117, 0.216120228, 1.58885244, 1.73314274, -1.85039461, 0.931476018,
    ];
    expectClose(out!, torch, TORCH);
  });

  it("in RMSNorm", () => {
    // F.rms_norm(wave(2, 4, 0.37), (4,), wave(4, 1.1), 1e-5)
    const { out } = run(
      "rmsNorm",
      { out: zeros(8), rstd: zeros(2), x: wave(8, 0.37), weight: wave(4, 1.1) },
      (view) => ({
        out: view("out"),
        rstd: view("rstd"),
        x: view("x"),
        weight: view("weight"),
        rows: 2,
        cols: 4,
        eps: 1e-5,
        offset: 0,
      }),
    );
    const torch = [0, 0.547142836, 0.925546969, -0.239880225, 0, 1.01940482, 0.766336918, -0.0983661622];
    expectClose(out!, torch, TORCH);
  });

  it("in LayerNorm", () => {
    // F.layer_norm(wave(2, 4, 0.37), (4,), wave(4, 1.1), wave(4, 0.9), 1e-5)
    const arrays = {
      out: zeros(8),
      mean: zeros(2),
      rstd: zeros(2),
      x: wave(8, 0.37),
      weight: wave(4, 1.1),
      bias: wave(4, 0.9),
    };
    const { out } = run("layerNorm", arrays, (view) => ({
      out: view("out"),
      mean: view("mean"),
      rstd: view("rstd"),
      x: view("x"),
      weight: view("weight"),
      bias: view("bias"),
      rows: 2,
      cols: 4,
      eps: 1e-5,
    }));
    const torch = [0, 0.462830904, 1.43265242, 0.23430233, 0, 1.46123513, 0.874657003, 0.677285697];
    expectClose(out!, torch, TORCH);
  });

  it("in rotary embedding, whose angles are rounded to f32", () => {
    // inv = 1 / 10000 ** (torch.arange(0, 4, 2).float() / 4); angles = torch.outer(torch.tensor([0., 7., 1234.]), inv)
    // cos, sin = (torch.cat([angles, angles], -1).cos(), ... .sin()); q = wave(3, 4, 0.37).float()
    // q * cos + torch.cat([-q[:, 2:], q[:, :2]], -1) * sin
    const invFreq = Float64Array.of(1, Math.fround(0.01));
    const arrays: Inputs = { table: zeros(12), positions: Int32Array.of(0, 7, 1234), invFreq };
    const { table } = run("ropeTable", arrays, (view) => ({
      out: view("table"),
      positions: view("positions"),
      invFreq: view("invFreq"),
      rows: 3,
      half: 2,
      factor: 1,
    }));
    const { x } = run("rope", { x: wave(12, 0.37), table: table! }, (view) => ({
      out: view("x"),
      x: view("x"),
      table: view("table"),
      rows: 3,
      heads: 1,
      dim: 4,
      half: 2,
      inverse: 0,
    }));
    const torch = [
      0, 0.361615419, 0.674287915, 0.895698667, 0.227463961, 0.922267914, 1.25481296, 0.589995325, 0.174707741,
      -0.362219602, 0.531806827, -0.738202929,
    ];
    expectClose(x!, torch, { absolute: 3e-7, relative: 0 }); // PyTorch's ran in f32
  });

  it("in causal attention with two query heads on one key head", () => {
    // q, k, v = wave(1, 2, 3, 4, 0.9), wave(1, 1, 3, 4, 0.5), wave(1, 1, 3, 4, 1.7)
    // F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2)
    const arrays: Inputs = {
      out: zeros(24),
      lse: zeros(6),
      q: wave(24, 0.9),
      k: wave(12, 0.5),
      v: wave(12, 1.7),
      segments: Int32Array.of(0, 3),
    };
    const { out } = run("attention", arrays, (view) => ({
      ...attentionArgs(view),
      heads: 2,
      dim: 4,
      rows: 3,
      scale: 1 / 2,
      qStride: 4, // (head, token, dim)
      qHead: 12,
      kStride: 4,
      vStride: 4,
    }));
    const torch = [
      0, 0.99166481, -0.255541102, -0.925814682, 0, 0.99166481, -0.255541102, -0.925814682, 0.247043224, 0.895081221,
      -0.477695798, -0.771984274, 0.387581127, 0.840136766, -0.604075121, -0.684473259, 0.38085928, 0.812282954,
      -0.590175653, -0.660201187, 0.239631035, 0.852652474, -0.459350189, -0.734282988,
    ];
    expectClose(out!, torch, TORCH);
  });

  it("in attention with a soft cap, ALiBi and a window", () => {
    // q, k, v = wave(4, 2, 0.9) * 3, wave(4, 2, 0.5) * 3, wave(4, 2, 1.7); d = torch.arange(4)[None] - torch.arange(4)[:, None]
    // s = 2 * torch.tanh(q @ k.T / 2 ** 0.5 / 2) + 0.5 * d; s = s.masked_fill((d > 0) | (d <= -3), -torch.inf)
    // s.softmax(-1) @ v, s.logsumexp(-1)
    const arrays: Inputs = {
      out: zeros(8),
      lse: zeros(4),
      q: wave(8, 0.9, 3),
      k: wave(8, 0.5, 3),
      v: wave(8, 1.7),
      segments: Int32Array.of(0, 4),
      slopes: Float64Array.of(0.5),
    };
    const { out, lse } = run("attention", arrays, (view) => ({
      ...attentionArgs(view),
      slopes: view("slopes"),
      heads: 1,
      dim: 2,
      rows: 4,
      scale: 2 ** -0.5,
      qStride: 2,
      kStride: 2,
      vStride: 2,
      softCap: 2,
      window: 3,
    }));
    expectClose(
      out!,
      [0, 0.99166481, -0.203039584, -0.531864031, 0.166308758, 0.332390236, -0.500819798, -0.452061507],
      TORCH,
    );
    expectClose(lse!, [1.66423581, 2.22854088, -1.27699574, -0.452842676], TORCH);
  });

  it.each([
    ["silu", [-0.14227762, -0.188770334, 0, 0.467731441, 2.31035455]], // F.silu(x)
    ["gelu_tanh", [-0.00363739208, -0.15428599, 0, 0.530570135, 2.48491573]], // F.gelu(x, approximate="tanh")
    ["gelu", [-0.00404969409, -0.154268769, 0, 0.530625443, 2.48447584]], // F.gelu(x)
  ] as const)("in %s", (activation, torch) => {
    // x = torch.tensor([-3, -0.5, 0, 0.7, 2.5], dtype=torch.float64)
    const { out } = run("activation", { out: zeros(5), x: Float64Array.of(-3, -0.5, 0, 0.7, 2.5) }, (view) => ({
      out: view("out"),
      x: view("x"),
      up: undefined,
      count: 5,
      kind: ACTIVATIONS.indexOf(activation),
    }));
    expectClose(out!, torch, TORCH);
  });

  it("in two steps of AdamW", () => {
    // p = wave(3, 0.8); torch.optim.AdamW([p], lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05)
    // p.grad = wave(3, 0.6) + 0.1; step(); p.grad = wave(3, 1.9) + 0.1; step()
    const state: Inputs = { params: wave(3, 0.8), grads: zeros(3), expAvg: zeros(3), expAvgSq: zeros(3) };
    for (const [index, pitch] of [0.6, 1.9].entries()) {
      state["grads"]!.set(wave(3, pitch).map((value) => value + 0.1));
      run("adamW", state, (view) => ({
        params: view("params"),
        grads: view("grads"),
        expAvg: view("expAvg"),
        expAvgSq: view("expAvgSq"),
        gradScale: undefined,
        count: 3,
        lr: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weightDecay: 0.05,
        step: index + 1,
      }));
    }
    expectClose(state["params"]!, [-0.19949998, 0.511963899, 0.863157299], TORCH);
  });

  it("in cross entropy that ignores a label, and its gradients", () => {
    // h, w = wave(4, 3, 0.37), wave(5, 3, 0.6) * 2
    // nll = F.cross_entropy(h @ w.T, torch.tensor([1, -100, 4, 0]), reduction="none"); nll.sum().backward()
    const arrays: Inputs = {
      nll: zeros(4),
      lse: zeros(4),
      dHidden: zeros(12),
      hidden: wave(12, 0.37),
      weight: wave(15, 0.6, 2),
      labels: Int32Array.of(1, -100, 4, 0),
      dWeight: zeros(15),
      upstream: zeros(4).fill(1),
    };
    const shape = { rows: 4, cols: 3, vocab: 5, softCap: 0, compute: 0 };
    run("linearCrossEntropy", arrays, (view) => ({
      nll: view("nll"),
      lse: view("lse"),
      correct: undefined,
      dHidden: view("dHidden"),
      hidden: view("hidden"),
      weight: view("weight"),
      labels: view("labels"),
      ...shape,
    }));
    expectClose(arrays["nll"]!, [2.0398356, 0, 0.665830421, 4.87597352], { absolute: 5e-9, relative: 5e-9 });
    const dHidden = [
      -1.14675776, 0.0155196557, 1.17237561, 0, 0, 0, -0.0557876237, -0.368559833, -0.552583489, -0.865395732,
      -2.70395713, -3.5979485,
    ];
    expectClose(arrays["dHidden"]!, dHidden, TORCH);
    run("linearCrossEntropyWeightBackward", arrays, (view) => ({
      dWeight: view("dWeight"),
      hidden: view("hidden"),
      weight: view("weight"),
      labels: view("labels"),
      lse: view("lse"),
      upstream: view("upstream"),
      ...shape,
    }));
    const dWeight = [
      0.26130066, 0.701538772, 1.0468269, 0.297298325, -0.125795843, -0.531864135, -0.165248086, -0.473105431,
      -0.716930174, -0.0053393919, -0.00121675554, 0.00307056297, -0.388011508, -0.101420743, 0.198896844,
    ];
    expectClose(arrays["dWeight"]!, dWeight, TORCH);
  });

  it("in clip_grad_norm_", () => {
    // p.grad = wave(5, 1.1).float() * 3; norm = torch.nn.utils.clip_grad_norm_([p], 1.0); (norm, the factor applied)
    const { out } = run("clipGradNorm", { out: zeros(2), grads: wave(5, 1.1, 3) }, (view) => ({
      out: view("out"),
      grads: view("grads"),
      count: 5,
      maxNorm: 1,
    }));
    expectClose(out!, [4.62656736, 0.216142923], { absolute: 0, relative: 1e-7 }); // PyTorch's ran in f32
  });
});

/** What the attention cases above and below share: dense k and v of one head, no option on. */
function attentionArgs(view: (name: string) => View) {
  return {
    out: view("out"),
    lse: view("lse"),
    q: view("q"),
    k: view("k"),
    v: view("v"),
    segments: view("segments"),
    slopes: undefined as View | undefined,
    segmentCount: 1,
    kvHeads: 1,
    qHead: 0,
    kHead: 0,
    vHead: 0,
    softCap: 0,
    window: 0,
    compute: 0,
  };
}

/**
 * Compares d(sum of upstream * out) / d(input), by central differences, with what the backward kernel gave.
 * @param forward out for the inputs as they are in `arrays` at the moment
 * @param gradients computed gradient by the name of its input
 */
function expectGradients(
  arrays: Inputs,
  upstream: ArrayLike<number>,
  forward: () => ArrayLike<number>,
  gradients: Record<string, ArrayLike<number>>,
): void {
  const loss = (): number => Array.from(forward()).reduce((sum, value, i) => sum + value * upstream[i]!, 0);
  const step = 1e-5;
  for (const [name, computed] of Object.entries(gradients)) {
    const input = arrays[name]!;
    const numeric = Array.from(input, (value, i) => {
      input[i] = value + step;
      const above = loss();
      input[i] = value - step;
      const below = loss();
      input[i] = value;
      return (above - below) / (2 * step);
    });
    // The third derivative times step^2, and 1e-16 / step of rounding.
    expectClose(computed, numeric, { absolute: 1e-8, relative: 1e-7 });
  }
}

describe("has the gradient of finite differences", () => {
  it.each([0, 1])("in RMSNorm with weight offset %d", (offset) => {
    const arrays: Inputs = {
      out: zeros(15),
      rstd: zeros(3),
      x: wave(15, 0.7),
      weight: wave(5, 1.3),
      dOut: wave(15, 2.1),
      dx: zeros(15),
      dWeight: zeros(5),
    };
    const shape = { rows: 3, cols: 5, offset };
    const forward = () =>
      run("rmsNorm", arrays, (view) => ({
        out: view("out"),
        rstd: view("rstd"),
        x: view("x"),
        weight: view("weight"),
        ...shape,
        eps: 1e-3,
      }))["out"]!;
    forward();
    run("rmsNormBackward", arrays, (view) => ({
      dx: view("dx"),
      base: undefined,
      dWeight: view("dWeight"),
      dOut: view("dOut"),
      x: view("x"),
      weight: view("weight"),
      rstd: view("rstd"),
      ...shape,
    }));
    expectGradients(arrays, arrays["dOut"]!, forward, { x: arrays["dx"]!, weight: arrays["dWeight"]! });
  });

  it("in LayerNorm", () => {
    const arrays: Inputs = {
      out: zeros(15),
      mean: zeros(3),
      rstd: zeros(3),
      x: wave(15, 0.7),
      weight: wave(5, 1.3),
      bias: wave(5, 0.4),
      dOut: wave(15, 2.1),
      dx: zeros(15),
      dWeight: zeros(5),
      dBias: zeros(5),
    };
    const shape = { rows: 3, cols: 5 };
    const stats = (view: (name: string) => View) => ({
      x: view("x"),
      weight: view("weight"),
      mean: view("mean"),
      rstd: view("rstd"),
      ...shape,
    });
    const forward = () =>
      run("layerNorm", arrays, (view) => ({ out: view("out"), bias: view("bias"), ...stats(view), eps: 1e-3 }))["out"]!;
    forward();
    run("layerNormBackward", arrays, (view) => ({
      dx: view("dx"),
      base: undefined,
      dWeight: view("dWeight"),
      dBias: view("dBias"),
      dOut: view("dOut"),
      ...stats(view),
    }));
    expectGradients(arrays, arrays["dOut"]!, forward, {
      x: arrays["dx"]!,
      weight: arrays["dWeight"]!,
      bias: arrays["dBias"]!,
    });
  });

  it.each([
    { softCap: 0, window: 0, alibi: false },
    { softCap: 2, window: 0, alibi: true },
    { softCap: 0, window: 2, alibi: true },
  ])("in attention with soft cap $softCap, window $window, ALiBi $alibi", ({ softCap, window, alibi }) => {
    const [rows, heads, kvHeads, dim] = [5, 4, 2, 3];
    const arrays: Inputs = {
      out: zeros(rows * heads * dim),
      lse: zeros(heads * rows),
      q: wave(rows * heads * dim, 0.9),
      k: wave(rows * kvHeads * dim, 0.5),
      v: wave(rows * kvHeads * dim, 1.7),
      segments: Int32Array.of(0, 4, 5),
      slopes: Float64Array.of(0.5, 0.25, 0.125, 0.0625),
      dOut: wave(rows * heads * dim, 1.1),
      dq: zeros(rows * heads * dim),
      dk: zeros(rows * kvHeads * dim),
      dv: zeros(rows * kvHeads * dim),
    };
    const shared = (view: (name: string) => View) => ({
      ...attentionArgs(view),
      slopes: alibi ? view("slopes") : undefined,
      segmentCount: 2,
      rows,
      heads,
      kvHeads,
      dim,
      scale: 0.8,
      softCap,
      window,
      qStride: heads * dim,
      qHead: dim,
      kStride: kvHeads * dim,
      kHead: dim,
      vStride: kvHeads * dim,
      vHead: dim,
    });
    const forward = () => run("attention", arrays, shared)["out"]!;
    forward();
    run("attentionBackward", arrays, (view) => ({
      ...shared(view),
      dq: view("dq"),
      dk: view("dk"),
      dv: view("dv"),
      dOut: view("dOut"),
    }));
    expectGradients(arrays, arrays["dOut"]!, forward, { q: arrays["dq"]!, k: arrays["dk"]!, v: arrays["dv"]! });
  });

  it.each(ACTIVATIONS)("in gated %s", (activation) => {
    const kind = ACTIVATIONS.indexOf(activation);
    const arrays: Inputs = {
      out: zeros(9),
      x: wave(9, 0.7, 3).map((v) => v + 0.1),
      up: wave(9, 1.3),
      dOut: wave(9, 2.1),
      dx: zeros(9),
      dUp: zeros(9),
    };
    const forward = () =>
      run("activation", arrays, (view) => ({ out: view("out"), x: view("x"), up: view("up"), count: 9, kind }))["out"]!;
    run("activationBackward", arrays, (view) => ({
      dx: view("dx"),
      dUp: view("dUp"),
      dOut: view("dOut"),
      x: view("x"),
      up: view("up"),
      count: 9,
      kind,
    }));
    expectGradients(arrays, arrays["dOut"]!, forward, { x: arrays["dx"]!, up: arrays["dUp"]! });
  });

  it.each([0, 2])("in linear cross entropy with soft cap %d", (softCap) => {
    const arrays: Inputs = {
      nll: zeros(4),
      lse: zeros(4),
      dHidden: zeros(12),
      hidden: wave(12, 0.37),
      weight: wave(15, 0.6, 2),
      labels: Int32Array.of(1, -100, 4, 0),
      dWeight: zeros(15),
      upstream: Float64Array.of(0.5, 7, -1, 2),
    };
    const shape = { rows: 4, cols: 3, vocab: 5, softCap, compute: 0 };
    const head = (view: (name: string) => View) => ({
      hidden: view("hidden"),
      weight: view("weight"),
      labels: view("labels"),
      lse: view("lse"),
      ...shape,
    });
    const forward = () =>
      run("linearCrossEntropy", arrays, (view) => ({
        nll: view("nll"),
        correct: undefined,
        dHidden: view("dHidden"),
        ...head(view),
      }))["nll"]!;
    forward();
    run("linearCrossEntropyWeightBackward", arrays, (view) => ({
      dWeight: view("dWeight"),
      upstream: view("upstream"),
      ...head(view),
    }));
    const dHidden = arrays["dHidden"]!.map((value, i) => value * arrays["upstream"]![Math.floor(i / 3)]!);
    expectGradients(arrays, arrays["upstream"]!, forward, { hidden: dHidden, weight: arrays["dWeight"]!.slice() });
  });
});

it("draws a dropout mask that depends on the place alone and keeps about 1 - p, in steps of 2^-16", () => {
  // Ones through dropout and the identity.
  const drop = (rows: number, cols: number, site: number) =>
    run(
      "loraDown",
      {
        out: zeros(rows * cols),
        x: zeros(rows * cols).fill(1),
        a: zeros(cols * cols).map((_, i) => (i % (cols + 1) === 0 ? 1 : 0)),
      },
      (view) => ({
        ...{ out: view("out"), x: view("x"), a: view("a"), rows, cols, rank: cols, scale: 1, compute: 0 },
        ...{ p: 0.3, seed: 42, step: 3, microStep: 1, site },
      }),
    )["out"]!;
  const wide = drop(200, 100, 7);
  const dropped = Math.round(0.3 * 2 ** 16) / 2 ** 16;
  expect(new Set(wide)).toEqual(new Set([0, 1 / (1 - dropped)]));
  expect(wide.filter((value) => value > 0).length / wide.length).toBeCloseTo(0.7, 1);
  const narrow = drop(200, 10, 7);
  for (let r = 0; r < 200; r++) expect(narrow.slice(r * 10, r * 10 + 10)).toEqual(wide.slice(r * 100, r * 100 + 10));
  expect(drop(200, 100, 8)).not.toEqual(wide);
});

it("rotates back what rotary embedding rotated, and leaves the elements beyond the rotated ones alone", () => {
  const rotate = (x: Float64Array | Int32Array, inverse: number) =>
    run(
      "rope",
      { x: x.slice(), table: Float64Array.of(Math.cos(1), Math.cos(2), Math.sin(1), Math.sin(2)) },
      (view) => ({
        out: view("x"),
        x: view("x"),
        table: view("table"),
        rows: 1,
        heads: 2,
        dim: 5,
        half: 2,
        inverse,
      }),
    )["x"]!;
  const x = wave(10, 0.7);
  const rotated = rotate(x, 0);
  expect([rotated[4], rotated[9]]).toEqual([x[4], x[9]]);
  expect(rotated[0]).not.toBeCloseTo(x[0]!, 3);
  expectClose(rotate(rotated, 1), x, { absolute: 1e-15, relative: 1e-15 });
});

it("names an id, a label or a segment that is out of range", () => {
  const ids: Inputs = { out: zeros(2), table: zeros(6), ids: Int32Array.of(1, 3) };
  const embed = () =>
    run("embedding", ids, (view) => ({
      out: view("out"),
      table: view("table"),
      ids: view("ids"),
      rows: 2,
      cols: 1,
      vocab: 3,
      factor: 1,
    }));
  expect(embed).toThrow("id 3 in row 1 is not in the vocabulary of 3");
  const head: Inputs = { nll: zeros(1), lse: zeros(1), hidden: zeros(1), weight: zeros(3), labels: Int32Array.of(3) };
  const loss = () =>
    run("linearCrossEntropy", head, (view) => ({
      nll: view("nll"),
      lse: view("lse"),
      correct: undefined,
      dHidden: undefined,
      hidden: view("hidden"),
      weight: view("weight"),
      labels: view("labels"),
      rows: 1,
      cols: 1,
      vocab: 3,
      softCap: 0,
      compute: 0,
    }));
  expect(loss).toThrow("label 3 in row 0 is neither -100 nor in the vocabulary of 3");
  const attention: Inputs = {
    out: zeros(2),
    lse: zeros(2),
    q: zeros(2),
    k: zeros(2),
    v: zeros(2),
    segments: Int32Array.of(0, 1),
  };
  const attend = () =>
    run("attention", attention, (view) => ({
      ...attentionArgs(view),
      rows: 2,
      heads: 1,
      dim: 1,
      scale: 1,
      qStride: 1,
      kStride: 1,
      vStride: 1,
    }));
  expect(attend).toThrow("segments must rise from 0 to the 2 rows; they are 0, 1");
});
