//! How a product of packed panels is cut: numbers alone, from the shape, the size of the panels and the number of threads.

use crate::pool::part;

/// Most words of k in one pass, so that a panel of A and one of B, 460 KiB, fit a second-level cache of 1 MiB.
const PASS: usize = 2560;
/// Most words of a pass where there are several, all of the same length, whose results are added in f32. They are shorter
/// than a single one may be: bands of B can then be wide, and A, which is packed for each band, is packed less often.
const SHORT_PASS: usize = PASS / 2;
/// Words of A that one task packs (384 KiB).
const A_WORDS: usize = 96 << 10;
/// Words of A that are packed once and kept for every band of B (12 MiB); a longer A is packed again for each.
const KEPT_A_WORDS: usize = 3 << 20;
/// Words of B packed at a time (2 MiB).
const B_WORDS: usize = 512 << 10;
/// Products with fewer multiplications than this are not worth waking other threads for.
const SMALL: usize = 1 << 17;

/// A step of the work: a band of columns (in panels), and words of k.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub panels: (usize, usize),
    pub words: (usize, usize),
}

impl Step {
    /// Words of k.
    pub fn len(self) -> usize {
        self.words.1 - self.words.0
    }

    /// Panels of B.
    pub fn width(self) -> usize {
        self.panels.1 - self.panels.0
    }
}

/// What a task multiplies in a step: panels of rows, and panels of columns counted from the step's first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub rows: (usize, usize),
    pub cols: (usize, usize),
}

/// What a product is asked for, and what it runs on.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub m: usize,
    pub n: usize,
    /// Rows of an A panel and columns of a B panel.
    pub mr: usize,
    pub nr: usize,
    /// Words of k of all terms without a mask, and of all with one.
    pub words: usize,
    pub masked_words: usize,
    pub bias: bool,
    pub out_bf16: bool,
    pub threads: usize,
}

pub struct Plan {
    pub sizes: Sizes,
    /// 1 where waking other threads is not worth it.
    pub threads: usize,
    /// Cuts of k.
    pub passes: usize,
    /// Cuts of the columns, and most panels of one.
    pub bands: usize,
    pub band_panels: usize,
    pub row_panels: usize,
    pub col_panels: usize,
    /// Tasks of a step: cuts of the rows, and of a band's columns where there are not enough rows.
    pub row_parts: usize,
    pub col_parts: usize,
    /// Most panels of rows of a task.
    pub most_rows: usize,
    /// Words of f32 sums between passes.
    pub partial_words: usize,
    /// Words of a packed band, and how many of them there are at a time.
    pub b_words: usize,
    pub buffers: usize,
    /// Whether A is packed once for all bands.
    pub keeps_a: bool,
}

impl Plan {
    pub fn new(sizes: Sizes) -> Plan {
        let Sizes { m, n, mr, nr, words, out_bf16, .. } = sizes;
        let passes = if words <= PASS { 1 } else { words.div_ceil(SHORT_PASS) };
        let pass_words = words.div_ceil(passes);
        let col_panels = n.div_ceil(nr);
        let bands = col_panels.div_ceil((B_WORDS / (pass_words.max(1) * nr)).max(1));
        let band_panels = col_panels.div_ceil(bands);

        // Rows: pieces that fit the second-level cache, of about equal size, and enough of them to keep every thread busy
        // to the end; columns are cut too where there are not enough rows.
        let threads = if m.saturating_mul(n).saturating_mul(words) < SMALL { 1 } else { sizes.threads };
        let wanted = if threads == 1 { 1 } else { 4 * threads };
        let row_panels = m.div_ceil(mr);
        let largest = (A_WORDS / (pass_words.max(1) * mr)).max(1);
        let row_parts = row_panels.div_ceil(largest).next_multiple_of(threads).max(wanted).min(row_panels);
        let col_parts = wanted.div_ceil(row_parts).min(band_panels);

        // A bf16 result of several passes is summed in f32 first.
        let partial_words = if passes > 1 && out_bf16 { m.saturating_mul(band_panels * nr) } else { 0 };
        let several = bands * passes > 1;
        let fits = words.saturating_mul(row_panels * mr) <= KEPT_A_WORDS;
        Plan {
            sizes,
            threads,
            passes,
            bands,
            band_panels,
            row_panels,
            col_panels,
            row_parts,
            col_parts,
            most_rows: row_panels.div_ceil(row_parts),
            partial_words,
            b_words: pass_words.saturating_mul(band_panels * nr),
            buffers: if several { 2 } else { 1 },
            keeps_a: several && passes == 1 && col_parts == 1 && fits,
        }
    }

    pub fn steps(&self) -> usize {
        self.bands * self.passes
    }

