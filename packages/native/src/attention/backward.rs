//! The backward pass. A task makes the scores of its query heads and bands of keys once. Every band of keys gives a part of
//! dk and dv, to which all heads that share these keys add, and a part of dq, which is complete with the last band.

use super::geometry::along_tokens;
use super::gradient::{dots, gradient, GradientTile};
use super::scores::Scores;
use super::store::{store_columns, store_rows, sum_into_first};
use super::{band_rows, PANELS};
use crate::arguments::{AttentionBackward, Geometry};
use crate::buffer::{load, View};
use crate::gemm::{Kernel, Pieces, Shared, Tile};
use crate::isa::Isa;
use crate::pool::Pool;

/// Most words of f32 gradients of shared keys and values that are held at once (64 MiB), unless threads would be idle.
const SHARED_WORDS: usize = 16 << 20;
/// Fewer tasks than this do not keep the threads of a machine busy.
const FEW_TASKS: usize = 8;

/// How the backward pass is cut into tasks. The shape decides, and not the number of threads, so that results do not
/// depend on that.
struct Cut {
    /// (first token, length) of each segment that has any.
    segments: Vec<(usize, usize)>,
    longest: usize,
    /// Tasks among which the query heads that share keys are divided. dk and dv are the sums of what these tasks leave.
    turns: usize,
    /// Tasks among which the bands of keys are divided. dq is the sum of what these leave.
    parts: usize,
    /// Keys of a band.
    keys: usize,
}

impl Cut {
    fn new(kernel: Kernel, g: &Geometry) -> Result<Cut, String> {
        let Geometry { heads, kv_heads, dim, .. } = *g;
        let mut segments = g.segments()?;
        segments.retain(|(_, len)| *len > 0);
        let longest = segments.iter().map(|(_, len)| *len).max().unwrap_or(0);
        let tasks = (segments.len() * kv_heads).max(1);
        let mut cut = Cut { segments, longest, turns: 1, parts: 1, keys: 0 };
        let fit = SHARED_WORDS / cut.shared_words(kernel, g).max(1);
        cut.turns = fit.max(FEW_TASKS.div_ceil(tasks)).min(heads.div_ceil(kv_heads));
        let wanted = FEW_TASKS.div_ceil(tasks * cut.turns);
        // Two bands a task, since the first ones are seen by more queries.
        let most = if wanted > 1 { longest.div_ceil(2 * wanted) } else { longest };
        cut.keys = band_rows(kernel, dim).min(most.next_multiple_of(kernel.nr())).max(kernel.nr());
        cut.parts = wanted.min(longest.div_ceil(cut.keys)).max(1);
        Ok(cut)
    }

    /// Columns of the keys of all segments, each one's in whole B panels.
    fn columns(&self, kernel: Kernel, g: &Geometry) -> usize {
        g.rows + self.segments.len() * kernel.nr()
    }

    /// Words of dk and dv, in columns, of every turn of every head of keys; none where no head shares its keys.
    fn shared_words(&self, kernel: Kernel, g: &Geometry) -> usize {
        if g.heads == g.kv_heads {
            return 0;
        }
        2 * g.kv_heads * self.turns * self.columns(kernel, g) * g.dim
    }
}

/// A task's own panels, tiles and sums.
#[derive(Clone, Copy)]
struct Room {
    /// B panels of a band of keys: of the keys, of the values, and of the keys along the tokens.
    b_k: *mut u32,
    b_v: *mut u32,
    b_k_dim: *mut u32,
    /// A panels of a step of queries: of the queries and of dOut, then of both along the tokens.
    a_q: *mut u32,
    a_o: *mut u32,
    a_q_dim: *mut u32,
    a_o_dim: *mut u32,
    /// See `GradientTile`.
    p: *mut u32,
    ds: *mut u32,
    ds_across: *mut u32,
    s: *mut f32,
    dp: *mut f32,
    /// For `store_columns`.
    turned: *mut f32,
    /// Sums of a band of keys, in columns.
    dk: *mut f32,
    dv: *mut f32,
    /// Of all queries of the segment.
    dq: *mut f32,
    lse: *mut f32,
    delta: *mut f32,
}

