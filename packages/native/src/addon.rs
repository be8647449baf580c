//! What JavaScript sees. Nothing here blocks: engine calls append to the queue, tokenizing a batch and measuring run on
//! other threads.

use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, Error, Float64Array, Int32Array, Object, Result, Status, Task, Uint8Array};
use napi::{Env, JsDeferred};
use napi_derive::napi;

use crate::buffer::DType;
use crate::engine::{self, Command, Reply};
use crate::isa::Isa;
use crate::kernels;
use crate::tokenizer;
use crate::wire::whole;

fn failed(message: String) -> Error {
    Error::new(Status::GenericFailure, message)
}

fn size(name: &str, value: f64) -> Result<usize> {
    whole(name, value).map_err(failed)
}

/// See `Engine` in index.d.ts.
#[napi]
pub struct Engine {
    inner: engine::Engine,
}

#[napi]
impl Engine {
    #[napi(constructor)]
    pub fn new(threads: Option<u32>, isa: Option<String>) -> Result<Engine> {
        let inner = engine::Engine::new(threads.map(|n| n as usize), isa.as_deref()).map_err(failed)?;
        Ok(Engine { inner })
    }

    #[napi]
    pub fn description(&self) -> String {
        self.inner.description().to_string()
    }

    #[napi]
    pub fn kernel_table(&self) -> Vec<String> {
        kernels::describe()
    }

    fn push(&self, command: Command) -> Result<()> {
        self.inner.push(command).map_err(failed)
    }

    #[napi]
    pub fn alloc(&self, id: f64, dtype_index: u32, elements: f64) -> Result<()> {
        self.push(Command::Alloc { id: id as u64, dtype: dtype(dtype_index)?, size: size("size", elements)? })
    }

    #[napi]
    pub fn map(&self, id: f64, path: String, byte_offset: f64, dtype_index: u32, elements: f64) -> Result<()> {
        self.push(Command::Map {
            id: id as u64,
            path,
            byte_offset: size("byteOffset", byte_offset)?,
            dtype: dtype(dtype_index)?,
            size: size("size", elements)?,
        })
    }

    #[napi]
    pub fn free(&self, id: f64) -> Result<()> {
        self.push(Command::Free { id: id as u64 })
    }

    #[napi]
    pub fn write(&self, id: f64, offset: f64, bytes: &[u8]) -> Result<()> {
        self.push(Command::Write { id: id as u64, offset: size("offset", offset)?, bytes: bytes.to_vec() })
    }

    #[napi]
    pub fn enqueue(&self, words: &[f64], count: u32) -> Result<()> {
        let words = words.get(..count as usize).ok_or_else(|| failed("count is more than there are words".into()))?;
        self.push(Command::Kernel(words.to_vec()))
    }

    #[napi]
    pub fn replay(&self, calls: &[f64]) -> Result<()> {
        let mut commands = Vec::new();
        let mut rest = calls;
        while let [kind, call @ ..] = rest {
            let command;
            (command, rest) = match (*kind as u32, call) {
                (0, [id, index, elements, rest @ ..]) => {
                    let (dtype, size) = (dtype(*index as u32)?, size("size", *elements)?);
                    (Command::Alloc { id: *id as u64, dtype, size }, rest)
                }
                (1, [id, rest @ ..]) => (Command::Free { id: *id as u64 }, rest),
                (2, [count, rest @ ..]) if *count as usize <= rest.len() => {
                    let (words, rest) = rest.split_at(*count as usize);
                    (Command::Kernel(words.to_vec()), rest)
                }
                _ => return Err(failed(format!("calls end within one of kind {kind}, or there is no such kind"))),
            };
            commands.push(command);
        }
        self.inner.push_all(commands).map_err(failed)
    }

    #[napi]
    pub fn read<'env>(&self, env: &'env Env, id: f64, offset: f64, count: f64, raw: bool) -> Result<Object<'env>> {
        let (offset, count) = (size("offset", offset)?, size("count", count)?);
        let (reply, promise) = promise(env)?;
        self.push(Command::Read { id: id as u64, offset, count, raw, reply })?;
        Ok(promise)
    }

    #[napi]
    pub fn sync<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (reply, promise) = promise(env)?;
        self.push(Command::Sync { reply })?;
        Ok(promise)
    }

    #[napi]
    pub fn abort(&self) {
        self.inner.abort();
    }

    #[napi]
    pub fn profile(&self, on: bool) -> Float64Array {
        Float64Array::new(self.inner.profile(on))
    }

    #[napi]
    pub fn dispose<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (reply, promise) = promise(env)?;
        self.inner.close(Some(reply));
        Ok(promise)
    }
}

