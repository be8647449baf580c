//! Products of packed panels, in the order that mod.rs describes.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::kernel::{Kernel, Matrix, Tile};
use super::plan::{Plan, Share, Sizes, Step};
use super::{portable, MatMul, Pieces, Shared, Term};
use crate::buffer::{load, DType, View};
use crate::isa::Isa;
use crate::pool::Pool;
use crate::with_elem;

/// Words of B that one task multiplies with all of its rows before it goes on to the next (384 KiB).
const NEAR_B_WORDS: usize = 96 << 10;
/// Rows of a transposed A that are packed at a time; even, so that pairs stay together.
const ACROSS: usize = 32;

/// A term as the panels see it.
#[derive(Clone, Copy)]
struct Product {
    a: Matrix,
    b: Matrix,
    k: usize,
    scale: f32,
}

impl Product {
    fn new(t: &Term) -> Product {
        Product {
            a: Matrix { ptr: t.a.ptr(), dtype: t.a.dtype(), ld: t.lda, across: t.a_trans },
            b: Matrix { ptr: t.b.ptr(), dtype: t.b.dtype(), ld: t.ldb, across: !t.b_trans },
            k: t.k,
            scale: t.scale,
        }
    }
}

/// One call, with what its tasks share.
struct Call<'a> {
    pool: &'a Pool,
    kernel: Kernel,
    m: usize,
    n: usize,
    plan: Plan,
    terms: Vec<Term>,
    /// Masked terms are short. The last pass multiplies them tile by tile, and adds the other terms to them.
    masked: Vec<Term>,
    out: Tile,
    /// Sums between passes.
    partial: Shared<f32>,
    /// One band of B, or two that take turns.
    packed: Shared<u32>,
    kept: Shared<u32>,
    masked_b: Shared<u32>,
}

/// What a task packs and adds up for itself.
#[derive(Clone, Copy)]
struct Room {
    a: *mut u32,
    masked_a: *mut u32,
    /// A tile of one masked term's products, and one of the sums with it.
    product: *mut f32,
    sums: *mut f32,
}

