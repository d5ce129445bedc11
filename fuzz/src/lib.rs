//! What all targets share: how a reader becomes a fuzzer's binary, what counts as a crash, and how much may be allocated
//! at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;

/// The most that may be allocated at once. The inputs are small, so whoever asks for more believed a number in a file.
const MAX_ALLOCATION_BYTES: usize = 256 << 20;

/// The system's allocator, which ends the process at once where somebody asks for too much: libFuzzer's own limit
/// (`-malloc_limit_mb`) needs a sanitizer's allocator.
pub struct Limited;

fn check(size_bytes: usize) {
    if size_bytes > MAX_ALLOCATION_BYTES {
        // Nothing here allocates.
        let _ = std::io::stderr().write_all(b"fuzz: an allocation beyond the limit\n");
        std::process::abort();
    }
}

// SAFETY: all calls are passed on to the system's allocator as they are.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller keeps the promises that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size_bytes: usize) -> *mut u8 {
        check(size_bytes);
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size_bytes) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

/// libFuzzer ends the process at every panic. Stages catch those of libraries on purpose, so here a panic ends it only
/// where it began in our code; one that nobody catches ends it in any case.
pub fn panics_of_ours_are_crashes() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_of_a_library = panic
            .location()
            .is_some_and(|place| place.file().contains("/registry/src/"));
        if !is_of_a_library {
            tell(panic);
        }
    }));
}

/// The binary of one target. It names its own function and no table of all of them: what is linked in is instrumented,
/// and the fuzzer looks at all of that after each input.
#[macro_export]
macro_rules! target {
    ($read:ident) => {
        #[global_allocator]
        static ALLOCATOR: $crate::Limited = $crate::Limited;

        libfuzzer_sys::fuzz_target!(
            init: $crate::panics_of_ours_are_crashes(),
            |bytes: &[u8]| fuzzed::$read(bytes)
        );
    };
}
