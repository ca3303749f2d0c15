use super::tensor;
use std::io::{Cursor, Write};

/// A file as PyTorch writes it: `pickle` and one storage.
fn saved(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [
        ("silence/data.pkl", pickle),
        ("silence/byteorder", b"little"),
        ("silence/data/0", storage),
    ] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The opcodes that `torch.save` of a `[1, 2, 3]` tensor writes, with a storage type and strides.
fn pickle(kind: &str, count: u8, strides: [u8; 3]) -> Vec<u8> {
    let mut program =
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((X\x07\x00\x00\x00storageq\x01ctorch\n"
            .to_vec();
    program.extend_from_slice(kind.as_bytes());
    program.extend_from_slice(b"\nq\x02X\x01\x00\x00\x000q\x03X\x03\x00\x00\x00cpuq\x04K");
    program.push(count);
    program.extend_from_slice(b"tq\x05QK\x00K\x01K\x02K\x03\x87q\x06");
    for stride in strides {
        program.extend_from_slice(&[b'K', stride]);
    }
    program.extend_from_slice(b"\x87q\x07\x89ccollections\nOrderedDict\nq\x08)Rq\x09tq\x0aRq\x0b.");
    program
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn a_saved_tensor_is_read() {
    let file = saved(
        &pickle("FloatStorage", 6, [6, 3, 1]),
        &floats(&[0., 1., 2., 3., 4., 5.]),
    );
    let tensor = tensor(&file).unwrap();
    assert_eq!(
        tensor.to_vec3::<f32>().unwrap(),
        [[[0., 1., 2.], [3., 4., 5.]]]
    );
}

#[test]
fn a_transposed_tensor_is_put_in_order() {
    let file = saved(
        &pickle("FloatStorage", 6, [6, 1, 2]),
        &floats(&[0., 1., 2., 3., 4., 5.]),
    );
    let tensor = tensor(&file).unwrap();
    assert_eq!(
        tensor.to_vec3::<f32>().unwrap(),
        [[[0., 2., 4.], [1., 3., 5.]]]
    );
}

#[test]
fn half_precision_is_widened() {
    let bytes: Vec<u8> = [1f32, -2., 0.5, 8., 0., 3.]
        .iter()
        .flat_map(|value| half::bf16::from_f32(*value).to_le_bytes())
        .collect();
    let tensor = tensor(&saved(&pickle("BFloat16Storage", 6, [6, 3, 1]), &bytes)).unwrap();
    assert_eq!(
        tensor.to_vec3::<f32>().unwrap(),
        [[[1., -2., 0.5], [8., 0., 3.]]]
    );
}

#[test]
fn damage_is_told_in_words() {
    let whole = saved(&pickle("FloatStorage", 6, [6, 3, 1]), &floats(&[0.; 6]));
    let cases: [(Vec<u8>, &str); 7] = [
        (b"not a zip".to_vec(), "not a file saved by PyTorch"),
        (
            whole[..whole.len() - 40].to_vec(),
            "not a file saved by PyTorch",
        ),
        (
            saved(&pickle("FloatStorage", 6, [6, 3, 1]), &floats(&[0.; 5])),
            "shorter than its shape",
        ),
        (
            saved(&pickle("LongStorage", 6, [6, 3, 1]), &floats(&[0.; 12])),
            "torch LongStorage",
        ),
        (
            saved(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", &[]),
            "os system",
        ),
        (saved(b"\x80\x02K", &[]), "truncated"),
        (saved(b"\x80\x02\x0f", &[]), "more than a tensor"),
    ];
    for (file, words) in cases {
        let error = tensor(&file).unwrap_err();
        assert!(error.contains(words), "{error} does not say {words}");
    }
}

#[test]
fn a_flipped_byte_in_the_data_is_noticed() {
    let mut file = saved(&pickle("FloatStorage", 6, [6, 3, 1]), &floats(&[7.; 6]));
    let place = file
        .windows(4)
        .position(|four| four == 7f32.to_le_bytes())
        .unwrap();
    file[place] ^= 1;
    assert!(tensor(&file).unwrap_err().contains("cannot be read"));
}

#[test]
fn a_value_repeated_without_end_is_refused() {
    // (x), ((x)(x)), … doubles in every round.
    let mut program = b"\x80\x02K\x01".to_vec();
    for _ in 0..60 {
        program.extend_from_slice(b"q\x00h\x00\x86");
    }
    program.push(b'.');
    assert!(
        tensor(&saved(&program, &[]))
            .unwrap_err()
            .contains("many parts")
    );
}

proptest::proptest! {
    #[test]
    fn no_pickle_brings_it_down(program in proptest::collection::vec(0u8.., 0..200)) {
        drop(tensor(&saved(&program, &[0; 16])));
    }
}
