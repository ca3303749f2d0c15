@echo off
REM Starts ACE-Step as an API server: the REST routes on port 8001, no browser. Edit the block below, then double-click
REM this file.
REM
REM A variable is empty or holds a flag with its value, as in: set CONFIG_PATH=--config_path acestep-v15-turbo
REM HOST and PORT may also hold the value alone. A value with spaces or with any of ^& ^| ^< ^> needs quotes:
REM set OUTPUT_DIR=--output-dir "D:\my music". A percent sign is written twice.
REM
REM Only this block counts: variables of the same name in your environment are ignored. What you add on the command
REM line comes last and wins: start_api_server.bat --port 9000
REM
REM With ACESTEP_BIN set to a program, that program is started and nothing is built.
setlocal
for %%v in (HOST PORT API_KEY DOWNLOAD_SOURCE CONFIG_PATH LM_MODEL_PATH INIT_LLM INIT_SERVICE DEVICE USE_FLASH_ATTENTION OFFLOAD_TO_CPU OFFLOAD_DIT_TO_CPU COMPILE QUANTIZATION OUTPUT_DIR) do set "%%v="

REM ==================== Server ====================
REM 0.0.0.0 serves your network; that needs API_KEY
set HOST=127.0.0.1
set PORT=8001
set API_KEY=
REM set API_KEY=--api-key sk-your-key

REM ==================== Models ====================
REM Load the model before the first request
set INIT_SERVICE=--init_service true
REM Model: empty takes acestep-v15-turbo if it is in checkpoints\, else the small model built into the program
set CONFIG_PATH=
REM set CONFIG_PATH=--config_path acestep-v15-turbo
set LM_MODEL_PATH=
REM set LM_MODEL_PATH=--lm_model_path acestep-5Hz-lm-0.6B
REM auto, true or false
set INIT_LLM=
REM set INIT_LLM=--init_llm true
REM auto, cuda, mps or cpu
set DEVICE=
REM set DEVICE=--device cuda
set USE_FLASH_ATTENTION=
REM set USE_FLASH_ATTENTION=--use_flash_attention false
set OFFLOAD_TO_CPU=
REM set OFFLOAD_TO_CPU=--offload_to_cpu true
set OFFLOAD_DIT_TO_CPU=
REM set OFFLOAD_DIT_TO_CPU=--offload_dit_to_cpu true
set COMPILE=
REM set COMPILE=--compile false
set QUANTIZATION=
REM set QUANTIZATION=--quantization int8

REM ==================== Files ====================
REM auto, huggingface or modelscope
set DOWNLOAD_SOURCE=
REM set DOWNLOAD_SOURCE=--download-source modelscope
set OUTPUT_DIR=
REM set OUTPUT_DIR=--output-dir "D:\my music"

REM ==================== Nothing to edit below ====================
if defined HOST if not "%HOST:~0,1%"=="-" set HOST=--server-name %HOST%
if defined PORT if not "%PORT:~0,1%"=="-" set PORT=--port %PORT%

set "PROGRAM="
if defined ACESTEP_BIN for %%p in ("%ACESTEP_BIN%") do set "PROGRAM=%%~fp"
cd /d "%~dp0"
if defined PROGRAM goto :start

where cargo >nul 2>nul
if errorlevel 1 set "PATH=%USERPROFILE%\.cargo\bin;%PATH%"
where cargo >nul 2>nul
if errorlevel 1 (
  echo Rust is missing. Install it from https://rustup.rs, then start again.
  pause
  exit /b 1
)
echo Building. The first time takes several minutes.
for /f "delims=" %%p in ('cargo xtask build --release') do set "PROGRAM=%%p"
if not defined PROGRAM (
  echo The build failed; the lines above say why.
  pause
  exit /b 1
)

:start
"%PROGRAM%" %HOST% %PORT% %API_KEY% %DOWNLOAD_SOURCE% %CONFIG_PATH% %LM_MODEL_PATH% %INIT_LLM% %INIT_SERVICE% %DEVICE% %USE_FLASH_ATTENTION% %OFFLOAD_TO_CPU% %OFFLOAD_DIT_TO_CPU% %COMPILE% %QUANTIZATION% %OUTPUT_DIR% --enable-api --no-browser %*
if errorlevel 1 pause
exit /b %errorlevel%
