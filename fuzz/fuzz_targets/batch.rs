#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smokesignal::fuzzing::batch(data));
