//! `POST /v1/chat/completions`: a song as the answer to a message, whole or as a stream of events.
//!
//! The song is an ordinary job. It goes on when the one who asked goes away or does not wait for it, and is
//! in the library then.

mod answer;
mod request;
mod text;

use std::{convert::Infallible, time::Duration};

use acestep_domain::{UserError, library::Song, note::Note};
use acestep_studio::Studio;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures::{StreamExt, stream};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout_at},
};

use self::{
    answer::{Answer, Chunk},
    request::Body,
};
use super::{
    form::forget,
    order::{Order, require_lm},
    task::Task,
};
use crate::{
    api::error::{ApiError, Result},
    base64,
    events::closed,
    state::GenerationTimeout,
};

/// Largest body: a song of ten minutes as an mp3 of the best quality, in base64, and room for more.
pub(super) const MAX_BODY_BYTES: usize = 48 << 20;

/// Signs of life in a stream.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Asks for a song and answers with it.
pub(super) async fn complete(
    State(studio): State<Studio>,
    State(closing): State<watch::Receiver<bool>>,
    State(GenerationTimeout(patience)): State<GenerationTimeout>,
    body: Body,
) -> Result<Response> {
    let deadline = Instant::now() + patience;
    let asked = body.read()?;
    let streamed = asked.stream;
    let (job_id, notes) = submit(&studio, asked).await?;
    if !streamed {
        let task = timeout_at(deadline, Task::ended(&studio, &job_id))
            .await
            .map_err(|_| too_late(&job_id))??;
        let answer = answered(&studio, &task, notes).await?;
        return Ok(Json(answer.whole()).into_response());
    }
    let (send, receive) = mpsc::channel(4);
    tokio::spawn(play(studio, job_id, notes, deadline, send));
    let events = stream::unfold(receive, |mut receive| async {
        let event: Event = receive.recv().await?;
        Some((Ok::<_, Infallible>(event), receive))
    });
    let events = events.take_until(closed(closing));
    let mut response = Sse::new(events).into_response();
    // Proxies that collect answers would hold the signs of life back.
    response.headers_mut().insert(
        axum::http::HeaderName::from_static("x-accel-buffering"),
        axum::http::HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// Queues the job of what is asked.
async fn submit(studio: &Studio, mut asked: request::Asked) -> Result<(String, Vec<Note>)> {
    let mut notes = Vec::new();
    if asked.by_heuristic && require_lm(studio, "a description").is_err() {
        // Nobody asked for the language model in so many words: the model can make music of it as well.
        asked.describe_only();
        notes.push(Note::new(
            "sample_without_lm",
            "messages",
            "No language model is loaded, so the text is the caption and nothing is sung.",
        ));
    }
    let sounds = std::mem::take(&mut asked.sounds);
    let mut form = asked.form;
    let taken = take_in(studio, &mut form, sounds).await;
    let queued = match taken {
        Ok(()) => Order::read(studio, &form).and_then(|order| order.submit(studio)),
        Err(refused) => Err(refused),
    };
    match queued {
        Ok((job, more)) => {
            notes.extend(more);
            Ok((job.id, notes))
        }
        Err(refused) => {
            forget(studio, &form.files);
            Err(refused)
        }
    }
}

/// Takes the recordings of a message in.
async fn take_in(
    studio: &Studio,
    form: &mut super::form::Form,
    sounds: Vec<request::Sound>,
) -> Result<()> {
    for sound in sounds {
        let mut incoming = studio.receive(&format!("message.{}", sound.format))?;
        let upload = tokio::task::spawn_blocking(move || {
            incoming.write(&sound.bytes)?;
            incoming.finish()
        })
        .await
        .map_err(|_| crate::api::uploads::defect())??;
        form.files.push((sound.field.to_owned(), upload));
    }
    Ok(())
}

/// The songs of a task that is over, with their sound.
async fn answered(studio: &Studio, task: &Task, notes: Vec<Note>) -> Result<Answer> {
    if let Some(why) = task.why() {
        return Err(why.into());
    }
    let mut songs = Vec::new();
    for id in &task.now().song_ids {
        let song = studio.song(id)?;
        let bytes = tokio::fs::read(studio.song_file(id)?)
            .await
            .map_err(|error| unreadable(&song, &error))?;
        songs.push((song, base64::encode(&bytes)));
    }
    Ok(Answer::new(songs, &notes))
}

/// Sends a stream: who speaks, signs of life, the words, the sound, the end.
async fn play(
    studio: Studio,
    job_id: String,
    notes: Vec<Note>,
    deadline: Instant,
    send: mpsc::Sender<Event>,
) {
    let chunk = Chunk::of(&studio, &job_id);
    let mut next = Instant::now() + HEARTBEAT;
    if send.send(chunk.role()).await.is_err() {
        return;
    }
    let ended = Task::ended(&studio, &job_id);
    tokio::pin!(ended);
    let task = loop {
        tokio::select! {
            task = &mut ended => break task,
            () = sleep_until(deadline) => break Err(too_late(&job_id)),
            () = sleep_until(next) => {
                next += HEARTBEAT;
                if send.send(chunk.content(".")).await.is_err() {
                    return;
                }
            }
        }
    };
    let answer = match task {
        Ok(task) => answered(&studio, &task, notes).await,
        Err(refused) => Err(refused),
    };
    let events = match answer {
        Ok(answer) => vec![
            chunk.content(&answer.content),
            chunk.audio(&answer),
            chunk.end("stop"),
        ],
        Err(refused) => vec![chunk.content(&refused.told()), chunk.end("error")],
    };
    for event in events.into_iter().chain([Event::default().data("[DONE]")]) {
        if send.send(event).await.is_err() {
            return;
        }
    }
}

/// A body beyond the limit.
pub(super) fn too_large() -> ApiError {
    UserError::new(
        "too_large",
        format!("The body is larger than {} MB.", MAX_BODY_BYTES >> 20),
        "Send recordings as mp3, or to /release_task.",
    )
    .into()
}

fn too_late(job_id: &str) -> ApiError {
    ApiError::new(
        StatusCode::GATEWAY_TIMEOUT,
        UserError::new(
            "timeout",
            format!("The song takes longer than an answer may; the job {job_id} goes on."),
            "Ask POST /query_result for it by that id, or look into the library.",
        ),
    )
}

fn unreadable(song: &Song, error: &std::io::Error) -> ApiError {
    tracing::error!("the file of song {} cannot be read: {error}", song.id);
    UserError::new(
        "storage",
        "The file of the song cannot be read.",
        "Check the output folder, then try again.",
    )
    .into()
}
