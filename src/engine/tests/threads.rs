//! The number of threads, decided once for a program; so the one test has the process to itself.

use acestep_engine::kernels::{start_threads, threads};

#[test]
fn so_many_threads_compute_as_were_asked_for_also_in_candles_products() {
    start_threads(Some(3)).unwrap();
    let candles = candle_core::utils::get_num_threads();
    assert_eq!((threads(), candles), (3, 3));
    assert!(start_threads(Some(2)).is_err(), "only the first call acts");
}
