//! The native backend of @medgpt/core: buffers, kernels and tokenizers behind N-API. Knows nothing of models.

mod activation;
// Nothing is exported, and so nothing used, in the test program.
#[cfg_attr(test, allow(dead_code))]
mod addon;
mod arguments;
mod attention;
mod block;
mod buffer;
mod buffers;
mod context;
mod elementwise;
mod embedding;
mod engine;
mod fold;
mod gemm;
mod isa;
mod kernels;
mod linear_cross_entropy;
mod lora;
mod math;
mod memory;
mod norm;
mod optimizer;
mod panics;
mod peak;
mod philox;
mod pool;
mod reduce;
mod rope;
#[cfg(test)]
mod tests;
mod tokenizer;
#[cfg(target_arch = "x86_64")]
mod vector;
mod wire;
