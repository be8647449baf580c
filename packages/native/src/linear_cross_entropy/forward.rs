//! Losses and the gradient of hidden: tasks take pieces of the rows past one band of the vocabulary after the other.

use super::packed::Packed;
use super::rows::{scale_row, softmax_rows, Running};
use super::{band_rows, from_row, gather, labelled, matrix, tasks_of, KEPT_WORDS, ROW, STEP, VOCAB_ROWS};
use crate::arguments::LinearCrossEntropy;
use crate::buffer::{load, store};
use crate::gemm::{Kernel, Matrix, Pieces, Shared, Tile};
use crate::isa::Isa;
use crate::pool::{part, Pool};
use crate::with_elem;

/// How a call is cut, by shape and the number of threads; no result depends on the latter.
struct Plan {
    /// Rows of the vocabulary in a band, and the number of bands.
    band: usize,
    bands: usize,
    /// Panels of labelled rows, and the tasks that they are shared out among.
    row_panels: usize,
    tasks: usize,
    /// Words of hidden that are packed once for all bands, 0 if it is too long for that.
    kept_words: usize,
    /// Words of each piece of a task's scratch: hidden packed, its rows gathered, a tile of logits, that tile packed, and a
    /// factor for each row.
    scratch: [usize; 5],
}

impl Plan {
    fn new(kernel: Kernel, args: &LinearCrossEntropy, count: usize, threads: usize) -> Plan {
        let &LinearCrossEntropy { rows, cols, vocab, hidden, .. } = args;
        let band = band_rows(kernel.words(cols), VOCAB_ROWS);
        let row_panels = count.div_ceil(kernel.mr());
        let tasks = tasks_of(kernel, row_panels, cols, threads);
        let most = row_panels.div_ceil(tasks.max(1)) * kernel.mr();
        let all_words = kernel.a_words(count, cols);
        let kept_words = if all_words <= KEPT_WORDS { all_words } else { 0 };
        let a_words = if kept_words > 0 { 0 } else { kernel.a_words(most, cols) };
        let raw_words = if count == rows { 0 } else { (most * cols * hidden.dtype().size()).div_ceil(4) };
        let scratch = [a_words, raw_words, most * ROW, kernel.a_words(most, STEP), most];
        Plan { band, bands: vocab.div_ceil(band), row_panels, tasks, kept_words, scratch }
    }
}

/// One call, with what its tasks share.
struct Call<'a> {
    pool: &'a Pool,
    args: &'a LinearCrossEntropy,
    kernel: Kernel,
    plan: Plan,
    /// The rows that carry a label, and their labels.
    live: &'a [u32],
    labels: &'a [i32],
    hidden: Matrix,
    weight: Matrix,
    /// Bands that are packed: one is multiplied, the next is made.
    packed: [Packed; 2],
    kept: Shared<u32>,
    running: Running,
    /// dHidden, whose first rows are the sums of the labelled rows.
    acc: Option<Shared<f32>>,
}

