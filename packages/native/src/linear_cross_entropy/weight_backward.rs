//! The gradient of the weight: tasks take pieces of the vocabulary past one band of tokens after the other.

use super::packed::Packed;
use super::rows::{gradient_rows, Columns};
use super::{band_rows, from_row, gather, labelled, matrix, tasks_of, ROW, STEP, TOKENS};
use crate::arguments::LinearCrossEntropyWeightBackward;
use crate::buffer::load;
use crate::gemm::{Kernel, Pieces, Shared, Tile};
use crate::isa::Isa;
use crate::pool::{part, Pool};

pub fn weight_backward(pool: &Pool, isa: Isa, args: &LinearCrossEntropyWeightBackward) -> Result<(), String> {
    args.check()?;
    let LinearCrossEntropyWeightBackward { rows, cols, vocab, soft_cap, .. } = *args;
    let (live, labels) = labelled(args.labels, rows, vocab)?;
    let count = live.len();
    if count == 0 || cols == 0 {
        return Ok(());
    }
    let kernel = Kernel::new(isa, args.compute);
    let (mr, nr) = (kernel.mr(), kernel.nr());
    let (hidden, weight) = (matrix(args.hidden, cols), matrix(args.weight, cols));
    let words = kernel.words(cols);
    let size = band_rows(words, TOKENS).min(count);
    let contiguous = count == rows;
    let raw_words = if contiguous { 0 } else { (size * cols * hidden.dtype.size()).div_ceil(4) };
    let [rows_words, sums_words] = Packed::words(kernel, size, cols, true);
    let sizes = [rows_words, sums_words, raw_words, count, count];
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let (packed_rows, packed_sums) = (Shared::new(pieces.take(rows_words)), Shared::new(pieces.take(sums_words)));
    let packed = Packed { kernel, cols, rows: packed_rows, sums: packed_sums };
    let raw = Shared::new(pieces.take::<u32>(raw_words));
    let [lse, upstream] = [(); 2].map(|_| Shared::new(pieces.take::<f32>(count)));
    for (i, row) in live.iter().enumerate() {
        // SAFETY: the pieces have `count` elements; `check` found `rows` elements.
        unsafe {
            lse.get().add(i).write(load(args.lse.typed::<f32>(), *row as usize));
            upstream.get().add(i).write(load(args.upstream.typed::<f32>(), *row as usize));
        }
    }
    let row_panels = vocab.div_ceil(mr);
    let tasks = tasks_of(kernel, row_panels, cols, pool.threads());
    let most = row_panels.div_ceil(tasks) * mr;
    let scratch = [kernel.a_words(most, cols), most * ROW, kernel.a_words(most, STEP)];
    let bytes = Pieces::bytes(&scratch);

    for start in (0..count).step_by(size) {
        let tokens = (count - start).min(size);
        let here = if contiguous {
            from_row(hidden, start)
        } else {
            // SAFETY: the piece has room for a band of rows.
            unsafe { gather(hidden, &live[start..start + tokens], raw.get() as *mut u8) }
        };
        // SAFETY: rows of hidden that are there, which one task packs.
        pool.parallel(tokens.div_ceil(nr), &|task, _| unsafe { packed.pack(here, task * nr, tokens, true) });
        pool.parallel(tasks, &|task, worker| {
            let (from, to) = part(row_panels, tasks, task);
            let (from, rows) = (from * mr, (to * mr).min(vocab) - from * mr);
            // SAFETY: this task's scratch, cut into pieces of the sizes used below; the panels are packed; the rows of
            // dWeight are this task's alone.
            unsafe {
                let mut pieces = Pieces::new(pool.scratch(worker, bytes));
                let (a, s, a_g) =
                    (pieces.take::<u32>(scratch[0]), pieces.take::<f32>(scratch[1]), pieces.take::<u32>(scratch[2]));
                kernel.pack_a_panels(a, from_row(weight, from), 0, rows, 0, cols);
                let tile = Tile::adding(args.d_weight.typed::<f32>().add(from * cols), cols);
                for step in 0..tokens.div_ceil(STEP) {
                    let (at, len) = (start + step * STEP, (tokens - step * STEP).min(STEP));
                    kernel.multiply_panels(rows, len, words, a, packed.rows(step * STEP), Tile::new(s, ROW));
                    let of = Columns {
                        lse: lse.get().add(at),
                        upstream: upstream.get().add(at),
                        labels: labels[at..].as_ptr(),
                    };
                    let g = gradient_rows(kernel, s, (rows, len), from, soft_cap, of);
                    kernel.pack_a_panels(a_g, g, 0, rows, 0, len);
                    kernel.multiply_panels(rows, cols, kernel.words(len), a_g, packed.sums(step), tile);
                }
            }
        });
    }
    Ok(())
}
