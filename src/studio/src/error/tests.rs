use super::*;

#[test]
fn out_of_memory_names_what_to_lower() {
    let told = |batch_size| {
        UserError::from(Error::OutOfMemory {
            stage: Stage::Decode,
            batch_size,
            duration_secs: 180.0,
            needed: Some(6 << 30),
            free: Some(2 << 30),
        })
    };
    let many = told(4);
    assert_eq!(many.code, "out_of_memory");
    assert_eq!(many.field.as_deref(), Some("batch_size"));
    assert!(many.message.contains("6.0 GiB needed"), "{many}");
    assert!(many.hint.contains("takes (now 4)") && many.hint.contains("3:00"));
    assert_eq!(told(1).field.as_deref(), Some("duration"));
}

#[test]
fn a_damaged_checkpoint_is_named_without_the_servers_folders() {
    let error = UserError::from(Error::Engine(EngineError::checkpoint(
        "/srv/secret/acestep-v15-turbo/model.safetensors",
        "the file is empty",
    )));
    assert_eq!(
        error.message,
        "acestep-v15-turbo/model.safetensors: the file is empty."
    );
    assert_eq!(error.field.as_deref(), Some("config_path"));
    assert!(
        error.hint.contains("acestep download acestep-v15-turbo"),
        "{error}"
    );
    let own = EngineError::checkpoint("/srv/my-model/config.json", "the file is missing");
    let own = UserError::from(Error::Engine(own));
    assert!(!own.hint.contains("acestep download"), "{own}");
}

#[test]
fn what_is_not_allowed_is_what_was_tried() {
    let told = |what| {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        UserError::from(Error::file(what)(denied)).message
    };
    assert_eq!(
        told("Reading the upload"),
        "Reading the upload failed: reading is not allowed there."
    );
    assert_eq!(
        told("Removing an upload"),
        "Removing an upload failed: writing is not allowed there."
    );
}

#[test]
fn a_full_disk_is_said_as_such() {
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = UserError::from(Error::file("Writing the song")(full));
    assert_eq!(error.code, "storage");
    assert!(error.message.contains("disk is full"), "{error}");
    assert_eq!(
        error.hint,
        "Free some space, or choose another folder (--output-dir)."
    );
}
