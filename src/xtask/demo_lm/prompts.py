"""Prompt and answer formats of ACE-Step's language model, as the studio builds and reads them."""

ENDOFTEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
THINK, END_THINK = "<think>", "</think>"
SPECIALS = [ENDOFTEXT, IM_START, IM_END, THINK, END_THINK]

INSTRUMENTAL = "[Instrumental]"
NO_INPUT = "NO USER INPUT"

INSTRUCTIONS = {
    "cot": "Generate audio semantic tokens based on the given conditions:",
    "understand": "Understand the given musical conditions and describe the audio semantics"
    " accordingly:",
    "create": "Expand the user's input into a more detailed and specific musical description:",
    "format": "Format the user's input into a more detailed and specific musical description:",
}

FIELDS = ["bpm", "caption", "duration", "keyscale", "language", "timesignature"]


def user_turn(job: str, text: str, lyrics: str, instrumental: bool) -> str:
    """The user's turn of one job; `text` is the caption or the description."""
    if job == "cot":
        return f"# Caption\n{text}\n\n# Lyric\n{lyrics}\n"
    if job == "format":
        return f"# Caption\n{text or NO_INPUT}\n\n# Lyric\n{lyrics or INSTRUMENTAL}"
    if job == "create":
        return f"{text or NO_INPUT}\n\ninstrumental: {str(instrumental).lower()}"
    return NO_INPUT


def prompt_pieces(job: str, user: str) -> list[str]:
    """The prompt as alternating control tokens and text.

    The pieces are encoded one by one, so that control tokens inside the user's text stay text.
    """
    system = f"system\n# Instruction\n{INSTRUCTIONS[job]}\n\n"
    return [
        IM_START, system, IM_END, "\n",
        IM_START, f"user\n{user}", IM_END, "\n",
        IM_START, "assistant\n",
    ]  # fmt: skip


def answer_pieces(values: dict, fields: list[str], lyrics: str) -> list[tuple[str, str | None]]:
    """The answer as (text, field) pieces; `field` marks the value the studio may force.

    Concatenating the pieces between two control tokens gives the text that is encoded as a whole.
    """
    pieces: list[tuple[str, str | None]] = [(THINK, None), ("\n", None)]
    for field in fields:
        pieces += [(f"{field}:", None), (f" {values[field]}\n", field)]
    pieces.append((END_THINK, None))
    if lyrics:
        pieces.append((f"\n\n{lyrics}", None))
    return pieces + [(IM_END, None)]
