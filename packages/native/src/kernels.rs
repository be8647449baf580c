//! The table of kernels: for each its arguments in wire order and the function that runs it. It mirrors `KERNELS` in
//! @medgpt/core, which compares the two when it loads this module.

use crate::attention::{self, Attention, AttentionBackward};
use crate::buffer::View;
use crate::buffers::Buffers;
use crate::isa::Isa;
use crate::linear_cross_entropy::{self, LinearCrossEntropy, LinearCrossEntropyWeightBackward};
use crate::pool::Pool;
use crate::{activation, attention_cached, elementwise, embedding, gemm, lora, norm, optimizer, reduce, rope};

/// What every kernel runs on.
pub struct Context<'a> {
    pub pool: &'a Pool,
    pub isa: Isa,
}

pub struct Kernel {
    pub name: &'static str,
    /// Names with the kind of each on the wire: view, view?, number or terms.
    fields: &'static [(&'static str, &'static str)],
    run: fn(&Context, &mut Words) -> Result<(), String>,
}

/// Reads the arguments of one kernel off the wire. The methods are named after the kinds in the table below.
pub struct Words<'a> {
    words: &'a [f64],
    at: usize,
    buffers: &'a Buffers,
}

impl Words<'_> {
    fn next(&mut self, name: &str) -> Result<f64, String> {
        let word = self.words.get(self.at).ok_or_else(|| format!("the arguments end before {name}"))?;
        self.at += 1;
        Ok(*word)
    }

    fn number(&mut self, name: &str) -> Result<f64, String> {
        self.next(name)
    }

    fn float(&mut self, name: &str) -> Result<f32, String> {
        Ok(self.next(name)? as f32)
    }

    fn size(&mut self, name: &str) -> Result<usize, String> {
        whole(name, self.next(name)?)
    }

    fn flag(&mut self, name: &str) -> Result<bool, String> {
        Ok(self.next(name)? != 0.0)
    }

    fn optional_input(&mut self, name: &str) -> Result<Option<View>, String> {
        let id = self.next(name)?;
        let offset = self.size(name)?;
        if id == 0.0 {
            return Ok(None);
        }
        self.buffers.view(name, id as u64, offset).map(Some)
    }

    fn input(&mut self, name: &str) -> Result<View, String> {
        self.optional_input(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    fn optional_output(&mut self, name: &str) -> Result<Option<View>, String> {
        let view = self.optional_input(name)?;
        match view {
            Some(view) if !view.writable() => Err(format!("{name} is a mapped file, which is read-only")),
            _ => Ok(view),
        }
    }

    fn output(&mut self, name: &str) -> Result<View, String> {
        self.optional_output(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    fn terms(&mut self, name: &str) -> Result<Vec<gemm::Term>, String> {
        let count = self.size(name)?;
        let mut terms = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            terms.push(gemm::Term {
                a: self.input("a")?,
                lda: self.size("lda")?,
                a_trans: self.flag("aTrans")?,
                b: self.input("b")?,
                ldb: self.size("ldb")?,
                b_trans: self.flag("bTrans")?,
                k: self.size("k")?,
                scale: self.float("scale")?,
                mask: self.optional_input("mask")?,
            });
        }
        Ok(terms)
    }

    fn end(&self) -> Result<(), String> {
        if self.at != self.words.len() {
            return Err(format!("{} words of arguments are too many", self.words.len() - self.at));
        }
        Ok(())
    }
}

/// `value` as a size, or an error naming the field.
pub fn whole(name: &str, value: f64) -> Result<usize, String> {
    if (0.0..=9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0 {
        return Ok(value as usize);
    }
    Err(format!("{name} must be a whole number from 0 on, is {value}"))
}

macro_rules! rust_type {
    (output) => { View };
    (input) => { View };
    (optional_output) => { Option<View> };
    (optional_input) => { Option<View> };
    (number) => { f64 };
    (float) => { f32 };
    (size) => { usize };
    (flag) => { bool };
    (terms) => { Vec<gemm::Term> };
}

macro_rules! wire_kind {
    (output) => {
        "view"
    };
    (input) => {
        "view"
    };
    (optional_output) => {
        "view?"
    };
    (optional_input) => {
        "view?"
    };
    (terms) => {
        "terms"
    };
    ($number:ident) => {
        "number"
    };
}

macro_rules! define {
    ([given] $Args:ident $fields:tt) => {};
    ([] $Args:ident { $($field:ident $kind:ident),* }) => {
        pub struct $Args { $(pub $field: rust_type!($kind)),* }
    };
}

/// One entry per kernel: its wire name, the struct of its arguments (each with its wire name and kind), its function. The
/// struct is defined here unless it is `given`, which is to say defined in the kernel's own module.
macro_rules! kernels {
    ($($wire:literal $([$given:ident])? $Args:ident { $($field:ident $name:literal $kind:ident),* $(,)? } => $run:expr;)*) => {
        $(define! { [$($given)?] $Args { $($field $kind),* } })*

        /// Every kernel; a kernel's number on the wire is its index here.
        pub const KERNELS: &[Kernel] = &[$(Kernel {
            name: $wire,
            fields: &[$(($name, wire_kind!($kind))),*],
            run: |cx: &Context, words: &mut Words| {
                let args = $Args { $($field: words.$kind($name)?),* };
                words.end()?;
                $run(cx, &args)
            },
        }),*];
    };
}

kernels! {
    "fill" Fill { out "out" output, count "count" size, value "value" number } => elementwise::fill;
    "copy" Copy { out "out" output, x "x" input, count "count" size } => elementwise::copy;
    "add" Add {
        out "out" output, a "a" input, b "b" input, count "count" size, alpha "alpha" number, beta "beta" number,
    } => elementwise::add;
    "scale" Scale {
        out "out" output, x "x" input, x_stride "xStride" size, scalar "scalar" optional_input, count "count" size,
        factor "factor" number,
    } => elementwise::scale;
    "scaleRows" ScaleRows {
        out "out" output, x "x" input, scale "scale" input, rows "rows" size, cols "cols" size,
    } => elementwise::scale_rows;
    "softCap" SoftCap { out "out" output, x "x" input, count "count" size, cap "cap" float } => elementwise::soft_cap;
    "sum" Sum { out "out" output, x "x" input, count "count" size, factor "factor" number } => reduce::sum;
    "sumRows" SumRows { out "out" output, x "x" input, rows "rows" size, cols "cols" size } => reduce::sum_rows;
    "argMax" ArgMax { out "out" output, x "x" input, rows "rows" size, cols "cols" size } => reduce::arg_max;
    "matMul" MatMul {
        out "out" output, ldc "ldc" size, m "m" size, n "n" size, bias "bias" optional_input,
        accumulate "accumulate" flag, compute "compute" flag, terms "terms" terms,
    } => mat_mul;
    "embedding" Embedding {
        out "out" output, table "table" input, ids "ids" input, rows "rows" size, cols "cols" size, vocab "vocab" size,
        factor "factor" number,
    } => embedding::embedding;
    "embeddingBackward" EmbeddingBackward {
        d_table "dTable" output, d_out "dOut" input, ids "ids" input, rows "rows" size, cols "cols" size,
        vocab "vocab" size, factor "factor" number, padding "padding" number,
    } => embedding::embedding_backward;
    "rmsNorm" RmsNorm {
        out "out" output, rstd "rstd" output, x "x" input, weight "weight" input, rows "rows" size, cols "cols" size,
        eps "eps" number, offset "offset" number,
    } => norm::rms_norm;
    "rmsNormBackward" RmsNormBackward {
        dx "dx" optional_output, base "base" optional_input, d_weight "dWeight" optional_output, d_out "dOut" input,
        x "x" input, weight "weight" input, rstd "rstd" input, rows "rows" size, cols "cols" size, offset "offset" number,
    } => norm::rms_norm_backward;
    "layerNorm" LayerNorm {
        out "out" output, mean "mean" output, rstd "rstd" output, x "x" input, weight "weight" input,
        bias "bias" optional_input, rows "rows" size, cols "cols" size, eps "eps" number,
    } => norm::layer_norm;
    "layerNormBackward" LayerNormBackward {
        dx "dx" optional_output, base "base" optional_input, d_weight "dWeight" optional_output,
        d_bias "dBias" optional_output, d_out "dOut" input, x "x" input, weight "weight" input, mean "mean" input, rstd "rstd" input,
        rows "rows" size, cols "cols" size,
    } => norm::layer_norm_backward;
    "ropeTable" RopeTable {
        out "out" output, positions "positions" input, inv_freq "invFreq" input, rows "rows" size, half "half" size,
        factor "factor" number,
    } => rope::rope_table;
    "rope" Rope {
        out "out" output, x "x" input, table "table" input, rows "rows" size, heads "heads" size, dim "dim" size,
        half "half" size, inverse "inverse" flag,
    } => rope::rope;
    "attention" [given] Attention {
        out "out" output, lse "lse" output, q "q" input, k "k" input, v "v" input, segments "segments" input,
        slopes "slopes" optional_input, segment_count "segmentCount" size, rows "rows" size, heads "heads" size,
        kv_heads "kvHeads" size, dim "dim" size, q_stride "qStride" size, q_head "qHead" size,
        k_stride "kStride" size, k_head "kHead" size, v_stride "vStride" size, v_head "vHead" size,
        scale "scale" float, soft_cap "softCap" float, window "window" size, compute "compute" flag,
    } => |cx: &Context, k| attention::forward(cx.pool, cx.isa, k);
    "attentionBackward" [given] AttentionBackward {
        dq "dq" output, dk "dk" output, dv "dv" output, d_out "dOut" input, out "out" input, lse "lse" input,
        q "q" input, k "k" input, v "v" input, segments "segments" input, slopes "slopes" optional_input,
        segment_count "segmentCount" size, rows "rows" size, heads "heads" size, kv_heads "kvHeads" size,
        dim "dim" size, q_stride "qStride" size, q_head "qHead" size, k_stride "kStride" size, k_head "kHead" size,
        v_stride "vStride" size, v_head "vHead" size, scale "scale" float, soft_cap "softCap" float,
        window "window" size, compute "compute" flag,
    } => |cx: &Context, k| attention::backward(cx.pool, cx.isa, k);
    "cacheRows" CacheRows {
        cache "cache" output, x "x" input, slots "slots" input, positions "positions" input, slot_count "slotCount" size,
        capacity "capacity" size, rows "rows" size, heads "heads" size, dim "dim" size, x_stride "xStride" size,
        x_head "xHead" size,
    } => attention_cached::cache_rows;
    "attentionCached" AttentionCached {
        out "out" output, q "q" input, keys "keys" input, values "values" input, slots "slots" input,
        positions "positions" input, slopes "slopes" optional_input, slot_count "slotCount" size,
        capacity "capacity" size, rows "rows" size, heads "heads" size, kv_heads "kvHeads" size, dim "dim" size,
        q_stride "qStride" size, q_head "qHead" size, scale "scale" float, soft_cap "softCap" float,
        window "window" size,
    } => attention_cached::attention_cached;
    "activation" Activation {
        out "out" output, x "x" input, up "up" optional_input, count "count" size, kind "kind" size,
    } => activation::activation;
    "activationBackward" ActivationBackward {
        dx "dx" output, d_up "dUp" optional_output, d_out "dOut" input, x "x" input, up "up" optional_input,
        count "count" size, kind "kind" size,
    } => activation::activation_backward;
    "loraDown" LoraDown {
        out "out" output, x "x" input, a "a" input, rows "rows" size, cols "cols" size, rank "rank" size,
        scale "scale" float, compute "compute" flag, p "p" number, seed "seed" size, step "step" size,
        micro_step "microStep" size, site "site" size,
    } => lora::lora_down;
    "loraDownBackward" LoraDownBackward {
        da "dA" optional_output, mask "mask" optional_output, du "du" input, x "x" input, rows "rows" size,
        cols "cols" size, rank "rank" size, compute "compute" flag, p "p" number, seed "seed" size, step "step" size,
        micro_step "microStep" size, site "site" size,
    } => lora::lora_down_backward;
    "loraUpBackward" LoraUpBackward {
        du "du" output, db "dB" optional_output, dy "dy" input, u "u" input, b "b" input, rows "rows" size,
        cols "cols" size, rank "rank" size, scale "scale" float, compute "compute" flag,
    } => lora::lora_up_backward;
    "linearCrossEntropy" [given] LinearCrossEntropy {
        nll "nll" output, lse "lse" output, correct "correct" optional_output, d_hidden "dHidden" optional_output,
        hidden "hidden" input, weight "weight" input, labels "labels" input, rows "rows" size, cols "cols" size,
        vocab "vocab" size, soft_cap "softCap" float, compute "compute" flag,
    } => |cx: &Context, k| linear_cross_entropy::forward(cx.pool, cx.isa, k);
    "linearCrossEntropyWeightBackward" [given] LinearCrossEntropyWeightBackward {
        d_weight "dWeight" output, hidden "hidden" input, weight "weight" input, labels "labels" input,
        lse "lse" input, upstream "upstream" input, rows "rows" size, cols "cols" size, vocab "vocab" size,
        soft_cap "softCap" float, compute "compute" flag,
    } => |cx: &Context, k| linear_cross_entropy::weight_backward(cx.pool, cx.isa, k);
    "clipGradNorm" ClipGradNorm {
        out "out" output, grads "grads" input, count "count" size, max_norm "maxNorm" number,
    } => optimizer::clip_grad_norm;
    "adamW" AdamW {
        params "params" output, grads "grads" input, exp_avg "expAvg" output, exp_avg_sq "expAvgSq" output,
        grad_scale "gradScale" optional_input, count "count" size, lr "lr" number, beta1 "beta1" number,
        beta2 "beta2" number, eps "eps" number, weight_decay "weightDecay" number, step "step" number,
    } => optimizer::adam_w;
}

/// `name:field kind,field kind,…` for every kernel.
pub fn describe() -> Vec<String> {
    let fields = |kernel: &Kernel| -> Vec<String> { kernel.fields.iter().map(|(n, k)| format!("{n} {k}")).collect() };
    KERNELS.iter().map(|kernel| format!("{}:{}", kernel.name, fields(kernel).join(","))).collect()
}

/// Decodes and runs one kernel: `words` is its number, then its arguments. An error names the kernel.
pub fn run(cx: &Context, buffers: &Buffers, words: &[f64]) -> Result<(), String> {
    let kernel = kernel_of(words)?;
    let mut words = Words { words, at: 1, buffers };
    (kernel.run)(cx, &mut words).map_err(|message| format!("{}: {message}", kernel.name))
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
