//! What every kernel runs on.

use crate::isa::Isa;
use crate::pool::Pool;

pub struct Context<'a> {
    pub pool: &'a Pool,
    pub isa: Isa,
}
