use super::{WeightFile, Weights};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;

fn weights(dtype: DType) -> Weights {
    let device = Device::Cpu;
    let tensors = HashMap::from([
        (
            "a.b.weight",
            Tensor::new(&[[1f32, 2.5], [-3., 0.25]], &device).unwrap(),
        ),
        (
            "a.c",
            Tensor::new(&[1f32, 2.], &device)
                .unwrap()
                .to_dtype(DType::BF16)
                .unwrap(),
        ),
        ("count", Tensor::new(&[1i64], &device).unwrap()),
    ]);
    let bytes = safetensors::serialize(tensors, None).unwrap();
    Weights::new(vec![WeightFile::from_vec(bytes).unwrap()], dtype, &device).unwrap()
}

#[test]
fn tensors_are_cast_and_written_to_the_ledger() {
    let w = weights(DType::F32);
    let c = w.pp("a").get(2, "c").unwrap();
    assert_eq!(c.to_vec1::<f32>().unwrap(), [1., 2.]);
    assert_eq!(w.unused(), ["a.b.weight", "count"]);
    assert_eq!(w.pp("a").unused(), ["a.b.weight"]);
    assert!(w.pp("a").pp("b").contains("weight"));
    assert!(!w.contains("weight"));
}

#[test]
fn errors_name_the_tensor_and_both_shapes() {
    let w = weights(DType::F32);
    let wrong = w
        .pp("a")
        .pp("b")
        .get((2, 3), "weight")
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("a.b.weight") && wrong.contains("[2, 2]") && wrong.contains("[2, 3]"),
        "{wrong}"
    );
    let missing = w.get(1, "nowhere").unwrap_err().to_string();
    assert!(
        missing.contains("nowhere") && missing.contains("missing"),
        "{missing}"
    );
    let kind = w.get(1, "count").unwrap_err().to_string();
    assert!(kind.contains("count") && kind.contains("I64"), "{kind}");
}

#[test]
fn a_rehearsal_collects_every_complaint() {
    let tensors = HashMap::from([("a", Tensor::new(&[1f32, 2.], &Device::Cpu).unwrap())]);
    let bytes = safetensors::serialize(tensors, None).unwrap();
    let w = Weights::rehearsal(vec![WeightFile::from_vec(bytes).unwrap()]).unwrap();
    assert_eq!(w.get(3, "a").unwrap().dims(), [3]);
    assert_eq!(w.get((2, 2), "b").unwrap().dims(), [2, 2]);
    let complaints = w.complaints();
    assert!(
        complaints[0].contains("[2]") && complaints[0].contains("[3]"),
        "{complaints:?}"
    );
    assert!(
        complaints[1].contains('b') && complaints[1].contains("missing"),
        "{complaints:?}"
    );
}

#[test]
fn one_tensor_in_two_files_is_refused() {
    let file = || {
        let one = HashMap::from([("x", Tensor::new(&[1f32], &Device::Cpu).unwrap())]);
        WeightFile::from_vec(safetensors::serialize(one, None).unwrap()).unwrap()
    };
    assert!(Weights::new(vec![file(), file()], DType::F32, &Device::Cpu).is_err());
}
