//! Records from the microphone. Browsers record in formats of their own, so what was recorded is decoded
//! by the browser that made it and handed over as a wav of 16 bit.

#[cfg(feature = "hydrate")]
pub use self::browser::{abandon, start, stop};

/// Longest recording in seconds: as long as the longest song.
pub const LONGEST_SECS: u32 = 600;

/// A wav file of `channels` (samples from -1 to 1, all of one length).
#[cfg(any(feature = "hydrate", test))]
fn wav(channels: &[Vec<f32>], sample_rate_hz: u32) -> Vec<u8> {
    let count = channels.len() as u16;
    let frames = channels.first().map_or(0, Vec::len);
    let block = count * 2;
    let bytes = frames as u32 * u32::from(block);
    let mut file = Vec::with_capacity(44 + bytes as usize);
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend(sample_rate_hz.to_le_bytes());
    file.extend((sample_rate_hz * u32::from(block)).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    for frame in 0..frames {
        for channel in channels {
            let sample = channel.get(frame).copied().unwrap_or_default();
            let sample = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
            file.extend(sample.to_le_bytes());
        }
    }
    file
}

#[cfg(feature = "hydrate")]
mod browser {
    use std::cell::RefCell;

    use acestep_domain::UserError;
    use js_sys::{Array, ArrayBuffer, Object, Promise, Reflect, Uint8Array, futures::JsFuture};
    use leptos::prelude::window;
    use wasm_bindgen::{JsCast, JsValue, closure::Closure};
    use web_sys::{
        AudioBuffer, Blob, BlobEvent, MediaRecorder, MediaStream, MediaStreamConstraints,
        MediaStreamTrack, OfflineAudioContext,
    };

    /// The rate that recordings are handed over in; the studio's own.
    const RATE_HZ: u32 = 48_000;

    struct Running {
        stream: MediaStream,
        recorder: MediaRecorder,
        // Lives as long as the recorder calls it.
        _keeps: Closure<dyn FnMut(BlobEvent)>,
    }

    thread_local! {
        static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
        static PARTS: RefCell<Vec<Blob>> = const { RefCell::new(Vec::new()) };
    }

    /// Starts to record; the browser asks for the microphone first.
    ///
    /// # Errors
    /// The page may not use the microphone, or there is none.
    pub async fn start() -> Result<(), UserError> {
        let devices = window()
            .navigator()
            .media_devices()
            .ok()
            .filter(|devices| !devices.is_undefined())
            .ok_or_else(|| {
                UserError::new(
                    "microphone",
                    "The browser gives the microphone to secure pages only.",
                    "Open the studio by https, or on its own computer by localhost.",
                )
            })?;
        // What helps speech on the phone harms music.
        let sound = Object::new();
        for name in ["echoCancellation", "noiseSuppression", "autoGainControl"] {
            Reflect::set(&sound, &name.into(), &JsValue::FALSE).map_err(no_microphone)?;
        }
        let wanted = MediaStreamConstraints::new();
        wanted.set_audio(&sound);
        let asked = devices
            .get_user_media_with_constraints(&wanted)
            .map_err(no_microphone)?;
        let stream: MediaStream = JsFuture::from(asked)
            .await
            .map_err(no_microphone)?
            .unchecked_into();
        let recorder = MediaRecorder::new_with_media_stream(&stream).map_err(no_microphone)?;
        let keeps = Closure::<dyn FnMut(BlobEvent)>::new(|event: BlobEvent| {
            if let Some(part) = event.data() {
                PARTS.with_borrow_mut(|parts| parts.push(part));
            }
        });
        recorder.set_ondataavailable(Some(keeps.as_ref().unchecked_ref()));
        PARTS.with_borrow_mut(Vec::clear);
        recorder.start().map_err(no_microphone)?;
        RUNNING.set(Some(Running {
            stream,
            recorder,
            _keeps: keeps,
        }));
        Ok(())
    }

    /// Ends the recording; `None` when there was none.
    ///
    /// # Errors
    /// The browser cannot read what it recorded.
    pub async fn stop() -> Result<Option<Blob>, UserError> {
        let Some(running) = RUNNING.take() else {
            return Ok(None);
        };
        let stopped = Promise::new(&mut |resolve, _| {
            running.recorder.set_onstop(Some(&resolve));
        });
        let ended = running.recorder.stop();
        for track in running.stream.get_tracks() {
            track.unchecked_into::<MediaStreamTrack>().stop();
        }
        ended.map_err(unreadable)?;
        JsFuture::from(stopped).await.map_err(unreadable)?;
        let parts: Array = PARTS.take().into_iter().collect();
        let recorded = Blob::new_with_blob_sequence(&parts).map_err(unreadable)?;
        let bytes: ArrayBuffer = JsFuture::from(recorded.array_buffer())
            .await
            .map_err(unreadable)?
            .unchecked_into();
        let context = OfflineAudioContext::new_with_number_of_channels_and_length_and_sample_rate(
            2,
            1,
            RATE_HZ as f32,
        )
        .map_err(unreadable)?;
        let sound: AudioBuffer =
            JsFuture::from(context.decode_audio_data(&bytes).map_err(unreadable)?)
                .await
                .map_err(unreadable)?
                .unchecked_into();
        let channels = (0..sound.number_of_channels().min(2))
            .map(|channel| sound.get_channel_data(channel))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        let file = super::wav(&channels, RATE_HZ);
        let parts = Array::of1(&Uint8Array::from(file.as_slice()));
        Blob::new_with_u8_array_sequence(&parts)
            .map(Some)
            .map_err(unreadable)
    }

    /// Ends the recording and forgets it.
    pub fn abandon() {
        if let Some(running) = RUNNING.take() {
            for track in running.stream.get_tracks() {
                track.unchecked_into::<MediaStreamTrack>().stop();
            }
        }
    }

    fn no_microphone(reason: JsValue) -> UserError {
        let name = Reflect::get(&reason, &"name".into())
            .ok()
            .and_then(|name| name.as_string())
            .unwrap_or_default();
        match name.as_str() {
            "NotFoundError" => UserError::new(
                "microphone",
                "The browser finds no microphone.",
                "Connect one and press Record again, or upload a file.",
            ),
            "NotAllowedError" => UserError::new(
                "microphone",
                "The browser does not let this page use the microphone.",
                "Allow it for this page and press Record again, or upload a file.",
            ),
            _ => UserError::new(
                "microphone",
                "The microphone could not be started.",
                "Close what else uses it and press Record again, or upload a file.",
            ),
        }
    }

    fn unreadable(_: JsValue) -> UserError {
        UserError::new(
            "microphone",
            "The browser could not read what it recorded.",
            "Record once more, or upload a file.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_a_wav_with_both_channels_in_turn() {
        let file = wav(&[vec![0.0, 1.0], vec![-1.0, 2.0]], 48_000);
        assert_eq!((&file[0..4], &file[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
        assert_eq!(file.len(), 44 + 8);
        let samples: Vec<i16> = file[44..]
            .chunks(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        assert_eq!(samples, [0, -32767, 32767, 32767]);
        assert_eq!(&file[24..28], &48_000_u32.to_le_bytes());
        assert_eq!(&file[22..24], &2_u16.to_le_bytes());
    }
}
