//! Sums of matrix products with frozen, trained or mapped factors of any float dtype.
//!
//! B is packed block by block (some 2 MB, which the threads share in the last cache level), never as a whole, so one copy
//! of a weight serves x W^T and dy W. While one block is multiplied the next is packed, by tasks of the same parallel
//! region. Each task packs its rows of A into its own second-level cache. Every element of the result is a chain of
//! sums along k that depends on the shape alone, so neither the cut into tasks nor the number of threads changes a bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod few_rows;
mod kernel;
mod portable;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub use avx512::{round_bf16, transpose};
#[cfg(target_arch = "x86_64")]
pub use kernel::Factors;
pub use kernel::{Kernel, Matrix, Tile};

use crate::buffer::{load, DType, View};
use crate::isa::Isa;
use crate::pool::Pool;
use crate::with_elem;

/// One product of a sum; see `MatMulTerm` in the kernel table of @medgpt/core.
#[derive(Clone, Copy)]
pub struct Term {
    pub a: View,
    pub lda: usize,
    pub a_trans: bool,
    pub b: View,
    pub ldb: usize,
    pub b_trans: bool,
    pub k: usize,
    pub scale: f32,
    pub mask: Option<View>,
}

/// out (m, n) = [out] + sum of terms + [bias].
#[derive(Clone, Copy)]
pub struct MatMul<'a> {
    pub out: View,
    pub ldc: usize,
    pub m: usize,
    pub n: usize,
    pub bias: Option<View>,
    pub accumulate: bool,
    pub bf16: bool,
    pub terms: &'a [Term],
}

pub const FLOATS: [DType; 3] = [DType::F32, DType::Bf16, DType::F16];
pub const RESULTS: [DType; 2] = [DType::F32, DType::Bf16];

impl MatMul<'_> {
    pub fn check(&self) -> Result<(), String> {
        let MatMul { m, n, .. } = *self;
        self.out.is_one_of("out", &RESULTS)?;
        if m > 1 && self.ldc < n {
            return Err(format!("out ({m}, {n}) has row stride {}, less than a row", self.ldc));
        }
        self.out.holds_rows(&format!("out ({m}, {n})"), m, n, self.ldc)?;
        if let Some(bias) = self.bias {
            bias.is_one_of("bias", &FLOATS)?;
            bias.holds(&format!("bias ({n})"), n)?;
        }
        for (i, t) in self.terms.iter().enumerate() {
            let k = t.k;
            let matrix = |name: &str, view: View, rows: usize, cols: usize, ld: usize| {
                let name = format!("term {i}: {name} ({rows}, {cols})");
                view.is_one_of(&name, &FLOATS)?;
                view.holds_rows(&name, rows, cols, ld)
            };
            let (rows, cols) = if t.a_trans { (k, m) } else { (m, k) };
            matrix("a", t.a, rows, cols, t.lda)?;
            let (rows, cols) = if t.b_trans { (n, k) } else { (k, n) };
            matrix("b", t.b, rows, cols, t.ldb)?;
            if let Some(mask) = t.mask {
                let name = format!("term {i}: mask ({m}, {})", n.div_ceil(32));
                mask.is_one_of(&name, &[DType::I32])?;
                mask.holds(&name, m * n.div_ceil(32))?;
                if self.accumulate {
                    return Err("a masked term cannot be added to out".to_string());
                }
            }
        }
        Ok(())
    }
}

/// A term as the panels see it.
#[derive(Clone, Copy)]
struct Segment {
    a: Matrix,
    b: Matrix,
    k: usize,
    scale: f32,
}

impl Segment {
    fn new(t: &Term) -> Segment {
        Segment {
            a: Matrix { ptr: t.a.ptr(), dtype: t.a.dtype(), ld: t.lda, across: t.a_trans },
            b: Matrix { ptr: t.b.ptr(), dtype: t.b.dtype(), ld: t.ldb, across: !t.b_trans },
            k: t.k,
            scale: t.scale,
        }
    }
}

/// Most words of k in one pass, so that a panel of A and one of B, 460 KiB, fit a second-level cache of 1 MiB.
const PASS: usize = 2560;
/// Most words of each of several equal passes, whose results are added in f32: shorter, so that blocks of B are wide and A,
/// which is then packed for each of them, is packed less often.
const SHORT_PASS: usize = PASS / 2;
/// Words of A that one task packs (384 KiB).
const A_WORDS: usize = 96 << 10;
/// Words of A that are packed once and kept for every block of B (12 MiB); a longer A is packed again for each.
const KEPT_A_WORDS: usize = 3 << 20;
/// Words of B that one task multiplies with all of its rows before it goes on to the next (384 KiB).
const NEAR_B_WORDS: usize = 96 << 10;
/// Words of B packed at a time (2 MiB).
const B_WORDS: usize = 512 << 10;
/// Rows of a transposed A that are packed at a time; even, so that pairs stay together.
const ACROSS: usize = 32;
/// Products with fewer multiplications than this are not worth waking other threads for.
const SMALL: usize = 1 << 17;