impl Call<'_> {
    fn contiguous(&self) -> bool {
        self.live.len() == self.args.rows
    }

    /// Rows of a band.
    fn band_len(&self, band: usize) -> usize {
        (self.args.vocab - band * self.plan.band).min(self.plan.band)
    }

    fn panels_of(&self, band: usize) -> usize {
        if band < self.plan.bands {
            self.band_len(band).div_ceil(self.kernel.nr())
        } else {
            0
        }
    }

    /// Packs panel `panel` of a band.
    fn pack(&self, band: usize, panel: usize) {
        let (from, at) = (from_row(self.weight, band * self.plan.band), panel * self.kernel.nr());
        // SAFETY: rows of the weight that are there; one task packs them, into a band that nobody reads yet.
        unsafe { self.packed[band % 2].pack(from, at, self.band_len(band), self.acc.is_some()) }
    }

    /// Takes a task's rows past a band.
    fn multiply(&self, band: usize, task: usize, worker: usize) {
        let Call { kernel, plan, .. } = self;
        let (cols, words, mr) = (self.args.cols, kernel.words(self.args.cols), kernel.mr());
        let (from, to) = part(plan.row_panels, plan.tasks, task);
        let (from, rows) = (from * mr, (to * mr).min(self.live.len()) - from * mr);
        // SAFETY: this task's scratch, cut into pieces of the sizes that the plan gives; the panels were packed in an
        // earlier region; the rows of kept hidden, of the running sums and of dHidden are this task's alone.
        unsafe {
            let mut pieces = Pieces::new(self.pool.scratch(worker, Pieces::bytes(&plan.scratch)));
            let [a, raw] = [0, 1].map(|i| pieces.take::<u32>(plan.scratch[i]));
            let s = pieces.take::<f32>(plan.scratch[2]);
            let a_p = pieces.take::<u32>(plan.scratch[3]);
            let rescale = pieces.take::<f32>(plan.scratch[4]);
            let a = if plan.kept_words > 0 { self.kept.get().add(from * words) } else { a };
            if plan.kept_words == 0 || band == 0 {
                let piece = if self.contiguous() {
                    from_row(self.hidden, from)
                } else {
                    gather(self.hidden, &self.live[from..from + rows], raw as *mut u8)
                };
                kernel.pack_a_panels(a, piece, 0, rows, 0, cols);
            }
            self.steps(band, (from, rows), a, (s, a_p, rescale));
        }
    }

    /// The steps of a band: a tile of logits each, whose exponentials are multiplied with the weight at once.
    ///
    /// # Safety
    /// The rows are packed at `a`; they, their sums and the tile's pieces are the caller's.
    unsafe fn steps(
        &self,
        band: usize,
        (from, rows): (usize, usize),
        a: *const u32,
        (s, a_p, rescale): (*mut f32, *mut u32, *mut f32),
    ) {
        let Call { args, kernel, .. } = self;
        let &LinearCrossEntropy { cols, soft_cap, .. } = *args;
        let (packed, len) = (self.packed[band % 2], self.band_len(band));
        let state = self.running.at(from);
        for step in 0..len.div_ceil(STEP) {
            let (at, len) = (band * self.plan.band + step * STEP, (len - step * STEP).min(STEP));
            // SAFETY: the caller's promise.
            unsafe {
                kernel.multiply_panels(rows, len, kernel.words(cols), a, packed.rows(step * STEP), Tile::new(s, ROW));
                let p = softmax_rows(*kernel, s, (rows, len), at, soft_cap, state, rescale, self.acc.is_some());
                let Some(acc) = self.acc else { continue };
                let acc = acc.get().add(from * cols);
                for i in (0..rows).filter(|i| at > 0 && rescale.add(*i).read() != 1.0) {
                    scale_row(kernel.isa(), acc.add(i * cols), cols, rescale.add(i).read());
                }
                kernel.pack_a_panels(a_p, p, 0, rows, 0, len);
                let tile = Tile { accumulate: at > 0, ..Tile::new(acc, cols) };
                kernel.multiply_panels(rows, cols, kernel.words(len), a_p, packed.sums(step), tile);
            }
        }
    }

    /// All bands, one after the other.
    fn run(&self) {
        let tasks = self.plan.tasks;
        if tasks == 0 {
            return;
        }
        self.pool.parallel(self.panels_of(0), &|panel, _| self.pack(0, panel));
        for band in 0..self.plan.bands {
            // Packing comes last: its short tasks even out the end of the region.
            self.pool.parallel(tasks + self.panels_of(band + 1), &|task, worker| {
                if task < tasks {
                    self.multiply(band, task, worker);
                } else {
                    self.pack(band + 1, task - tasks);
                }
            });
        }
    }

    /// From what each labelled row carries to nll, lse and correct; the others are 0.
    fn store_losses(&self) {
        let &LinearCrossEntropy { nll, lse: lses, correct, rows, .. } = self.args;
        let Running { max, sum, target, best, .. } = self.running;
        // SAFETY: no region runs; `check` found the elements of the outputs.
        unsafe {
            for row in 0..rows {
                store(nll.typed::<f32>(), row, 0.0);
                store(lses.typed::<f32>(), row, 0.0);
                if let Some(correct) = correct {
                    store(correct.typed::<f32>(), row, 0.0);
                }
            }
            for (i, (row, label)) in std::iter::zip(self.live, self.labels).enumerate() {
                let lse = max.add(i).read() + sum.add(i).read().ln();
                store(lses.typed::<f32>(), *row as usize, lse);
                store(nll.typed::<f32>(), *row as usize, lse - target.add(i).read());
                if let Some(correct) = correct {
                    let hit = best.add(i).read() == *label as u32;
                    store(correct.typed::<f32>(), *row as usize, if hit { 1.0 } else { 0.0 });
                }
            }
        }
    }

    /// From the sums of the labelled rows to dHidden: moves them to their rows, divides them, and takes the label's weight.
    fn finish_d_hidden(&self, acc: Shared<f32>) {
        let &LinearCrossEntropy { rows, cols, soft_cap, weight, .. } = self.args;
        if !self.contiguous() {
            spread(acc.get(), self.live, rows, cols);
        }
        self.pool.parallel(self.live.len(), &|i, _| {
            let (row, label) = (self.live[i] as usize, self.labels[i] as usize);
            // SAFETY: the row is this task's; the label is in the vocabulary.
            unsafe {
                let state = self.running.at(i);
                let slope = if soft_cap > 0.0 { 1.0 - (state.target.read() / soft_cap).powi(2) } else { 1.0 };
                let inverse = 1.0 / state.sum.read();
                let out = acc.get().add(row * cols);
                with_elem!(weight.dtype(), E => {
                    let weight = weight.typed::<E>().add(label * cols);
                    for j in 0..cols {
                        store(out, j, load(out, j) * inverse - load(weight, j) * slope);
                    }
                });
            }
        });
    }
}