fn dtype(index: u32) -> Result<DType> {
    DType::from_index(index as usize).ok_or_else(|| failed(format!("there is no dtype {index}")))
}

/// A promise of bytes with the function that settles it from any thread.
fn promise(env: &Env) -> Result<(Reply, Object<'_>)> {
    type Resolver = Box<dyn FnOnce(Env) -> Result<Uint8Array> + Send>;
    let (deferred, promise): (JsDeferred<Uint8Array, Resolver>, _) = env.create_deferred()?;
    let reply: Reply = Box::new(move |result| match result {
        Ok(bytes) => deferred.resolve(Box::new(move |_| Ok(Uint8Array::new(bytes)))),
        Err(message) => deferred.reject(failed(message)),
    });
    Ok((reply, promise))
}

/// See `Tokenizer` in index.d.ts.
#[napi]
pub struct Tokenizer {
    inner: Arc<tokenizer::Tokenizer>,
}

#[napi(object)]
pub struct EncodedBatch {
    pub ids: Int32Array,
    pub lengths: Int32Array,
}

pub struct EncodeBatch {
    tokenizer: Arc<tokenizer::Tokenizer>,
    texts: Vec<String>,
    add_special_tokens: bool,
}

impl Task for EncodeBatch {
    type Output = tokenizer::Encoded;
    type JsValue = EncodedBatch;

    fn compute(&mut self) -> Result<Self::Output> {
        self.tokenizer.encode_batch(std::mem::take(&mut self.texts), self.add_special_tokens).map_err(failed)
    }

    fn resolve(&mut self, _env: Env, output: Self::Output) -> Result<Self::JsValue> {
        Ok(EncodedBatch { ids: Int32Array::new(output.ids), lengths: Int32Array::new(output.lengths) })
    }
}

#[napi]
impl Tokenizer {
    #[napi(factory)]
    pub fn from_json(bytes: &[u8]) -> Result<Tokenizer> {
        let inner = Arc::new(tokenizer::Tokenizer::from_json(bytes).map_err(failed)?);
        Ok(Tokenizer { inner })
    }

    #[napi]
    pub fn encode(&self, text: String, add_special_tokens: bool) -> Result<Int32Array> {
        self.inner.encode(&text, add_special_tokens).map(Int32Array::new).map_err(failed)
    }

    #[napi]
    pub fn encode_batch(&self, texts: Vec<String>, add_special_tokens: bool) -> AsyncTask<EncodeBatch> {
        AsyncTask::new(EncodeBatch { tokenizer: self.inner.clone(), texts, add_special_tokens })
    }

    #[napi]
    pub fn decode(&self, ids: &[i32], skip_special_tokens: bool) -> Result<String> {
        self.inner.decode(ids, skip_special_tokens).map_err(failed)
    }

    #[napi]
    pub fn vocab_size(&self, with_added: bool) -> u32 {
        self.inner.vocab_size(with_added) as u32
    }

    #[napi]
    pub fn token_to_id(&self, token: String) -> Option<u32> {
        self.inner.token_to_id(&token)
    }

    #[napi]
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

/// The instruction sets of this CPU that there are kernels for, the best last.
#[napi]
pub fn instruction_sets() -> Vec<String> {
    Isa::available().map(|isa| isa.name().to_string()).collect()
}

pub struct Peak {
    isa: Isa,
    bf16: bool,
    threads: u32,
    milliseconds: u32,
}

impl Task for Peak {
    type Output = f64;
    type JsValue = f64;

    fn compute(&mut self) -> Result<f64> {
        Ok(crate::peak::peak_gflops(self.isa, self.bf16, self.threads as usize, self.milliseconds as u64))
    }

    fn resolve(&mut self, _env: Env, output: f64) -> Result<f64> {
        Ok(output)
    }
}

#[napi]
pub fn peak_gflops(bf16: bool, threads: u32, milliseconds: u32) -> Result<AsyncTask<Peak>> {
    let isa = Isa::choose(None).map_err(failed)?;
    Ok(AsyncTask::new(Peak { isa, bf16, threads, milliseconds }))
}