impl Call<'_> {
    /// Calls `run` for the part of every term that lies within these words of k: with its first element, the number of
    /// elements, and the word (counted from `words.0`) that it begins at.
    fn each_term(&self, words: (usize, usize), run: &mut dyn FnMut(&Product, usize, usize, usize)) {
        let kernel = self.kernel;
        let mut start = 0;
        for product in self.terms.iter().map(Product::new) {
            let end = start + kernel.words(product.k);
            let (from, to) = (words.0.max(start), words.1.min(end));
            if from < to {
                let k = (from - start) * kernel.per_word();
                let len = ((to - from) * kernel.per_word()).min(product.k - k);
                run(&product, k, len, from - words.0);
            }
            start = end;
        }
    }

    /// Calls `run` for every masked term, with its mask and the word that it begins at.
    fn each_masked(&self, run: &mut dyn FnMut(&Product, View, usize)) {
        let mut at = 0;
        for term in &self.masked {
            run(&Product::new(term), term.mask.unwrap_or(term.a), at);
            at += self.kernel.words(term.k);
        }
    }

    /// The packed panels of a step's band.
    fn band(&self, index: usize) -> *mut u32 {
        self.packed.get().wrapping_add(index % self.plan.buffers * self.plan.b_words)
    }

    /// Packs panel `panel` of a step's band.
    fn pack_b(&self, index: usize, panel: usize) {
        let (kernel, nr, step) = (self.kernel, self.kernel.nr(), self.plan.step(index));
        let col = (step.panels.0 + panel) * nr;
        // SAFETY: the panel lies in the band of this step, which nobody reads yet; `check` found the elements.
        unsafe {
            let to = self.band(index).add(panel * step.len() * nr);
            self.each_term(step.words, &mut |p, k, len, at| {
                kernel.pack_b(to.add(at * nr), p.b, col, (self.n - col).min(nr), k, len)
            });
        }
    }

    /// Packs panel `panel` of the masked terms.
    fn pack_masked_b(&self, panel: usize) {
        let (kernel, nr) = (self.kernel, self.kernel.nr());
        let col = panel * nr;
        // SAFETY: this panel's piece, which nobody reads yet; `check` found the elements.
        unsafe {
            let to = self.masked_b.get().add(col * self.plan.sizes.masked_words);
            self.each_masked(&mut |p, _, at| kernel.pack_b(to.add(at * nr), p.b, col, (self.n - col).min(nr), 0, p.k));
        }
    }

    /// Packs the rows of a share's A, masked terms' too.
    ///
    /// # Safety
    /// The room has the plan's sizes and is the caller's, and so are these rows if A is kept.
    unsafe fn pack_a(&self, index: usize, step: Step, (from, to): (usize, usize), room: Room) {
        let (m, plan, kernel, mr) = (self.m, &self.plan, self.kernel, self.kernel.mr());
        let masked_words = plan.sizes.masked_words;
        // SAFETY: the caller's promise; `check` found the elements.
        unsafe {
            let last_pass = step.words.1 == plan.sizes.words;
            for panel in (from..to).filter(|_| last_pass && masked_words > 0) {
                let to = room.masked_a.add((panel - from) * masked_words * mr);
                let rows = (m - panel * mr).min(mr);
                self.each_masked(&mut |p, _, at| kernel.pack_a(to.add(at * mr), p.a, panel * mr, rows, 0, p.k, 1.0));
            }
            // Kept rows were packed by the first band's task, in an earlier region.
            let to_pack = if plan.keeps_a && index > 0 { (0, 0) } else { step.words };
            self.each_term(to_pack, &mut |p, k, len, at| {
                // A transposed factor has the panels side by side in memory: a few of its rows at a time, all panels.
                let chunk = if p.a.across { ACROSS } else { len };
                for start in (0..len).step_by(chunk) {
                    for panel in from..to {
                        let (row, at) = (panel * mr, at + kernel.words(start));
                        let to = room.a.add(((panel - from) * step.len() + at) * mr);
                        kernel.pack_a(to, p.a, row, (m - row).min(mr), k + start, (len - start).min(chunk), p.scale);
                    }
                }
            });
        }
    }

    /// Where a step's products go, as a tile from row 0 and the step's first column on.
    fn target(&self, step: Step) -> Tile {
        let (plan, nr) = (&self.plan, self.kernel.nr());
        let (first_pass, last_pass) = (step.words.0 == 0, step.words.1 == plan.sizes.words);
        let sums = Tile::new(self.partial.get(), plan.band_panels * nr);
        if plan.partial_words > 0 && !last_pass {
            return Tile { accumulate: !first_pass, ..sums };
        }
        // SAFETY: the step's first column is one of `out`.
        let out = unsafe { self.out.at(0, step.panels.0 * nr) };
        if plan.partial_words > 0 {
            Tile { partial: self.partial.get(), partial_ld: sums.ld, ..out }
        } else if first_pass {
            out
        } else {
            Tile { accumulate: true, bias: std::ptr::null(), ..out }
        }
    }

    /// A task of a step: packs its rows, then multiplies them with its columns.
    fn multiply(&self, index: usize, task: usize, worker: usize) {
        let (m, n, plan, kernel) = (self.m, self.n, &self.plan, self.kernel);
        let (mr, nr, step) = (kernel.mr(), kernel.nr(), plan.step(index));
        let (words, share) = (step.len(), plan.share(step, task));
        let Share { rows: (row_from, row_to), cols: (col_from, col_to) } = share;
        let masks = step.words.1 == plan.sizes.words && !self.masked.is_empty();
        // SAFETY: this task's scratch, cut as the plan says. The B panels were packed in an earlier region. The elements
        // written, in `out` or in the partial sums, belong to this task's rows and columns.
        unsafe {
            let sizes = plan.own_words(step);
            let mut pieces = Pieces::new(self.pool.scratch(worker, Pieces::bytes(&sizes)));
            let own = pieces.take::<u32>(sizes[0]);
            let a = if plan.keeps_a { self.kept.get().add(row_from * words * mr) } else { own };
            let masked_a = pieces.take::<u32>(sizes[1]);
            let room = Room { a, masked_a, product: pieces.take(sizes[2]), sums: pieces.take(sizes[3]) };
            self.pack_a(index, step, share.rows, room);
            let (b, target) = (self.band(index), self.target(step));
            // A few panels of B stay in the second-level cache while the panels of A pass the first.
            let near = (NEAR_B_WORDS / (words.max(1) * nr)).max(1);
            for first in (col_from..col_to).step_by(near) {
                for row_panel in row_from..row_to {
                    let row = row_panel * mr;
                    let a = room.a.add((row_panel - row_from) * words * mr);
                    for panel in first..(first + near).min(col_to) {
                        let col = (step.panels.0 + panel) * nr;
                        let (rows, cols) = ((m - row).min(mr), (n - col).min(nr));
                        let mut tile = target.at(row, panel * nr);
                        if masks {
                            let masked_a = room.masked_a.add((row_panel - row_from) * plan.sizes.masked_words * mr);
                            let room = Room { masked_a, ..room };
                            tile = self.add_masked_terms(tile, (row, col), (rows, cols), room);
                        }
                        kernel.multiply(rows, cols, words, a, b.add(panel * words * nr), tile);
                    }
                }
            }
        }
    }

    /// The tile whose sums so far are the old ones and the masked terms' products. `room.masked_a` is the tile's panel.
    ///
    /// # Safety
    /// As for `pack_a`; the rows and columns are there.
    unsafe fn add_masked_terms(
        &self,
        mut tile: Tile,
        (row, col): (usize, usize),
        (rows, cols): (usize, usize),
        room: Room,
    ) -> Tile {
        let (kernel, mr, nr) = (self.kernel, self.kernel.mr(), self.kernel.nr());
        // SAFETY: the caller's promise; sums of earlier passes come in whole panels, as these do.
        unsafe {
            self.each_masked(&mut |p, mask, at| {
                let a = room.masked_a.add(at * mr);
                let b = self.masked_b.get().add(col * self.plan.sizes.masked_words + at * nr);
                kernel.multiply(rows, cols, kernel.words(p.k), a, b, Tile::new(room.product, nr));
                let words = self.n.div_ceil(32);
                let bits = (mask.ptr() as *const u32).add(row * words + col / 32);
                let mask = (bits, words, col % 32);
                let so_far = (tile.partial, tile.partial_ld);
                add_masked(kernel.isa(), room.sums, so_far, room.product, (rows, nr), mask, p.scale);
                tile = Tile { partial: room.sums, partial_ld: nr, ..tile };
            });
        }
        tile
    }

    /// Runs the tasks, on this thread alone where the plan says so.
    fn region(&self, tasks: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        if self.plan.threads == 1 {
            // One task, so that no thread is woken; the loop looks at the abort flag as the pool would.
            let all = |_, worker| (0..tasks).take_while(|_| !self.pool.aborted()).for_each(|t| task(t, worker));
            self.pool.parallel(1, &all);
        } else {
            self.pool.parallel(tasks, task);
        }
    }

    fn run(&self) {
        let plan = &self.plan;
        let masked_panels = if self.masked.is_empty() { 0 } else { plan.col_panels };
        self.region(plan.step(0).width() + masked_panels, &|task, _| match task.checked_sub(masked_panels) {
            Some(panel) => self.pack_b(0, panel),
            None => self.pack_masked_b(task),
        });
        for index in 0..plan.steps() {
            let products = plan.tasks();
            let packs = if index + 1 < plan.steps() { plan.step(index + 1).width() } else { 0 };
            // Packing comes last: its short tasks even out the end of the region.
            self.region(products + packs, &|task, worker| {
                if task < products {
                    self.multiply(index, task, worker);
                } else {
                    self.pack_b(index + 1, task - products);
                }
            });
        }
    }
}