pub fn forward(pool: &Pool, isa: Isa, args: &LinearCrossEntropy) -> Result<(), String> {
    args.check()?;
    let &LinearCrossEntropy { rows, cols, vocab, .. } = args;
    let (live, labels) = labelled(args.labels, rows, vocab)?;
    let count = live.len();
    let kernel = Kernel::new(isa, args.compute);
    let acc = args.d_hidden.map(|d| Shared::new(d.typed::<f32>()));
    let plan = Plan::new(kernel, args, count, pool.threads());
    let [rows_words, sums_words] = Packed::words(kernel, plan.band.min(vocab), cols, acc.is_some());
    let sizes = [rows_words, sums_words, rows_words, sums_words, plan.kept_words, count, count, count, count];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let packed = [0, 1].map(|_| {
        let (rows, sums) = (Shared::new(pieces.take(rows_words)), Shared::new(pieces.take(sums_words)));
        Packed { kernel, cols, rows, sums }
    });
    let kept = Shared::new(pieces.take::<u32>(plan.kept_words));
    let [max, sum, target] = [(); 3].map(|_| pieces.take::<f32>(count));
    let best = pieces.take::<u32>(count);
    for i in 0..count {
        // SAFETY: the pieces have `count` elements.
        unsafe {
            max.add(i).write(f32::NEG_INFINITY);
            sum.add(i).write(0.0);
            target.add(i).write(f32::NAN);
            best.add(i).write(u32::MAX);
        }
    }
    let running = Running { max, sum, target, best, labels: labels.as_ptr() };
    let (hidden, weight) = (matrix(args.hidden, cols), matrix(args.weight, cols));
    let (live, labels) = (&live[..], &labels[..]);
    let call = Call { pool, args, kernel, plan, live, labels, hidden, weight, packed, kept, running, acc };
    call.run();
    if pool.aborted() {
        return Ok(());
    }
    call.store_losses();
    if let Some(acc) = acc {
        call.finish_d_hidden(acc);
    }
    Ok(())
}

/// Moves row i of `acc` to row `live[i]` and clears the others. Rows only move down the matrix, so the last goes first.
fn spread(acc: *mut f32, live: &[u32], rows: usize, cols: usize) {
    let mut next = rows;
    for (i, row) in live.iter().enumerate().rev() {
        let row = *row as usize;
        // SAFETY: both rows are in dHidden; rows between this one and the next are not the source of any later move, since
        // those lie at or before i <= row.
        unsafe {
            std::ptr::copy(acc.add(i * cols) as *const u8, acc.add(row * cols) as *mut u8, cols * 4);
            std::ptr::write_bytes(acc.add((row + 1) * cols) as *mut u8, 0, (next - row - 1) * cols * 4);
        }
        next = row;
    }
    // SAFETY: rows before the first live one.
    unsafe { std::ptr::write_bytes(acc as *mut u8, 0, next * cols * 4) }
}
