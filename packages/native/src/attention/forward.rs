//! The forward pass: a task takes a band of queries of one head past all the keys they see.

use super::geometry::{along_tokens, Band};
use super::softmax::{softmax, vectors, SoftmaxTile};
use super::store::store_columns;
use super::{band_rows, COLUMNS, PANELS};
use crate::arguments::{Attention, Geometry};
use crate::buffer::store;
use crate::gemm::{Kernel, Pieces, Tile};
use crate::isa::Isa;
use crate::pool::Pool;

pub fn forward(pool: &Pool, isa: Isa, args: &Attention) -> Result<(), String> {
    args.check()?;
    let g = &args.geometry;
    let &Geometry { rows: total, heads, dim, .. } = g;
    let kernel = Kernel::new(isa, g.compute);
    let (mr, nr) = (kernel.mr(), kernel.nr());
    let most = band_rows(kernel, dim);
    let step = PANELS * mr;
    let bands = g.bands(most, |_, start| start)?;
    let sizes = [
        kernel.b_words(most, dim),
        kernel.a_words(step, dim),
        kernel.a_words(dim, step),
        step * nr,
        step * nr,
        nr * nr,
        most * dim,
        most,
        most,
    ];
    let bytes = Pieces::bytes(&sizes);
    pool.parallel(bands.len() * heads, &|task, worker| {
        let (band, head) = (bands[task / heads], task % heads);
        let kv_head = g.kv_head(head);
        let scores = g.scores(head);
        let Band { first, start, rows, .. } = band;
        // SAFETY: this task's scratch, cut into pieces of the sizes that the panels and tiles below need; `check` and
        // `segments` vouch for the inputs, and the rows and head of the outputs are this task's alone.
        unsafe {
            let mut pieces = Pieces::new(pool.scratch(worker, bytes));
            let [b_q, a_k, a_v, spare] = [0, 1, 2, 3].map(|i| pieces.take::<u32>(sizes[i]));
            let [s, turned, acc, max, sum] = [4, 5, 6, 7, 8].map(|i| pieces.take::<f32>(sizes[i]));
            kernel.pack_b_panels(b_q, g.query(first + start, head), 0, rows, 0, dim);
            std::slice::from_raw_parts_mut(max, most).fill(f32::NEG_INFINITY);
            std::slice::from_raw_parts_mut(sum, most).fill(0.0);
            std::slice::from_raw_parts_mut(acc, most * dim).fill(0.0);
            let dim_words = kernel.words(dim);
            let end = start + rows;
            for k in (scores.keys(start, 0, end).0..end).step_by(step) {
                let keys = (end - k).min(step);
                kernel.pack_a_panels(a_k, g.key(first + k, kv_head), 0, keys, 0, dim);
                kernel.pack_a_panels(a_v, along_tokens(g.value(first + k, kv_head)), 0, dim, 0, keys);
                for column in (0..rows).step_by(nr) {
                    let (q, queries) = (start + column, (rows - column).min(nr));
                    let (from, to) = (scores.keys(q, k, keys).0, scores.keys(q + queries - 1, k, keys).1);
                    if from >= to {
                        continue;
                    }
                    let from = from / mr * mr;
                    let a = a_k.add(from * dim_words);
                    let tile = Tile::new(s.add(from * nr), nr);
                    kernel.multiply_panels(to - from, queries, dim_words, a, b_q.add(column * dim_words), tile);
                    let (max, sum, acc) = (max.add(column), sum.add(column), acc.add(column * dim));
                    let tile = SoftmaxTile { s, keys: (from, to), q, k, scores, max, sum, acc, dim };
                    let p = softmax(kernel, tile, spare);
                    let (skip, words) = (kernel.words(from), kernel.words(to - from));
                    for d in (0..dim).step_by(mr) {
                        let a = a_v.add(d * kernel.words(keys) + skip * mr);
                        let tile = Tile::adding(acc.add(d * nr), nr);
                        kernel.multiply((dim - d).min(mr), queries, words, a, p.add(skip * nr), tile);
                    }
                }
            }
            let unit = if vectors(isa, scores) { std::f32::consts::LN_2 } else { 1.0 };
            for column in (0..rows).step_by(nr) {
                let (token, queries) = (first + start + column, (rows - column).min(nr));
                let mut factors = [0.0; COLUMNS];
                for (i, factor) in factors.iter_mut().enumerate().take(queries) {
                    let (max, sum) = (max.add(column + i).read(), sum.add(column + i).read());
                    store(args.lse.typed::<f32>(), head * total + token + i, max * unit + sum.ln());
                    *factor = 1.0 / sum;
                }
                let to = (args.out, (token * heads + head) * dim, heads * dim);
                store_columns(isa, to, acc.add(column * dim), (queries, dim), &factors, turned);
            }
        }
    });
    Ok(())
}