pub fn multiply(pool: &Pool, kernel: Kernel, args: &MatMul) {
    let MatMul { m, n, ldc, accumulate, .. } = *args;
    let (masked, terms): (Vec<Term>, Vec<Term>) = args.terms.iter().partition(|t| t.mask.is_some());
    let words_of = |terms: &[Term]| terms.iter().map(|t| kernel.words(t.k)).sum();
    let out_bf16 = args.out.dtype() == DType::Bf16;
    let plan = Plan::new(Sizes {
        m,
        n,
        mr: kernel.mr(),
        nr: kernel.nr(),
        words: words_of(&terms),
        masked_words: words_of(&masked),
        bias: args.bias.is_some(),
        out_bf16,
        threads: pool.threads(),
    });
    let sizes = plan.shared_words();
    // SAFETY: no region runs, and this is the only use of the shared scratch until the product is done.
    let mut pieces = Pieces::new(unsafe { pool.shared_scratch(Pieces::bytes(&sizes)) });
    let bias = pieces.take::<f32>(sizes[0]);
    let partial = Shared::new(pieces.take::<f32>(sizes[1]));
    let [packed, kept, masked_b] = [2, 3, 4].map(|i| Shared::new(pieces.take::<u32>(sizes[i])));
    if let Some(view) = args.bias {
        for i in 0..n {
            // SAFETY: `check` found n elements; the piece has n.
            unsafe { with_elem!(view.dtype(), E => bias.add(i).write(load(view.typed::<E>(), i))) }
        }
    }
    let bias = if args.bias.is_some() { bias } else { std::ptr::null() };
    let out = Tile { bf16: out_bf16, accumulate, bias, ..Tile::new(args.out.ptr() as *mut f32, ldc) };
    Call { pool, kernel, m, n, plan, terms, masked, out, partial, packed, kept, masked_b }.run();
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
