//! The arguments of the kernels: their names in Rust and on the wire, and their kinds, in wire order. `KERNELS` in
//! @medgpt/core, which they mirror, says what they mean. Kernels use these structs, and not the table in kernels.rs.

use crate::buffer::View;
use crate::gemm::Term;
use crate::wire::{Arguments, Words};

macro_rules! rust_type {
    (output) => { View };
    (input) => { View };
    (optional_output) => { Option<View> };
    (optional_input) => { Option<View> };
    (number) => { f64 };
    (float) => { f32 };
    (size) => { usize };
    (flag) => { bool };
    (terms) => { Vec<Term> };
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

/// Defines structs of arguments. After a semicolon comes a part that several kernels have; it is last on the wire.
macro_rules! arguments {
    ($($Args:ident { $($field:ident $name:literal $kind:ident),* $(,)? $(; $part:ident: $Part:ident)? })*) => {$(
        #[derive(Clone)]
        pub struct $Args { $(pub $field: rust_type!($kind),)* $(pub $part: $Part,)? }

        impl Arguments for $Args {
            fn fields() -> Vec<(&'static str, &'static str)> {
                let fields = vec![$(($name, wire_kind!($kind))),*];
                $(let fields = [fields, $Part::fields()].concat();)?
                fields
            }

            fn read(words: &mut Words) -> Result<$Args, String> {
                Ok($Args { $($field: words.$kind($name)?,)* $($part: $Part::read(words)?,)? })
            }
        }
    )*};
}

arguments! {
    Fill { out "out" output, count "count" size, value "value" number }
    Copy { out "out" output, x "x" input, count "count" size }
    Add { out "out" output, a "a" input, b "b" input, count "count" size, alpha "alpha" number, beta "beta" number }
    Scale {
        out "out" output, x "x" input, x_stride "xStride" size, scalar "scalar" optional_input, count "count" size,
        factor "factor" number,
    }
    ScaleRows { out "out" output, x "x" input, scale "scale" input, rows "rows" size, cols "cols" size }
    SoftCap { out "out" output, x "x" input, count "count" size, cap "cap" float }
    Sum { out "out" output, x "x" input, count "count" size, factor "factor" number }
    SumRows { out "out" output, x "x" input, rows "rows" size, cols "cols" size }
    ArgMax { out "out" output, x "x" input, rows "rows" size, cols "cols" size }
    MatMul {
        out "out" output, ldc "ldc" size, m "m" size, n "n" size, bias "bias" optional_input,
        accumulate "accumulate" flag, compute "compute" flag, terms "terms" terms,
    }
    Embedding {
        out "out" output, table "table" input, ids "ids" input, rows "rows" size, cols "cols" size, vocab "vocab" size,
        factor "factor" number,
    }
    EmbeddingBackward {
        d_table "dTable" output, d_out "dOut" input, ids "ids" input, rows "rows" size, cols "cols" size,
        vocab "vocab" size, factor "factor" number, padding "padding" number,
    }
    RmsNorm {
        out "out" output, rstd "rstd" output, x "x" input, weight "weight" input, rows "rows" size, cols "cols" size,
        eps "eps" number, offset "offset" number,
    }
    RmsNormBackward {
        dx "dx" optional_output, base "base" optional_input, d_weight "dWeight" optional_output, d_out "dOut" input,
        x "x" input, weight "weight" input, rstd "rstd" input, rows "rows" size, cols "cols" size,
        offset "offset" number,
    }
    LayerNorm {
        out "out" output, mean "mean" output, rstd "rstd" output, x "x" input, weight "weight" input,
        bias "bias" optional_input, rows "rows" size, cols "cols" size, eps "eps" number,
    }
    LayerNormBackward {
        dx "dx" optional_output, base "base" optional_input, d_weight "dWeight" optional_output,
        d_bias "dBias" optional_output, d_out "dOut" input, x "x" input, weight "weight" input, mean "mean" input,
        rstd "rstd" input, rows "rows" size, cols "cols" size,
    }
    RopeTable {
        out "out" output, positions "positions" input, inv_freq "invFreq" input, rows "rows" size, half "half" size,
        factor "factor" number,
    }
    Rope {
        out "out" output, x "x" input, table "table" input, rows "rows" size, heads "heads" size, dim "dim" size,
        half "half" size, inverse "inverse" flag,
    }
    Geometry {
        q "q" input, k "k" input, v "v" input, segments "segments" input, slopes "slopes" optional_input,
        segment_count "segmentCount" size, rows "rows" size, heads "heads" size, kv_heads "kvHeads" size,
        dim "dim" size, q_stride "qStride" size, q_head "qHead" size, k_stride "kStride" size, k_head "kHead" size,
        v_stride "vStride" size, v_head "vHead" size, scale "scale" float, soft_cap "softCap" float,
        window "window" size, compute "compute" flag,
    }
    Attention {
        out "out" output, lse "lse" output;
        geometry: Geometry
    }
    AttentionBackward {
        dq "dq" output, dk "dk" output, dv "dv" output, d_out "dOut" input, out "out" input, lse "lse" input;
        geometry: Geometry
    }
    CacheRows {
        cache "cache" output, x "x" input, slots "slots" input, positions "positions" input,
        slot_count "slotCount" size, capacity "capacity" size, rows "rows" size, heads "heads" size, dim "dim" size,
        x_stride "xStride" size, x_head "xHead" size,
    }
    AttentionCached {
        out "out" output, q "q" input, keys "keys" input, values "values" input, slots "slots" input,
        positions "positions" input, slopes "slopes" optional_input, slot_count "slotCount" size,
        capacity "capacity" size, rows "rows" size, heads "heads" size, kv_heads "kvHeads" size, dim "dim" size,
        q_stride "qStride" size, q_head "qHead" size, scale "scale" float, soft_cap "softCap" float,
        window "window" size,
    }
    Activation { out "out" output, x "x" input, up "up" optional_input, count "count" size, kind "kind" size }
    ActivationBackward {
        dx "dx" output, d_up "dUp" optional_output, d_out "dOut" input, x "x" input, up "up" optional_input,
        count "count" size, kind "kind" size,
    }
    LoraDown {
        out "out" output, x "x" input, a "a" input, rows "rows" size, cols "cols" size, rank "rank" size,
        scale "scale" float, compute "compute" flag, p "p" number, seed "seed" size, step "step" size,
        micro_step "microStep" size, site "site" size,
    }
    LoraDownBackward {
        da "dA" optional_output, mask "mask" optional_output, du "du" input, x "x" input, rows "rows" size,
        cols "cols" size, rank "rank" size, compute "compute" flag, p "p" number, seed "seed" size, step "step" size,
        micro_step "microStep" size, site "site" size,
    }
    LoraUpBackward {
        du "du" output, db "dB" optional_output, dy "dy" input, u "u" input, b "b" input, rows "rows" size,
        cols "cols" size, rank "rank" size, scale "scale" float, compute "compute" flag,
    }
    LinearCrossEntropy {
        nll "nll" output, lse "lse" output, correct "correct" optional_output, d_hidden "dHidden" optional_output,
        hidden "hidden" input, weight "weight" input, labels "labels" input, rows "rows" size, cols "cols" size,
        vocab "vocab" size, soft_cap "softCap" float, compute "compute" flag,
    }
    LinearCrossEntropyWeightBackward {
        d_weight "dWeight" output, hidden "hidden" input, weight "weight" input, labels "labels" input,
        lse "lse" input, upstream "upstream" input, rows "rows" size, cols "cols" size, vocab "vocab" size,
        soft_cap "softCap" float, compute "compute" flag,
    }
    ClipGradNorm { out "out" output, grads "grads" input, count "count" size, max_norm "maxNorm" number }
    AdamW {
        params "params" output, grads "grads" input, exp_avg "expAvg" output, exp_avg_sq "expAvgSq" output,
        grad_scale "gradScale" optional_input, count "count" size, lr "lr" number, beta1 "beta1" number,
        beta2 "beta2" number, eps "eps" number, weight_decay "weightDecay" number, step "step" number,
    }
}
