//! The launcher's line that starts the studio with the settings chosen in the panel.

use acestep_domain::service::{DeviceChoice, Quantization, Resolved, ServiceConfig};
use leptos::prelude::*;

use crate::components::copy_button::CopyButton;

/// A line of code with Copy.
#[component]
pub fn LaunchLine(
    /// The line.
    #[prop(into)]
    line: Signal<String>,
) -> impl IntoView {
    view! {
        <div class="launch-line">
            <code dir="ltr" tabindex="0">
                {line}
            </code>
            <CopyButton text=line />
        </div>
    }
}

/// The line for `settled`. Every switch is spelt out, so it means the same on any machine; the device
/// only when it was chosen by hand.
pub fn launch_line(asked: &ServiceConfig, settled: &Resolved) -> String {
    let mut line = format!(
        "acestep --init_service true --config_path {}",
        quoted(&settled.config_path)
    );
    let device = match asked.device {
        DeviceChoice::Auto => None,
        DeviceChoice::Cuda => Some("cuda"),
        DeviceChoice::Mps => Some("mps"),
        DeviceChoice::Cpu => Some("cpu"),
    };
    if let Some(device) = device {
        line += &format!(" --device {device}");
    }
    line += &format!(" --init_llm {}", settled.init_llm);
    if let Some(name) = settled
        .lm_model_path
        .as_deref()
        .filter(|_| settled.init_llm)
    {
        line += &format!(" --lm_model_path {}", quoted(name));
    }
    line + &format!(
        " --use_flash_attention {} --offload_to_cpu {} --offload_dit_to_cpu {} --compile {} --quantization {}",
        settled.use_flash_attention,
        settled.offload_to_cpu,
        settled.offload_dit_to_cpu,
        settled.compile,
        Quantization::as_str(settled.quantization),
    )
}

/// A name as a shell takes it: quoted when it is not plain.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', ""))
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::capabilities::DeviceKind;

    use super::*;

    fn settled() -> Resolved {
        Resolved {
            config_path: "acestep-v15-turbo".into(),
            device: DeviceKind::Cuda,
            lm_model_path: Some("acestep-5Hz-lm-0.6B".into()),
            init_llm: true,
            use_flash_attention: false,
            full_precision: false,
            offload_to_cpu: true,
            offload_dit_to_cpu: false,
            compile: true,
            quantization: Quantization::Int8,
        }
    }

    #[test]
    fn the_line_spells_out_every_setting() {
        let asked = ServiceConfig {
            device: DeviceChoice::Cuda,
            ..ServiceConfig::default()
        };
        assert_eq!(
            launch_line(&asked, &settled()),
            "acestep --init_service true --config_path acestep-v15-turbo --device cuda --init_llm true \
             --lm_model_path acestep-5Hz-lm-0.6B --use_flash_attention false --offload_to_cpu true \
             --offload_dit_to_cpu false --compile true --quantization int8"
        );
    }

    #[test]
    fn an_automatic_device_and_a_silent_lm_are_not_named() {
        let settled = Resolved {
            init_llm: false,
            config_path: "my model".into(),
            ..settled()
        };
        let line = launch_line(&ServiceConfig::default(), &settled);
        assert!(
            line.contains("--config_path \"my model\" --init_llm false --use"),
            "{line}"
        );
        assert!(
            !line.contains("--device") && !line.contains("--lm_model_path"),
            "{line}"
        );
    }
}
