#!/usr/bin/env bash
# Starts ACE-Step as an API server: the REST routes on port 8001, no browser. Edit the block below, then:
# ./start_api_server.sh
#
# A variable is empty or holds a flag with its value, as in CONFIG_PATH="--config_path acestep-v15-turbo".
# HOST and PORT may also hold the value alone. A value with spaces needs quotes of its own:
# OUTPUT_DIR='--output-dir "/my music"'. Nothing in the block is executed by the words it holds.
#
# Only this block counts: variables of the same name in your environment are ignored. What you add on the command
# line comes last and wins: ./start_api_server.sh --port 9000
#
# ACESTEP_BIN=/path/to/acestep ./start_api_server.sh starts that program and builds nothing.

unset HOST PORT API_KEY DOWNLOAD_SOURCE CONFIG_PATH LM_MODEL_PATH INIT_LLM INIT_SERVICE DEVICE USE_FLASH_ATTENTION \
  OFFLOAD_TO_CPU OFFLOAD_DIT_TO_CPU COMPILE QUANTIZATION OUTPUT_DIR

# ==================== Server ====================
# 0.0.0.0 serves your network; that needs API_KEY
HOST=127.0.0.1
PORT=8001
# API_KEY="--api-key sk-your-key"
API_KEY=""

# ==================== Models ====================
# Load the model before the first request
INIT_SERVICE="--init_service true"
# Model: empty takes acestep-v15-turbo if it is in checkpoints/, else the small model built into the program
CONFIG_PATH=""
# LM_MODEL_PATH="--lm_model_path acestep-5Hz-lm-0.6B"
LM_MODEL_PATH=""
# --init_llm auto, true or false
INIT_LLM=""
# --device auto, cuda, mps or cpu
DEVICE=""
# USE_FLASH_ATTENTION="--use_flash_attention false"
USE_FLASH_ATTENTION=""
# OFFLOAD_TO_CPU="--offload_to_cpu true"
OFFLOAD_TO_CPU=""
# OFFLOAD_DIT_TO_CPU="--offload_dit_to_cpu true"
OFFLOAD_DIT_TO_CPU=""
# COMPILE="--compile false"
COMPILE=""
# QUANTIZATION="--quantization int8"
QUANTIZATION=""

# ==================== Files ====================
# --download-source auto, huggingface or modelscope
DOWNLOAD_SOURCE=""
# OUTPUT_DIR='--output-dir "/my music"'
OUTPUT_DIR=""

# ==================== Nothing to edit below ====================
set -eo pipefail

arguments=()

# Splits "--flag value" into words without executing anything. Quotes group where a word or the value after =
# begins with one; anywhere else, as in the password it's, they are characters like any other.
add_words() {
  local rest=$1 single="'" pattern
  while :; do
    rest=${rest#"${rest%%[![:space:]]*}"}
    [ -n "$rest" ] || return 0
    for pattern in "^([^[:space:]=\"$single]*=)?\"([^\"]*)\"([[:space:]]|\$)" \
      "^([^[:space:]=\"$single]*=)?$single([^$single]*)$single([[:space:]]|\$)" '^([^[:space:]]+)()'; do
      if [[ $rest =~ $pattern ]]; then
        arguments+=("${BASH_REMATCH[1]}${BASH_REMATCH[2]}")
        rest=${rest:${#BASH_REMATCH[0]}}
        break
      fi
    done
  done
}

# A value that stands alone gets its flag.
add_value() {
  case $2 in
    '' | -*) add_words "$2" ;;
    *) arguments+=("$1" "$2") ;;
  esac
}

add_value --server-name "$HOST"
add_value --port "$PORT"
for words in "$API_KEY" "$DOWNLOAD_SOURCE" "$CONFIG_PATH" "$LM_MODEL_PATH" "$INIT_LLM" "$INIT_SERVICE" "$DEVICE" \
  "$USE_FLASH_ATTENTION" "$OFFLOAD_TO_CPU" "$OFFLOAD_DIT_TO_CPU" "$COMPILE" "$QUANTIZATION" "$OUTPUT_DIR"; do
  add_words "$words"
done
arguments+=(--enable-api --no-browser)

program=${ACESTEP_BIN:-}
case $program in
  '' | /*) ;;
  *) program=$PWD/$program ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")"

if [ -z "$program" ]; then
  if ! command -v cargo >/dev/null; then
    # rustup adds itself to the path of the next login only.
    PATH=$HOME/.cargo/bin:$PATH
  fi
  if ! command -v cargo >/dev/null; then
    echo "Rust is missing. Install it from https://rustup.rs, then start again." >&2
    exit 1
  fi
  if ! command -v cc >/dev/null; then
    echo "A C compiler is missing. Install one (Debian, Ubuntu: sudo apt-get install build-essential; macOS: xcode-select --install), then start again." >&2
    exit 1
  fi
  echo "Building. The first time takes several minutes." >&2
  program=$(cargo xtask build --release)
fi

exec "$program" "${arguments[@]}" "$@"