/// The part of `parts` equal ones, in order, of `0 .. total`.
fn part(total: usize, parts: usize, index: usize) -> (usize, usize) {
    (total * index / parts, total * (index + 1) / parts)
}

/// A block of work: columns (in panels) and words of k.
#[derive(Clone, Copy)]
struct Step {
    panels: (usize, usize),
    words: (usize, usize),
}

pub fn mat_mul(pool: &Pool, isa: Isa, args: &MatMul) -> Result<(), String> {
    args.check()?;
    if args.m == 0 || args.n == 0 {
        return Ok(());
    }
    if few_rows::fits(args) {
        few_rows::multiply(pool, isa, args);
        return Ok(());
    }
    blocked(pool, Kernel::new(isa, args.bf16), args);
    Ok(())
}

/// Scratch cut into pieces of f32 or words, each 64-byte aligned.
pub struct Pieces {
    next: *mut u8,
    left: usize,
}

impl Pieces {
    /// Bytes that pieces of these many words take.
    pub fn bytes(words: &[usize]) -> usize {
        words.iter().map(|w| (w * 4).next_multiple_of(64)).sum()
    }

    pub fn new(scratch: &mut [u8]) -> Pieces {
        Pieces { next: scratch.as_mut_ptr(), left: scratch.len() }
    }

    /// The next piece. It lasts as long as the scratch it comes from.
    pub fn take<T>(&mut self, words: usize) -> *mut T {
        debug_assert_eq!(size_of::<T>(), 4);
        let bytes = (words * 4).next_multiple_of(64);
        assert!(bytes <= self.left, "scratch is too small");
        let piece = self.next;
        // SAFETY: at most one past the end of the scratch.
        self.next = unsafe { piece.add(bytes) };
        self.left -= bytes;
        piece as *mut T
    }
}

/// An address that tasks share.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T);

// SAFETY: an address; tasks write disjoint parts, or only read.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn new(ptr: *mut T) -> Shared<T> {
        Shared(ptr)
    }

    pub fn get(&self) -> *mut T {
        self.0
    }
}