    pub fn step(&self, index: usize) -> Step {
        let (band, pass) = (index / self.passes, index % self.passes);
        let panels = part(self.col_panels, self.bands, band);
        Step { panels, words: part(self.sizes.words, self.passes, pass) }
    }

    /// Tasks that multiply in a step.
    pub fn tasks(&self) -> usize {
        self.row_parts * self.col_parts
    }

    pub fn share(&self, step: Step, task: usize) -> Share {
        let rows = part(self.row_panels, self.row_parts, task / self.col_parts);
        Share { rows, cols: part(step.width(), self.col_parts, task % self.col_parts) }
    }

    /// Words that all tasks share: of the bias, the sums between passes, the packed bands, A if it is kept, and B of masked
    /// terms.
    pub fn shared_words(&self) -> [usize; 5] {
        let Sizes { n, mr, nr, words, masked_words, bias, .. } = self.sizes;
        [
            if bias { n } else { 0 },
            self.partial_words,
            self.b_words.saturating_mul(self.buffers),
            if self.keeps_a { self.row_panels * mr * words } else { 0 },
            masked_words.saturating_mul(self.col_panels * nr),
        ]
    }

    /// Words of a task in a step: of its A unless that is kept, its A of masked terms, and two tiles.
    pub fn own_words(&self, step: Step) -> [usize; 4] {
        let Sizes { mr, nr, masked_words, .. } = self.sizes;
        let a = if self.keeps_a { 0 } else { step.len().saturating_mul(self.most_rows * mr) };
        [a, masked_words.saturating_mul(self.most_rows * mr), mr * nr, mr * nr]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(m: usize, n: usize, words: usize, threads: usize) -> Plan {
        let (mr, nr, masked_words, bias, out_bf16) = (6, 16, 0, false, true);
        Plan::new(Sizes { m, n, mr, nr, words, masked_words, bias, out_bf16, threads })
    }

    /// Whether the ranges, one after the other, are `0 .. total`.
    fn cover(total: usize, mut ranges: impl Iterator<Item = (usize, usize)>) -> bool {
        ranges.try_fold(0, |end, (from, to)| (end == from && from <= to).then_some(to)) == Some(total)
    }

    #[test]
    fn steps_and_shares_cover_the_product_once_within_their_limits() {
        for m in [1, 6, 7, 100, 4096] {
            for n in [1, 16, 17, 896, 151_936] {
                for words in [0, 1, 900, PASS, PASS + 1, 20_000] {
                    for threads in [1, 2, 7, 64] {
                        let plan = plan(m, n, words, threads);
                        let bands = (0..plan.bands).map(|band| plan.step(band * plan.passes).panels);
                        assert!(cover(n.div_ceil(16), bands));
                        let passes = (0..plan.passes).map(|pass| plan.step(pass).words);
                        assert!(cover(words, passes));
                        for step in (0..plan.steps()).map(|index| plan.step(index)) {
                            assert!(step.width() <= plan.band_panels && step.len() <= PASS);
                            assert!(step.width() * 16 * step.len() <= plan.b_words);
                            let shares = (0..plan.tasks()).map(|task| plan.share(step, task));
                            let rows = shares.clone().step_by(plan.col_parts).map(|share| share.rows);
                            assert!(cover(m.div_ceil(6), rows));
                            assert!(cover(step.width(), shares.clone().take(plan.col_parts).map(|share| share.cols)));
                            assert!(shares.clone().all(|share| share.rows.1 - share.rows.0 <= plan.most_rows));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_sum_depends_on_the_number_of_threads() {
        for (m, n, words) in [(7, 896, 900), (4096, 4864, 896), (100, 151_936, 896), (1000, 1000, 20_000)] {
            let steps = |threads| {
                let plan = plan(m, n, words, threads);
                (0..plan.steps()).map(|index| plan.step(index)).collect::<Vec<_>>()
            };
            assert!([2, 3, 64].into_iter().all(|threads| steps(threads) == steps(1)));
        }
    }

    #[test]
    fn small_products_wake_nobody_and_large_ones_keep_a() {
        assert_eq!((plan(4, 16, 100, 8).threads, plan(4, 16, 100, 8).tasks()), (1, 1));
        let large = plan(1024, 4864, 896, 2);
        assert!(large.keeps_a && large.tasks() >= 8 && large.passes == 1 && large.buffers == 2);
        assert_eq!(large.own_words(large.step(0))[0], 0);
        let long = plan(1024, 896, 4864, 2);
        assert!(!long.keeps_a && long.passes > 1 && long.partial_words >= 1024 * 896 / long.bands);
    }

    #[test]
    fn sizes_that_wrap_around_are_the_largest() {
        let huge = Plan::new(Sizes { masked_words: 1 << 60, ..plan(1, 1 << 40, 1, 1).sizes });
        assert_eq!(huge.shared_words()[4], usize::MAX);
    }
}