impl Room {
    /// Words of each piece, in the order of the fields.
    fn sizes(kernel: Kernel, cut: &Cut, g: &Geometry) -> [usize; 18] {
        let (mr, nr, lanes) = (kernel.mr(), kernel.nr(), g.lanes());
        let &Cut { longest, keys, .. } = cut;
        let step = PANELS * mr;
        let (a_step, a_dim) = (kernel.a_words(step, g.dim), kernel.a_words(g.dim, step));
        [
            kernel.b_words(keys, g.dim),
            kernel.b_words(keys, g.dim),
            kernel.b_words(g.dim, keys),
            a_step,
            a_step,
            a_dim,
            a_dim,
            kernel.b_words(nr, step),
            kernel.b_words(nr, step),
            kernel.a_words(step, keys),
            mr * nr,
            mr * nr,
            nr * nr,
            keys * g.dim,
            keys * g.dim,
            longest * lanes,
            longest + mr,
            longest + mr,
        ]
    }

    fn new(scratch: &mut [u8], sizes: &[usize; 18]) -> Room {
        let mut pieces = Pieces::new(scratch);
        let [b_k, b_v, b_k_dim, a_q, a_o, a_q_dim, a_o_dim, p, ds, ds_across] =
            std::array::from_fn(|i| pieces.take::<u32>(sizes[i]));
        let [s, dp, turned, dk, dv, dq, lse, delta] = std::array::from_fn(|i| pieces.take::<f32>(sizes[10 + i]));
        #[rustfmt::skip]
        let room = Room {
            b_k, b_v, b_k_dim, a_q, a_o, a_q_dim, a_o_dim, p, ds, ds_across, s, dp, turned, dk, dv, dq, lse, delta,
        };
        room
    }
}

/// What a task has to do.
#[derive(Clone, Copy)]
struct Share {
    segment: usize,
    /// The segment's first token and its length.
    first: usize,
    len: usize,
    kv_head: usize,
    turn: usize,
    part: usize,
}

/// The queries `q .. q + queries` of a segment beside the band of keys `start .. start + rows`.
#[derive(Clone, Copy)]
struct Step {
    start: usize,
    rows: usize,
    q: usize,
    queries: usize,
    scores: Scores,
    /// Words of an A panel of gradients, keys along k.
    across: usize,
}

/// One call, with the sums that its tasks leave for the end.
struct Call<'a> {
    pool: &'a Pool,
    args: &'a AttentionBackward,
    kernel: Kernel,
    cut: Cut,
    /// dk and dv, in columns, of every turn of every head of keys, where heads share keys.
    dkv: Option<Shared<f32>>,
    /// dq of every part, where there are several.
    dq: Option<Shared<f32>>,
    sizes: [usize; 18],
}

