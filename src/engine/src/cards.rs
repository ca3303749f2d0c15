//! NVIDIA cards: which there are, which of them this program can use, and the one it uses.
//!
//! NVML lists every card of the machine in the order of its bus; CUDA lists those it may use in an order
//! of its own (the quickest first, or as `CUDA_VISIBLE_DEVICES` says). The same card is told by its
//! UUID. A program uses one card, chosen before anything is loaded.

pub(crate) mod silent;

use std::sync::OnceLock;
#[cfg(feature = "cuda")]
use std::sync::atomic::{AtomicBool, Ordering};

use acestep_domain::{note::Note, service::means_card};
use nvml_wrapper::{Nvml, error::NvmlError};

/// Bytes of one GiB.
const GIB: f64 = (1_u64 << 30) as f64;

/// A card as NVML reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Place in the list of `nvidia-smi`.
    pub index: u32,
    /// Product name.
    pub name: String,
    /// All of its memory.
    pub total_gib: f64,
    /// Memory nobody uses now.
    pub free_gib: f64,
    /// Compute capability, for example (8, 6).
    pub compute_capability: Option<(i32, i32)>,
    /// Place in the list of CUDA; or, in words, why this program cannot use the card.
    pub ordinal: Result<usize, String>,
}

/// The card of this process.
static USED: OnceLock<Card> = OnceLock::new();

/// Decides once which card this process uses; a second call changes nothing.
pub fn use_card(card: &Card) {
    USED.get_or_init(|| card.clone());
}

/// Memory that the used card is to seem to have.
static SIMULATED: OnceLock<f64> = OnceLock::new();

/// Decides once that this process takes no more of its card than one of `total_gib` has; a second call
/// changes nothing.
pub fn simulate(total_gib: f64) {
    SIMULATED.get_or_init(|| total_gib);
}

/// Bytes of a card of `free` that this process may take.
pub(crate) fn within_simulated(free: u64) -> u64 {
    SIMULATED
        .get()
        .map_or(free, |gib| free.min((gib * GIB) as u64))
}

/// All bytes of the used card; `None` where none was chosen.
pub(crate) fn total_bytes() -> Option<u64> {
    USED.get()
        .map(|card| (card.total_gib * GIB) as u64)
        .filter(|bytes| *bytes > 0)
}

/// Places of the used card in the lists of NVML and CUDA; the first where none was chosen.
pub(crate) fn used() -> (u32, usize) {
    USED.get().map_or((0, 0), |card| {
        (card.index, card.ordinal.clone().unwrap_or(0))
    })
}

/// Makes the used card keep what is given up for the next who asks, until [`trim`]. By itself CUDA
/// returns it whenever the host waits for the card, which is after every step and token, and mapping it
/// again takes longer than most of what is computed in it.
#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "a function of the driver")]
pub(crate) fn keep() {
    use candle_core::cuda_backend::cudarc::driver::sys;

    let mut bytes = u64::MAX;
    with_pool(|pool| {
        // SAFETY: the attribute is a number of 64 bits, which is copied.
        unsafe {
            sys::cuMemPoolSetAttribute(
                pool,
                sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                (&raw mut bytes).cast(),
            )
        }
    });
    OPENED.store(true, Ordering::Relaxed);
}

/// Returns to the used card what a stage has given up: the next one may not fit into its pieces. Waits for
/// the card, since what was given up after the last wait still counts as used.
#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "a function of the driver")]
pub(crate) fn trim() {
    use candle_core::cuda_backend::cudarc::driver::{result::ctx, sys};

    // Where no card was opened there is nothing to return.
    if OPENED.load(Ordering::Relaxed) {
        // A card that failed says so to whoever computes next.
        if let Err(error) = ctx::synchronize() {
            tracing::debug!(%error, "the card was not waited for");
        }
        // SAFETY: a pool gives back only what nobody uses.
        with_pool(|pool| unsafe { sys::cuMemPoolTrimTo(pool, 0) });
    }
}

/// Nothing is kept where there is no CUDA.
#[cfg(not(feature = "cuda"))]
pub(crate) const fn trim() {}

/// Whether this process opened a card.
#[cfg(feature = "cuda")]
static OPENED: AtomicBool = AtomicBool::new(false);

/// Does something with the pool that the used card's memory is taken from. Its failure costs memory or
/// time and nothing else.
#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "a function of the driver")]
fn with_pool(
    act: impl FnOnce(
        candle_core::cuda_backend::cudarc::driver::sys::CUmemoryPool,
    ) -> candle_core::cuda_backend::cudarc::driver::sys::CUresult,
) {
    use candle_core::cuda_backend::cudarc::driver::{result::device, sys};

    let Ok(card) = device::get(i32::try_from(used().1).unwrap_or(0)) else {
        return;
    };
    let mut pool = std::ptr::null_mut();
    // SAFETY: the driver writes a handle to `pool`, which is used only where it says that it did.
    let found = unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, card) };
    let done = if found == sys::CUresult::CUDA_SUCCESS {
        act(pool)
    } else {
        found
    };
    if done != sys::CUresult::CUDA_SUCCESS {
        tracing::debug!(?done, "the card's memory pool stays as it is");
    }
}

