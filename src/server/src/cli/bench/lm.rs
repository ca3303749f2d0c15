//! `acestep bench lm`: how quick a language model is.

use std::process::ExitCode;

use acestep_engine::engine::{LmInfo, MeasureOptions, Measured};
use clap::Args;

use super::super::{
    lm::Source,
    output::{Failure, fail, say, say_json, tell_notes},
};
use crate::progress::Bar;

#[derive(Debug, Args)]
pub(crate) struct LmArgs {
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = MeasureOptions::default().prompt)]
    prompt: usize,
    /// Tokens that are written
    #[arg(long, value_name = "N", default_value_t = MeasureOptions::default().steps)]
    steps: usize,
    /// How often each is done; the quickest counts
    #[arg(long, value_name = "N", default_value_t = MeasureOptions::default().times)]
    times: usize,
    #[command(flatten)]
    source: Source,
}

/// Measures and prints a table in Markdown.
pub(super) fn run(args: &LmArgs) -> ExitCode {
    match measured(args) {
        Ok((info, measured)) => {
            tell_notes(&info.notes);
            if args.source.json {
                say_json(&json(args, &info, &measured));
            } else {
                say(&table(args, &info, &measured));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.source.json),
    }
}

fn measured(args: &LmArgs) -> Result<(LmInfo, Measured), Failure> {
    let bar = Bar::new();
    let model = args.source.load(&bar)?;
    let options = MeasureOptions {
        prompt: args.prompt,
        steps: args.steps,
        times: args.times,
        ..MeasureOptions::default()
    };
    let measured = model.measure(&options, &bar);
    bar.clear();
    Ok((model.info().clone(), measured?))
}

fn json(args: &LmArgs, info: &LmInfo, measured: &Measured) -> serde_json::Value {
    serde_json::json!({
        "lm": info.name,
        "dtype": info.dtype,
        "parameters": info.parameters,
        "resident_bytes": info.resident_bytes,
        "threads": measured.threads,
        "prefill": {
            "tokens": args.prompt,
            "tokens_per_sec": measured.prefill_tokens_per_sec,
            "flops": measured.prefill_flops,
            "matmul_flops": measured.matmul_flops,
            "share": measured.prefill_share(),
        },
        "decode": {
            "tokens": args.steps,
            "tokens_per_sec": measured.decode_tokens_per_sec,
            "bytes_per_token": measured.decode_bytes,
            "memory_bytes_per_sec": measured.memory_bytes_per_sec,
            "share": measured.decode_share(),
        },
        "notes": info.notes,
    })
}

fn table(args: &LmArgs, info: &LmInfo, measured: &Measured) -> String {
    let giga = |value: f64| value / 1e9;
    format!(
        "{} in {}, {:.2} GB of weights, {} threads\n\n\
         | | tokens/s | reached | machine | share |\n\
         | --- | --- | --- | --- | --- |\n\
         | prefill, {} tokens | {:.1} | {:.1} GFLOP/s | {:.1} GFLOP/s (product) | {:.0} % |\n\
         | decode, one sequence | {:.2} | {:.1} GB/s | {:.1} GB/s (memory) | {:.0} % |",
        info.name,
        info.dtype,
        giga(info.resident_bytes as f64),
        measured.threads,
        args.prompt,
        measured.prefill_tokens_per_sec,
        giga(measured.prefill_flops),
        giga(measured.matmul_flops),
        100.0 * measured.prefill_share(),
        measured.decode_tokens_per_sec,
        giga(measured.decode_tokens_per_sec * measured.decode_bytes as f64),
        giga(measured.memory_bytes_per_sec),
        100.0 * measured.decode_share(),
    )
}

#[cfg(test)]
mod tests {
    use acestep_engine::engine::{LmInfo, Measured};
    use clap::Parser;

    use super::{LmArgs, json, table};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LmArgs,
    }

    #[test]
    fn the_table_says_what_the_json_says() {
        let args = Line::parse_from(["lm", "--prompt", "100"]).args;
        let info = LmInfo {
            name: "acestep-5Hz-lm-0.6B".into(),
            built_in: false,
            parameters: 1000,
            weights_bytes: 2000,
            resident_bytes: 700_000_000,
            dtype: "q8_0".into(),
            context_tokens: 8192,
            has_codes: true,
            notes: Vec::new(),
        };
        let measured = Measured {
            prefill_tokens_per_sec: 120.0,
            prefill_flops: 60e9,
            matmul_flops: 100e9,
            decode_tokens_per_sec: 20.0,
            decode_bytes: 700_000_000,
            memory_bytes_per_sec: 20e9,
            threads: 2,
        };
        let text = table(&args, &info, &measured);
        assert!(
            text.contains(
                "| prefill, 100 tokens | 120.0 | 60.0 GFLOP/s | 100.0 GFLOP/s (product) | 60 % |"
            ),
            "{text}"
        );
        assert!(
            text.contains("| 20.00 | 14.0 GB/s | 20.0 GB/s (memory) | 70 % |"),
            "{text}"
        );
        let json = json(&args, &info, &measured);
        assert_eq!(
            (&json["prefill"]["share"], &json["decode"]["share"]),
            (&0.6.into(), &0.7.into())
        );
    }
}