fn blocked(pool: &Pool, kernel: Kernel, args: &MatMul) {
    let MatMul { m, n, ldc, .. } = *args;
    let (mr, nr) = (kernel.mr(), kernel.nr());
    let out_bf16 = args.out.dtype() == DType::Bf16;

    // Masked terms are short. They are multiplied tile by tile, and are then what the last pass adds to.
    let (masked, terms): (Vec<Term>, Vec<Term>) = args.terms.iter().partition(|t| t.mask.is_some());
    let masked_words: usize = masked.iter().map(|t| kernel.words(t.k)).sum();
    let total_words: usize = terms.iter().map(|t| kernel.words(t.k)).sum();
    let passes = if total_words <= PASS { 1 } else { total_words.div_ceil(SHORT_PASS) };
    let pass_words = total_words.div_ceil(passes);

    let col_panels = n.div_ceil(nr);
    let blocks = col_panels.div_ceil((B_WORDS / (pass_words.max(1) * nr)).max(1));
    let block_panels = col_panels.div_ceil(blocks);
    let steps = blocks * passes;
    let step = |index: usize| {
        let (block, pass) = (index / passes, index % passes);
        Step { panels: part(col_panels, blocks, block), words: part(total_words, passes, pass) }
    };

    // Rows: pieces that fit the second-level cache, of about equal size, and enough of them to keep every thread busy to
    // the end; columns are cut too where there are not enough rows.
    let threads = if m.saturating_mul(n).saturating_mul(total_words) < SMALL { 1 } else { pool.threads() };
    let wanted = if threads == 1 { 1 } else { 4 * threads };
    let row_panels = m.div_ceil(mr);
    let largest = (A_WORDS / (pass_words.max(1) * mr)).max(1);
    let row_parts = row_panels.div_ceil(largest).next_multiple_of(threads).max(wanted).min(row_panels);
    let col_parts = wanted.div_ceil(row_parts).min(block_panels);
    let largest = row_panels.div_ceil(row_parts);

    // A bf16 result of several passes is summed in f32 first.
    let partial_words = if passes > 1 && out_bf16 { m * block_panels * nr } else { 0 };
    let buffers = if steps > 1 { 2 } else { 1 };
    let b_words = block_panels * nr * pass_words;
    let bias_words = if args.bias.is_some() { n } else { 0 };
    let all_a_words = row_panels * mr * total_words;
    let keeps_a = steps > 1 && passes == 1 && col_parts == 1 && all_a_words <= KEPT_A_WORDS;
    let kept_words = if keeps_a { all_a_words } else { 0 };
    let sizes = [bias_words, partial_words, b_words * buffers, kept_words, col_panels * nr * masked_words];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the product is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let (bias, partial) = (pieces.take::<f32>(bias_words), Shared::new(pieces.take::<f32>(partial_words)));
    let packed = Shared::new(pieces.take::<u32>(b_words * buffers));
    let kept = Shared::new(pieces.take::<u32>(kept_words));
    let masked_b = Shared::new(pieces.take::<u32>(sizes[4]));
    if let Some(view) = args.bias {
        for i in 0..n {
            // SAFETY: `check` found n elements; the piece has n.
            unsafe { with_elem!(view.dtype(), E => bias.add(i).write(load(view.typed::<E>(), i))) }
        }
    }
    let out = Tile {
        bf16: out_bf16,
        accumulate: args.accumulate,
        bias: if args.bias.is_some() { bias } else { std::ptr::null() },
        ..Tile::new(args.out.ptr() as *mut f32, ldc)
    };

    let each_term = |words: (usize, usize), run: &mut dyn FnMut(&Segment, usize, usize, usize)| {
        let mut start = 0;
        for segment in terms.iter().map(Segment::new) {
            let end = start + kernel.words(segment.k);
            let (from, to) = (words.0.max(start), words.1.min(end));
            if from < to {
                let k = (from - start) * kernel.per_word();
                let len = ((to - from) * kernel.per_word()).min(segment.k - k);
                run(&segment, k, len, from - words.0);
            }
            start = end;
        }
    };
    let pack_b = |index: usize, panel: usize| {
        let step = step(index);
        let words = step.words.1 - step.words.0;
        let col = (step.panels.0 + panel) * nr;
        // SAFETY: the panel lies in the buffer of this step, which nobody reads yet; `check` found the elements.
        unsafe {
            let to = packed.get().add((index % buffers) * b_words + panel * words * nr);
            each_term(step.words, &mut |s, k, len, at| {
                kernel.pack_b(to.add(at * nr), s.b, col, (n - col).min(nr), k, len)
            });
        }
    };
    let each_masked = |run: &mut dyn FnMut(&Segment, View, usize)| {
        let mut at = 0;
        for term in &masked {
            run(&Segment::new(term), term.mask.unwrap_or(term.a), at);
            at += kernel.words(term.k);
        }
    };
    let pack_masked = |panel: usize| {
        let col = panel * nr;
        // SAFETY: this panel's piece, which nobody reads yet; `check` found the elements.
        unsafe {
            let to = masked_b.get().add(col * masked_words);
            each_masked(&mut |s, _, at| kernel.pack_b(to.add(at * nr), s.b, col, (n - col).min(nr), 0, s.k));
        }
    };
    let multiply = |index: usize, task: usize, worker: usize| {
        let step = step(index);
        let words = step.words.1 - step.words.0;
        let (first_pass, last_pass) = (step.words.0 == 0, step.words.1 == total_words);
        let (row_from, row_to) = part(row_panels, row_parts, task / col_parts);
        let cols = step.panels.1 - step.panels.0;
        let (col_from, col_to) = part(cols, col_parts, task % col_parts);
        // SAFETY: this task's scratch; it holds the largest piece of rows. The B panels were packed in an earlier region.
        // The elements written, in `out` or in the partial sums, belong to this task's rows and columns.
        unsafe {
            let own_words = if keeps_a { 0 } else { largest * words * mr };
            let sizes = [own_words, largest * masked_words * mr, mr * nr, mr * nr];
            let mut pieces = Pieces::new(pool.scratch(worker, Pieces::bytes(&sizes)));
            let own = pieces.take::<u32>(own_words);
            let a = if keeps_a { kept.get().add(row_from * words * mr) } else { own };
            let masked_a = pieces.take::<u32>(sizes[1]);
            let (part, parts) = (pieces.take::<f32>(mr * nr), pieces.take::<f32>(mr * nr));
            for panel in (row_from..row_to).filter(|_| last_pass && masked_words > 0) {
                let to = masked_a.add((panel - row_from) * masked_words * mr);
                let rows = (m - panel * mr).min(mr);
                each_masked(&mut |s, _, at| kernel.pack_a(to.add(at * mr), s.a, panel * mr, rows, 0, s.k, 1.0));
            }
            // Kept rows were packed by the first block's task, in an earlier region.
            let to_pack = if keeps_a && index > 0 { (0, 0) } else { step.words };
            each_term(to_pack, &mut |s, k, len, at| {
                // A transposed factor has the panels side by side in memory: a few of its rows at a time, all panels.
                let chunk = if s.a.across { ACROSS } else { len };
                for from in (0..len).step_by(chunk) {
                    for panel in row_from..row_to {
                        let (row, at) = (panel * mr, at + kernel.words(from));
                        let to = a.add(((panel - row_from) * words + at) * mr);
                        kernel.pack_a(to, s.a, row, (m - row).min(mr), k + from, (len - from).min(chunk), s.scale);
                    }
                }
            });
            let b = packed.get().add((index % buffers) * b_words);
            let sums = Tile::new(partial.get(), block_panels * nr);
            let col_base = if partial_words > 0 && !last_pass { 0 } else { step.panels.0 * nr };
            let tile = if partial_words > 0 && !last_pass {
                Tile { accumulate: !first_pass, ..sums }
            } else if partial_words > 0 {
                let partial = partial.get().wrapping_sub(col_base);
                Tile { partial, partial_ld: sums.ld, ..out }
            } else if first_pass {
                out
            } else {
                Tile { accumulate: true, bias: std::ptr::null(), ..out }
            };
            // A few panels of B stay in the second-level cache while the panels of A pass the first.
            let near = (NEAR_B_WORDS / (words.max(1) * nr)).max(1);
            for first in (col_from..col_to).step_by(near) {
                for row_panel in row_from..row_to {
                    let row = row_panel * mr;
                    let a = a.add((row_panel - row_from) * words * mr);
                    for panel in first..(first + near).min(col_to) {
                        let cols = (n - (step.panels.0 + panel) * nr).min(nr);
                        let b = b.add(panel * words * nr);
                        let mut tile = tile.at(row, col_base + panel * nr);
                        let rows = (m - row).min(mr);
                        if last_pass && !masked.is_empty() {
                            let col = (step.panels.0 + panel) * nr;
                            // Sums of earlier passes come in whole panels, as these do.
                            each_masked(&mut |s, mask, at| {
                                let a = masked_a.add(((row_panel - row_from) * masked_words + at) * mr);
                                let b = masked_b.get().add(col * masked_words + at * nr);
                                kernel.multiply(rows, cols, kernel.words(s.k), a, b, Tile::new(part, nr));
                                let words = n.div_ceil(32);
                                let bits = (mask.ptr() as *const u32).add(row * words + col / 32);
                                let mask = (bits, words, col % 32);
                                let so_far = (tile.partial, tile.partial_ld);
                                add_masked(kernel.isa(), parts, so_far, part, (rows, nr), mask, s.scale);
                                tile = Tile { partial: parts, partial_ld: nr, ..tile };
                            });
                        }
                        kernel.multiply(rows, cols, words, a, b, tile);
                    }
                }
            }
        }
    };

    let panels_of = |index: usize| {
        let step = step(index);
        step.panels.1 - step.panels.0
    };
    let region = |tasks: usize, task: &(dyn Fn(usize, usize) + Sync)| {
        if threads == 1 {
            // One task, so that no thread is woken; the loop looks at the abort flag as the pool would.
            pool.parallel(1, &|_, worker| (0..tasks).take_while(|_| !pool.aborted()).for_each(|t| task(t, worker)));
        } else {
            pool.parallel(tasks, task);
        }
    };
    let masked_panels = if masked.is_empty() { 0 } else { col_panels };
    region(panels_of(0) + masked_panels, &|task, _| match task.checked_sub(masked_panels) {
        Some(panel) => pack_b(0, panel),
        None => pack_masked(task),
    });
    for index in 0..steps {
        let products = row_parts * col_parts;
        let packs = if index + 1 < steps { panels_of(index + 1) } else { 0 };
        // Packing comes last: its short tasks even out the end of the region.
        region(products + packs, &|task, worker| {
            if task < products {
                multiply(index, task, worker);
            } else {
                pack_b(index + 1, task - products);
            }
        });
    }
}

/// to = so far (0 where null) + scale * from where the bits are set; all are (rows, nr), `so_far` with its own row stride
/// and possibly the same as `to`. Row i's bits begin at bit `shift` of word `i * stride`.
///
/// # Safety
/// The rows and words are there, and `to` is the caller's to write.
unsafe fn add_masked(
    isa: Isa,
    to: *mut f32,
    so_far: (*const f32, usize),
    from: *const f32,
    (rows, nr): (usize, usize),
    (bits, stride, shift): (*const u32, usize, usize),
    scale: f32,
) {
    for row in 0..rows {
        // SAFETY: a row of each, whose columns share one word.
        unsafe {
            let word = bits.add(row * stride).read_unaligned() >> shift;
            let (to, from) = (to.add(row * nr), from.add(row * nr));
            let base = if so_far.0.is_null() { so_far.0 } else { so_far.0.add(row * so_far.1) };
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 | Isa::Avx512Bf16 => avx512::add_masked(to, base, from, word, scale),
                _ => portable::add_masked(isa, to, base, from, word, scale, nr),
            }
        }
    }
}
