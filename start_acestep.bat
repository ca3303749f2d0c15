@echo off
REM Starts the ACE-Step studio: builds what changed, then runs it. Edit the block below, then double-click this file.
REM
REM A variable is empty or holds a flag with its value, as in: set CONFIG_PATH=--config_path acestep-v15-turbo
REM PORT, SERVER_NAME and LANGUAGE may also hold the value alone. A value with spaces or with any of ^& ^| ^< ^> needs
REM quotes: set OUTPUT_DIR=--output-dir "D:\my music". A percent sign is written twice.
REM
REM Only this block counts: variables of the same name in your environment are ignored. What you add on the command
REM line comes last and wins: start_acestep.bat --no-browser --port 9000
REM
REM With ACESTEP_BIN set to a program, that program is started and nothing is built.
setlocal
for %%v in (PORT SERVER_NAME LANGUAGE CONFIG_PATH LM_MODEL_PATH OFFLOAD_TO_CPU OFFLOAD_DIT_TO_CPU USE_FLASH_ATTENTION COMPILE QUANTIZATION DEVICE INIT_LLM INIT_SERVICE ENABLE_API API_KEY AUTH_USERNAME AUTH_PASSWORD DOWNLOAD_SOURCE OUTPUT_DIR) do set "%%v="

REM ==================== Server ====================
set PORT=7860
REM 0.0.0.0 serves your network; that needs API_KEY, or AUTH_USERNAME and AUTH_PASSWORD
set SERVER_NAME=127.0.0.1
REM en, zh, he, ja
set LANGUAGE=en

REM ==================== Service Configuration ====================
REM Load the model before the page opens. Without this line the page opens at once with its Service Configuration
REM panel, where the model is chosen.
set INIT_SERVICE=--init_service true

REM Model: empty takes acestep-v15-turbo if it is in checkpoints\, else the small model built into the program
set CONFIG_PATH=
REM set CONFIG_PATH=--config_path acestep-v15-turbo

REM Language model: empty takes what suits the card
set LM_MODEL_PATH=
REM set LM_MODEL_PATH=--lm_model_path acestep-5Hz-lm-0.6B
REM Load it: auto, true or false
set INIT_LLM=
REM set INIT_LLM=--init_llm true

REM auto, cuda, mps or cpu
set DEVICE=
REM set DEVICE=--device cuda
REM Off helps with "CUDA error" and "flash_attn" messages
set USE_FLASH_ATTENTION=
REM set USE_FLASH_ATTENTION=--use_flash_attention false
REM Keeps idle models in main memory
set OFFLOAD_TO_CPU=
REM set OFFLOAD_TO_CPU=--offload_to_cpu true
REM Moves the diffusion model too
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

REM ==================== API and login ====================
REM Loads the model at start and opens the REST routes on the same port
set ENABLE_API=
REM set ENABLE_API=--enable-api
set API_KEY=
REM set API_KEY=--api-key sk-your-key
set AUTH_USERNAME=
REM set AUTH_USERNAME=--auth-username admin
set AUTH_PASSWORD=
REM set AUTH_PASSWORD=--auth-password "a long password"

REM ==================== Nothing to edit below ====================
if defined PORT if not "%PORT:~0,1%"=="-" set PORT=--port %PORT%
if defined SERVER_NAME if not "%SERVER_NAME:~0,1%"=="-" set SERVER_NAME=--server-name %SERVER_NAME%
if defined LANGUAGE if not "%LANGUAGE:~0,1%"=="-" set LANGUAGE=--language %LANGUAGE%

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
"%PROGRAM%" %PORT% %SERVER_NAME% %LANGUAGE% %CONFIG_PATH% %LM_MODEL_PATH% %OFFLOAD_TO_CPU% %OFFLOAD_DIT_TO_CPU% %USE_FLASH_ATTENTION% %COMPILE% %QUANTIZATION% %DEVICE% %INIT_LLM% %INIT_SERVICE% %ENABLE_API% %API_KEY% %AUTH_USERNAME% %AUTH_PASSWORD% %DOWNLOAD_SOURCE% %OUTPUT_DIR% %*
if errorlevel 1 pause
exit /b %errorlevel%
