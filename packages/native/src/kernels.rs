//! The table of kernels: for each its name, its arguments and the function that runs it. It mirrors `KERNELS` in
//! @medgpt/core, which compares the two when it loads this module.

use crate::arguments::*;
use crate::buffers::Buffers;
use crate::context::Context;
use crate::wire::{whole, Arguments, Words};
use crate::{
    activation, attention, elementwise, embedding, gemm, linear_cross_entropy, lora, norm, optimizer, reduce, rope,
};

pub struct Kernel {
    pub name: &'static str,
    fields: fn() -> Vec<(&'static str, &'static str)>,
    run: fn(&Context, &mut Words) -> Result<(), String>,
}

macro_rules! kernels {
    ($($name:literal $Args:ident => $run:expr;)*) => {
        /// Every kernel; a kernel's number on the wire is its index here.
        pub const KERNELS: &[Kernel] = &[$(Kernel {
            name: $name,
            fields: $Args::fields,
            run: |cx: &Context, words: &mut Words| {
                let args = $Args::read(words)?;
                words.end()?;
                $run(cx, &args)
            },
        }),*];
    };
}

kernels! {
    "fill" Fill => elementwise::fill;
    "copy" Copy => elementwise::copy;
    "add" Add => elementwise::add;
    "scale" Scale => elementwise::scale;
    "scaleRows" ScaleRows => elementwise::scale_rows;
    "softCap" SoftCap => elementwise::soft_cap;
    "sum" Sum => reduce::sum;
    "sumRows" SumRows => reduce::sum_rows;
    "argMax" ArgMax => reduce::arg_max;
    "matMul" MatMul => mat_mul;
    "embedding" Embedding => embedding::embedding;
    "embeddingBackward" EmbeddingBackward => embedding::embedding_backward;
    "rmsNorm" RmsNorm => norm::rms_norm;
    "rmsNormBackward" RmsNormBackward => norm::rms_norm_backward;
    "layerNorm" LayerNorm => norm::layer_norm;
    "layerNormBackward" LayerNormBackward => norm::layer_norm_backward;
    "ropeTable" RopeTable => rope::rope_table;
    "rope" Rope => rope::rope;
    "attention" Attention => |cx: &Context, k| attention::forward(cx.pool, cx.isa, k);
    "attentionBackward" AttentionBackward => |cx: &Context, k| attention::backward(cx.pool, cx.isa, k);
    "cacheRows" CacheRows => attention::cached::cache_rows;
    "attentionCached" AttentionCached => attention::cached::attention_cached;
    "activation" Activation => activation::activation;
    "activationBackward" ActivationBackward => activation::activation_backward;
    "loraDown" LoraDown => lora::lora_down;
    "loraDownBackward" LoraDownBackward => lora::lora_down_backward;
    "loraUpBackward" LoraUpBackward => lora::lora_up_backward;
    "linearCrossEntropy" LinearCrossEntropy => |cx: &Context, k| linear_cross_entropy::forward(cx.pool, cx.isa, k);
    "linearCrossEntropyWeightBackward" LinearCrossEntropyWeightBackward => |cx: &Context, k| linear_cross_entropy::weight_backward(cx.pool, cx.isa, k);
    "clipGradNorm" ClipGradNorm => optimizer::clip_grad_norm;
    "adamW" AdamW => optimizer::adam_w;
}

/// `name:field kind,field kind,…` for every kernel.
pub fn describe() -> Vec<String> {
    let fields =
        |kernel: &Kernel| -> Vec<String> { (kernel.fields)().iter().map(|(n, k)| format!("{n} {k}")).collect() };
    KERNELS.iter().map(|kernel| format!("{}:{}", kernel.name, fields(kernel).join(","))).collect()
}

/// Decodes and runs one kernel: `words` is its number, then its arguments. An error names the kernel.
pub fn run(cx: &Context, buffers: &Buffers, words: &[f64]) -> Result<(), String> {
    let kernel = kernel_of(words)?;
    (kernel.run)(cx, &mut Words::new(words, buffers)).map_err(|message| format!("{}: {message}", kernel.name))
}

/// The kernel that encoded words call.
pub fn kernel_of(words: &[f64]) -> Result<&'static Kernel, String> {
    let number = whole("the kernel's number", words.first().copied().unwrap_or(-1.0))?;
    KERNELS.get(number).ok_or_else(|| format!("there is no kernel {number}"))
}

fn mat_mul(cx: &Context, k: &MatMul) -> Result<(), String> {
    let args = gemm::MatMul {
        out: k.out,
        ldc: k.ldc,
        m: k.m,
        n: k.n,
        bias: k.bias,
        accumulate: k.accumulate,
        bf16: k.compute,
        terms: &k.terms,
    };
    gemm::mat_mul(cx.pool, cx.isa, &args)
}