/// Every card of the machine; none without a driver.
pub fn list() -> Vec<Card> {
    let cuda = by_cuda();
    read(&cuda).unwrap_or_default()
}

fn read(cuda: &Result<Vec<String>, String>) -> Result<Vec<Card>, NvmlError> {
    let nvml = Nvml::init()?;
    let count = nvml.device_count()?;
    let card = |index| {
        let device = nvml.device_by_index(index)?;
        let memory = device.memory_info()?;
        Ok(Card {
            index,
            name: device.name()?,
            total_gib: memory.total as f64 / GIB,
            free_gib: memory.free as f64 / GIB,
            compute_capability: device
                .cuda_compute_capability()
                .ok()
                .map(|capability| (capability.major, capability.minor)),
            ordinal: ordinal(cuda, device.uuid().ok().as_deref(), count),
        })
    };
    let or_named = |index| card(index).unwrap_or_else(|error| unread(index, &error));
    Ok((0..count).map(or_named).collect())
}

/// A card that does not answer, so that it is named and the others are used.
fn unread(index: u32, error: &NvmlError) -> Card {
    Card {
        index,
        name: format!("the card at place {index}"),
        total_gib: 0.0,
        free_gib: 0.0,
        compute_capability: None,
        ordinal: Err(format!("its driver does not tell about it ({error})")),
    }
}

/// Where CUDA has the card `uuid` of `count`.
fn ordinal(
    cuda: &Result<Vec<String>, String>,
    uuid: Option<&str>,
    count: u32,
) -> Result<usize, String> {
    let cuda = cuda.as_ref().map_err(Clone::clone)?;
    let same = |other: &String| Some(other.as_str()) == uuid;
    match cuda.iter().position(same) {
        Some(ordinal) => Ok(ordinal),
        // A part of a card has a name of its own.
        None if count == 1 && cuda.len() == 1 => Ok(0),
        None => Err("CUDA does not offer it (see CUDA_VISIBLE_DEVICES)".to_owned()),
    }
}

/// UUIDs of the cards that CUDA offers, in its order.
#[cfg(feature = "cuda")]
fn by_cuda() -> Result<Vec<String>, String> {
    use candle_core::cuda_backend::cudarc::driver::{CudaContext, result::device};

    let count = CudaContext::device_count()
        .map_err(|error| format!("its driver refuses CUDA ({error})"))?;
    (0..count)
        .map(|i| device::get(i).and_then(device::get_uuid))
        .map(|uuid| {
            let uuid = uuid.map_err(|error| format!("its driver refuses CUDA ({error})"))?;
            Ok(uuid_text(uuid.bytes.map(|byte| byte as u8)))
        })
        .collect()
}

#[cfg(not(feature = "cuda"))]
fn by_cuda() -> Result<Vec<String>, String> {
    Err("this build has no CUDA".to_owned())
}

/// A UUID as NVML writes it.
#[cfg(any(feature = "cuda", test))]
fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = "GPU-".to_owned();
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The card to use of `cards`, and why where that is no matter of course. `wanted` is an index or part of
/// a name; without it the card with the most memory is taken.
pub fn choose<'a>(cards: &'a [Card], wanted: Option<&str>) -> (Option<&'a Card>, Vec<Note>) {
    let mut notes = Vec::new();
    let usable = || cards.iter().filter(|card| card.ordinal.is_ok());
    if let Some(wanted) = wanted {
        let means = means_card(wanted, cards.iter().map(|card| card.index));
        let is_it = |card: &&Card| means(card.index, &card.name);
        // Of several of one name, one that can be used.
        let found = usable().find(is_it).or_else(|| cards.iter().find(is_it));
        match found {
            Some(Card { ordinal: Ok(_), .. }) => return (found, notes),
            Some(card) => notes.push(unusable(card)),
            None => notes.push(Note::new(
                "card_unknown",
                "device",
                format!(
                    "Device: there is no card {wanted:?}. {}",
                    match &*names(cards) {
                        "" => "No NVIDIA card was found.".to_owned(),
                        names => format!("There is {names}."),
                    }
                ),
            )),
        }
    }
    let most = usable().fold(None, |most: Option<&Card>, card| match most {
        Some(other) if (other.total_gib, other.free_gib) >= (card.total_gib, card.free_gib) => most,
        _ => Some(card),
    });
    if let Some(card) = most
        && cards.len() > 1
        && wanted.is_none()
    {
        notes.push(Note::new(
            "card_chosen",
            "device",
            format!(
                "Device: of {} cards {} is used, the one with the most memory. `--device cuda:INDEX` or `cuda:NAME` names another: {}.",
                cards.len(),
                card.name,
                names(cards)
            ),
        ));
    }
    if most.is_none() && wanted.is_none() && cfg!(feature = "cuda") {
        notes.extend(cards.iter().map(unusable));
    }
    (most, notes)
}

