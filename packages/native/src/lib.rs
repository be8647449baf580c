//! The native backend of @medgpt/core: buffers, kernels and tokenizers behind N-API. Knows nothing of models.

mod activation;
#[cfg(not(test))]
mod addon;
mod attention;
mod block;
mod buffer;
mod dropout;
mod elementwise;
mod embedding;
mod engine;
mod gemm;
mod isa;
mod kernels;
mod linear_cross_entropy;
mod math;
mod norm;
mod optimizer;
#[cfg(not(test))]
mod peak;
mod pool;
mod reduce;
mod rope;
#[cfg(test)]
mod tests;
mod tokenizer;
