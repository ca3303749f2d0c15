//! Instruction sets, chosen at run time. Inner loops are plain Rust on fixed-size arrays that the
//! compiler vectorises; [`multiversion`] compiles them once for each set.

/// The widest instruction set of this machine that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    /// AVX-512 F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the target guarantees: SSE2 on x86-64, NEON on arm64.
    Portable,
}

/// The instruction set of this machine (the standard library caches the answer).
pub(super) fn isa() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        // Every machine with AVX2 reads half precision too; to be sure, it is asked.
        let fma = is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        if fma && is_x86_feature_detected!("avx512f") {
            return Isa::Avx512;
        }
        if fma && is_x86_feature_detected!("avx2") {
            return Isa::Avx2;
        }
    }
    Isa::Portable
}

/// Whether the portable version may use a fused multiply-add: only where the target always has
/// one, since elsewhere it would be a call into the C library for every value.
pub(super) const PORTABLE_FMA: bool = cfg!(target_arch = "aarch64");

/// `a * b + c`, rounded once if `FMA`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled with its caller's instruction set"
)]
pub(super) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Declares a function that runs `$body::<FMA>` compiled for this machine's instruction set.
macro_rules! multiversion {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident) => {
        $(#[$meta])*
        #[cfg_attr(
            target_arch = "x86_64",
            expect(unsafe_code, reason = "a function of an instruction set is called after asking for it")
        )]
        pub(super) fn $name($($arg: $ty),*) {
            use $crate::kernels::simd;
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,fma")]
                fn avx512($($arg: $ty),*) {
                    $body::<true>($($arg),*);
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) {
                    $body::<true>($($arg),*);
                }
                match simd::isa() {
                    simd::Isa::Avx512 => {
                        // SAFETY: `isa` found AVX-512 F and FMA.
                        unsafe { avx512($($arg),*) };
                        return;
                    }
                    simd::Isa::Avx2 => {
                        // SAFETY: `isa` found AVX2 and FMA.
                        unsafe { avx2($($arg),*) };
                        return;
                    }
                    simd::Isa::Portable => {}
                }
            }
            $body::<{ simd::PORTABLE_FMA }>($($arg),*);
        }
    };
}
pub(super) use multiversion;