fn unusable(card: &Card) -> Note {
    let why = card.ordinal.as_ref().err().map_or("", String::as_str);
    Note::new(
        "card_unusable",
        "device",
        format!(
            "Device: {} ({:.1} GiB) is there, but cannot be used: {why}.",
            card.name, card.total_gib
        ),
    )
}

/// The cards as one chooses them.
fn names(cards: &[Card]) -> String {
    let name = |card: &Card| {
        format!(
            "cuda:{} {} ({:.1} GiB)",
            card.index, card.name, card.total_gib
        )
    };
    cards.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use nvml_wrapper::error::NvmlError;

    use super::{Card, choose, ordinal, simulate, unread, uuid_text, within_simulated};

    fn card(index: u32, name: &str, total_gib: f64, ordinal: Result<usize, &str>) -> Card {
        Card {
            index,
            name: name.to_owned(),
            total_gib,
            free_gib: total_gib / 2.0,
            compute_capability: None,
            ordinal: ordinal.map_err(str::to_owned),
        }
    }

    fn three() -> Vec<Card> {
        vec![
            card(0, "NVIDIA GeForce RTX 3060", 12.0, Ok(1)),
            card(1, "NVIDIA GeForce RTX 4090", 24.0, Ok(0)),
            card(2, "NVIDIA A100", 80.0, Err("CUDA does not offer it")),
        ]
    }

    #[test]
    fn a_card_that_does_not_answer_is_named_and_leaves_the_others_in_use() {
        let mut cards = three();
        cards.push(unread(3, &NvmlError::GpuLost));
        let (chosen, _) = choose(&cards, None);
        assert_eq!(chosen.map(|card| card.index), Some(1));
        let (_, notes) = choose(&cards, Some("3"));
        assert_eq!(notes[0].code, "card_unusable");
        assert!(
            notes[0].message.contains("does not tell about it"),
            "{notes:?}"
        );
    }

    #[test]
    fn the_largest_card_that_can_be_used_is_taken_and_the_reason_told() {
        let cards = three();
        let (chosen, notes) = choose(&cards, None);
        assert_eq!(chosen.map(|card| card.index), Some(1));
        assert_eq!(notes.len(), 1);
        assert!(notes[0].message.contains("RTX 4090 is used"), "{notes:?}");
        assert!(
            notes[0]
                .message
                .contains("cuda:0 NVIDIA GeForce RTX 3060 (12.0 GiB)")
        );
        let (chosen, notes) = choose(&cards[..1], None);
        assert_eq!((chosen.map(|card| card.index), notes), (Some(0), vec![]));
        assert_eq!(choose(&[], None), (None, vec![]));
    }

    #[test]
    fn a_card_is_named_by_index_or_by_part_of_its_name() {
        let cards = three();
        for (wanted, index) in [("0", 0), ("3060", 0), ("rtx 4090", 1), ("1", 1)] {
            let (chosen, notes) = choose(&cards, Some(wanted));
            assert_eq!(chosen.map(|card| card.index), Some(index), "{wanted}");
            assert_eq!(notes, []);
        }
        // A short number is an index, though a name may have it: RTX 3060.
        let (_, notes) = choose(&cards, Some("60"));
        assert_eq!(notes[0].code, "card_unknown");
        let (chosen, notes) = choose(&cards, Some("a100"));
        assert_eq!(chosen.map(|card| card.index), Some(1));
        assert_eq!(notes[0].code, "card_unusable");
        assert!(notes[0].message.contains("A100 (80.0 GiB) is there"));
        let (_, notes) = choose(&[], Some("1"));
        assert!(notes[0].message.contains("No NVIDIA card"), "{notes:?}");
    }

    /// Each test has a process of its own.
    #[test]
    fn a_simulated_card_gives_no_more_than_it_seems_to_have() {
        assert_eq!(within_simulated(10 << 30), 10 << 30);
        simulate(4.0);
        simulate(8.0);
        assert_eq!(within_simulated(10 << 30), 4 << 30);
        assert_eq!(within_simulated(3 << 30), 3 << 30);
    }

    #[test]
    fn cuda_and_nvml_know_a_card_by_its_uuid() {
        let text = uuid_text([
            0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8,
        ]);
        assert_eq!(text, "GPU-12345678-9abc-def0-0102-030405060708");
        let cuda = Ok(vec!["GPU-b".to_owned(), text.clone()]);
        assert_eq!(ordinal(&cuda, Some(&text), 3), Ok(1));
        assert!(
            ordinal(&cuda, Some("GPU-c"), 3)
                .unwrap_err()
                .contains("CUDA_VISIBLE_DEVICES")
        );
        let part = Ok(vec!["MIG-1".to_owned()]);
        assert_eq!(ordinal(&part, Some("GPU-c"), 1), Ok(0));
        assert!(ordinal(&Err("no".to_owned()), Some("GPU-c"), 1).is_err());
    }
}
