#!/usr/bin/env bash
# Starts the ACE-Step studio: builds what changed, then runs it. Edit the block below, then: ./start_acestep.sh
#
# A variable is empty or holds a flag with its value, as in CONFIG_PATH="--config_path acestep-v15-turbo".
# PORT, SERVER_NAME and LANGUAGE may also hold the value alone. A value with spaces needs quotes of its own:
# OUTPUT_DIR='--output-dir "/my music"'. Nothing in the block is executed by the words it holds.
#
# Only this block counts: variables of the same name in your environment (LANGUAGE and PORT often mean something
# else) are ignored. What you add on the command line comes last and wins: ./start_acestep.sh --no-browser --port 9000
#
# ACESTEP_BIN=/path/to/acestep ./start_acestep.sh starts that program and builds nothing.

unset PORT SERVER_NAME LANGUAGE CONFIG_PATH LM_MODEL_PATH OFFLOAD_TO_CPU OFFLOAD_DIT_TO_CPU USE_FLASH_ATTENTION \
  COMPILE QUANTIZATION DEVICE INIT_LLM INIT_SERVICE ENABLE_API API_KEY AUTH_USERNAME AUTH_PASSWORD \
  DOWNLOAD_SOURCE OUTPUT_DIR

# ==================== Server ====================
PORT=7860
# 0.0.0.0 serves your network; that needs API_KEY, or AUTH_USERNAME and AUTH_PASSWORD
SERVER_NAME=127.0.0.1
# en, zh, he, ja
LANGUAGE=en

# ==================== Service Configuration ====================
# Load the model before the page opens. Without this line the page opens at once with its Service Configuration
# panel, where the model is chosen.
INIT_SERVICE="--init_service true"

# Model: empty takes acestep-v15-turbo if it is in checkpoints/, else the small model built into the program
CONFIG_PATH=""
# CONFIG_PATH="--config_path acestep-v15-turbo"

# Language model: empty takes what suits the card
LM_MODEL_PATH=""
# LM_MODEL_PATH="--lm_model_path acestep-5Hz-lm-0.6B"
# Load it: --init_llm auto, true or false
INIT_LLM=""

# --device auto, cuda, mps or cpu
DEVICE=""
# USE_FLASH_ATTENTION="--use_flash_attention false" helps with "CUDA error" and "flash_attn" messages
USE_FLASH_ATTENTION=""
# OFFLOAD_TO_CPU="--offload_to_cpu true" keeps idle models in main memory
OFFLOAD_TO_CPU=""
# OFFLOAD_DIT_TO_CPU="--offload_dit_to_cpu true" moves the diffusion model too
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

# ==================== API and login ====================
# ENABLE_API="--enable-api" loads the model at start and opens the REST routes on the same port
ENABLE_API=""
# API_KEY="--api-key sk-your-key"
API_KEY=""
# AUTH_USERNAME="--auth-username admin"
AUTH_USERNAME=""
# AUTH_PASSWORD="--auth-password 'a long password'"
AUTH_PASSWORD=""

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

add_value --port "$PORT"
add_value --server-name "$SERVER_NAME"
add_value --language "$LANGUAGE"
for words in "$CONFIG_PATH" "$LM_MODEL_PATH" "$OFFLOAD_TO_CPU" "$OFFLOAD_DIT_TO_CPU" "$USE_FLASH_ATTENTION" \
  "$COMPILE" "$QUANTIZATION" "$DEVICE" "$INIT_LLM" "$INIT_SERVICE" "$ENABLE_API" "$API_KEY" "$AUTH_USERNAME" \
  "$AUTH_PASSWORD" "$DOWNLOAD_SOURCE" "$OUTPUT_DIR"; do
  add_words "$words"
done

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
