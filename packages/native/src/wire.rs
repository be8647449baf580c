//! How the arguments of a kernel lie on the wire: as numbers, in order. A view is two of them, the id of its buffer (0 where
//! it is left out) and its offset.

use crate::buffer::View;
use crate::buffers::Buffers;
use crate::gemm::Term;

/// Reads the arguments of one kernel off the wire. The methods are named after the kinds in arguments.rs.
pub struct Words<'a> {
    words: &'a [f64],
    at: usize,
    buffers: &'a Buffers,
}

impl Words<'_> {
    /// Begins with the arguments of the call, which come after the kernel's number.
    pub fn new<'a>(words: &'a [f64], buffers: &'a Buffers) -> Words<'a> {
        Words { words, at: 1, buffers }
    }

    fn next(&mut self, name: &str) -> Result<f64, String> {
        let word = self.words.get(self.at).ok_or_else(|| format!("the arguments end before {name}"))?;
        self.at += 1;
        Ok(*word)
    }

    pub fn number(&mut self, name: &str) -> Result<f64, String> {
        self.next(name)
    }

    pub fn float(&mut self, name: &str) -> Result<f32, String> {
        Ok(self.next(name)? as f32)
    }

    pub fn size(&mut self, name: &str) -> Result<usize, String> {
        whole(name, self.next(name)?)
    }

    pub fn flag(&mut self, name: &str) -> Result<bool, String> {
        Ok(self.next(name)? != 0.0)
    }

    pub fn optional_input(&mut self, name: &str) -> Result<Option<View>, String> {
        let id = self.next(name)?;
        let offset = self.size(name)?;
        if id == 0.0 {
            return Ok(None);
        }
        self.buffers.view(name, id as u64, offset).map(Some)
    }

    pub fn input(&mut self, name: &str) -> Result<View, String> {
        self.optional_input(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    pub fn optional_output(&mut self, name: &str) -> Result<Option<View>, String> {
        let view = self.optional_input(name)?;
        match view {
            Some(view) if !view.writable() => Err(format!("{name} is a mapped file, which is read-only")),
            _ => Ok(view),
        }
    }

    pub fn output(&mut self, name: &str) -> Result<View, String> {
        self.optional_output(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    pub fn terms(&mut self, name: &str) -> Result<Vec<Term>, String> {
        let count = self.size(name)?;
        let mut terms = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            terms.push(Term {
                a: self.input("a")?,
                lda: self.size("lda")?,
                a_trans: self.flag("aTrans")?,
                b: self.input("b")?,
                ldb: self.size("ldb")?,
                b_trans: self.flag("bTrans")?,
                k: self.size("k")?,
                scale: self.float("scale")?,
                mask: self.optional_input("mask")?,
            });
        }
        Ok(terms)
    }

    pub fn end(&self) -> Result<(), String> {
        if self.at != self.words.len() {
            return Err(format!("{} words of arguments are too many", self.words.len() - self.at));
        }
        Ok(())
    }
}

/// `value` as a size, or an error naming the field.
pub fn whole(name: &str, value: f64) -> Result<usize, String> {
    if (0.0..=9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0 {
        return Ok(value as usize);
    }
    Err(format!("{name} must be a whole number from 0 on, is {value}"))
}

/// The arguments of a kernel, or a part of them that several kernels have.
pub trait Arguments: Sized {
    /// Names with the kind of each on the wire: view, view?, number or terms.
    fn fields() -> Vec<(&'static str, &'static str)>;
    fn read(words: &mut Words) -> Result<Self, String>;
}
