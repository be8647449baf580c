//! The native backend of @medgpt/core: buffers, kernels and tokenizers behind N-API. Knows nothing of models.

mod activation;
// Nothing is exported, and so nothing used, in the test program.
#[cfg_attr(test, allow(dead_code))]
mod addon;
mod attention;
#[cfg(target_arch = "x86_64")]
mod attention_avx512;
mod block;
mod buffer;
mod elementwise;
mod embedding;
mod engine;
mod gemm;
mod isa;
mod kernels;
mod linear_cross_entropy;
mod lora;
mod math;
mod norm;
mod optimizer;
mod peak;
mod pool;
mod reduce;
mod rope;
#[cfg(test)]
mod tests;
mod tokenizer;
