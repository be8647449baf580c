//! Which instruction set the kernels use, chosen when an engine is made.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compiler's baseline for the target has: SSE2 on x86-64, NEON on AArch64.
    Portable,
    /// AVX2, FMA, F16C and BMI2.
    Avx2,
    /// Avx2 and AVX-512 F, BW, VL and DQ.
    Avx512,
    /// Avx512 and the bfloat16 dot product.
    Avx512Bf16,
}

impl Isa {
    /// Each includes those before it.
    const ALL: [Isa; 4] = [Isa::Portable, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16];

    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Avx512Bf16 => "avx512bf16",
        }
    }

    /// The best set this CPU has.
    pub fn best() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
                && is_x86_feature_detected!("bmi2");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq");
            match (avx2, avx512) {
                (false, _) => Isa::Portable,
                (true, false) => Isa::Avx2,
                (true, true) if is_x86_feature_detected!("avx512bf16") => Isa::Avx512Bf16,
                (true, true) => Isa::Avx512,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            Isa::Portable
        }
    }

    /// Every set this CPU has, the best last.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::up_to(Isa::best())
    }

    fn up_to(best: Isa) -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(move |isa| *isa <= best)
    }

    /// `wanted`, else the environment's MEDGPT_ISA, else the best. One that the CPU lacks is an error.
    pub fn choose(wanted: Option<&str>) -> Result<Isa, String> {
        let environment = std::env::var("MEDGPT_ISA").ok().filter(|s| !s.is_empty());
        wanted.or(environment.as_deref()).map_or(Ok(Isa::best()), |name| Isa::named(name, Isa::best()))
    }

    /// The set of this name on a CPU whose best one is `best`.
    fn named(name: &str, best: Isa) -> Result<Isa, String> {
        let has = Isa::up_to(best).map(Isa::name).collect::<Vec<_>>().join(", ");
        match Isa::ALL.into_iter().find(|isa| isa.name() == name) {
            Some(isa) if isa <= best => Ok(isa),
            Some(_) => Err(format!("instruction set {name} is not on this CPU, which has {has}")),
            None => Err(format!("unknown instruction set {name}; this CPU has {has}")),
        }
    }
}

/// Defines `$name`, which runs `$body` compiled for AVX-512 or AVX2 where the instruction set given first has it, else for
/// the target's baseline. `$body` must be `#[inline(always)]`, and so must what it calls, to be compiled for each.
#[macro_export]
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident $(<$($G:ident: $bound:path),*>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? = $body:expr) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// As for the body; the instruction set must be one that this CPU has.
        // The macro is told an unsafe function, and calling it is all it does with it.
        #[allow(clippy::too_many_arguments, clippy::macro_metavars_in_unsafe)]
        #[inline]
        $vis unsafe fn $name $(<$($G: $bound),*>)? (isa: $crate::isa::Isa, $($arg: $type),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2,fma,f16c,bmi2")]
                unsafe fn avx2 $(<$($G: $bound),*>)? ($($arg: $type),*) $(-> $ret)? {
                    // SAFETY: the caller's promise.
                    unsafe { $body($($arg),*) }
                }
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,bmi2")]
                unsafe fn avx512 $(<$($G: $bound),*>)? ($($arg: $type),*) $(-> $ret)? {
                    // SAFETY: the caller's promise.
                    unsafe { $body($($arg),*) }
                }
                // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
                unsafe {
                    match isa {
                        $crate::isa::Isa::Portable => {}
                        $crate::isa::Isa::Avx2 => return avx2 $(::<$($G),*>)? ($($arg),*),
                        _ => return avx512 $(::<$($G),*>)? ($($arg),*),
                    }
                }
            }
            let _ = isa;
            // SAFETY: the caller's promise.
            unsafe { $body($($arg),*) }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_chosen_by_name_and_one_that_is_not_here_names_what_there_is() {
        assert_eq!(Isa::choose(Some("portable")), Ok(Isa::Portable));
        assert_eq!(Isa::named("avx2", Isa::Avx512), Ok(Isa::Avx2));
        let unknown = "unknown instruction set mmx; this CPU has portable, avx2";
        assert_eq!(Isa::named("mmx", Isa::Avx2), Err(unknown.to_string()));
        let lacking = "instruction set avx512 is not on this CPU, which has portable, avx2";
        assert_eq!(Isa::named("avx512", Isa::Avx2), Err(lacking.to_string()));
    }
}
