//! The native backend of @medgpt/core: buffers, kernels and tokenizers behind N-API. Knows nothing of models.

mod attention;
mod buffer;
mod gemm;
mod isa;
mod linear_cross_entropy;
mod math;
mod pool;
