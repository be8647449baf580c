//! Which instruction set the kernels use, chosen when an engine is made.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compiler's baseline for the target has.
    Portable,
    /// AVX-512 F, BW, VL and DQ, AVX2 and FMA.
    Avx512,
    /// Avx512 and the bfloat16 dot product.
    Avx512Bf16,
}

impl Isa {
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx512 => "avx512",
            Isa::Avx512Bf16 => "avx512bf16",
        }
    }

    /// The best set this CPU has. Each includes those before it.
    pub fn best() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi2");
            if avx512 && is_x86_feature_detected!("avx512bf16") {
                return Isa::Avx512Bf16;
            }
            if avx512 {
                return Isa::Avx512;
            }
        }
        Isa::Portable
    }

    /// `wanted`, else the environment's MEDGPT_ISA, else the best. One that the CPU lacks is an error.
    pub fn choose(wanted: Option<&str>) -> Result<Isa, String> {
        let environment = std::env::var("MEDGPT_ISA").ok().filter(|s| !s.is_empty());
        let Some(name) = wanted.or(environment.as_deref()) else {
            return Ok(Isa::best());
        };
        let all = [Isa::Portable, Isa::Avx512, Isa::Avx512Bf16];
        let has: Vec<&str> = all.iter().filter(|isa| **isa <= Isa::best()).map(|isa| isa.name()).collect();
        match all.into_iter().find(|isa| isa.name() == name) {
            Some(isa) if isa <= Isa::best() => Ok(isa),
            Some(_) => Err(format!("instruction set {name} is not on this CPU, which has {}", has.join(", "))),
            None => Err(format!("unknown instruction set {name}; this CPU has {}", has.join(", "))),
        }
    }
}

/// Defines `$name`, which runs `$body` compiled for AVX-512 where the instruction set given first has it, else for the
/// target's baseline. `$body` must be `#[inline(always)]`, and so must what it calls, to be compiled for either.
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
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
                unsafe fn avx512 $(<$($G: $bound),*>)? ($($arg: $type),*) $(-> $ret)? {
                    // SAFETY: the caller's promise.
                    unsafe { $body($($arg),*) }
                }
                if isa >= $crate::isa::Isa::Avx512 {
                    // SAFETY: the caller's promise; an `Isa` is only made for a CPU that has it.
                    return unsafe { avx512 $(::<$($G),*>)? ($($arg),*) };
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
    fn a_set_is_chosen_by_name_and_an_unknown_one_names_what_there_is() {
        assert_eq!(Isa::choose(Some("portable")), Ok(Isa::Portable));
        let error = Isa::choose(Some("mmx")).unwrap_err();
        assert!(error.contains("mmx") && error.contains("portable"), "{error}");
    }
}
