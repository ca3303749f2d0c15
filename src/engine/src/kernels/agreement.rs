//! How far a kernel is from the standard way, in a trial on a device.

use candle_core::{DType, Device, Result, Tensor};

/// A kernel is trusted up to here: two roundings to bf16, and sums in another order.
pub const ENOUGH: f32 = 0.03;

/// Values of about one that are always the same, and others for another `phase`.
pub(super) fn wave(shape: &[usize], phase: f32, device: &Device, dtype: DType) -> Result<Tensor> {
    let len: usize = shape.iter().product();
    let wave: Vec<f32> = (0..len)
        .map(|i| (i as f32).mul_add(0.37, phase).sin() + (i as f32 * 0.011).cos())
        .collect();
    Tensor::from_vec(wave, shape, device)?.to_dtype(dtype)
}

/// The largest difference, in units of the largest value wanted; infinite where one is no number, which
/// is no agreement. Counted on the host, as the largest value that a device finds may leave such values out.
pub(super) fn apart(got: &Tensor, want: &Tensor) -> Result<f32> {
    let values = |x: &Tensor| x.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
    let (got, want) = (values(got)?, values(want)?);
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(0.0_f32, |most, value| {
            if value.is_nan() {
                f32::INFINITY
            } else {
                most.max(value.abs())
            }
        })
    };
    let unit = largest(&mut want.iter().copied());
    let apart = largest(&mut got.iter().zip(&want).map(|(got, want)| got - want));
    let far = got.len() != want.len() || !unit.is_finite() || !apart.is_finite();
    Ok(if far {
        f32::INFINITY
    } else {
        apart / unit.max(f32::MIN_POSITIVE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_number_is_no_agreement_wherever_it_stands() {
        let tensor = |values: [f32; 3]| Tensor::new(&values, &Device::Cpu).unwrap();
        let want = tensor([1.0, -2.0, 0.5]);
        assert_eq!(apart(&want, &want).unwrap(), 0.0);
        assert_eq!(apart(&tensor([1.0, -2.0, 1.0]), &want).unwrap(), 0.25);
        for place in 0..3 {
            for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = [1.0, -2.0, 0.5];
                values[place] = wrong;
                assert_eq!(apart(&tensor(values), &want).unwrap(), f32::INFINITY);
                assert_eq!(apart(&want, &tensor(values)).unwrap(), f32::INFINITY);
            }
        }
    }
}