impl Call<'_> {
    /// Where in `dkv` the columns of keys `start ..` of a segment are: `which` is 0 for dk and 1 for dv.
    fn dkv_at(&self, which: usize, kv_head: usize, turn: usize, segment: usize, start: usize) -> usize {
        let (g, cut) = (&self.args.geometry, &self.cut);
        let column = cut.segments[segment].0 + segment * self.kernel.nr() + start;
        (((which * g.kv_heads + kv_head) * cut.turns + turn) * cut.columns(self.kernel, g) + column) * g.dim
    }

    /// Where in `dq` a part's sums of a token are.
    fn dq_at(&self, part: usize, head: usize, token: usize) -> usize {
        let g = &self.args.geometry;
        ((part * g.heads + head) * g.rows + token) * g.lanes()
    }

    /// The query heads that share a head of keys.
    fn members(&self, kv_head: usize) -> impl Iterator<Item = usize> + '_ {
        let g = &self.args.geometry;
        (0..g.heads).filter(move |head| g.kv_head(*head) == kv_head)
    }

    /// The results that are sums over queries: dk, which is scaled at the end, and dv.
    fn results(&self) -> [(View, f32); 2] {
        [(self.args.dk, self.args.geometry.scale), (self.args.dv, 1.0)]
    }

    /// # Safety
    /// The thread is this worker, and no other call has this task.
    unsafe fn task(&self, task: usize, worker: usize) {
        let &Cut { ref segments, turns, parts, .. } = &self.cut;
        let (task, part) = (task / parts, task % parts);
        let (task, turn) = (task / turns, task % turns);
        let (segment, kv_head) = (task / self.args.geometry.kv_heads, task % self.args.geometry.kv_heads);
        let (first, len) = segments[segment];
        let share = Share { segment, first, len, kv_head, turn, part };
        // SAFETY: this worker's scratch; the share is this task's alone.
        unsafe {
            let room = Room::new(self.pool.scratch(worker, Pieces::bytes(&self.sizes)), &self.sizes);
            for (round, head) in self.members(kv_head).skip(turn).step_by(turns).enumerate() {
                self.head(room, share, round, head);
            }
        }
    }

    /// Everything of one query head and a part of the bands of keys. It is the task's head number `round`.
    ///
    /// # Safety
    /// The room's pieces have the sizes above, and they and what the share gives of the results are the caller's.
    unsafe fn head(&self, room: Room, share: Share, round: usize, head: usize) {
        let Call { args, kernel, .. } = self;
        let g = &args.geometry;
        let &Geometry { rows: total, heads, dim, scale, .. } = g;
        let (isa, lanes) = (kernel.isa(), g.lanes());
        let &Cut { parts, keys: most, .. } = &self.cut;
        let Share { first, len, part, .. } = share;
        let scores = g.scores(head);
        // SAFETY: the caller's promise; `check` and `segments` vouch for the inputs.
        unsafe {
            for i in 0..len {
                room.lse.add(i).write(load(args.lse.typed::<f32>(), head * total + first + i));
            }
            dots(isa, room.delta, args.d_out, args.out, (first * heads + head) * dim, heads * dim, (len, dim));
            std::slice::from_raw_parts_mut(room.dq, len * lanes).fill(0.0);
            for start in (part * most..len).step_by(parts * most) {
                let rows = (len - start).min(most);
                self.band(room, share, head, scores, (start, rows));
                self.store_band(room, share, round, (start, rows));
            }
            if let Some(sums) = &self.dq {
                let to = sums.get().add(self.dq_at(part, head, first));
                std::ptr::copy_nonoverlapping(room.dq, to, len * lanes);
            } else {
                let to = (args.dq, first * g.q_stride + head * g.q_head, g.q_stride);
                store_rows(isa, to, room.dq, lanes, (len, dim), &[scale]);
            }
        }
    }

    /// dk and dv of a band of `rows` keys from `start` on, and what the band adds to dq.
    ///
    /// # Safety
    /// As for `head`.
    unsafe fn band(&self, room: Room, share: Share, head: usize, scores: Scores, (start, rows): (usize, usize)) {
        let Call { args, kernel, .. } = self;
        let g = &args.geometry;
        let &Geometry { dim, window, .. } = g;
        let (mr, nr) = (kernel.mr(), kernel.nr());
        let Share { first, len, kv_head, .. } = share;
        let end = if window > 0 { len.min(start + rows - 1 + window) } else { len };
        // SAFETY: the caller's promise.
        unsafe {
            let key = g.key(first + start, kv_head);
            kernel.pack_b_panels(room.b_k, key, 0, rows, 0, dim);
            kernel.pack_b_panels(room.b_v, g.value(first + start, kv_head), 0, rows, 0, dim);
            kernel.pack_b_panels(room.b_k_dim, along_tokens(key), 0, dim, 0, rows);
            for sums in [room.dk, room.dv] {
                std::slice::from_raw_parts_mut(sums, rows.next_multiple_of(nr) * dim).fill(0.0);
            }
            let across = kernel.words(rows.next_multiple_of(nr)) * mr;
            for q in (start..end).step_by(PANELS * mr) {
                let queries = (end - q).min(PANELS * mr);
                let (query, d_out) = (g.query(first + q, head), args.d_out(first + q, head));
                kernel.pack_a_panels(room.a_q, query, 0, queries, 0, dim);
                kernel.pack_a_panels(room.a_o, d_out, 0, queries, 0, dim);
                kernel.pack_a_panels(room.a_q_dim, along_tokens(query), 0, dim, 0, queries);
                kernel.pack_a_panels(room.a_o_dim, along_tokens(d_out), 0, dim, 0, queries);
                let step = Step { start, rows, q, queries, scores, across };
                for column in (0..rows).step_by(nr) {
                    self.add_to_dkv(room, step, column);
                }
                for row in (0..queries).step_by(mr) {
                    self.add_to_dq(room, step, row);
                }
            }
        }
    }

    /// Makes the gradients of a step's scores for the panel of keys from `column` on, and adds their part of dk and dv.
    ///
    /// # Safety
    /// As for `head`; the step's panels are packed.
    unsafe fn add_to_dkv(&self, room: Room, step: Step, column: usize) {
        let Step { start, rows, q, queries, scores, across } = step;
        let (kernel, dim) = (self.kernel, self.args.geometry.dim);
        let (mr, nr, dim_words) = (kernel.mr(), kernel.nr(), kernel.words(dim));
        let (k, keys) = (start + column, (rows - column).min(nr));
        let from = scores.queries(k, q, queries).0 / mr * mr;
        let to = scores.queries(k + keys - 1, q, queries).1;
        if from >= to {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            for row in (from..to).step_by(mr) {
                let m = (to - row).min(mr);
                for (a, b, tile) in [(room.a_q, room.b_k, room.s), (room.a_o, room.b_v, room.dp)] {
                    let (a, b) = (a.add(row * dim_words), b.add(column * dim_words));
                    kernel.multiply(m, keys, dim_words, a, b, Tile::new(tile, nr));
                }
                let at = kernel.words(row) * nr;
                let tile = GradientTile {
                    s: room.s,
                    dp: room.dp,
                    p: room.p.add(at),
                    ds: room.ds.add(at),
                    ds_across: room.ds_across.add(row / mr * across + kernel.words(column) * mr),
                    queries: m,
                    q: q + row,
                    k,
                    scores,
                    lse: room.lse.add(q + row),
                    delta: room.delta.add(q + row),
                };
                gradient(kernel, tile);
            }
            let (skip, words) = (kernel.words(from), kernel.words(to - from));
            for (a, b, sums) in [(room.a_o_dim, room.p, room.dv), (room.a_q_dim, room.ds, room.dk)] {
                for d in (0..dim).step_by(mr) {
                    let a = a.add(d * kernel.words(queries) + skip * mr);
                    let tile = Tile::adding(sums.add(column * dim + d * nr), nr);
                    kernel.multiply((dim - d).min(mr), keys, words, a, b.add(skip * nr), tile);
                }
            }
        }
    }

    /// Adds what the band gives to dq of the panel of queries from `row` on.
    ///
    /// # Safety
    /// As for `head`; the step's gradients are made.
    unsafe fn add_to_dq(&self, room: Room, step: Step, row: usize) {
        let Step { start, rows, q, queries, scores, across } = step;
        let (kernel, dim, lanes) = (self.kernel, self.args.geometry.dim, self.args.geometry.lanes());
        let (mr, nr) = (kernel.mr(), kernel.nr());
        let m = (queries - row).min(mr);
        let from = scores.keys(q + row, start, rows).0;
        let to = scores.keys(q + row + m - 1, start, rows).1;
        if from >= to {
            return;
        }
        let from = from / nr * nr;
        let (skip, words) = (kernel.words(from), kernel.words(to - from));
        // SAFETY: the caller's promise.
        unsafe {
            let a = room.ds_across.add(row / mr * across + skip * mr);
            for d in (0..dim).step_by(nr) {
                let b = room.b_k_dim.add(d * kernel.words(rows) + skip * nr);
                let tile = Tile::adding(room.dq.add((q + row) * lanes + d), lanes);
                kernel.multiply(m, (dim - d).min(nr), words, a, b, tile);
            }
        }
    }

    /// Stores dk and dv of a band of keys, or adds them to the sums of this turn.
    ///
    /// # Safety
    /// As for `head`.
    unsafe fn store_band(&self, room: Room, share: Share, round: usize, (start, rows): (usize, usize)) {
        let g = &self.args.geometry;
        let (nr, dim) = (self.kernel.nr(), g.dim);
        let Share { segment, first, kv_head, turn, .. } = share;
        for (which, (to, factor)) in self.results().into_iter().enumerate() {
            let sums = [room.dk, room.dv][which];
            // SAFETY: the caller's promise.
            unsafe {
                if let Some(shared) = &self.dkv {
                    let size = rows.next_multiple_of(nr) * dim;
                    let to = shared.get().add(self.dkv_at(which, kv_head, turn, segment, start));
                    let (to, sums) = (std::slice::from_raw_parts_mut(to, size), std::slice::from_raw_parts(sums, size));
                    if round == 0 {
                        to.copy_from_slice(sums);
                    } else {
                        to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
                    }
                    continue;
                }
                for column in (0..rows).step_by(nr) {
                    let to = g.kv_rows(which, to, first + start + column, kv_head);
                    let size = ((rows - column).min(nr), dim);
                    store_columns(self.kernel.isa(), to, sums.add(column * dim), size, &[factor], room.turned);
                }
            }
        }
    }

    /// Adds up what the parts left of dq.
    fn add_up_dq(&self, sums: Shared<f32>) {
        let (args, g) = (self.args, &self.args.geometry);
        let &Geometry { rows: total, heads, dim, scale, .. } = g;
        let lanes = g.lanes();
        self.pool.parallel(total.div_ceil(32) * heads, &|task, _| {
            let (token, head) = (task / heads * 32, task % heads);
            let rows = (total - token).min(32);
            let to = (args.dq, token * g.q_stride + head * g.q_head, g.q_stride);
            let from = (0..self.cut.parts).map(|part| sums.get().wrapping_add(self.dq_at(part, head, token)));
            // SAFETY: the region before wrote the parts; these rows of all of them and of dq are this task's.
            unsafe {
                store_rows(self.kernel.isa(), to, sum_into_first(from, rows * lanes), lanes, (rows, dim), &[scale])
            };
        });
    }

    /// Adds up what the turns left of dk and dv.
    fn add_up_dkv(&self, sums: Shared<f32>) {
        let g = &self.args.geometry;
        let &Geometry { kv_heads, dim, .. } = g;
        let nr = self.kernel.nr();
        self.pool.parallel(self.cut.segments.len() * kv_heads * 2, &|task, worker| {
            let (segment, kv_head, which) = (task / 2 / kv_heads, task / 2 % kv_heads, task % 2);
            let (first, len) = self.cut.segments[segment];
            let (to, factor) = self.results()[which];
            let turns = self.cut.turns.min(self.members(kv_head).count());
            for start in (0..len).step_by(nr) {
                let at = |turn| self.dkv_at(which, kv_head, turn, segment, start);
                let from = (0..turns).map(|turn| sums.get().wrapping_add(at(turn)));
                let to = g.kv_rows(which, to, first + start, kv_head);
                // SAFETY: the region before wrote the sums; these columns of all of them and rows are this task's.
                unsafe {
                    let mut pieces = Pieces::new(self.pool.scratch(worker, Pieces::bytes(&[nr * nr])));
                    let turned = pieces.take::<f32>(nr * nr);
                    let sum = sum_into_first(from, nr * dim);
                    store_columns(self.kernel.isa(), to, sum, ((len - start).min(nr), dim), &[factor], turned);
                }
            }
        });
    }
}

pub fn backward(pool: &Pool, isa: Isa, args: &AttentionBackward) -> Result<(), String> {
    args.check()?;
    let g = &args.geometry;
    let kernel = Kernel::new(isa, g.compute);
    let cut = Cut::new(kernel, g)?;
    let tasks = cut.segments.len() * g.kv_heads * cut.turns * cut.parts;
    let dkv_words = cut.shared_words(kernel, g);
    let dq_words = if cut.parts > 1 { cut.parts * g.heads * g.rows * g.lanes() } else { 0 };
    // SAFETY: no region runs, and this is the only use of the shared scratch until the kernel is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&[dkv_words, dq_words])) });
    let [dkv, dq] = [dkv_words, dq_words].map(|words| (words > 0).then(|| Shared::new(pieces.take::<f32>(words))));
    let sizes = Room::sizes(kernel, &cut, g);
    let call = Call { pool, args, kernel, cut, dkv, dq, sizes };
    // SAFETY: each task is run once, by the worker that it is told.
    pool.parallel(tasks, &|task, worker| unsafe { call.task(task, worker) });
    if let Some(sums) = dq {
        call.add_up_dq(sums);
    }
    if let Some(sums) = dkv {
        call.add_up_dkv(sums);
    }
    Ok(())
}
